//! `service.telemetry`: the collector's own logs and where its own metrics are served.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, OnceLock};

use serde::Deserialize;
use serde::de::IgnoredAny;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

use crate::config::{Leniency, NO_EFFECT, NoEffect, Node, Problems, decode};
use crate::env::Env;
use crate::own_metrics::Naming;

/// What `service.telemetry` asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Telemetry {
    /// The lowest level that is logged. Default: info.
    pub log_level: Level,
    /// How lines look. Default: console.
    pub log_encoding: LogEncoding,
    /// Where lines go: `stderr`, `stdout` or a path. Default: stderr.
    pub log_output: String,
    /// Where own metrics are served, and under which names. Default: `localhost:8888`, no suffixes.
    pub metrics: Vec<MetricsReader>,
}

/// A place where own metrics are served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MetricsReader {
    /// Host and port; the path is `/metrics`.
    pub endpoint: String,
    /// How the metrics are called.
    pub naming: Naming,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// For people.
    #[default]
    Console,
    /// One JSON object a line.
    Json,
}

/// Takes what happens and writes lines of it.
type Lines = Box<dyn Layer<Registry> + Send + Sync>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    logs: Logs,
    metrics: Metrics,
    #[serde(rename = "traces")]
    _traces: NoEffect,
    #[serde(rename = "resource")]
    _resource: NoEffect<BTreeMap<String, IgnoredAny>>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Logs {
    level: String,
    encoding: LogEncoding,
    output_paths: Vec<String>,
    error_output_paths: Vec<String>,
    #[serde(rename = "initial_fields")]
    _initial_fields: NoEffect<BTreeMap<String, IgnoredAny>>,
    #[serde(rename = "development")]
    _development: NoEffect<bool>,
    #[serde(rename = "sampling")]
    _sampling: NoEffect,
    #[serde(rename = "processors")]
    _processors: NoEffect<Vec<IgnoredAny>>,
    // lines here have neither caller nor stack nor resource, as these ask for
    #[serde(rename = "disable_caller")]
    _disable_caller: bool,
    #[serde(rename = "disable_stacktrace")]
    _disable_stacktrace: bool,
    #[serde(rename = "disable_zap_resource")]
    _disable_zap_resource: bool,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            encoding: LogEncoding::Console,
            output_paths: Vec::new(),
            error_output_paths: Vec::new(),
            _initial_fields: NoEffect::default(),
            _development: NoEffect::default(),
            _sampling: NoEffect::default(),
            _processors: NoEffect::default(),
            _disable_caller: false,
            _disable_stacktrace: false,
            _disable_zap_resource: false,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Metrics {
    level: MetricsLevel,
    address: Option<String>,
    readers: Option<Vec<Reader>>,
    #[serde(rename = "views")]
    _views: NoEffect<Vec<IgnoredAny>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum MetricsLevel {
    None,
    Basic,
    #[default]
    Normal,
    Detailed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reader {
    pull: Option<Pull>,
    periodic: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pull {
    exporter: PullExporter,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PullExporter {
    prometheus: Option<Prometheus>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Prometheus {
    host: String,
    port: u16,
    without_units: bool,
    without_type_suffix: bool,
}

impl Prometheus {
    fn reader(&self) -> MetricsReader {
        let (host, port) = (self.host.as_str(), self.port);
        let bare_ipv6 = host.contains(':') && !host.starts_with('[');
        let endpoint = if bare_ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let naming =
            Naming { without_units: self.without_units, without_type_suffix: self.without_type_suffix };
        MetricsReader { endpoint, naming }
    }
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { host: "localhost".to_owned(), port: 8888, without_units: false, without_type_suffix: false }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log_level: Level::INFO,
            log_encoding: LogEncoding::Console,
            log_output: "stderr".to_owned(),
            metrics: vec![MetricsReader { endpoint: "localhost:8888".to_owned(), naming: Naming::default() }],
        }
    }
}

impl Telemetry {
    /// Reads the node of `service.telemetry`; mistakes in it go to `problems`.
    pub fn read(node: Option<&Node>, problems: &mut Problems) -> Self {
        let mut telemetry = Self::default();
        let Some(node) = node else { return telemetry };
        let Some(keys) = decode::<Keys>(node, "service::telemetry", Leniency::Strict, problems) else {
            return telemetry;
        };
        telemetry.log_encoding = keys.logs.encoding;
        match level(&keys.logs.level) {
            Some(level) => telemetry.log_level = level,
            None => {
                let message = format!("unknown log level `{}`", keys.logs.level);
                problems.error_at(
                    node,
                    "logs::level",
                    message,
                    Some("the values are: debug, info, warn, error".to_owned()),
                );
            }
        }
        match keys.logs.output_paths.as_slice() {
            [] => {}
            [path, others @ ..] => {
                telemetry.log_output.clone_from(path);
                if !others.is_empty() {
                    let message = format!("logs go to {path} only");
                    problems.warning_at(node, "logs::output_paths", message, None);
                }
            }
        }
        if keys.logs.error_output_paths.iter().any(|path| path != "stderr") {
            problems.warning_at(node, "logs::error_output_paths", NO_EFFECT, None);
        }
        telemetry.metrics = keys.metrics.readers(node, problems);
        telemetry
    }

    /// `OTELPIPE_LOG_LEVEL`, which ADOT's `loggingLevel` becomes, over the configured level.
    /// Levels that are none change nothing.
    pub fn set_log_level(&mut self, env: &Env) {
        if let Some(level) = env.get("OTELPIPE_LOG_LEVEL").and_then(level) {
            self.log_level = level;
        }
    }

    /// Starts logging for the whole process, unless another program has done so before. Called
    /// again, after a reload, it logs from then on as this says.
    ///
    /// # Errors
    /// When the file for the logs cannot be opened.
    pub fn start_logging(&self, color: bool) -> io::Result<()> {
        static STARTED: OnceLock<reload::Handle<Lines, Registry>> = OnceLock::new();
        let lines = self.lines(color)?;
        if let Some(started) = STARTED.get() {
            return started.reload(lines).map_err(io::Error::other);
        }
        let (layer, handle) = reload::Layer::new(lines);
        if tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).is_ok() {
            let _ = STARTED.set(handle); // only who has set the subscriber comes here
        }
        Ok(())
    }

    /// What is logged, and how it looks.
    fn lines(&self, color: bool) -> io::Result<Lines> {
        let writer = match self.log_output.as_str() {
            "stderr" => BoxMakeWriter::new(io::stderr),
            "stdout" => BoxMakeWriter::new(io::stdout),
            path => {
                let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
                BoxMakeWriter::new(Mutex::new(file))
            }
        };
        let level = LevelFilter::from_level(self.log_level);
        let plain = tracing_subscriber::fmt::layer()
            .with_ansi(color && self.log_output == "stderr")
            .with_writer(writer);
        Ok(match self.log_encoding {
            LogEncoding::Console => level.and_then(plain).boxed(),
            // Without spans: otelpipe has none, and one of a library that lives through a change
            // of the encoding has no fields as JSON.
            LogEncoding::Json => {
                let json = plain.json().flatten_event(true).with_current_span(false).with_span_list(false);
                level.and_then(json).boxed()
            }
        })
    }
}

impl Metrics {
    fn readers(&self, node: &Node, problems: &mut Problems) -> Vec<MetricsReader> {
        if self.address.is_some() {
            let fix = "write `readers: [{pull: {exporter: {prometheus: {host: …, port: …}}}}]`".to_owned();
            problems.warning_at(
                node,
                "metrics::address",
                "the key `address` has moved to `readers`",
                Some(fix),
            );
        }
        if self.level == MetricsLevel::None {
            return Vec::new();
        }
        let address =
            self.address.clone().map(|endpoint| MetricsReader { endpoint, naming: Naming::default() });
        let Some(readers) = &self.readers else {
            return address.map_or_else(|| Telemetry::default().metrics, |reader| vec![reader]);
        };
        for (at, reader) in readers.iter().enumerate() {
            if reader.periodic.is_some() {
                let message = "otelpipe does not push its own metrics: this reader has no effect";
                problems.warning_at(node, &format!("metrics::readers[{at}]"), message, None);
            }
        }
        let pull = readers.iter().filter_map(|reader| reader.pull.as_ref()?.exporter.prometheus.as_ref());
        pull.map(Prometheus::reader).chain(address).collect()
    }
}

fn level(text: &str) -> Option<Level> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Some(Level::DEBUG),
        "" | "info" => Some(Level::INFO),
        "warn" | "warning" => Some(Level::WARN),
        "error" | "dpanic" | "panic" | "fatal" => Some(Level::ERROR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::yaml;

    fn read(text: &str) -> (Telemetry, Vec<String>) {
        let mut problems = Problems::new();
        let node = yaml::parse(text, &Arc::from("c.yaml"), &mut problems).expect("valid YAML");
        let telemetry = Telemetry::read(Some(&node), &mut problems);
        (telemetry, problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect())
    }

    #[test]
    fn defaults_and_settings() {
        assert_eq!(read(""), (Telemetry::default(), vec![]));
        let (telemetry, problems) =
            read("logs: {level: DEBUG, encoding: json, output_paths: [stdout]}\nmetrics: {level: none}");
        assert_eq!((telemetry.log_level, telemetry.log_encoding), (Level::DEBUG, LogEncoding::Json));
        assert_eq!((telemetry.log_output.as_str(), telemetry.metrics, problems.len()), ("stdout", vec![], 0));
        assert_eq!(endpoints("metrics: {readers: []}"), Vec::<String>::new());
    }

    fn endpoints(text: &str) -> Vec<String> {
        read(text).0.metrics.into_iter().map(|reader| reader.endpoint).collect()
    }

    #[test]
    fn every_pull_reader_has_its_address_and_names() {
        let (telemetry, _) = read(
            "metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 9000}}}},
             {pull: {exporter: {prometheus: {host: '::1', without_units: true, without_type_suffix: true}}}}]}",
        );
        let naming = Naming { without_units: false, without_type_suffix: false };
        let first = MetricsReader { endpoint: "0.0.0.0:9000".to_owned(), naming };
        let second = MetricsReader { endpoint: "[::1]:8888".to_owned(), naming: Naming::default() };
        assert_eq!(telemetry.metrics, [first, second]);
    }

    #[test]
    fn the_old_address_is_taken_with_a_warning() {
        let (telemetry, problems) = read("metrics: {address: ':8888'}");
        assert_eq!(
            telemetry.metrics,
            [MetricsReader { endpoint: ":8888".to_owned(), naming: Naming::default() }]
        );
        assert_eq!(
            problems,
            ["service::telemetry::metrics::address: the key `address` has moved to `readers`"]
        );
    }

    #[test]
    fn the_level_of_the_environment_wins() {
        let mut telemetry = read("logs: {level: warn}").0;
        telemetry.set_log_level(&Env::from_iter([("OTELPIPE_LOG_LEVEL", "loud")]));
        assert_eq!(telemetry.log_level, Level::WARN);
        telemetry.set_log_level(&Env::from_iter([("OTELPIPE_LOG_LEVEL", "DEBUG")]));
        assert_eq!(telemetry.log_level, Level::DEBUG);
    }

    #[test]
    fn an_unknown_level_is_an_error() {
        assert_eq!(
            read("logs: {level: loud}").1,
            ["service::telemetry::logs::level: unknown log level `loud`"]
        );
    }
}
