//! Golden runs: recorded expositions through the configured pipeline give the documents
//! that ADOT v0.49 sent, field by field. What differs is in docs/differences.md.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::std_instead_of_core, reason = "this crate is a std program")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use otelpipe_collector::component::BuildContext;
use otelpipe_collector::config::{Problems, load_text};
use otelpipe_collector::env::Env;
use otelpipe_collector::own_metrics::OwnMetrics;
use otelpipe_collector::replay::{Engine, recording};
use serde_json::Value;

/// What discovery on that run's node found; the same for all runs.
const DETECTED: &str = "ClusterName=fargate-cluster,cloud.provider=aws,cloud.platform=aws_eks";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(name)
}

fn context(match_attributes: bool) -> BuildContext {
    let mut gates = otelpipe_collector::gates::defaults();
    if !match_attributes {
        gates.remove("metricsgeneration.MatchAttributes");
    }
    BuildContext {
        env: Env::from_iter([
            ("OTEL_RESOURCE_ATTRIBUTES", DETECTED),
            ("AWS_REGION", "us-west-2"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]),
        metrics: Arc::new(OwnMetrics::default()),
        version: "v0.49.0",
        now_ns: 1_795_257_000_000_000_000,
        gates: Arc::new(gates),
    }
}

/// The documents of our replay of a run, by node.
fn replay(name: &str, match_attributes: bool) -> BTreeMap<String, Vec<Value>> {
    let folder = folder(name);
    let cx = context(match_attributes);
    let text = std::fs::read_to_string(folder.join("config.yaml")).unwrap();
    let mut problems = Problems::new();
    let engine = load_text("config.yaml", &text, &cx.env, &mut problems)
        .and_then(|config| Engine::build(&config, Some("metrics"), &cx, &mut problems));
    let Some(mut engine) = engine else { panic!("{}", problems.render(false)) };
    engine.discover_nodes(&recording::nodes(&[folder.clone()]).unwrap().unwrap()).unwrap();
    let mut out = Vec::new();
    let mut last_ms = 0;
    for scrape in recording::find(&[folder]).unwrap() {
        last_ms = scrape.at_ms.unwrap();
        let report = engine.scrape(&scrape.source, &scrape.body().unwrap(), last_ms, &mut out).unwrap();
        let report = report.expect("every node has a target");
        assert!(report.up, "{}: {:?}", scrape.file.display(), report.error);
    }
    engine.finish(last_ms + 60_000, &mut out).unwrap();
    by_node(
        String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).expect("one JSON object a line")),
    )
}

/// The documents that ADOT sent, by node.
fn recorded(name: &str) -> BTreeMap<String, Vec<Value>> {
    let mut text = String::new();
    let file = std::fs::File::open(folder(name).join("log_events.jsonl.gz")).unwrap();
    MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    by_node(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].take()))
}

fn by_node(documents: impl Iterator<Item = Value>) -> BTreeMap<String, Vec<Value>> {
    let mut nodes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for document in documents {
        let node = document["k8s.node.name"].as_str().expect("every document names its node").to_owned();
        nodes.entry(node).or_default().push(document);
    }
    nodes
}

/// Times at which each node was scraped: series without a timestamp carry them, and they
/// came from the wall clock of the run.
fn scrape_times(name: &str) -> BTreeSet<i64> {
    recording::find(&[folder(name)]).unwrap().into_iter().filter_map(|scrape| scrape.at_ms).collect()
}

/// One line of text that is equal for equal documents: members sorted, the order of
/// metrics within a measurement (random upstream) taken out, wall-clock times as `scrape`.
fn canonical(document: &Value, scrapes: &BTreeSet<i64>) -> String {
    let mut document = document.clone();
    if let Some(aws) = document.get_mut("_aws") {
        let at = aws["Timestamp"].as_i64().unwrap();
        if scrapes.range(at..=at + 10).next().is_some() {
            aws["Timestamp"] = Value::from("scrape");
        }
        for measurement in aws["CloudWatchMetrics"].as_array_mut().unwrap() {
            measurement["Metrics"].as_array_mut().unwrap().sort_by_key(|metric| metric["Name"].to_string());
        }
    }
    document.to_string()
}

#[track_caller]
fn check(name: &str, match_attributes: bool, documents: usize) {
    let scrapes = scrape_times(name);
    let (ours, theirs) = (replay(name, match_attributes), recorded(name));
    assert_eq!(theirs.values().map(Vec::len).sum::<usize>(), documents, "documents of the recording");
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "nodes");
    for (node, theirs) in &theirs {
        let canonical = |documents: &[Value]| {
            let mut lines: Vec<String> =
                documents.iter().map(|document| canonical(document, &scrapes)).collect();
            lines.sort();
            lines
        };
        let (ours, theirs) = (canonical(&ours[node]), canonical(theirs));
        let missing: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).take(2).collect();
        let added: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).take(2).collect();
        assert!(
            missing.is_empty() && added.is_empty(),
            "{node}\nonly theirs: {missing:#?}\nonly ours: {added:#?}"
        );
        assert_eq!(ours.len(), theirs.len(), "{node}");
    }
}

#[test]
fn fargate_documents_are_those_of_adot() {
    check("eks-fargate", false, 267);
}

#[test]
fn on_fargate_matching_attributes_changes_nothing() {
    check("eks-fargate", true, 267);
}

#[test]
fn mixed_documents_are_those_of_adot_with_matching_attributes() {
    check("eks-mixed-matchattrs", true, 506);
}

#[test]
fn mixed_documents_are_those_of_adot_without_matching_attributes() {
    check("eks-stages", false, 262);
}
