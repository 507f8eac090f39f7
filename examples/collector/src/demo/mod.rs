//! `otelpipe demo`: the published EKS configuration on a cluster that exists only here.
//!
//! No cluster, no account, no network: the nodes of [`cluster`] are discovered, scraped,
//! taken through the ten processors and written as EMF documents, once a minute of a
//! clock that runs as fast as one can read.

pub mod cluster;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::clock;
use crate::component::BuildContext;
use crate::config::{Problems, load_text};
use crate::env::Env;
use crate::own_metrics::{OwnMetrics, ProcessUsage, process_usage};
use crate::replay::{Engine, Totals};

/// The configuration that the demo runs, byte for byte as it was published.
pub const CONFIG: &str = include_str!("eks-mixed-emf.yaml");

/// A minute of the demo's clock between two scrapes, as in the configuration.
const STEP_MS: i64 = 60_000;

/// What to show.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Ends after this many rounds; `None` goes on until interrupted.
    pub rounds: Option<usize>,
    /// Documents shown of each round; the rest is counted.
    pub documents: usize,
    /// Pause between two rounds.
    pub pause: Duration,
    /// Write the summary as JSON.
    pub json: bool,
}

/// Runs the demo. Documents go to `out`, the summary to `summary`.
///
/// # Errors
///
/// The configuration does not build, or a stream cannot be written.
pub fn run(options: Options, out: &mut dyn Write, summary: &mut dyn Write) -> io::Result<()> {
    // A shell or `cargo run` that became this program leaves its own time behind.
    let cpu_before_s = process_usage().cpu_seconds;
    let mut problems = Problems::new();
    let env = Env::from_iter([
        ("OTEL_RESOURCE_ATTRIBUTES", "ClusterName=demo,cloud.provider=aws,cloud.platform=aws_eks"),
        ("AWS_REGION", "us-west-2"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    let start_ms = clock::now_ms();
    let cx = BuildContext {
        env: env.clone(),
        metrics: Arc::new(OwnMetrics::default()),
        version: crate::VERSION,
        now_ns: otelpipe_core::time::ns_from_ms(start_ms),
        gates: Arc::new(crate::gates::defaults()),
        authenticators: Default::default(),
        handover: Default::default(),
    };
    let engine = load_text("eks-mixed-emf.yaml", CONFIG, &env, &mut problems)
        .and_then(|config| Engine::build(&config, None, &cx, &mut problems));
    let Some(mut engine) = engine else { return Err(io::Error::other(problems.render(false))) };
    let nodes = cluster::nodes();
    engine.discover_nodes(&node_list(&nodes)).map_err(io::Error::other)?;
    let terminal = std::io::stdout().is_terminal();
    let mut round = 0;
    while options.rounds.is_none_or(|rounds| round < rounds) {
        if round > 0 {
            std::thread::sleep(options.pause);
        }
        let at_ms = start_ms + STEP_MS * i64::try_from(round).unwrap_or(0);
        let mut documents = Vec::new();
        for node in &nodes {
            let uptime_s = 3_600.0 + 60.0 * count(round);
            let body = node.exposition(at_ms, uptime_s);
            engine.scrape(&node.name, body.as_bytes(), at_ms, &mut documents)?;
        }
        // The batch processor hands over when its minute is up.
        engine.finish(at_ms + STEP_MS - 1, &mut documents)?;
        show(&documents, &options, out)?;
        round += 1;
        if terminal && options.rounds.is_none() {
            write_summary(&engine, &nodes, round, cpu_before_s, &options, summary)?;
        }
    }
    if !(terminal && options.rounds.is_none()) {
        write_summary(&engine, &nodes, round, cpu_before_s, &options, summary)?;
    }
    Ok(())
}

fn show(documents: &[u8], options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let lines = documents.split_inclusive(|byte| *byte == b'\n');
    for line in lines.clone().take(options.documents) {
        out.write_all(line)?;
    }
    let hidden = lines.count().saturating_sub(options.documents);
    if hidden > 0 {
        writeln!(out, "… and {hidden} more documents")?;
    }
    out.flush()
}

fn write_summary(
    engine: &Engine,
    nodes: &[cluster::Node],
    rounds: usize,
    cpu_before_s: f64,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let totals = engine.totals;
    let ProcessUsage { resident_bytes, cpu_seconds } = process_usage();
    // Of two numbers with two digits, one with two digits.
    let cpu_seconds = ((cpu_seconds - cpu_before_s) * 100.0).round() / 100.0;
    if options.json {
        let stages: Vec<_> = engine
            .stages()
            .map(|stage| json!({"processor": stage.id, "points_in": stage.incoming, "points_out": stage.outgoing}))
            .collect();
        let page = json!({
            "rounds": rounds, "nodes": nodes.len(), "scrapes": totals.scrapes, "failed_scrapes": totals.failed,
            "samples_scraped": totals.samples, "points_in": totals.points_in, "points_out": totals.points_out,
            "documents": totals.lines, "bytes": totals.bytes, "processors": stages,
            "cpu_seconds": cpu_seconds, "resident_bytes": resident_bytes,
        });
        return writeln!(out, "{page}");
    }
    let Totals { scrapes, failed, samples, points_in, points_out, lines, bytes } = totals;
    writeln!(
        out,
        "\notelpipe demo: {rounds} rounds of {} nodes, the published eks-mixed-emf.yaml unchanged",
        nodes.len()
    )?;
    writeln!(out, "  scraped    {samples:>8} samples in {scrapes} scrapes, {failed} failed")?;
    writeln!(out, "  received   {points_in:>8} points, with up and the other report series")?;
    for stage in engine.stages() {
        let change = i128::from(stage.outgoing) - i128::from(stage.incoming);
        let note = match change {
            0 => String::new(),
            1.. => format!("+{change}"),
            _ => change.to_string(),
        };
        writeln!(out, "    {:<38} {:>8} → {:<8} {note}", stage.id, stage.incoming, stage.outgoing)?;
    }
    writeln!(out, "  sent       {lines:>8} documents with {points_out} metric values, {bytes} bytes")?;
    let mib = resident_bytes / (1 << 20);
    writeln!(out, "  cost       {:>8.2} s of CPU, {mib} MiB resident\n", cpu_seconds)?;
    writeln!(out, "  Next: otelpipe check --config=FILE says what it makes of your own configuration,")?;
    writeln!(out, "        otelpipe replay --config=FILE --input=FOLDER runs it on recorded expositions.")
}

/// The cluster's nodes as the Kubernetes API lists them.
fn node_list(nodes: &[cluster::Node]) -> String {
    let items: Vec<_> = nodes
        .iter()
        .map(|node| {
            let labels: serde_json::Map<_, _> =
                node.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({
                "metadata": {"name": node.name, "uid": format!("node-{}", node.name), "labels": labels},
                "spec": {},
                "status": {
                    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}
                }
            })
        })
        .collect();
    json!({"kind": "NodeList", "apiVersion": "v1", "items": items}).to_string()
}

#[expect(clippy::cast_precision_loss, reason = "rounds of a demo")]
fn count(rounds: usize) -> f64 {
    rounds as f64
}
