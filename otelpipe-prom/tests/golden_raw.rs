//! What ADOT's receiver gave for recorded scrapes, and what we give.
#![cfg(feature = "serde")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::label::LabelSet;
use otelpipe_core::metric::{Metric, MetricData};
use otelpipe_core::otlp_json;
use otelpipe_core::point::NumberPoint;
use otelpipe_core::time::ms_from_ns;
use otelpipe_prom::scrape::{
    Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
};

fn data(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/data/golden/eks-stages", name].iter().collect();
    let raw = std::fs::read(&path).expect("test data");
    if !name.ends_with(".gz") {
        return raw;
    }
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&raw[..]).read_to_end(&mut text).expect("gzip");
    text
}

fn lines(name: &str) -> Vec<String> {
    String::from_utf8(data(name)).expect("utf-8").lines().map(str::to_owned).collect()
}

fn rules() -> Arc<ScrapeRules> {
    let job: ScrapeConfig = serde_json::from_str(
        r#"{
            "job_name": "kubelets-cadvisor-metrics",
            "sample_limit": 10000,
            "scheme": "https",
            "relabel_configs": [
                {"action": "labelmap", "regex": "__meta_kubernetes_node_label_(.+)"},
                {"target_label": "__address__", "replacement": "kubernetes.default.svc:443"},
                {"source_labels": ["__meta_kubernetes_node_name"], "regex": "(.+)",
                 "target_label": "__metrics_path__", "replacement": "/api/v1/nodes/${1}/proxy/metrics/cadvisor"}
            ],
            "metric_relabel_configs": [
                {"action": "replace", "source_labels": ["id"],
                 "regex": "^/machine\\.slice/machine-rkt\\\\x2d([^\\\\]+)\\\\.+/([^/]+)\\.service$",
                 "target_label": "rkt_container_name", "replacement": "${2}-${1}"},
                {"action": "replace", "source_labels": ["id"], "regex": "^/system\\.slice/(.+)\\.service$",
                 "target_label": "systemd_service_name", "replacement": "${1}"}
            ]
        }"#,
    )
    .expect("a job");
    let global: GlobalConfig =
        serde_json::from_str(r#"{"scrape_interval": "5s", "scrape_timeout": "4s"}"#).expect("global");
    let mut options = ScrapeOptions::default();
    options.scope_version = "v0.49.0".into();
    Arc::new(ScrapeRules::compile(&job, &global, &options).expect("the job compiles"))
}

fn metric<'a>(batch: &'a MetricBatch, name: &str) -> &'a Metric {
    batch.metrics().find(|metric| metric.name == *name).expect("a report series")
}

fn points(metric: &Metric) -> &[NumberPoint] {
    match &metric.data {
        MetricData::Gauge(points) => points,
        MetricData::Sum(sum) => &sum.points,
        other => panic!("neither gauge nor sum: {other:?}"),
    }
}

/// A batch in an order that does not depend on the order of arrival.
fn sorted(mut batch: MetricBatch) -> MetricBatch {
    for scope in batch.resources.iter_mut().flat_map(|resource| &mut resource.scopes) {
        scope.metrics.sort_by(|a, b| a.name.cmp(&b.name));
        for metric in &mut scope.metrics {
            let is_duration = metric.name == *"scrape_duration_seconds";
            let points = match &mut metric.data {
                MetricData::Gauge(points) => points,
                MetricData::Sum(sum) => &mut sum.points,
                other => panic!("neither gauge nor sum: {other:?}"),
            };
            for point in &mut *points {
                let mut attributes: Vec<_> = point.attributes.iter().cloned().collect();
                attributes.sort_by(|(a, _), (b, _)| a.cmp(b));
                point.attributes = attributes.into_iter().collect();
                if is_duration {
                    point.value = 0.0.into();
                }
            }
            points.sort_by_cached_key(|point| format!("{:?}", point.attributes));
        }
    }
    batch
}

#[test]
fn recorded_scrapes_give_what_the_receiver_of_adot_gave() {
    let rules = rules();
    let index = lines("expositions/index.jsonl");
    let raw = lines("stages/00-raw.jsonl.gz");
    assert_eq!((index.len(), raw.len()), (7, 7));
    let mut scrapers: BTreeMap<String, TargetScraper> = BTreeMap::new();
    let mut compared = 0;
    for (index, raw) in index.iter().zip(&raw) {
        let index: serde_json::Value = serde_json::from_str(index).expect("json");
        let node = index["node"].as_str().expect("a node");
        let wanted = otlp_json::read(raw).expect("otlp json");
        let up = &points(metric(&wanted, "up"))[0];
        let scraper = scrapers.entry(node.to_owned()).or_insert_with(|| {
            let mut discovered = LabelSet::new();
            discovered.set("__address__", "10.0.0.10:10250");
            discovered.set("instance", node);
            discovered.set("__meta_kubernetes_node_name", node);
            for (name, value) in &up.attributes {
                discovered.set(format!("__meta_kubernetes_node_label_{name}"), value.str_or_empty());
            }
            let target = Target::from_discovered(&discovered, &LabelSet::new(), &rules);
            let target = target.expect("a good target").expect("no rule drops it");
            let url = "https://kubernetes.default.svc:443/api/v1/nodes/";
            assert_eq!(target.url(), format!("{url}{node}/proxy/metrics/cadvisor"));
            TargetScraper::new(Arc::clone(&rules), target)
        });
        let file = index["file"].as_str().expect("a file");
        let body = data(&format!("expositions/{file}"));
        let content_type = Some("text/plain; version=0.0.4; charset=utf-8");
        let answer = Answer::Body { body: &body, content_type, duration_s: 0.0 };
        let mut batch = MetricBatch::default();
        let report = scraper.scrape(answer, ms_from_ns(up.time_ns), &mut batch);
        assert_eq!((report.up, &report.error, report.warnings.len()), (true, &None, 0), "{file}");

        let (found, wanted) = (sorted(batch), sorted(wanted));
        for (found, wanted) in found.metrics().zip(wanted.metrics()) {
            assert_eq!(found.name, wanted.name, "{file}");
            assert_eq!(found.point_count(), wanted.point_count(), "{file} {}", found.name);
            for (found, wanted) in points(found).iter().zip(points(wanted)) {
                assert_eq!(found, wanted, "{file}");
            }
            compared += found.point_count();
        }
        assert!(found == wanted, "{file}: resource, scope or metric differs");
    }
    assert_eq!(compared, wanted_points());
}

/// Counted in the recording itself, so that a comparison of nothing cannot pass.
fn wanted_points() -> usize {
    lines("stages/00-raw.jsonl.gz").iter().map(|line| line.matches("\"timeUnixNano\"").count()).sum()
}
