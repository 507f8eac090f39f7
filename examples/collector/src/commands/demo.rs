//! `otelpipe demo`.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::DemoArgs;
use crate::demo;

/// Runs the demo.
///
/// # Errors
///
/// The demo's own configuration does not build, or a stream cannot be written.
pub fn run(args: &DemoArgs, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
    let terminal = io::stdout().is_terminal();
    let options = demo::Options {
        rounds: args.scrapes.map(|rounds| usize::try_from(rounds).unwrap_or(usize::MAX)),
        documents: if terminal && !args.json { 2 } else { usize::MAX },
        pause: if terminal { Duration::from_secs(1) } else { Duration::ZERO },
        json: args.json,
    };
    demo::run(options, out, err)?;
    Ok(ExitCode::SUCCESS)
}
