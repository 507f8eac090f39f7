//! `otelpipe`: runs ADOT and OpenTelemetry Collector configurations unchanged.

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use otelpipe_collector::cli::{Cli, Command, RunArgs, with_extra_config};
use otelpipe_collector::commands::{check, components, demo, healthcheck, replay, run};
use otelpipe_collector::config::fetch::HttpFetch;
use otelpipe_collector::env::Env;
use serde_json::json;

/// Where ADOT's packages keep settings that are meant as environment variables.
const EXTRA_CONFIG: &str = "/opt/aws/aws-otel-collector/etc/extracfg.txt";

fn environment() -> Env {
    let env = Env::of_process();
    match std::fs::read_to_string(EXTRA_CONFIG) {
        Ok(text) => with_extra_config(&env, &text),
        Err(_) => env,
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse_from(healthcheck::arguments(std::env::args_os().collect()));
    if let Some(conflict) = cli.conflict() {
        Cli::command().error(ErrorKind::ArgumentConflict, conflict).exit();
    }
    let json = cli.json();
    let env = environment();
    let fetch = HttpFetch::new(&env);
    let (out, err) = (&mut io::stdout(), &mut io::stderr());
    let result = match cli.command.unwrap_or_else(|| Command::Run(RunArgs::default())) {
        Command::Run(args) => run::run(&args, &cli.config, &env, &fetch),
        Command::Check(args) => {
            let gates = cli.config.gates.clone();
            check::run(
                &args,
                &cli.config,
                &env,
                &fetch,
                &|config, problems| run::check(config, &gates, &env, problems),
                out,
                err,
            )
        }
        Command::Components(args) => components::run(&args, out).map(|()| ExitCode::SUCCESS),
        Command::Replay(args) => replay::run(&args, &cli.config, &env, &fetch, out, err),
        Command::Demo(args) => demo::run(&args, out, err),
        Command::Healthcheck(args) => healthcheck::run(&args, out, err),
    };
    result.unwrap_or_else(|error| {
        match error.kind() {
            io::ErrorKind::BrokenPipe => {} // as with `| head`: nobody reads on
            _ if json => eprintln!("{}", json!({"severity": "error", "message": error.to_string()})),
            _ => eprintln!("error: {error}"),
        }
        ExitCode::FAILURE
    })
}
