//! `otelpipe run`: the collector itself; and the building half that `check` shares.

use std::collections::BTreeSet;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::cli::{ConfigArgs, colored};
use crate::clock;
use crate::component::BuildContext;
use crate::config::source::Fetch;
use crate::config::{CollectorConfig, Problems};
use crate::env::Env;
use crate::own_metrics::OwnMetrics;
use crate::service::Service;

/// What components are built with.
pub fn context(env: &Env, gates: BTreeSet<String>) -> BuildContext {
    BuildContext {
        env: env.clone(),
        metrics: Arc::new(OwnMetrics::default()),
        version: crate::VERSION,
        now_ns: clock::now_ns(),
        gates: Arc::new(gates),
    }
}

/// Builds everything and starts nothing, for `check`: the same code as at start.
pub fn check(config: &CollectorConfig, gates: &[String], env: &Env, problems: &mut Problems) {
    let gates = crate::gates::enabled(gates, &mut Problems::new());
    let _ = Service::build(config, &context(env, gates), problems);
}

/// Runs the collector until it is told to stop.
///
/// # Errors
///
/// The runtime cannot be made, or a component cannot start.
pub fn run(args: &ConfigArgs, env: &Env, fetch: &dyn Fetch) -> io::Result<ExitCode> {
    let mut loaded = args.load(env, fetch);
    let telemetry = loaded.config.as_ref().map(|config| {
        crate::telemetry::Telemetry::read(config.service.telemetry.as_ref(), &mut loaded.problems)
    });
    let cx = context(env, loaded.gates.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let service = loaded.config.as_ref().and_then(|config| Service::build(config, &cx, &mut loaded.problems));
    drop(entered);
    eprint!("{}", loaded.problems.render(colored(&io::stderr(), env)));
    let Some(service) = service.filter(|_| !loaded.problems.has_errors()) else {
        return Ok(ExitCode::FAILURE);
    };
    if let Some(telemetry) = telemetry {
        telemetry.start_logging(colored(&io::stderr(), env))?;
    }
    let stop = CancellationToken::new();
    runtime
        .block_on(async {
            let told = stop.clone();
            tokio::spawn(async move {
                signal().await;
                told.cancel();
            });
            service.run(stop).await
        })
        .map_err(io::Error::other)?;
    Ok(ExitCode::SUCCESS)
}

/// Waits for SIGINT or SIGTERM.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
