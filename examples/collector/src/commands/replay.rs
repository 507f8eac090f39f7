//! `otelpipe replay`: recorded expositions through a pipeline.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{ConfigArgs, ReplayArgs};
use crate::clock;
use crate::config::source::Fetch;
use crate::env::Env;
use crate::replay::{Engine, bare_node, bare_target, recording};

/// A bare file's scrape is this long after the one before.
const STEP_MS: i64 = 60_000;

/// Replays the recording; documents go to `out`, one a line.
///
/// # Errors
///
/// The recording cannot be read, a target cannot be made, or `out` cannot be written.
pub fn run(
    args: &ReplayArgs,
    config: &ConfigArgs,
    env: &Env,
    fetch: &dyn Fetch,
    out: &mut dyn Write,
) -> io::Result<ExitCode> {
    let mut loaded = config.load(env, fetch);
    let scrapes = recording::find(&args.input).map_err(io::Error::other)?;
    let mut now_ms = scrapes.iter().find_map(|scrape| scrape.at_ms).unwrap_or_else(clock::now_ms);
    let mut cx = super::run::context(env, loaded.gates.clone());
    cx.now_ns = otelpipe_core::time::ns_from_ms(now_ms);
    let engine = loaded
        .config
        .as_ref()
        .and_then(|config| Engine::build(config, args.pipeline.as_deref(), &cx, &mut loaded.problems));
    eprint!("{}", loaded.problems.render(false));
    let Some(mut engine) = engine else { return Ok(ExitCode::FAILURE) };
    let labels: Vec<(String, String)> = args
        .target_label
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (k.into(), v.into()))
        .collect();
    if let Some(nodes) = recording::nodes(&args.input).map_err(io::Error::other)? {
        engine.discover_nodes(&nodes).map_err(io::Error::other)?;
    }
    let mut failed = false;
    for scrape in scrapes {
        if !engine.knows(&scrape.source) {
            let group = match scrape.at_ms {
                Some(_) => bare_node(&scrape.source, &labels),
                None => bare_target(&scrape.source, &labels),
            };
            engine.discover(&scrape.source, &group).map_err(io::Error::other)?;
        }
        now_ms = scrape.at_ms.unwrap_or(now_ms + STEP_MS);
        let body = scrape.body().map_err(io::Error::other)?;
        if let Some(error) =
            engine.scrape(&scrape.source, &body, now_ms, out)?.and_then(|report| report.error)
        {
            failed = true;
            eprintln!("{}: scrape failed: {error}", scrape.file.display());
        }
    }
    engine.finish(now_ms + STEP_MS, out)?;
    let totals = engine.totals;
    eprintln!(
        "replayed {} scrapes with {} samples: {} points in, {} out, {} lines",
        totals.scrapes, totals.samples, totals.points_in, totals.points_out, totals.lines
    );
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
