//! Golden runs: recorded expositions through the configured pipeline give the documents
//! that ADOT v0.49 sent, field by field. What differs is in docs/differences.md.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use otelpipe_collector::component::BuildContext;
use otelpipe_collector::config::{Problems, load_text};
use otelpipe_collector::env::Env;
use otelpipe_collector::own_metrics::OwnMetrics;
use otelpipe_collector::replay::{Engine, recording};
use serde_json::Value;
use support::golden::{assert_same, by_node, canonical, folder, is_scrape_time, recorded, scrape_times};

/// What discovery on that run's node found; the same for all runs.
const DETECTED: &str = "ClusterName=fargate-cluster,cloud.provider=aws,cloud.platform=aws_eks";

fn context(match_attributes: bool, plan: bool) -> BuildContext {
    let mut gates = otelpipe_collector::gates::defaults();
    if !plan {
        gates.remove(otelpipe_collector::gates::PLAN);
    }
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
        authenticators: Default::default(),
        handover: Default::default(),
    }
}

/// What our replay of a run writes. `after` looks at the engine after each scrape.
fn replay(name: &str, match_attributes: bool, plan: bool, mut after: impl FnMut(&str, &Engine)) -> String {
    let folder = folder(name);
    let cx = context(match_attributes, plan);
    let text = std::fs::read_to_string(folder.join("config.yaml")).unwrap();
    let mut problems = Problems::new();
    let engine = load_text("config.yaml", &text, &cx.env, &mut problems)
        .and_then(|config| Engine::build(&config, Some("metrics"), &cx, &mut problems));
    let Some(mut engine) = engine else { panic!("{}", problems.render(false)) };
    engine.discover_nodes(&recording::nodes(std::slice::from_ref(&folder)).unwrap().unwrap()).unwrap();
    let mut out = Vec::new();
    let mut last_ms = 0;
    let mut sources = BTreeSet::new();
    for scrape in recording::find(&[folder]).unwrap() {
        sources.insert(scrape.source.clone());
        last_ms = scrape.at_ms.unwrap();
        let report = engine.scrape(&scrape.source, &scrape.body().unwrap(), last_ms, &mut out).unwrap();
        let report = report.expect("every node has a target");
        assert!(report.up, "{}: {:?}", scrape.file.display(), report.error);
        after(&scrape.source, &engine);
    }
    engine.finish(last_ms + 60_000, &mut out).unwrap();
    let counts = engine.plan_counts();
    let first = sources.len() as u64; // the first scrape of each is no plan's
    assert!(if plan { counts.reference == first } else { counts.planned == 0 }, "{counts:?}");
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check(name: &str, match_attributes: bool, documents: usize) {
    let ours = replay(name, match_attributes, true, |_, _| {});
    let reference = replay(name, match_attributes, false, |_, _| {});
    assert!(ours == reference, "both engines write the same bytes");
    let scrapes = scrape_times(name);
    let ours = by_node(
        ours.lines().map(|line| serde_json::from_str::<Value>(line).expect("one JSON object a line")),
    );
    let theirs = recorded(name);
    assert_eq!(theirs.values().map(Vec::len).sum::<usize>(), documents, "documents of the recording");
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "nodes");
    for (node, theirs) in &theirs {
        let time = |at| if is_scrape_time(&scrapes, at) { Value::from("scrape") } else { at.into() };
        let lines = |documents: &[Value]| documents.iter().map(|each| canonical(each, time)).collect();
        assert_same(node, lines(&ours[node]), lines(theirs));
    }
}

#[test]
fn known_scrapes_evaluate_no_rule() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let (mut before, mut known) = (0, 0);
    replay("eks-fargate", true, true, |node, engine| {
        let scrapes = seen.entry(node.to_owned()).or_default();
        *scrapes += 1;
        let evaluations = engine.plan_counts().rule_evaluations;
        // The second scrape is the first that leaves deltas.
        if *scrapes > 2 {
            known += 1;
            assert_eq!(evaluations, before, "scrape {scrapes} of {node}");
        }
        before = evaluations;
    });
    assert!(known > 3, "{known}");
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
