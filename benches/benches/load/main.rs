//! The running program under load: nodes with thousands of cAdvisor lines each, scraped
//! every few seconds over HTTPS and gzip, to CloudWatch Logs and to a store with remote write.
//! Where there is a Prometheus, or a vmagent, it does the same in the same run (Linux).
//!
//! `benches/run load` builds what is needed and measures. Processor time is that of the
//! program alone, from `/proc`; the stand-ins run in this one. A run whose points did not
//! all arrive is an error and gives no figure.

mod report;
mod run;
mod sink;
mod target;

use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use otelpipe_benches::eks::{Cluster, engine};
use otelpipe_benches::{file, process};
use otelpipe_collector::replay::Engine;

use report::{Report, Row};
use run::Run;
use sink::Sink;
use target::{Size, Targets};

/// Scrapes before a window: one-time work is done, and rates have begun.
const WARM_UP: usize = 3;

/// Measures the running program under load.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Nodes, each a target.
    #[arg(long, default_value_t = 10)]
    nodes: usize,
    /// Samples of each node's page.
    #[arg(long, default_value_t = 8_000)]
    samples: usize,
    /// Milliseconds between two scrapes of a node.
    #[arg(long, default_value_t = 5_000)]
    interval_ms: u64,
    /// Scrapes of each node that are measured.
    #[arg(long, default_value_t = 8)]
    scrapes: usize,
    /// Only rows whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Prints JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// A few small scrapes, to see that all works; writes no results.
    #[arg(long)]
    quick: bool,
    /// Given by `cargo bench`; without it this is a test, and quick.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    let testing = !options.bench;
    if testing || options.quick {
        options = Options { nodes: 2, samples: 400, interval_ms: 400, scrapes: 3, quick: true, ..options };
    }
    let Some(collector) = process::collector().filter(|_| cfg!(target_os = "linux")) else {
        eprintln!(
            "load: no `otelpipe` beside this bench; run `cargo build --release -p otelpipe-collector` before"
        );
        return if testing { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    match measured(&options, &collector) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measured(options: &Options, collector: &Path) -> io::Result<()> {
    let size = Size {
        nodes: options.nodes,
        samples: options.samples,
        interval: Duration::from_millis(options.interval_ms),
        // Some nodes are one scrape ahead of the last one.
        scrapes: WARM_UP + options.scrapes + 2,
    };
    let mut report = Report::new(size, options.scrapes);
    for work in [Work::Emf, Work::RemoteWrite, Work::Prometheus, Work::VmAgent] {
        // A quick run is over before a Prometheus sends what it has scraped.
        let left_out = options.quick && work.is_peer();
        if left_out || !work.name().contains(&options.only) {
            continue;
        }
        let program = match work {
            Work::Prometheus => peer("OTELPIPE_PROMETHEUS", "prometheus", "target/prometheus"),
            Work::VmAgent => peer("OTELPIPE_VMAGENT", "vmagent", "target/vmagent"),
            _ => Some(collector.to_owned()),
        };
        let cost = match &program {
            Some(program) => {
                eprintln!("load: {} …", work.name());
                let cost = work.measure(program, size, options.scrapes);
                Some(cost.map_err(|error| io::Error::other(format!("{}: {error}", work.name())))?)
            }
            None => None,
        };
        report.rows.push(Row { name: work.name(), version: program.as_deref().and_then(version), cost });
    }
    report.finish();
    if options.json {
        println!("{}", report.json());
    } else if options.quick {
        println!("load: every point came; a quick run gives no figures");
    } else {
        print!("{}", report.table());
    }
    if !options.quick && options.only.is_empty() {
        let results = file("benches/results");
        std::fs::write(results.join("load.md"), report.markdown())?;
        std::fs::write(results.join("load.svg"), report.plot())?;
        std::fs::write(results.join("load.json"), report.json() + "\n")?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Work {
    Emf,
    RemoteWrite,
    Prometheus,
    VmAgent,
}

impl Work {
    /// It is a program of others.
    fn is_peer(self) -> bool {
        matches!(self, Self::Prometheus | Self::VmAgent)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Emf => "otelpipe, EKS document to CloudWatch Logs",
            Self::RemoteWrite => "otelpipe, remote write",
            Self::Prometheus => "Prometheus agent, remote write",
            Self::VmAgent => "vmagent, remote write",
        }
    }

    fn measure(self, program: &Path, size: Size, scrapes: usize) -> io::Result<report::Cost> {
        let folder = Folder::new()?;
        let targets = Targets::start(size, &folder.0)?;
        let cluster = Cluster {
            nodes: size.nodes,
            address: &targets.address,
            account: &folder.0,
            interval: size.interval,
        };
        let mut command = Command::new(program);
        let config = folder.0.join("config.yaml");
        let sink = Sink::start(if let Self::Emf = self { sink::cloudwatch } else { sink::store })?;
        let mut expected = vec![vec![size.samples as u64]; size.nodes];
        let store = format!("{}/api/v1/write", sink.url);
        let text = match self {
            Self::Emf => cluster.emf(&sink.url),
            Self::RemoteWrite => cluster.remote_write(&store),
            Self::Prometheus => cluster.prometheus(&store),
            Self::VmAgent => cluster.scrapes(),
        };
        match self {
            Self::Emf => expected = values(&text, &targets)?,
            Self::RemoteWrite => {}
            Self::VmAgent => {
                command
                    .args(["-httpListenAddr=127.0.0.1:0", "-loggerLevel=WARN"])
                    .arg(format!("-remoteWrite.url={store}"))
                    .arg(format!("-remoteWrite.tmpDataPath={}", folder.0.join("data").display()))
                    .arg(format!("-promscrape.config={}", config.display()));
            }
            Self::Prometheus => {
                command
                    .args(["--enable-feature=agent", "--web.listen-address=127.0.0.1:0", "--log.level=warn"])
                    .arg(format!("--storage.agent.path={}", folder.0.join("data").display()))
                    .arg(format!("--config.file={}", config.display()));
            }
        }
        if !self.is_peer() {
            command.arg("--config").arg(&config).arg("--set=service.telemetry.metrics.level=none");
        }
        std::fs::write(&config, text)?;
        let run = Run {
            command,
            log: folder.0.join("log"),
            targets: &targets,
            sink: &sink,
            expected,
            // The watcher of its log drops what cAdvisor read before the program started: all of
            // the first scrape, some of the second.
            lost_at_start: if let Self::Prometheus = self {
                2 * (size.samples * size.nodes) as u64
            } else {
                0
            },
        };
        run.measure(WARM_UP, scrapes)
    }
}

/// The metric values of each node's first, second, and every later scrape, by the reference
/// engine.
fn values(config: &str, targets: &Targets) -> io::Result<Vec<Vec<u64>>> {
    let mut engine = engine(config, false);
    let mut body = Vec::new();
    let mut of_node = |node: usize| {
        let name = format!("node-{node}");
        engine.discover(&name, &Cluster::node(node)).map_err(io::Error::other)?;
        (0..WARM_UP).map(|scrape| values_of(&mut engine, &name, targets, node, scrape, &mut body)).collect()
    };
    (0..targets.size.nodes).map(&mut of_node).collect()
}

fn values_of(
    engine: &mut Engine,
    name: &str,
    targets: &Targets,
    node: usize,
    scrape: usize,
    body: &mut Vec<u8>,
) -> io::Result<u64> {
    let at_ms = 1_800_000_000_000 + 60_000 * scrape as i64;
    body.clear();
    targets.text(node, scrape, at_ms, body);
    let mut documents = Vec::new();
    engine.scrape(name, body, at_ms, &mut documents)?;
    engine.finish(at_ms, &mut documents)?;
    let lines = documents.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(sink::values).sum::<Result<u64, String>>().map_err(io::Error::other)
}

/// The program that `variable` names, or the one in `PATH`, or what was unpacked in `folder`.
fn peer(variable: &str, name: &str, folder: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let mut places = named.into_iter().chain(in_path).chain([file(folder).join("usr/bin").join(name)]);
    places.find(|place| place.is_file())
}

/// What a program says of itself: the word after `version`, or the second, if there is one.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "version").unwrap_or(0);
    words.get(at + 1).map(|word| (*word).to_owned())
}

/// A folder of this run, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("otelpipe-load-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
