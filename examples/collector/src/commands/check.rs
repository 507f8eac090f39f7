//! `check`: everything that is wrong with a configuration, before it runs.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{CheckArgs, ConfigArgs, Loaded, colored};
use crate::config::source::Fetch;
use crate::config::{CollectorConfig, Problems, Severity};
use crate::env::Env;
use crate::extensions::health_check::HealthCheck;
use crate::telemetry::Telemetry;

/// Reads the configuration and prints its problems: to `err` for people, or to `out` as JSON.
///
/// `build` reads the settings of the components, as the start of the collector does. Status 1 when
/// there is an error.
///
/// # Errors
/// When nothing can be written.
pub fn run(
    args: &CheckArgs,
    config: &ConfigArgs,
    env: &Env,
    fetch: &dyn Fetch,
    build: &dyn Fn(&CollectorConfig, &mut Problems),
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    let Loaded { config, gates, mut problems } = config.load(env, fetch);
    if let Some(config) = &config {
        Telemetry::read(config.service.telemetry.as_ref(), &mut problems);
        let localhost = gates.contains("component.UseLocalHostAsDefaultHost");
        for component in config.extensions.iter().filter(|component| component.kind.name == "health_check") {
            HealthCheck::read(component, localhost, &mut problems);
        }
        build(config, &mut problems);
    }
    if args.json {
        writeln!(out, "{}", problems.to_json())?;
    } else {
        err.write_all(problems.render(colored(&io::stderr(), env)).as_bytes())?;
        let word = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let warnings = word(problems.count(Severity::Warning), "warning");
        let found = match problems.count(Severity::Note) {
            0 => warnings,
            notes => format!("{warnings}, {}", word(notes, "note")),
        };
        match &config {
            Some(config) if !problems.has_errors() => writeln!(
                out,
                "the configuration is valid: {}, {}, {found}",
                word(config.service.pipelines.len(), "pipeline"),
                word(config.components().count(), "component"),
            )?,
            _ => writeln!(
                out,
                "the configuration is not valid: {}, {found}",
                word(problems.count(Severity::Error), "error")
            )?,
        }
    }
    Ok(if problems.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
