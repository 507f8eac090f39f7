//! The program itself: a published configuration against stand-ins for the API server of
//! the cluster and for CloudWatch Logs gives the documents that ADOT v0.49 sent.
//!
//! The configuration is the published one for EKS on Fargate; only addresses, the folder
//! of the service account, the region and the scrape interval are replaced. The API server
//! serves scrape k of the recording at the k-th scrape of a node, so that nothing depends
//! on when a scrape happens:
//!
//! - cAdvisor stamps its series. The recording is moved as a whole, by one offset, to an
//!   hour before the run, as CloudWatch takes nothing older than two weeks. Stamps stay
//!   one step apart, so rates come from the stamps and are those of the recording.
//!   Documents are compared with the offset taken off again.
//! - Series without a stamp have the time of the scrape, theirs as ours. Only whether a
//!   document has a scrape's time is compared, and that ours is one of this run.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]
#![allow(missing_docs, reason = "a test")]

mod support;

use std::collections::HashMap;
use std::path::Path;

use otelpipe_collector::clock;
use otelpipe_collector::replay::recording;
use serde_json::Value;
use support::api_server::{ApiServer, scraped_node};
use support::cloudwatch::CloudWatch;
use support::folder::Folder;
use support::golden;
use support::process::Collector;
use support::server::Reply;

const RUN: &str = "eks-fargate";

/// How far in the past the recording is put.
const PAST_MS: i64 = 3_600_000;

/// One scrape of the recording.
struct Step {
    body: String,
    /// The stamps in it lie in the step that ends here.
    stamp_ms: i64,
}

/// The scrapes of each node, in order.
fn steps() -> HashMap<String, Vec<Step>> {
    let index = std::fs::read_to_string(golden::folder(RUN).join("expositions/index.jsonl")).unwrap();
    let stamps = index.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["exposition_ts_ms"].as_i64().unwrap()
    });
    let mut nodes: HashMap<String, Vec<Step>> = HashMap::new();
    for (scrape, stamp_ms) in recording::find(&[golden::folder(RUN)]).unwrap().into_iter().zip(stamps) {
        let body = String::from_utf8(scrape.body().unwrap()).unwrap();
        nodes.entry(scrape.source).or_default().push(Step { body, stamp_ms });
    }
    nodes
}

/// The exposition with all stamps moved.
fn moved(step: &Step, offset_ms: i64) -> String {
    let mut out = String::with_capacity(step.body.len());
    for line in step.body.lines() {
        match line.rsplit_once(' ') {
            Some((sample, last)) => {
                let stamp =
                    last.parse().ok().filter(|at| (step.stamp_ms - 5000..=step.stamp_ms).contains(at));
                match stamp {
                    Some(at) => out.push_str(&format!("{sample} {}", at + offset_ms)),
                    None => out.push_str(line),
                }
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// Replaces a text that must be there.
#[track_caller]
fn replace(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "the published configuration has no {from}");
    *text = text.replace(from, to);
}

#[test]
fn the_published_eks_configuration_sends_what_adot_sent() {
    let steps = steps();
    let (nodes, scrapes) = (steps.len(), steps.values().map(Vec::len).max().unwrap());
    assert_eq!((nodes, scrapes), (3, 4), "the recording");
    let begin_ms = clock::now_ms();
    let first_ms = steps.values().flatten().map(|step| step.stamp_ms).min().unwrap();
    let offset_ms = begin_ms - PAST_MS - first_ms;

    let list = std::fs::read_to_string(golden::folder(RUN).join("nodes.json")).unwrap();
    let mut served: HashMap<String, usize> = HashMap::new();
    let cluster = ApiServer::start("binary", serde_json::from_str(&list).unwrap(), move |node| {
        let at = served.entry(node.to_owned()).or_default();
        *at += 1;
        match steps[node].get(*at - 1) {
            Some(step) => Reply::exposition(moved(step, offset_ms)),
            None => Reply::nothing(), // the recording has ended
        }
    });
    let cloudwatch = CloudWatch::start();

    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/configs/eks-fargate-emf.yaml");
    let mut config = std::fs::read_to_string(published).unwrap();
    replace(&mut config, "scrape_interval: 1m", "scrape_interval: 2s");
    replace(&mut config, "scrape_timeout: 40s", "scrape_timeout: 2s");
    replace(&mut config, "kubernetes.default.svc:443", &cluster.server.address());
    let account = cluster.account.path().to_str().unwrap();
    replace(&mut config, "/var/run/secrets/kubernetes.io/serviceaccount", account);
    replace(&mut config, "YOUR-AWS-REGION", "us-west-2");
    let folder = Folder::new("binary");
    let config = folder.write("config.yaml", config);
    let endpoint = format!("--set=exporters.awsemf.endpoint={}", cloudwatch.server.url());

    let mut env = cluster.env();
    env.extend([
        ("AWS_REGION", "us-west-2".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIATEST".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        // As at the recording; that this is EKS is told by the path of the token below.
        ("OTEL_RESOURCE_ATTRIBUTES", "ClusterName=fargate-cluster".to_owned()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token".to_owned()),
    ]);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let arguments = [
        "--config",
        &config,
        &endpoint,
        "--set=extensions.health_check.endpoint=127.0.0.1:0",
        "--set=service.telemetry.metrics.level=none",
    ];
    let collector = Collector::start(&arguments, &env);

    // A node's next scrape begins when the one before is in the pipeline. There the
    // published batch processor holds it for a minute: the end must bring it out.
    cluster.server.wait_for("fifth scrape of each node", |seen| {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for node in seen.iter().filter_map(|seen| scraped_node(&seen.path)) {
            *counts.entry(node).or_default() += 1;
        }
        (counts.len() == nodes && counts.values().all(|count| *count > scrapes)).then_some(())
    });
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let end_ms = clock::now_ms();

    let events = cloudwatch.events();
    let line = |group: &str, stream: &str, at: i64, document: &Value, time: &dyn Fn(i64) -> Value| {
        if let Some(aws) = document.get("_aws") {
            assert_eq!(aws["Timestamp"], at, "the time of the event is that of its document");
        }
        format!("{group} {stream} {} {}", time(at), golden::canonical(document, time))
    };
    let ours = events.iter().map(|event| {
        line(&event.group, &event.stream, event.timestamp, &event.message, &|at| {
            if at < begin_ms - PAST_MS / 2 {
                return Value::from(at - offset_ms);
            }
            // Scrape times are whole steps of the clock, and so up to an interval off.
            assert!((begin_ms - 1000..=end_ms + 1000).contains(&at), "{at} is no time of this run");
            Value::from("scrape")
        })
    });
    let times = golden::scrape_times(RUN);
    let theirs = golden::recorded_events(RUN);
    let theirs = theirs.iter().map(|event| {
        let text = |key: &str| event[key].as_str().unwrap();
        let at = event["timestamp"].as_i64().unwrap();
        line(text("group"), text("stream"), at, &event["message"], &|at| {
            if golden::is_scrape_time(&times, at) { Value::from("scrape") } else { at.into() }
        })
    });
    golden::assert_same(RUN, ours.collect(), theirs.collect());
}
