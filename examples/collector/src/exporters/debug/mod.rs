//! The `debug` exporter (formerly `logging`): shows what passes.

mod text;

use std::io::Write;
use std::time::Duration;

use async_trait::async_trait;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Metrics;
use otelpipe_core::time::TimeNs;
use serde::de::{Deserialize, Deserializer, Visitor};
use tokio::time::Instant;

use crate::component::{BuildContext, ComponentError, Exporter};
use crate::config::{ComponentId, Leniency, NoEffect, Node, Problems, decode};

/// How much is shown of a batch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Verbosity {
    /// One line with the number of metrics and points.
    #[default]
    Basic,
    /// One line a point.
    Normal,
    /// Every field.
    Detailed,
}

/// In any case of letters, as in ADOT.
impl<'de> Deserialize<'de> for Verbosity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Verbosity;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("one of: basic, normal, detailed")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Verbosity, E> {
                match text.to_ascii_lowercase().as_str() {
                    "basic" => Ok(Verbosity::Basic),
                    "normal" => Ok(Verbosity::Normal),
                    "detailed" => Ok(Verbosity::Detailed),
                    _ => Err(E::unknown_variant(text, &["basic", "normal", "detailed"])),
                }
            }
        }
        deserializer.deserialize_str(Word)
    }
}

/// The exporter's settings, as users write them.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DebugConfig {
    /// How much is shown. Default: basic.
    pub verbosity: Option<Verbosity>,
    /// The older key of `logging`: `debug` means detailed, `info` normal, others basic.
    pub loglevel: Option<String>,
    /// Batches a second that are shown in any case. Default: 2.
    pub sampling_initial: u64,
    /// Of the others in that second each n-th is shown; 0 is none. Default: 1, all of them.
    pub sampling_thereafter: u64,
    /// Whether the output goes where the collector's own log goes. Default: true.
    pub use_internal_logger: bool,
    /// Where else it goes: `stdout`, `stderr` or files. Default: stdout.
    pub output_paths: Vec<String>,
    /// Without effect: batches wait in the queue that every exporter has.
    #[serde(rename = "sending_queue")]
    pub _sending_queue: NoEffect,
}

impl Default for DebugConfig {
    fn default() -> Self {
        Self {
            verbosity: None,
            loglevel: None,
            sampling_initial: 2,
            sampling_thereafter: 1,
            use_internal_logger: true,
            output_paths: vec!["stdout".into()],
            _sending_queue: NoEffect::default(),
        }
    }
}

impl DebugConfig {
    /// How much is shown, from either key.
    pub fn verbosity(&self) -> Verbosity {
        match (self.verbosity, self.loglevel.as_deref().map(str::to_ascii_lowercase).as_deref()) {
            (Some(verbosity), _) => verbosity,
            (None, Some("debug")) => Verbosity::Detailed,
            (None, Some("info")) => Verbosity::Normal,
            _ => Verbosity::Basic,
        }
    }
}

/// Reads the exporter's settings and makes it. Problems go to `problems`.
pub fn build(
    id: &ComponentId,
    node: &Node,
    _cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Exporter>> {
    let config: DebugConfig = decode(node, &format!("exporters::{id}"), Leniency::Strict, problems)?;
    if config.loglevel.is_some() {
        let fix = "write `verbosity: detailed` for `debug`, `verbosity: normal` for `info`";
        problems.warning_at(node, "loglevel", "the key is now called `verbosity`", Some(fix.into()));
    }
    if config.use_internal_logger && node.get("output_paths").is_some() {
        problems.note_at(
            node,
            "output_paths",
            "this setting has no effect, as in ADOT: the output goes where the log goes",
            Some("write `use_internal_logger: false` for it to go there".into()),
        );
    }
    Some(Box::new(DebugExporter::new(id.to_string(), &config)))
}

/// Writes batches as text.
#[derive(Debug)]
pub struct DebugExporter {
    id: String,
    verbosity: Verbosity,
    sampling: Sampling,
    /// Empty: where the collector's own log goes.
    outputs: Vec<String>,
    text: String,
}

impl DebugExporter {
    /// An exporter with these settings.
    pub fn new(id: String, config: &DebugConfig) -> Self {
        Self {
            id,
            verbosity: config.verbosity(),
            sampling: Sampling::new(config.sampling_initial, config.sampling_thereafter),
            outputs: if config.use_internal_logger { Vec::new() } else { config.output_paths.clone() },
            text: String::new(),
        }
    }

    fn describe(&mut self, batch: &MetricBatch) {
        self.text.clear();
        let written = match self.verbosity {
            Verbosity::Basic => Ok(()),
            Verbosity::Normal => text::write_normal(batch, &mut self.text),
            Verbosity::Detailed => text::write_detailed(batch, &mut self.text),
        };
        written.expect("a String takes any text");
    }

    fn counts(batch: &MetricBatch) -> String {
        let (resources, metrics, points) = (batch.resources.len(), batch.metric_count(), batch.point_count());
        format!(
            r#"Metrics {{"resource metrics": {resources}, "metrics": {metrics}, "data points": {points}}}"#
        )
    }
}

#[async_trait]
impl Exporter for DebugExporter {
    async fn export(&mut self, metrics: Metrics) -> Result<(), ComponentError> {
        let batch = metrics.into_batch();
        if !self.sampling.takes(Instant::now()) {
            return Ok(());
        }
        self.describe(&batch);
        let counts = Self::counts(&batch);
        if self.outputs.is_empty() {
            tracing::info!(exporter = %self.id, "{counts}");
            return write_all(&mut std::io::stderr().lock(), &self.text);
        }
        for output in &self.outputs {
            let text = format!("{counts}\n{}", self.text);
            match output.as_str() {
                "stdout" => write_all(&mut std::io::stdout().lock(), &text)?,
                "stderr" => write_all(&mut std::io::stderr().lock(), &text)?,
                path => {
                    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
                    let mut file = file.map_err(|failure| {
                        ComponentError(format!("cannot write to {path:?} of output_paths: {failure}"))
                    })?;
                    write_all(&mut file, &text)?;
                }
            }
        }
        Ok(())
    }

    fn render(&mut self, metrics: Metrics, _now_ns: TimeNs, out: &mut dyn Write) -> std::io::Result<()> {
        let batch = metrics.into_batch();
        self.describe(&batch);
        writeln!(out, "{}", Self::counts(&batch))?;
        out.write_all(self.text.as_bytes())
    }
}

fn write_all(out: &mut dyn Write, text: &str) -> Result<(), ComponentError> {
    out.write_all(text.as_bytes())
        .map_err(|failure| ComponentError(format!("cannot write the output: {failure}")))
}

/// Lets the first batches of each second pass, then each n-th.
#[derive(Clone, Copy, Debug)]
struct Sampling {
    initial: u64,
    thereafter: u64,
    second: Option<Instant>,
    seen: u64,
}

impl Sampling {
    fn new(initial: u64, thereafter: u64) -> Self {
        Self { initial, thereafter, second: None, seen: 0 }
    }

    fn takes(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            self.second = Some(now);
            self.seen = 0;
        }
        self.seen += 1;
        if self.seen <= self.initial {
            return true;
        }
        self.thereafter > 0 && (self.seen - self.initial).is_multiple_of(self.thereafter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otelpipe_core::metric::{Metric, MetricData};
    use otelpipe_core::point::NumberPoint;

    #[test]
    fn sampling_shows_the_first_of_a_second_and_then_each_nth() {
        let start = Instant::now();
        let shown = |initial, thereafter| {
            let mut sampling = Sampling::new(initial, thereafter);
            let mut marks: String = (0..8).map(|_| if sampling.takes(start) { 'x' } else { '.' }).collect();
            marks.push(if sampling.takes(start + Duration::from_secs(1)) { 'x' } else { '.' });
            marks
        };
        assert_eq!(shown(2, 1), "xxxxxxxxx");
        assert_eq!(shown(2, 3), "xx..x..xx");
        assert_eq!(shown(1, 0), "x.......x");
        assert_eq!(shown(0, 2), ".x.x.x.x.");
    }

    #[test]
    fn the_older_log_levels_mean_verbosities() {
        let of =
            |level: &str| DebugConfig { loglevel: Some(level.into()), ..DebugConfig::default() }.verbosity();
        assert_eq!(
            ["debug", "INFO", "warn"].map(of),
            [Verbosity::Detailed, Verbosity::Normal, Verbosity::Basic]
        );
    }

    #[test]
    fn render_writes_the_counts_and_the_text() {
        let mut batch = MetricBatch::default();
        batch.scope_mut().metrics.push(Metric::new("cpu", MetricData::Gauge(vec![NumberPoint::new(1, 0)])));
        let config = DebugConfig { verbosity: Some(Verbosity::Normal), ..DebugConfig::default() };
        let mut out = Vec::new();
        DebugExporter::new("debug".into(), &config).render(batch.into(), 0, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Metrics {\"resource metrics\": 1, \"metrics\": 1, \"data points\": 1}\n\
             ResourceMetrics #0\nScopeMetrics #0\ncpu{} 1\n"
        );
    }
}
