//! `otelpipe run`: the collector itself; and the building half that `check` shares.

use std::collections::BTreeSet;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Level;

use crate::cli::{ConfigArgs, RunArgs, colored};
use crate::clock;
use crate::component::{BuildContext, ComponentError};
use crate::config::source::Fetch;
use crate::config::{CollectorConfig, Problems};
use crate::env::Env;
use crate::memory;
use crate::own_metrics::OwnMetrics;
use crate::pages::metrics::Servers;
use crate::service::Service;
use crate::telemetry::{LogEncoding, MetricsReader, Telemetry};

/// What components are built with.
pub fn context(env: &Env, gates: BTreeSet<String>) -> BuildContext {
    BuildContext {
        env: env.clone(),
        metrics: Arc::new(OwnMetrics::default()),
        version: crate::VERSION,
        now_ns: clock::now_ns(),
        gates: Arc::new(gates),
        authenticators: Default::default(),
        handover: Default::default(),
    }
}

/// Builds everything and starts nothing, for `check`: the same code as at start.
pub fn check(config: &CollectorConfig, gates: &[String], env: &Env, problems: &mut Problems) {
    let gates = crate::gates::enabled(gates, &mut Problems::new());
    let _ = Service::build(config, &context(env, gates), problems);
}

/// Runs the collector until it is told to stop. SIGHUP stops it in order and starts it
/// again with the configuration as it is by then; if that is wrong, the process ends, as
/// upstream.
///
/// # Errors
///
/// The runtime cannot be made, or a component cannot start.
pub fn run(args: &RunArgs, config: &ConfigArgs, env: &Env, fetch: &dyn Fetch) -> io::Result<ExitCode> {
    memory::set_up();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        Signals::new()?
    };
    loop {
        let Some(ready) = prepare(args, config, env, fetch, &runtime)? else { return Ok(ExitCode::FAILURE) };
        match runtime.block_on(ready.run(&mut signals)).map_err(io::Error::other)? {
            Told::Stop => return Ok(ExitCode::SUCCESS),
            Told::Reload => tracing::info!("Starting again with the configuration as it is now."),
        }
    }
}

/// A collector that was built, and where it shows its metrics.
struct Ready {
    service: Service,
    metrics: Arc<OwnMetrics>,
    readers: Vec<MetricsReader>,
}

/// Reads the configuration and builds everything; `None` if it is wrong, which was printed.
fn prepare(
    args: &RunArgs,
    config: &ConfigArgs,
    env: &Env,
    fetch: &dyn Fetch,
    runtime: &Runtime,
) -> io::Result<Option<Ready>> {
    let mut loaded = config.load(env, fetch);
    let telemetry = loaded
        .config
        .as_ref()
        .map(|config| Telemetry::read(config.service.telemetry.as_ref(), &mut loaded.problems));
    memory::give_back();
    let cx = context(env, loaded.gates.clone());
    let entered = runtime.enter();
    let service = loaded.config.as_ref().and_then(|config| Service::build(config, &cx, &mut loaded.problems));
    drop(entered);
    let telemetry = telemetry.map(|mut telemetry| {
        telemetry.set_log_level(env);
        telemetry
    });
    if telemetry.as_ref().is_none_or(|telemetry| telemetry.log_level < Level::DEBUG) {
        loaded.problems.drop_notes();
    }
    let color = colored(&io::stderr(), env);
    eprint!("{}", if args.json { loaded.problems.to_json_lines() } else { loaded.problems.render(color) });
    let (Some(service), Some(mut telemetry)) = (service, telemetry) else { return Ok(None) };
    if loaded.problems.has_errors() {
        return Ok(None);
    }
    if args.json {
        telemetry.log_encoding = LogEncoding::Json;
    }
    telemetry.start_logging(color)?;
    Ok(Some(Ready { service, metrics: cx.metrics, readers: telemetry.metrics }))
}

impl Ready {
    /// Runs until a signal comes, or until the collector ends by itself.
    async fn run(self, signals: &mut Signals) -> Result<Told, ComponentError> {
        memory::give_back();
        let servers = Servers::start(&self.readers, &self.metrics).await?;
        let stop = CancellationToken::new();
        let mut running = core::pin::pin!(self.service.run(stop.clone()));
        let mut told = Told::Stop;
        let result = loop {
            tokio::select! {
                result = &mut running => break result,
                signal = signals.next() => {
                    if !stop.is_cancelled() || signal == Told::Stop {
                        told = signal; // a stop while stopping for a reload wins
                    }
                    stop.cancel();
                }
            }
        };
        servers.stop().await;
        result.map(|()| told)
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    /// SIGINT or SIGTERM.
    Stop,
    /// SIGHUP.
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}
