//! What ADOT sent for recorded scrapes, and what we send: the same series, labels, values
//! and times.
#![cfg(feature = "serde")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::label::LabelSet;
use otelpipe_core::value::is_stale;
use otelpipe_prom::remote_write::{RemoteWriteConfig, RemoteWriteOptions};
use otelpipe_prom::scrape::{
    Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
};
use serde_json::Value;

use crate::read::{Request, encode, encoder};

fn data(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/data/golden/ecs-amp", name].iter().collect();
    let raw = std::fs::read(&path).expect("test data");
    if !name.ends_with(".gz") {
        return raw;
    }
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&raw[..]).read_to_end(&mut text).expect("gzip");
    text
}

fn json_lines(name: &str) -> Vec<Value> {
    let text = String::from_utf8(data(name)).expect("utf-8");
    text.lines().map(|line| serde_json::from_str(line).expect("json")).collect()
}

fn scraper() -> TargetScraper {
    let job: ScrapeConfig =
        serde_json::from_str(r#"{"job_name": "spring-app", "metrics_path": "/actuator/prometheus"}"#)
            .expect("a job");
    let global: GlobalConfig =
        serde_json::from_str(r#"{"scrape_interval": "3s", "scrape_timeout": "2s"}"#).expect("global");
    let mut options = ScrapeOptions::default();
    options.scope_version = "v0.49.0".into();
    let rules = Arc::new(ScrapeRules::compile(&job, &global, &options).expect("the job compiles"));
    let discovered: LabelSet<'_> = [("__address__", "0.0.0.0:8081")].into_iter().collect();
    let target = Target::from_discovered(&discovered, &LabelSet::new(), &rules);
    TargetScraper::new(rules, target.expect("a good target").expect("no rule drops it"))
}

/// `labels → [ms, value]`; the duration of a scrape is not the same twice.
type Samples = BTreeMap<Vec<(String, String)>, Vec<(i64, String)>>;

fn show(labels: &[(String, String)], value: f64) -> String {
    if labels[0].1 == "scrape_duration_seconds" {
        return "a duration".into();
    }
    if is_stale(value) { "STALE".into() } else { format!("{value}") }
}

fn found(requests: &[Request]) -> Samples {
    let series = requests.iter().flat_map(|request| &request.series);
    series
        .map(|series| {
            let sample =
                |sample: &crate::proto::Sample| (sample.timestamp, show(&series.labels, sample.value));
            (series.labels.clone(), series.samples.iter().map(sample).collect())
        })
        .collect()
}

fn wanted(request: &Value) -> Samples {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let series = request["timeseries"].as_array().expect("series").iter();
    series
        .map(|series| {
            let labels = series["labels"].as_array().expect("labels").iter();
            let labels: Vec<(String, String)> = labels.map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
            let samples = series["samples"].as_array().expect("samples").iter().map(|sample| {
                let value = match &sample[1] {
                    Value::String(text) if text == "STALE" => "STALE".into(),
                    Value::String(text) => show(&labels, text.parse().expect("inf or nan")),
                    number => show(&labels, number.as_f64().expect("a number")),
                };
                (sample[0].as_i64().expect("ms"), value)
            });
            let samples = samples.collect();
            (labels, samples)
        })
        .collect()
}

#[test]
fn recorded_scrapes_give_the_write_requests_of_adot() {
    let mut scraper = scraper();
    let mut config = RemoteWriteConfig::default();
    config.resource_to_telemetry_conversion.enabled = true;
    let mut encoder = encoder(&config, RemoteWriteOptions::default());
    let index = json_lines("expositions/index.jsonl");
    let has_up = |request: &Value| {
        let series = request["timeseries"].as_array().expect("series");
        series.iter().any(|series| series["labels"][0][1] == "up")
    };
    let recorded: Vec<Value> = json_lines("remote_write.jsonl.gz").into_iter().filter(has_up).collect();
    assert_eq!((index.len(), recorded.len()), (8, 8));
    let (mut compared, mut stale) = (0, 0);
    for (index, recorded) in index.iter().zip(&recorded) {
        let wanted = wanted(recorded);
        // The time of the scrape is that of every sample.
        let at_ms = wanted.values().next().expect("a series")[0].0;
        let file = index["file"].as_str().expect("a file");
        let body = data(&format!("expositions/{file}"));
        let content_type = Some("text/plain; version=0.0.4; charset=utf-8");
        let answer = Answer::Body { body: &body, content_type, duration_s: 0.0 };
        let mut batch = MetricBatch::default();
        let report = scraper.scrape(answer, at_ms, &mut batch);
        assert_eq!((report.up, &report.error), (true, &None), "{file}");

        let (requests, report) = encode(&mut encoder, &batch);
        assert_eq!((requests.len(), report.dropped_count()), (1, 0), "{file}");
        let found = found(&requests);
        assert_eq!(found, wanted, "{file}");
        compared += found.len();
        stale += found.values().flatten().filter(|(_, value)| value == "STALE").count();
    }
    assert_eq!((compared, stale), (5 * 27 + 3 * 26, 1));
}
