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

use crate::config::{Leniency, NO_EFFECT, NoEffect, Node, Problems, decode, idle, suggest};
use crate::env::Env;
use crate::own_metrics::Naming;
use crate::pages;

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
    level: Option<String>,
    address: Option<String>,
    readers: Option<Vec<Reader>>,
    #[serde(rename = "views")]
    _views: NoEffect<Vec<IgnoredAny>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reader {
    pull: Option<Pull>,
    periodic: Option<IgnoredAny>,
}

/// Source: `PullMetricReader` of go.opentelemetry.io/contrib/otelconf v0.3.0.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Pull {
    exporter: PullExporter,
    #[serde(rename = "producers")]
    _producers: NoEffect<Vec<IgnoredAny>>,
    #[serde(rename = "cardinality_limits")]
    _cardinality_limits: NoEffect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PullExporter {
    prometheus: Option<Prometheus>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Prometheus {
    host: String,
    port: u16,
    without_units: bool,
    without_type_suffix: bool,
    without_scope_info: Option<bool>,
    #[serde(rename = "with_resource_constant_labels")]
    _with_resource_constant_labels: NoEffect,
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
        Self {
            host: "localhost".to_owned(),
            port: 8888,
            without_units: false,
            without_type_suffix: false,
            without_scope_info: None,
            _with_resource_constant_labels: NoEffect::default(),
        }
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
                let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
                let file = file.map_err(|error| {
                    let text = format!("cannot write the log to {path}: {error}");
                    io::Error::new(error.kind(), text + "; change service::telemetry::logs::output_paths")
                })?;
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
        if let Some(address) = self.address.as_deref().filter(|address| !pages::is_address(address)) {
            let message = format!("{address:?} is no address to listen on");
            problems.error_at(node, "metrics::address", message, Some(pages::ADDRESS_FIX.into()));
        }
        if !self.is_served(node, problems) {
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
            let page = reader.pull.as_ref().and_then(|pull| pull.exporter.prometheus.as_ref());
            if page.is_some_and(|page| page.without_scope_info == Some(false)) {
                problems.warning_at(
                    node,
                    &format!("metrics::readers[{at}]::pull::exporter::prometheus::without_scope_info"),
                    "otelpipe has no scopes in its own metrics: there are no labels of them",
                    Some("take it out".into()),
                );
            }
        }
        let pull = readers.iter().filter_map(|reader| reader.pull.as_ref()?.exporter.prometheus.as_ref());
        pull.map(Prometheus::reader).chain(address).collect()
    }

    /// Whether the level leaves anything to show.
    ///
    /// Source: `service/telemetry/otelconftelemetry/metrics.go` and
    /// `service/internal/metricviews/views.go` of the collector's core.
    fn is_served(&self, node: &Node, problems: &mut Problems) -> bool {
        const LEVELS: [&str; 4] = ["none", "basic", "normal", "detailed"];
        let level = self.level.as_deref().unwrap_or("normal");
        match level.to_ascii_lowercase().as_str() {
            "none" => return false,
            "normal" => {}
            "basic" => problems.note_at(
                node,
                "metrics::level",
                "shows what `normal` shows, and nothing too much: what ADOT leaves out here, the metrics of the \
                 batch processor, otelpipe has at no level",
                Some(idle::LEAVE_IT.into()),
            ),
            "detailed" => problems.warning_at(
                node,
                "metrics::level",
                "shows what `normal` shows: otelpipe has none of the metrics that ADOT adds here (of its HTTP and \
                 gRPC clients and servers, of durations and of the size of batches)",
                Some("write `level: normal`, or leave it out".into()),
            ),
            _ => {
                let fix = suggest::fix(level, &LEVELS, "the values are");
                problems.error_at(node, "metrics::level", format!("unknown metrics level {level:?}"), fix);
            }
        }
        true
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

    /// What is said, as `line:column severity path: message`.
    fn said(text: &str) -> Vec<String> {
        let mut problems = Problems::new();
        let node = yaml::parse(text, &Arc::from("c.yaml"), &mut problems).expect("valid YAML");
        Telemetry::read(Some(&node), &mut problems);
        let line = |problem: &crate::config::Problem| {
            let span = problem.span.as_ref().expect("a place");
            let (severity, path) = (problem.severity, &problem.path);
            format!("{}:{} {severity:?} {path}: {}", span.line, span.column, problem.message)
        };
        problems.iter().map(line).collect()
    }

    #[test]
    fn levels_of_metrics_say_what_they_do_not_change() {
        assert_eq!(said("metrics: {level: Normal}"), [""; 0]);
        assert_eq!(
            said("metrics:\n  level: basic"),
            [
                "2:10 Note service::telemetry::metrics::level: shows what `normal` shows, and nothing too much: what ADOT \
                 leaves out here, the metrics of the batch processor, otelpipe has at no level"
            ]
        );
        assert_eq!(
            said("metrics: {level: DETAILED}"),
            [
                "1:18 Warning service::telemetry::metrics::level: shows what `normal` shows: otelpipe has none of the \
                 metrics that ADOT adds here (of its HTTP and gRPC clients and servers, of durations and of the size of \
                 batches)"
            ]
        );
        assert_eq!(endpoints("metrics: {level: NONE}"), [""; 0]);
        assert_eq!(
            said("metrics: {level: loud}"),
            ["1:18 Error service::telemetry::metrics::level: unknown metrics level \"loud\""]
        );
    }

    #[test]
    fn keys_of_a_reader_are_known_or_an_error() {
        let path = "service::telemetry::metrics::readers[0]::pull";
        assert_eq!(
            said(
                "metrics: {readers: [{pull: {producers: [a], exporter: {prometheus:
{prot: 1, without_scope_info: false, with_resource_constant_labels: {included: [a]}}}}}]}"
            ),
            [
                format!("1:40 Warning {path}::producers: {NO_EFFECT}"),
                format!("2:2 Error {path}::exporter::prometheus: unknown key `prot`"),
                format!(
                    "2:69 Warning {path}::exporter::prometheus::with_resource_constant_labels: {NO_EFFECT}"
                ),
                format!(
                    "2:31 Warning {path}::exporter::prometheus::without_scope_info: otelpipe has no scopes in its own \
                     metrics: there are no labels of them"
                ),
            ]
        );
    }

    #[test]
    fn an_unknown_level_is_an_error() {
        assert_eq!(
            read("logs: {level: loud}").1,
            ["service::telemetry::logs::level: unknown log level `loud`"]
        );
    }
}
