//! The golden runs: what went in, what ADOT v0.49 sent, and when two documents are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use otelpipe_collector::replay::recording;
use serde_json::Value;

/// The folder of a run.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(name)
}

/// The log events that ADOT sent: `group`, `stream`, `timestamp`, `message` (the document).
pub(crate) fn recorded_events(name: &str) -> Vec<Value> {
    let mut text = String::new();
    let file = std::fs::File::open(folder(name).join("log_events.jsonl.gz")).unwrap();
    MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The documents that ADOT sent, by node.
pub(crate) fn recorded(name: &str) -> BTreeMap<String, Vec<Value>> {
    by_node(recorded_events(name).into_iter().map(|mut event| event["message"].take()))
}

pub(crate) fn by_node(documents: impl Iterator<Item = Value>) -> BTreeMap<String, Vec<Value>> {
    let mut nodes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for document in documents {
        let node = document["k8s.node.name"].as_str().expect("every document names its node").to_owned();
        nodes.entry(node).or_default().push(document);
    }
    nodes
}

/// Times at which each node was scraped: series without a timestamp carry them, and they
/// came from the wall clock of the run.
pub(crate) fn scrape_times(name: &str) -> BTreeSet<i64> {
    recording::find(&[folder(name)]).unwrap().into_iter().filter_map(|scrape| scrape.at_ms).collect()
}

/// Whether `at` is the time of one of these scrapes and not one of the exposition.
pub(crate) fn is_scrape_time(scrapes: &BTreeSet<i64>, at: i64) -> bool {
    scrapes.range(at..=at + 10).next().is_some()
}

/// One line of text that is equal for equal documents: members sorted, the order of
/// metrics within a measurement (random upstream) taken out, and the time as `time` puts it.
pub(crate) fn canonical(document: &Value, time: impl Fn(i64) -> Value) -> String {
    let mut document = document.clone();
    if let Some(aws) = document.get_mut("_aws") {
        aws["Timestamp"] = time(aws["Timestamp"].as_i64().unwrap());
        for measurement in aws["CloudWatchMetrics"].as_array_mut().unwrap() {
            measurement["Metrics"].as_array_mut().unwrap().sort_by_key(|metric| metric["Name"].to_string());
        }
    }
    document.to_string()
}

/// Compares documents written as [`canonical`] lines, in any order.
#[track_caller]
pub(crate) fn assert_same(place: &str, mut ours: Vec<String>, mut theirs: Vec<String>) {
    ours.sort();
    theirs.sort();
    let missing: Vec<_> = theirs.iter().filter(|line| ours.binary_search(line).is_err()).take(2).collect();
    let added: Vec<_> = ours.iter().filter(|line| theirs.binary_search(line).is_err()).take(2).collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "{place}\nonly theirs: {missing:#?}\nonly ours: {added:#?}"
    );
    assert_eq!(ours.len(), theirs.len(), "{place}");
}
