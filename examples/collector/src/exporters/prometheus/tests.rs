//! The page as a scraper sees it.

use std::collections::BTreeSet;

use otelpipe_core::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{
    ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint, Quantile, SummaryPoint,
};
use otelpipe_prom::text::{self, Entries, Entry, ParseOptions};

use super::*;
use crate::config::yaml;
use crate::env::Env;
use crate::http_client::{HttpClient, HttpOptions, Limits};

fn read(text: &str) -> (Option<PrometheusExporter>, String) {
    let cx = crate::commands::run::context(&Env::default(), BTreeSet::new());
    let mut problems = Problems::new();
    let node = yaml::parse(text, &Arc::from("c.yaml"), &mut problems).unwrap();
    let id = ComponentId::parse("prometheus").unwrap();
    let settings = Settings::read(&id, &node, &cx, &mut problems);
    let list = problems.iter().map(|problem| {
        let place = problem.span.as_ref().map(|span| format!("{}:{} ", span.line, span.column));
        let fix = problem.fix.as_deref().map(|fix| format!(" ({fix})")).unwrap_or_default();
        format!("{}{}: {}{fix}\n", place.unwrap_or_default(), problem.path, problem.message)
    });
    let list = list.collect();
    (settings.map(|settings| PrometheusExporter::new(&id, settings, &cx)), list)
}

#[track_caller]
fn exporter(more: &str) -> PrometheusExporter {
    let (exporter, problems) = read(&format!("{{endpoint: 'localhost:0', {more}}}"));
    assert_eq!(problems, "");
    exporter.unwrap()
}

const SECOND: u64 = 1_000_000_000;

fn batch(metrics: impl IntoIterator<Item = Metric>) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let scope = batch.scope_mut();
    scope.scope.name = "lib".into();
    scope.metrics.extend(metrics);
    let resource = &mut batch.resources[0].resource.attributes;
    resource.insert("service.name", "shop");
    resource.insert("service.instance.id", "i-1");
    resource.insert("zone", "a");
    batch
}

fn sum(name: &str, temporality: Temporality, points: Vec<NumberPoint>) -> Metric {
    Metric {
        description: "How many \"x\\y\"".into(),
        ..Metric::new(name, MetricData::Sum(Sum { points, temporality, is_monotonic: true }))
    }
}

fn page(exporter: &PrometheusExporter, format: Format, now_ms: i64) -> String {
    exporter.answers.store().page(format, now_ms)
}

fn text_page(exporter: &PrometheusExporter) -> String {
    page(exporter, Format::default(), 0)
}

/// Every kind of point once.
fn every_kind() -> MetricBatch {
    let histogram = HistogramPoint {
        time_ns: 2 * SECOND,
        count: 1_000_006,
        sum: Some(7.5),
        bucket_counts: vec![1, 2, 1_000_003],
        explicit_bounds: vec![0.5, 10.0],
        ..HistogramPoint::default()
    };
    let exponential =
        ExponentialHistogramPoint { time_ns: 2 * SECOND, count: 4, sum: Some(3.0), ..Default::default() };
    let summary = SummaryPoint {
        time_ns: 2 * SECOND,
        count: 3,
        sum: 4.0,
        quantiles: vec![Quantile { quantile: 0.5, value: 1.0 }, Quantile { quantile: 0.99, value: 2.5 }],
        ..SummaryPoint::default()
    };
    let cumulative = Temporality::Cumulative;
    let gauge = NumberPoint::new(0.25, 2 * SECOND).with("k8s.pod", "web\n\"1\"");
    batch([
        sum("http.requests", cumulative, vec![NumberPoint::new(3, 2_500_000_000)]),
        Metric { unit: "s".into(), ..Metric::new("cpu.time", MetricData::Gauge(vec![gauge])) },
        Metric::new(
            "latency",
            MetricData::Histogram(Histogram { points: vec![histogram], temporality: cumulative }),
        ),
        Metric::new(
            "size",
            MetricData::ExponentialHistogram(ExponentialHistogram {
                points: vec![exponential],
                temporality: cumulative,
            }),
        ),
        Metric::new("wait", MetricData::Summary(vec![summary])),
    ])
}

#[test]
fn every_kind_is_written_as_the_text_format_wants_it() {
    let mut exporter = exporter("const_labels: {env: test}");
    exporter.take(every_kind(), 0);
    let base = r#"env="test",instance="i-1",job="shop",otel_scope_name="lib""#;
    let expected = format!(
        r#"# HELP cpu_time_seconds 
# TYPE cpu_time_seconds gauge
cpu_time_seconds{{env="test",instance="i-1",job="shop",k8s_pod="web\n\"1\"",otel_scope_name="lib"}} 0.25
# HELP http_requests_total How many "x\\y"
# TYPE http_requests_total counter
http_requests_total{{{base}}} 3
# HELP latency 
# TYPE latency histogram
latency_bucket{{{base},le="0.5"}} 1
latency_bucket{{{base},le="10"}} 3
latency_bucket{{{base},le="+Inf"}} 1.000006e+06
latency_sum{{{base}}} 7.5
latency_count{{{base}}} 1.000006e+06
# HELP size 
# TYPE size histogram
size_bucket{{{base},le="+Inf"}} 4
size_sum{{{base}}} 3
size_count{{{base}}} 4
# HELP target_info Target metadata
# TYPE target_info gauge
target_info{{env="test",instance="i-1",job="shop",zone="a"}} 1
# HELP wait 
# TYPE wait summary
wait{{{base},quantile="0.5"}} 1
wait{{{base},quantile="0.99"}} 2.5
wait_sum{{{base}}} 4
wait_count{{{base}}} 3
"#
    );
    assert_eq!(text_page(&exporter), expected);
}

#[test]
fn openmetrics_has_floats_suffixes_and_an_end() {
    let mut exporter = exporter("enable_open_metrics: true, send_timestamps: true, without_scope_info: true");
    exporter.take(every_kind(), 0);
    let format = Format { kind: accept::Kind::OpenMetrics1, utf8: false };
    let written = page(&exporter, format, 0);
    let base = r#"instance="i-1",job="shop""#;
    for line in [
        "# HELP http_requests How many \\\"x\\\\y\\\"",
        "# TYPE http_requests counter",
        &format!("http_requests_total{{{base}}} 3.0 2.5"),
        &format!("latency_bucket{{{base},le=\"10.0\"}} 3 2.0"),
        &format!("latency_count{{{base}}} 1000006 2.0"),
        &format!("wait{{{base},quantile=\"0.5\"}} 1.0 2.0"),
    ] {
        assert!(written.lines().any(|found| found == line), "{line}\n{written}");
    }
    assert!(written.ends_with("\n# EOF\n"));
}

/// Our own parser of expositions reads the page, in both formats.
#[test]
fn the_page_can_be_parsed() {
    let mut exporter = exporter("enable_open_metrics: true, send_timestamps: true");
    exporter.take(every_kind(), 0);
    let samples = |page: &str, format: text::Format| {
        // Strict: OpenMetrics as its specification wants it.
        let options = ParseOptions { format, strict: true, ..ParseOptions::default() };
        Entries::new(page.as_bytes(), options)
            .filter(|entry| matches!(entry.as_ref().unwrap(), Entry::Sample(_)))
            .count()
    };
    assert_eq!(samples(&text_page(&exporter), text::Format::Text), 15);
    let format = Format { kind: accept::Kind::OpenMetrics1, utf8: false };
    assert_eq!(samples(&page(&exporter, format, 0), text::Format::OpenMetrics), 15);
}

#[test]
fn series_that_nobody_sends_any_more_expire_and_stale_ones_go_at_once() {
    let mut exporter = exporter("metric_expiration: 10s");
    let gauge = |pod: &str, flags| {
        let point = NumberPoint { flags, ..NumberPoint::new(1, 7 * SECOND) };
        batch([Metric::new("up", MetricData::Gauge(vec![point.with("pod", pod)]))])
    };
    let has = |exporter: &PrometheusExporter, now_ms: i64, pod: &str| {
        page(exporter, Format::default(), now_ms).contains(&format!("pod=\"{pod}\""))
    };
    exporter.take(gauge("a", Flags::default()), 0);
    exporter.take(gauge("b", Flags::default()), 5_000);
    assert!(has(&exporter, 10_000, "a") && has(&exporter, 10_000, "b"));
    assert!(!has(&exporter, 10_001, "a") && has(&exporter, 10_001, "b"));
    exporter.take(gauge("b", Flags::NO_RECORDED_VALUE), 11_000);
    assert!(!has(&exporter, 11_000, "b"));
    assert_eq!(page(&exporter, Format::default(), 100_000), "");
}

#[test]
fn deltas_add_up_while_they_follow_each_other() {
    let mut exporter = exporter("without_scope_info: true");
    let delta = |start: u64, end: u64, value: i64| {
        let point = NumberPoint { start_time_ns: start * SECOND, ..NumberPoint::new(value, end * SECOND) };
        batch([sum("jobs", Temporality::Delta, vec![point])])
    };
    let mut after = |start, end, value| {
        exporter.take(delta(start, end, value), 0);
        let written = text_page(&exporter);
        let line = written.lines().find(|line| line.starts_with("jobs_total{")).unwrap();
        line.rsplit_once(' ').unwrap().1.to_owned()
    };
    assert_eq!(after(0, 10, 3), "3");
    assert_eq!(after(10, 20, 4), "7");
    assert_eq!(after(12, 15, 9), "7", "too late");
    assert_eq!(after(25, 30, 1), "1", "there was a gap");
    assert_eq!(exporter.metrics.dropped_points("prometheus", "out_of_order"), 1);
}

#[test]
fn histograms_of_deltas_add_up_too() {
    let mut exporter = exporter("without_scope_info: true");
    for start in 0..3 {
        let point = HistogramPoint {
            start_time_ns: start * SECOND,
            time_ns: (start + 1) * SECOND,
            count: 2,
            sum: Some(1.5),
            bucket_counts: vec![1, 1],
            explicit_bounds: vec![1.0],
            ..HistogramPoint::default()
        };
        let data = MetricData::Histogram(Histogram { points: vec![point], temporality: Temporality::Delta });
        exporter.take(batch([Metric::new("h", data)]), 0);
    }
    let written = text_page(&exporter);
    for line in ["le=\"1\"} 3", "le=\"+Inf\"} 6", "h_sum{instance=\"i-1\",job=\"shop\"} 4.5"] {
        assert!(written.contains(line), "{line}\n{written}");
    }
}

#[test]
fn one_name_has_one_type() {
    let mut exporter = exporter("add_metric_suffixes: false");
    let points = || vec![NumberPoint::new(1, SECOND)];
    exporter.take(batch([sum("jobs", Temporality::Cumulative, points())]), 0);
    exporter.take(batch([Metric::new("jobs", MetricData::Gauge(points()))]), 0);
    let written = text_page(&exporter);
    assert!(written.contains("# TYPE jobs counter\njobs{"), "{written}");
    assert_eq!(exporter.metrics.dropped_points("prometheus", "type_conflict"), 1);
}

#[test]
fn names_are_as_the_strategy_and_the_scraper_want_them() {
    let mut exporter = exporter(
        "translation_strategy: NoTranslation, namespace: my, without_scope_info: true, \
         resource_to_telemetry_conversion: {enabled: true}",
    );
    let metric =
        Metric::new("cpu.time", MetricData::Gauge(vec![NumberPoint::new(1, SECOND).with("k8s.pod", "a")]));
    exporter.take(batch([metric]), 0);
    let written = page(&exporter, Format { utf8: true, ..Format::default() }, 0);
    let line = r#"{"my_cpu.time",instance="i-1",job="shop","k8s.pod"="a","service.instance.id"="i-1","service.name"="shop",zone="a"} 1"#;
    assert!(written.contains("# TYPE \"my_cpu.time\" gauge\n") && written.contains(line), "{written}");
    let written = text_page(&exporter);
    let line = r#"my_cpu_time{instance="i-1",job="shop",k8s_pod="a",service_instance_id="i-1",service_name="shop",zone="a"} 1"#;
    assert!(written.contains("# TYPE my_cpu_time gauge\n") && written.contains(line), "{written}");
}

#[tokio::test]
async fn scrapes_are_answered_at_once_and_packed_if_wanted() {
    let mut exporter = exporter("enable_open_metrics: true, response_headers: {x-by: me}");
    let address = exporter.listen().await.unwrap();
    exporter.export(every_kind().into()).await.unwrap();
    let client = HttpClient::new(&HttpOptions { max_idle_per_host: 8, ..HttpOptions::default() }).unwrap();
    let limits = Limits { timeout: Duration::from_secs(60), max_body: 1 << 20 };
    let get = |path: &str, header: (&'static str, &'static str)| {
        let request = Request::get(format!("http://{address}{path}")).header(header.0, header.1);
        client.fetch(request.body(Bytes::new()).unwrap(), limits)
    };
    let scrapes = (0..8).map(|_| get("/metrics", ("accept", "*/*")));
    for answer in futures_util::future::join_all(scrapes).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[CONTENT_TYPE], Format::default().content_type());
        assert_eq!(answer.headers()["x-by"], "me");
        assert_eq!(answer.into_body(), text_page(&exporter).as_bytes());
    }
    let answer = get("/metrics", ("accept-encoding", "deflate, gzip")).await.unwrap();
    assert_eq!(answer.headers()[CONTENT_ENCODING], "gzip");
    let unpacked = Encoding::Gzip.unpack(answer.body(), 1 << 20).unwrap();
    assert_eq!(unpacked, text_page(&exporter).as_bytes());
    let answer = get("/metrics", ("accept", "application/openmetrics-text;version=1.0.0")).await.unwrap();
    assert!(answer.body().ends_with(b"# EOF\n"));
    assert_eq!(get("/", ("accept", "*/*")).await.unwrap().status(), StatusCode::NOT_FOUND);
    exporter.shutdown().await.unwrap();
    assert!(get("/metrics", ("accept", "*/*")).await.is_err());
}

#[test]
fn problems_point_to_their_place() {
    #[track_caller]
    fn check(text: &str, problems: &str) {
        assert_eq!(read(text).1, problems, "{text}");
    }
    check(
        "namespace: x\n",
        "1:1 exporters::prometheus::endpoint: expecting a non-blank address to run the Prometheus metrics handler \
         (write `endpoint: localhost:8889`)\n",
    );
    check(
        "{endpoint: ':1', namspace: x}",
        "1:18 exporters::prometheus: unknown key `namspace` (did you mean `namespace`?)\n",
    );
    check(
        "{endpoint: ':1', translation_strategy: NoTranslaton}",
        "1:40 exporters::prometheus::translation_strategy: unknown strategy \"NoTranslaton\" (did you mean \
         `NoTranslation`?)\n",
    );
}
