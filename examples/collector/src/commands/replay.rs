//! `otelpipe replay`: recorded expositions through a pipeline.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use crate::cli::{ConfigArgs, ReplayArgs, colored};
use crate::clock;
use crate::config::source::Fetch;
use crate::env::Env;
use crate::replay::{Engine, bare_node, bare_target, recording};

/// A bare file's scrape is this long after the one before.
const STEP_MS: i64 = 60_000;

/// Replays the recording; documents go to `out`, one a line, all else to `err`.
///
/// # Errors
///
/// The recording cannot be read, a target cannot be made, or nothing can be written.
pub fn run(
    args: &ReplayArgs,
    config: &ConfigArgs,
    env: &Env,
    fetch: &dyn Fetch,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    let mut loaded = config.load(env, fetch);
    let unreadable = |error| io::Error::other(format!("cannot read --input {error}"));
    let scrapes = recording::find(&args.input).map_err(unreadable)?;
    let mut now_ms = scrapes.iter().find_map(|scrape| scrape.at_ms).unwrap_or_else(clock::now_ms);
    let mut cx = super::run::context(env, loaded.gates.clone());
    cx.now_ns = otelpipe_core::time::ns_from_ms(now_ms);
    let engine = loaded
        .config
        .as_ref()
        .and_then(|config| Engine::build(config, args.pipeline.as_deref(), &cx, &mut loaded.problems));
    loaded.problems.drop_notes();
    let problems = match args.json {
        true => loaded.problems.to_json_lines(),
        false => loaded.problems.render(colored(&io::stderr(), env)),
    };
    err.write_all(problems.as_bytes())?;
    let Some(mut engine) = engine else { return Ok(ExitCode::FAILURE) };
    let labels = &args.target_label;
    if let Some(nodes) = recording::nodes(&args.input).map_err(io::Error::other)? {
        engine.discover_nodes(&nodes).map_err(io::Error::other)?;
    }
    let mut failures = Vec::new();
    for scrape in scrapes {
        if !engine.knows(&scrape.source) {
            let group = match scrape.at_ms {
                Some(_) => bare_node(&scrape.source, labels),
                None => bare_target(&scrape.source, labels),
            };
            engine.discover(&scrape.source, &group).map_err(io::Error::other)?;
        }
        now_ms = scrape.at_ms.unwrap_or(now_ms + STEP_MS);
        let body = scrape.body().map_err(io::Error::other)?;
        let failure = match engine.scrape(&scrape.source, &body, now_ms, out)? {
            Some(report) => report.error.map(|error| format!("scrape failed: {error}")),
            None => Some(format!(
                "no scrape job has a target for {}: their relabel_configs drop it, or they look for labels that it \
                 does not have; give them with --target-label",
                scrape.source
            )),
        };
        if let Some(failure) = failure {
            let file = scrape.file.display().to_string();
            match args.json {
                true => writeln!(err, "{}", json!({"severity": "error", "file": file, "message": failure}))?,
                false => writeln!(err, "{file}: {failure}")?,
            }
            failures.push(failure);
        }
    }
    engine.finish(now_ms + STEP_MS, out)?;
    let totals = engine.totals;
    if args.json {
        let summary = json!({
            "scrapes": totals.scrapes, "failed_scrapes": failures.len(), "samples_scraped": totals.samples,
            "points_in": totals.points_in, "points_out": totals.points_out, "lines": totals.lines,
            "bytes": totals.bytes,
        });
        writeln!(err, "{summary}")?;
    } else {
        writeln!(
            err,
            "replayed {} {} with {} samples: {} points in, {} out, {} lines",
            totals.scrapes,
            if totals.scrapes == 1 { "scrape" } else { "scrapes" },
            totals.samples,
            totals.points_in,
            totals.points_out,
            totals.lines
        )?;
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
