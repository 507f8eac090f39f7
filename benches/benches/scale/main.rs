//! What a sample and a series cost from a thousand series to a million, without sockets: from
//! the body of a scrape to EMF documents or write requests.
//!
//! `benches/run scale` measures and writes `results/scale.md` and `results/scale.svg`. Time is
//! processor time of this thread; memory is what the pipeline asked the allocator for and holds
//! after a scrape of all nodes.

mod allocator;
mod report;

use core::hint::black_box;
use core::time::Duration;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use otelpipe_benches::cadvisor::{Churn, Page};
use otelpipe_benches::eks::{Cluster, engine};
use otelpipe_benches::{file, on_cpu};
use otelpipe_collector::replay::Engine;
use otelpipe_core::frame::{Columns, Metrics};
use otelpipe_core::relabel::RelabelConfig;
use otelpipe_prom::remote_write::{Encoder, RemoteWriteConfig, RemoteWriteOptions, Translator, WriteRequest};
use otelpipe_prom::scrape::{
    Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
};

use allocator::{Counting, Counts};
use report::{Report, Row};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Series of a node, at most; the EKS document takes 10,000.
const NODE: usize = 8_000;

/// Scrapes before a series is known in every way: the first has no rate yet.
const WARM_UP: usize = 2;

/// Scrapes after which a target that is never the same counts as such.
const WARM_UP_WITH_CHURN: usize = 10;

/// Scrapes of every node of which the median counts.
const SCRAPES: usize = 5;

/// Time between two scrapes of a node.
const INTERVAL_MS: i64 = 60_000;

const T0_MS: i64 = 1_800_000_000_000;

/// Measures cost and memory by the number of series.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Numbers of series; memory per series is the slope between the second and the last.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000, 1_000_000])]
    series: Vec<usize>,
    /// Only rows whose name has this in it; writes no results.
    #[arg(long, default_value = "")]
    only: String,
    /// Prints JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// Given by `cargo bench`; without it this is a test with few series.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if !options.bench {
        options.series = vec![200, 400];
    }
    let mut report = Report::new();
    for work in WORK.into_iter().filter(|work| work.name.contains(&options.only)) {
        for series in &options.series {
            report.rows.push(work.measure(*series));
        }
    }
    report.finish();
    println!("{}", if options.json { report.json() } else { report.table() });
    if options.bench && options.only.is_empty() {
        let results = file("benches/results");
        let written = std::fs::write(results.join("scale.md"), report.markdown())
            .and_then(|()| std::fs::write(results.join("scale.svg"), report.plot()))
            .and_then(|()| std::fs::write(results.join("scale.json"), report.json() + "\n"));
        if let Err(error) = written {
            eprintln!("scale: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What is done with which lines.
#[derive(Clone, Copy)]
struct Work {
    name: &'static str,
    sink: Sink,
    lines: Lines,
    /// Percent of the pods that are replaced before every scrape.
    churn: usize,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Sink {
    /// The EKS document, with the compiled plan.
    Emf,
    /// The same by the reference engine.
    EmfByReference,
    RemoteWrite,
    /// What a scrape gives is thrown away.
    Gone,
    /// A rule of the scrape drops every sample.
    Nowhere,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Lines {
    All,
    /// Those that the rules of the EKS document keep.
    Kept,
    /// The others.
    LeftOut,
}

const WORK: [Work; 10] = [
    Work { name: "EKS document", sink: Sink::Emf, lines: Lines::All, churn: 0 },
    // One pod of each node.
    Work { name: "EKS document, 2 % churn", sink: Sink::Emf, lines: Lines::All, churn: 2 },
    Work { name: "EKS document, 30 % churn", sink: Sink::Emf, lines: Lines::All, churn: 30 },
    Work { name: "EKS document, reference engine", sink: Sink::EmfByReference, lines: Lines::All, churn: 0 },
    Work { name: "EKS document, kept series only", sink: Sink::Emf, lines: Lines::Kept, churn: 0 },
    Work { name: "EKS document, left-out series only", sink: Sink::Emf, lines: Lines::LeftOut, churn: 0 },
    Work { name: "remote write", sink: Sink::RemoteWrite, lines: Lines::All, churn: 0 },
    Work { name: "remote write, 30 % churn", sink: Sink::RemoteWrite, lines: Lines::All, churn: 30 },
    Work { name: "scrape alone", sink: Sink::Gone, lines: Lines::All, churn: 0 },
    Work { name: "dropped by a rule of the scrape", sink: Sink::Nowhere, lines: Lines::All, churn: 0 },
];

impl Work {
    fn measure(&self, series: usize) -> Row {
        let sizes: Vec<usize> = (0..series.div_ceil(NODE)).map(|at| NODE.min(series - at * NODE)).collect();
        let mut pages: Vec<Page> =
            sizes.iter().enumerate().map(|(node, size)| self.page(node, *size, 0)).collect();
        let mut pipeline = Pipeline::start(self.sink, pages.len());
        let mut body = Vec::new();
        let mut rounds = Vec::new();
        let warm_up = if self.churn > 0 { WARM_UP_WITH_CHURN } else { WARM_UP };
        for scrape in 0..warm_up + SCRAPES {
            if self.churn > 0 {
                pages = sizes.iter().enumerate().map(|(node, size)| self.page(node, *size, scrape)).collect();
            }
            let at_ms = T0_MS + INTERVAL_MS * i64::try_from(scrape).expect("a few");
            let mut round = Round::default();
            for (node, page) in pages.iter().enumerate() {
                body.clear();
                page.write(u64::try_from(scrape).expect("a few"), at_ms, &mut body);
                round.add(page.samples(), || pipeline.scrape(node, &body, at_ms));
            }
            round.add(0, || pipeline.finish(at_ms));
            rounds.push(round);
        }
        let mut known = rounds.split_off(warm_up);
        let held: i64 = rounds.iter().chain(&known).map(|round| round.counts.held).sum();
        known.sort_by(|one, other| one.each(one.worked).total_cmp(&other.each(other.worked)));
        let median = &known[SCRAPES / 2];
        Row {
            name: self.name,
            churn_percent: self.churn,
            series: median.samples,
            first_ns: rounds[0].each(rounds[0].worked),
            known_ns: median.each(median.worked),
            allocations_a_sample: median.allocations(),
            held_bytes: held,
        }
    }

    /// The page of a node, of about `size` samples.
    fn page(&self, node: usize, size: usize, scrape: usize) -> Page {
        let churn = Churn { percent: self.churn, rounds: scrape };
        let page = |samples| Page::churned(node as u64, samples, churn);
        match self.lines {
            Lines::All => page(size),
            // About a quarter of the lines are kept.
            Lines::Kept => page(size * 15 / 4).only(true),
            Lines::LeftOut => page(size * 15 / 11).only(false),
        }
    }
}

/// One scrape of every node.
#[derive(Default)]
struct Round {
    samples: usize,
    worked: Duration,
    counts: Counts,
}

impl Round {
    fn add(&mut self, samples: usize, work: impl FnOnce()) {
        let before = (on_cpu(), Counts::now());
        work();
        let counts = Counts::now().since(before.1);
        self.worked += on_cpu() - before.0;
        self.samples += samples;
        self.counts.calls += counts.calls;
        self.counts.held += counts.held;
    }

    #[expect(clippy::cast_precision_loss, reason = "for a figure of a few digits")]
    fn each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e9 / self.samples as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "for a figure of a few digits")]
    fn allocations(&self) -> f64 {
        self.counts.calls as f64 / self.samples as f64
    }
}

/// All between the body of a scrape and the bytes that are sent: the one place to change
/// when the crates are put together in another way.
enum Pipeline {
    Emf {
        engine: Box<Engine>,
        names: Vec<String>,
    },
    /// `spare` is the room of the frame before.
    RemoteWrite {
        scrapers: Vec<TargetScraper>,
        encoder: Option<Box<Encoder>>,
        spare: Columns,
    },
}

impl Pipeline {
    fn start(sink: Sink, nodes: usize) -> Self {
        match sink {
            Sink::Emf => Self::emf(nodes, true),
            Sink::EmfByReference => Self::emf(nodes, false),
            Sink::RemoteWrite => Self::remote_write(nodes, "replace", true),
            Sink::Gone => Self::remote_write(nodes, "replace", false),
            Sink::Nowhere => Self::remote_write(nodes, "drop", false),
        }
    }

    fn emf(nodes: usize, plan: bool) -> Self {
        // Nodes are discovered below; the addresses are those of no machine.
        let interval = Duration::from_millis(INTERVAL_MS.unsigned_abs());
        let cluster = Cluster { nodes: 0, address: "api:443", account: Path::new("/account"), interval };
        let mut engine = Box::new(engine(&cluster.emf("http://logs"), plan));
        let names: Vec<String> = (0..nodes).map(|node| format!("node-{node}")).collect();
        for (number, name) in names.iter().enumerate() {
            engine.discover(name, &Cluster::node(number)).expect("a good target");
        }
        Self::Emf { engine, names }
    }

    /// With one rule for every sample: a replacement that never matches, or `drop`.
    fn remote_write(nodes: usize, action: &str, sends: bool) -> Self {
        let mut rule = RelabelConfig { action: Some(action.into()), ..RelabelConfig::default() };
        if action == "replace" {
            rule.source_labels = vec!["id".into()];
            rule.regex = Some("^/system.slice/(.+).service$".into());
            rule.target_label = "service".into();
        }
        let mut job = ScrapeConfig::default();
        job.job_name = "kubelets".into();
        job.metric_relabel_configs = vec![rule];
        let rules = ScrapeRules::compile(&job, &GlobalConfig::default(), &ScrapeOptions::default());
        let rules = Arc::new(rules.expect("a good job"));
        let scraper = |node: usize| {
            let group = Cluster::node(node);
            let target = Target::from_discovered(&group.targets[0], &group.labels, &rules);
            TargetScraper::new(Arc::clone(&rules), target.expect("a good target").expect("no rule drops it"))
        };
        let translator = Translator::compile(&RemoteWriteConfig::default(), RemoteWriteOptions::default());
        let encoder = Box::new(Encoder::new(translator.expect("good settings").0));
        let scrapers = (0..nodes).map(scraper).collect();
        Self::RemoteWrite { scrapers, encoder: sends.then_some(encoder), spare: Columns::default() }
    }

    fn scrape(&mut self, node: usize, body: &[u8], at_ms: i64) {
        let report = match self {
            Self::Emf { engine, names } => {
                let report = engine.scrape(&names[node], body, at_ms, &mut Gone);
                report.expect("nowhere takes all").expect("every node has a target")
            }
            Self::RemoteWrite { scrapers, encoder, spare } => {
                let answer = Answer::Body { body, content_type: Some("text/plain"), duration_s: 0.1 };
                let (metrics, report) = scrapers[node].scrape_metrics(answer, at_ms, core::mem::take(spare));
                let mut sent = |request: WriteRequest<'_>| {
                    black_box(request.body);
                };
                match (encoder, &metrics) {
                    (Some(encoder), Metrics::Frame(frame)) => drop(encoder.encode_frame(frame, &mut sent)),
                    (Some(encoder), Metrics::Batch(batch)) => drop(encoder.encode(batch, &mut sent)),
                    _ => {}
                }
                if let Metrics::Frame(frame) = black_box(metrics) {
                    *spare = frame.into_parts().1;
                }
                report
            }
        };
        assert!(report.up, "{:?}", report.error);
    }

    /// Nothing of the scrapes so far is left in the pipeline.
    fn finish(&mut self, at_ms: i64) {
        if let Self::Emf { engine, .. } = self {
            engine.finish(at_ms, &mut Gone).expect("nowhere takes all");
        }
    }
}

/// Where documents go: they must be made.
struct Gone;

impl Write for Gone {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(black_box(data).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
