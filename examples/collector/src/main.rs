//! `otelpipe`: runs ADOT and OpenTelemetry Collector configurations unchanged.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use otelpipe_collector::cli::{Cli, Command};
use otelpipe_collector::commands::{check, components};
use otelpipe_collector::config::fetch::HttpFetch;
use otelpipe_collector::env::Env;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let env = Env::of_process();
    let fetch = HttpFetch::new(&env);
    let (out, err) = (&mut io::stdout(), &mut io::stderr());
    let result = match cli.command.unwrap_or(Command::Run) {
        Command::Check(args) => check::run(&args, &cli.config, &env, &fetch, &|_, _| {}, out, err),
        Command::Components(args) => components::run(&args, out).map(|()| ExitCode::SUCCESS),
        Command::Run | Command::Replay(_) | Command::Demo(_) => {
            Err(io::Error::other("this command is not part of otelpipe yet"))
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
