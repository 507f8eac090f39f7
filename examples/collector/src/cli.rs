//! The command line.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::source::{self, Fetch, Inputs, Providers};
use crate::config::{CollectorConfig, Problems};
use crate::env::Env;
use crate::gates;

/// Runs ADOT and OpenTelemetry Collector configurations unchanged.
#[derive(Debug, Parser)]
#[command(name = "otelpipe", version, about)]
pub struct Cli {
    /// What to do; `run` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the collector; the default
    #[command(
        after_help = "SIGINT and SIGTERM stop it in order, SIGHUP starts it anew with the configuration as it is then.\n\n\
        Exit status: 0 stopped by a signal; 1 the configuration is wrong, or a component cannot start; 2 wrong arguments"
    )]
    Run(RunArgs),
    /// Says everything that is wrong with the configuration, and ends with status 1 if it cannot run
    #[command(
        alias = "validate",
        after_help = "Exit status: 0 the configuration can run, maybe with warnings; 1 it cannot; 2 wrong arguments"
    )]
    Check(CheckArgs),
    /// Lists the component types
    #[command(after_help = "Exit status: 0; 2 wrong arguments")]
    Components(ComponentsArgs),
    /// Sends recorded scrapes through the pipelines and prints what would be sent
    #[command(after_help = "What would be sent goes to standard output, all else to standard error.\n\n\
        Exit status: 0 everything was replayed; 1 a scrape failed, or the configuration or the input is wrong; \
        2 wrong arguments")]
    Replay(ReplayArgs),
    /// Shows the pipelines at work on a made-up cluster, without any account
    #[command(after_help = "The documents go to standard output, the summary to standard error.\n\n\
        Exit status: 0; 1 standard output cannot be written; 2 wrong arguments")]
    Demo(DemoArgs),
    /// Asks the health_check page of a collector that runs here, for container health checks
    #[command(after_help = "Exit status: 0 it is ready; 1 it is not, or does not answer; 2 wrong arguments")]
    Healthcheck(HealthcheckArgs),
}

/// Where the configuration comes from; the same for all commands.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// A file, or `file:`, `env:`, `yaml:`, `http(s):` and a location; several are merged in order
    #[arg(long = "config", value_name = "LOCATION", global = true)]
    pub configs: Vec<String>,
    /// One setting over all --config, as in `processors.batch.timeout=2s`
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub sets: Vec<String>,
    /// Gates to switch on (`+x` or `x`) and off (`-x`), parted by commas
    #[arg(long = "feature-gates", value_name = "GATES", global = true, allow_hyphen_values = true)]
    pub gates: Vec<String>,
}

/// The arguments of `run`.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    /// Print problems and log lines as JSON objects, one a line, to standard error
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `check`.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckArgs {
    /// Print the problems as JSON, to standard output
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `healthcheck`.
#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    /// The port of the page
    #[arg(long, default_value_t = 13133)]
    pub port: u16,
    /// Print the answer as a JSON object, to standard output
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `components`.
#[derive(Args, Clone, Debug, Default)]
pub struct ComponentsArgs {
    /// Print the list as JSON
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `replay`.
#[derive(Args, Clone, Debug, Default)]
pub struct ReplayArgs {
    /// Folders with an `index.jsonl`, or exposition files (plain or `.gz`) in the order of their scrapes
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub input: Vec<PathBuf>,
    /// A label of the target that bare files are scrapes of, as in `env=prod`; `relabel_configs` see it
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub target_label: Vec<(String, String)>,
    /// The pipeline to send them through; the first with a prometheus receiver if not given
    #[arg(long)]
    pub pipeline: Option<String>,
    /// Print problems and summary as JSON objects, one a line, to standard error
    #[arg(long)]
    pub json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is written name=value".to_owned()),
    }
}

/// The arguments of `demo`.
#[derive(Args, Clone, Debug, Default)]
pub struct DemoArgs {
    /// How many scrapes to show; without end if not given
    #[arg(long)]
    pub scrapes: Option<u64>,
    /// Print all documents, and the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// A configuration that was read, with all that is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    /// The components and pipelines; `None` when a source could not be read.
    pub config: Option<CollectorConfig>,
    /// The feature gates that are on.
    pub gates: BTreeSet<String>,
    /// What was found so far.
    pub problems: Problems,
}

impl Cli {
    /// Whether what the command says is to be JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            None => false,
            Some(Command::Run(args)) => args.json,
            Some(Command::Check(args)) => args.json,
            Some(Command::Components(args)) => args.json,
            Some(Command::Replay(args)) => args.json,
            Some(Command::Demo(args)) => args.json,
            Some(Command::Healthcheck(args)) => args.json,
        }
    }

    /// What is wrong with the arguments besides their form: a command without configuration
    /// is given one.
    pub fn conflict(&self) -> Option<String> {
        let ConfigArgs { configs, sets, gates } = &self.config;
        let name = match &self.command {
            Some(Command::Components(_)) => "components",
            Some(Command::Demo(_)) => "demo",
            Some(Command::Healthcheck(_)) => "healthcheck",
            _ => return None,
        };
        let given = [("--config", configs), ("--set", sets), ("--feature-gates", gates)];
        let (argument, _) = given.into_iter().find(|(_, values)| !values.is_empty())?;
        Some(format!("the argument '{argument}' cannot be used with '{name}', which reads no configuration"))
    }
}

impl ConfigArgs {
    /// Reads, merges, expands and structures the configuration.
    pub fn load(&self, env: &Env, fetch: &dyn Fetch) -> Loaded {
        let mut problems = Problems::new();
        let gates = gates::enabled(&self.gates, &mut problems);
        let inputs = Inputs {
            configs: self.configs.clone(),
            sets: self.sets.clone(),
            append_lists: gates.contains("confmap.enableMergeAppendOption"),
        };
        let node = source::load(&inputs, &Providers { env, fetch }, &mut problems);
        let config = node.map(|node| CollectorConfig::read(node, &mut problems));
        Loaded { config, gates, problems }
    }
}

/// Whether messages on `stream` may be coloured: it is a terminal and `NO_COLOR` is not set.
pub fn colored(stream: &impl std::io::IsTerminal, env: &Env) -> bool {
    stream.is_terminal() && env.get("NO_COLOR").is_none() && env.get("TERM") != Some("dumb")
}

/// The environment with the lines of ADOT's `extracfg.txt` set as well.
///
/// Each line is `key=value`; `awsProfile` and `awsCredentialFile` have variables of their own.
/// `loggingLevel` is `OTELPIPE_LOG_LEVEL` here.
pub fn with_extra_config(env: &Env, text: &str) -> Env {
    env.with(text.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        let key = match key.trim() {
            "" => return None,
            "awsProfile" => "AWS_PROFILE",
            "awsCredentialFile" => "AWS_SHARED_CREDENTIALS_FILE",
            "loggingLevel" => "OTELPIPE_LOG_LEVEL",
            key => key,
        };
        Some((key, value.trim()))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Unreachable;

    fn parse(arguments: &str) -> Cli {
        Cli::try_parse_from(arguments.split(' ')).expect("the arguments are valid")
    }

    #[test]
    fn arguments_of_the_upstream_programs() {
        let cli = parse(
            "otelpipe --config=a.yaml --config env:B --set=x.y=1 --feature-gates=-metricsgeneration.MatchAttributes",
        );
        assert!(cli.command.is_none());
        assert_eq!(
            (cli.config.configs, cli.config.sets),
            (vec!["a.yaml".to_owned(), "env:B".to_owned()], vec!["x.y=1".to_owned()])
        );
        assert_eq!(cli.config.gates, ["-metricsgeneration.MatchAttributes"]);
        let cli = parse("otelpipe validate --config a.yaml --json");
        assert!(matches!(cli.command, Some(Command::Check(CheckArgs { json: true }))));
        assert_eq!(cli.config.configs, ["a.yaml"]);
        assert!(matches!(parse("otelpipe run --config a").command, Some(Command::Run(_))));
        assert!(matches!(parse("otelpipe components").command, Some(Command::Components(_))));
    }

    #[test]
    fn labels_of_targets_are_pairs() {
        let cli = parse("otelpipe replay --input a b.gz --target-label env=prod --target-label q=a=b");
        let Some(Command::Replay(args)) = cli.command else { panic!("it is a replay") };
        assert_eq!(args.input.len(), 2);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(args.target_label, [pair("env", "prod"), pair("q", "a=b")]);
        for wrong in ["env", "=prod"] {
            let arguments = ["otelpipe", "replay", "--input", "a", "--target-label", wrong];
            let message = Cli::try_parse_from(arguments).unwrap_err().to_string();
            assert!(message.contains("a label is written name=value"), "{message}");
        }
    }

    #[test]
    fn no_configuration_is_an_error() {
        let loaded = ConfigArgs::default().load(&Env::default(), &Unreachable);
        assert!(loaded.config.is_none());
        assert_eq!(
            loaded.problems.render(false),
            "error: at least one config flag must be provided\n  |\n  = help: start with `--config=file:/path/to/config.yaml`\n"
        );
    }

    #[test]
    fn extra_configuration_sets_variables() {
        let env =
            with_extra_config(&Env::default(), "loggingLevel=DEBUG\nawsProfile=p\n# note\nMY_VAR = a=b\n");
        assert_eq!(env.get("OTELPIPE_LOG_LEVEL"), Some("DEBUG"));
        assert_eq!(env.get("AWS_PROFILE"), Some("p"));
        assert_eq!(env.get("MY_VAR"), Some("a=b"));
    }
}
