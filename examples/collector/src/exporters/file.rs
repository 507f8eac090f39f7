//! The `file` exporter: each batch as a line of OTLP JSON.
//!
//! Source: `exporter/fileexporter` of opentelemetry-collector-contrib. Lines are written at
//! once, so `flush_interval` has nothing to do, which `config::idle` notes. The `proto` format and
//! compression are refused.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::tz::TimeZone;
use otelpipe_core::duration::GoDuration;
use otelpipe_core::frame::Metrics;
use otelpipe_core::otlp_json;
use otelpipe_core::time::TimeNs;
use serde::Deserialize;

use crate::component::{BuildContext, ComponentError, Exporter};
use crate::config::{ComponentId, Leniency, Node, Problems, decode};

/// The exporter's settings, as users write them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileConfig {
    /// Where to write.
    pub path: String,
    /// Whether lines are added to what the file holds. Default: it starts empty.
    pub append: bool,
    /// Makes the folder of `path` if it is not there.
    pub create_directory: Option<CreateDirectory>,
    /// Starts a new file at a size, and keeps some of the old ones. Not with `append`.
    pub rotation: Option<Rotation>,
    /// `json`, the default.
    pub format: Option<String>,
    /// None.
    pub compression: Option<String>,
    /// Accepted: lines are written at once.
    pub flush_interval: GoDuration,
}

/// `create_directory` of the exporter.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreateDirectory {
    /// Whether the folder is made.
    pub enabled: bool,
}

/// `rotation` of the exporter.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// The size at which a new file starts, in MiB. Default: 100.
    pub max_megabytes: u64,
    /// Days that old files are kept; 0 is for good.
    pub max_days: u32,
    /// Old files that are kept; 0 is all of them. Default: 100.
    pub max_backups: usize,
    /// Whether the times in the names of old files are local rather than UTC.
    pub localtime: bool,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_megabytes: 100, max_days: 0, max_backups: 100, localtime: false }
    }
}

/// Reads the exporter's settings and makes it. Problems go to `problems`.
pub fn build(
    id: &ComponentId,
    node: &Node,
    _cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Exporter>> {
    let config: FileConfig = decode(node, &format!("exporters::{id}"), Leniency::Strict, problems)?;
    let mut refuse = |key: &str, message: &str, fix: &str| {
        problems.error_at(node, key, message, Some(fix.into()));
    };
    if config.path.is_empty() {
        refuse("path", "path must be non-empty", "name the file to write");
    }
    if config.format.as_deref().is_some_and(|format| format != "json") {
        refuse("format", "otelpipe writes JSON only", "write `format: json`");
    }
    if config.compression.as_deref().is_some_and(|name| !name.is_empty()) {
        refuse("compression", "otelpipe does not compress files", "take the key out");
    }
    if config.append && config.rotation.is_some() {
        refuse(
            "append",
            "append and rotation enabled at the same time is not supported",
            "take one of them out",
        );
    }
    (!problems.has_errors()).then(|| Box::new(FileExporter { config, open: None }) as Box<dyn Exporter>)
}

/// Writes batches to a file.
#[derive(Debug)]
struct FileExporter {
    config: FileConfig,
    open: Option<(File, u64)>,
}

impl FileExporter {
    fn write(&mut self, line: &str) -> std::io::Result<()> {
        let path = Path::new(&self.config.path);
        let (file, size) = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(open(path, self.config.append)?),
        };
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let limit = self.config.rotation.map_or(u64::MAX, |rotation| rotation.max_megabytes << 20);
        if *size > 0 && size.saturating_add(length) > limit {
            set_aside(path, &self.config.rotation.unwrap_or_default())?;
            (*file, *size) = open(path, false)?;
        }
        *size += length;
        file.write_all(line.as_bytes())
    }
}

#[async_trait]
impl Exporter for FileExporter {
    async fn start(&mut self) -> Result<(), ComponentError> {
        let path = Path::new(&self.config.path);
        let folder = path.parent().filter(|_| self.config.create_directory.is_some_and(|make| make.enabled));
        let opened =
            folder.map_or(Ok(()), std::fs::create_dir_all).and_then(|()| open(path, self.config.append));
        self.open =
            Some(opened.map_err(|error| ComponentError(format!("cannot write to {path:?}: {error}")))?);
        Ok(())
    }

    async fn export(&mut self, metrics: Metrics) -> Result<(), ComponentError> {
        let batch = metrics.into_batch();
        let mut line = otlp_json::write(&batch).map_err(|error| ComponentError(error.to_string()))?;
        line.push('\n');
        self.write(&line)
            .map_err(|error| ComponentError(format!("cannot write to {:?}: {error}", self.config.path)))
    }

    fn render(&mut self, metrics: Metrics, _now_ns: TimeNs, out: &mut dyn Write) -> std::io::Result<()> {
        let batch = metrics.into_batch();
        let line = otlp_json::write(&batch).map_err(std::io::Error::other)?;
        writeln!(out, "{line}")
    }
}

fn open(path: &Path, append: bool) -> std::io::Result<(File, u64)> {
    let file = File::options().create(true).write(true).append(append).truncate(!append).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Renames the file to one with the time in its name, as lumberjack does, and removes old
/// ones that are no longer wanted.
fn set_aside(path: &Path, rotation: &Rotation) -> std::io::Result<()> {
    let zone = if rotation.localtime { TimeZone::system() } else { TimeZone::UTC };
    let now = jiff::Timestamp::now().to_zoned(zone);
    let (stem, extension) = name_parts(path);
    let name = format!("{stem}-{}{extension}", now.strftime("%Y-%m-%dT%H-%M-%S%.3f"));
    std::fs::rename(path, path.with_file_name(name))?;
    let mut backups = backups(path)?;
    backups.sort();
    let surplus = match rotation.max_backups {
        0 => 0,
        kept => backups.len().saturating_sub(kept),
    };
    let oldest = std::time::SystemTime::now()
        .checked_sub(std::time::Duration::from_secs(u64::from(rotation.max_days) * 86_400));
    for (at, backup) in backups.iter().enumerate() {
        let modified = backup.metadata().and_then(|data| data.modified()).ok();
        let expired = rotation.max_days > 0 && modified < oldest;
        if at < surplus || expired {
            std::fs::remove_file(backup)?;
        }
    }
    Ok(())
}

fn name_parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().map_or_else(String::new, |name| format!(".{}", name.to_string_lossy()));
    (text(path.file_stem()), extension)
}

fn backups(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (stem, extension) = name_parts(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let time = name
            .to_str()
            .and_then(|name| name.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(&extension));
        if time.is_some_and(|time| time.len() == "2006-01-02T15-04-05.000".len()) {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use otelpipe_core::batch::MetricBatch;
    use otelpipe_core::metric::{Metric, MetricData};
    use otelpipe_core::point::NumberPoint;

    fn batch(name: &str) -> MetricBatch {
        let mut batch = MetricBatch::default();
        batch.scope_mut().metrics.push(Metric::new(name, MetricData::Gauge(vec![NumberPoint::new(1, 0)])));
        batch
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("otelpipe-file-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[tokio::test]
    async fn every_batch_is_a_line_that_reads_back() {
        let folder = folder("lines");
        let config = FileConfig {
            path: folder.join("out.jsonl").to_string_lossy().into_owned(),
            create_directory: Some(CreateDirectory { enabled: true }),
            ..FileConfig::default()
        };
        let mut exporter = FileExporter { config: config.clone(), open: None };
        exporter.start().await.unwrap();
        exporter.export(batch("a").into()).await.unwrap();
        exporter.export(batch("b").into()).await.unwrap();
        let text = std::fs::read_to_string(&config.path).unwrap();
        let read: Vec<_> = text.lines().map(|line| otlp_json::read(line).unwrap()).collect();
        assert_eq!(read, [batch("a"), batch("b")]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_file_is_set_aside_and_only_so_many_are_kept() {
        let folder = folder("rotation");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("out.jsonl");
        for time in ["2026-01-01T00-00-00.000", "2026-01-02T00-00-00.000"] {
            std::fs::write(folder.join(format!("out-{time}.jsonl")), "old").unwrap();
        }
        std::fs::write(folder.join("out-of-this.jsonl"), "another's").unwrap();
        std::fs::write(&path, "full").unwrap();
        set_aside(&path, &Rotation { max_backups: 2, ..Rotation::default() }).unwrap();
        let kept = backups(&path).unwrap();
        assert_eq!(kept.len(), 2);
        assert!(kept.iter().any(|file| std::fs::read(file).unwrap() == b"full"));
        assert!(!folder.join("out-2026-01-01T00-00-00.000.jsonl").exists());
        assert!(folder.join("out-of-this.jsonl").exists() && !path.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
