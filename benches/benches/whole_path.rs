//! The whole path of an EKS pipeline: recorded kubelet expositions through scrape, every
//! processor of the document and the EMF encoder, per scraped sample.
//!
//! Each with the compiled plan and with the reference engine, in one run.
//!
//! `known` are scrapes of targets whose series have been seen, counters moving; `new` is
//! each target's first scrape. Building the pipeline is not counted.

use core::hint::black_box;
use core::time::Duration;
use std::io::{self, Write};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otelpipe_benches::{ThreadTime, criterion, file, on_cpu};
use otelpipe_collector::component::BuildContext;
use otelpipe_collector::config::{CollectorConfig, Problems, load_text};
use otelpipe_collector::env::Env;
use otelpipe_collector::own_metrics::OwnMetrics;
use otelpipe_collector::replay::{Engine, recording};

/// Longer than any of the runs.
const PERIOD_MS: i64 = 60_000;

const RUNS: [&str; 2] = ["eks-fargate", "eks-mixed-matchattrs"];

/// One scrape: whose, its body, and when.
struct Scrape {
    node: String,
    body: Vec<u8>,
    at_ms: i64,
}

/// A recorded run: its pipeline, its nodes, and its scrapes in order.
struct Run {
    config: CollectorConfig,
    context: BuildContext,
    nodes: String,
    first: Vec<Scrape>,
    later: Vec<Scrape>,
}

impl Run {
    fn read(name: &str) -> Self {
        let folder = file("examples/collector/tests/data/golden").join(name);
        let context = BuildContext {
            env: Env::from_iter([
                ("OTEL_RESOURCE_ATTRIBUTES", "ClusterName=c,cloud.provider=aws,cloud.platform=aws_eks"),
                ("AWS_REGION", "us-west-2"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ]),
            metrics: Arc::new(OwnMetrics::default()),
            version: "v0.49.0",
            now_ns: 1_795_257_000_000_000_000,
            gates: Arc::new(otelpipe_collector::gates::defaults()),
            authenticators: Default::default(),
            handover: Default::default(),
        };
        let mut problems = Problems::new();
        let text = std::fs::read_to_string(folder.join("config.yaml")).expect("the run's configuration");
        let config = load_text("config.yaml", &text, &context.env, &mut problems);
        let nodes = recording::nodes(core::slice::from_ref(&folder)).expect("the run's nodes");
        let (mut first, mut later): (Vec<Scrape>, Vec<Scrape>) = (Vec::new(), Vec::new());
        for recorded in recording::find(&[folder]).expect("the run's scrapes") {
            let scrape = Scrape {
                body: recorded.body().expect("a body"),
                at_ms: recorded.at_ms.expect("its time"),
                node: recorded.source,
            };
            let seen = first.iter().any(|other| other.node == scrape.node);
            if seen { later.push(scrape) } else { first.push(scrape) }
        }
        Self {
            config: config.unwrap_or_else(|| panic!("{}", problems.render(false))),
            context,
            nodes: nodes.expect("the run's nodes"),
            first,
            later,
        }
    }

    /// Moves the recorded time on, so that the scrapes can be fed once more.
    fn advance(&mut self, by_ms: i64) {
        for scrape in self.first.iter_mut().chain(&mut self.later) {
            scrape.at_ms += by_ms;
            otelpipe_benches::advance(&mut scrape.body, by_ms);
        }
    }

    fn engine(&self, plan: bool) -> Engine {
        let mut problems = Problems::new();
        let mut context = self.context.clone();
        if !plan {
            let mut gates = otelpipe_collector::gates::defaults();
            gates.remove(otelpipe_collector::gates::PLAN);
            context.gates = Arc::new(gates);
        }
        let engine = Engine::build(&self.config, Some("metrics"), &context, &mut problems);
        let mut engine = engine.unwrap_or_else(|| panic!("{}", problems.render(false)));
        engine.discover_nodes(&self.nodes).expect("good nodes");
        engine
    }
}

/// Feeds scrapes, and lets the pipeline hand over all that it holds.
fn feed(engine: &mut Engine, scrapes: &[Scrape], out: &mut dyn Write) {
    for scrape in scrapes {
        let report = engine.scrape(&scrape.node, black_box(&scrape.body), scrape.at_ms, out);
        let report = report.expect("memory takes all").expect("every node has a target");
        assert!(report.up, "{}: {:?}", scrape.node, report.error);
    }
    let last_ms = scrapes.last().map_or(0, |scrape| scrape.at_ms);
    engine.finish(last_ms, out).expect("memory takes all");
}

/// Counts what it is given: the documents must be made, and go nowhere.
#[derive(Default)]
struct Sink(usize);

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0 += black_box(data).len();
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn bench(criterion: &mut Criterion<ThreadTime>) {
    for (name, plan) in RUNS.into_iter().flat_map(|name| [(name, true), (name, false)]) {
        let mut run = Run::read(name);
        let mut engine = run.engine(plan);
        feed(&mut engine, &run.first, &mut Sink::default());
        let new = engine.totals.samples;
        let mut sink = Sink::default();
        feed(&mut engine, &run.later, &mut sink);
        assert!(sink.0 > 100_000, "the documents of a run are larger than {} bytes", sink.0);
        let known = engine.totals.samples - new;

        let mut group = criterion
            .benchmark_group(format!("whole_path/{name}/{}", if plan { "plan" } else { "reference" }));
        group.throughput(Throughput::Elements(known));
        group.bench_function("known", |bencher| {
            bencher.iter_custom(|rounds| {
                let mut worked = Duration::ZERO;
                for _ in 0..rounds {
                    run.advance(PERIOD_MS);
                    feed(&mut engine, &run.first, &mut Sink::default());
                    let before = on_cpu();
                    feed(&mut engine, &run.later, &mut Sink::default());
                    worked += on_cpu() - before;
                }
                worked
            });
        });
        group.throughput(Throughput::Elements(new)).sample_size(10);
        group.bench_function("new", |bencher| {
            bencher.iter_custom(|rounds| {
                let mut worked = Duration::ZERO;
                for _ in 0..rounds {
                    let mut engine = run.engine(plan);
                    let before = on_cpu();
                    feed(&mut engine, &run.first, &mut Sink::default());
                    worked += on_cpu() - before;
                }
                worked
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = all;
    config = criterion();
    targets = bench
}
criterion_main!(all);
