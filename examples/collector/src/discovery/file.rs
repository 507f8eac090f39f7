//! `file_sd_configs`: targets in files that are re-read when they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::Watcher;
use otelpipe_core::label::LabelSet;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{Problems, yaml};

use super::{TargetGroup, Updates, read_groups};

/// One entry of `file_sd_configs`, checked.
#[derive(Clone, Debug)]
pub struct FileDiscovery {
    /// Paths; at most one `*`, in the last part.
    pub files: Vec<String>,
    /// How often all files are read again even if nothing seems to have changed.
    pub refresh_interval: Duration,
}

/// Whether `path` is one that discovery accepts: `.json`, `.yml` or `.yaml`, at most one
/// `*`, and that in the last part.
pub fn is_valid_path(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit('.').next().unwrap_or_default();
    let known = ["json", "yml", "yaml", "JSON", "YML", "YAML"].contains(&ending);
    known && name.contains('.') && path.matches('*').count() <= 1 && path.contains('*') == name.contains('*')
}

/// Watches the files until `stop`.
pub async fn run(discovery: FileDiscovery, updates: Updates, stop: CancellationToken) {
    let (changed, mut changes) = mpsc::channel(1);
    let watcher = watch(&discovery.files, changed);
    if let Err(error) = &watcher {
        tracing::warn!(
            "file discovery cannot watch for changes and reads every {:?} only: {error}",
            discovery.refresh_interval
        );
    }
    let mut known: BTreeMap<PathBuf, usize> = BTreeMap::new();
    loop {
        let found = matches(&discovery.files);
        let mut groups = Vec::new();
        for (path, count) in &known {
            if !found.contains(path) {
                groups.extend((0..*count).map(|at| gone(path, at)));
            }
        }
        known.retain(|path, _| found.contains(path));
        for path in found {
            match read(&path).await {
                Ok(read) => {
                    let before = known.insert(path.clone(), read.len()).unwrap_or(0);
                    groups.extend((read.len()..before).map(|at| gone(&path, at)));
                    groups.extend(read);
                }
                Err(error) => {
                    tracing::error!(
                        "file discovery keeps the previous targets of {}: {error}",
                        path.display()
                    );
                    known.entry(path).or_insert(0);
                }
            }
        }
        if !updates.send(groups).await {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = changes.recv(), if watcher.is_ok() => {}
            () = tokio::time::sleep(discovery.refresh_interval) => {}
        }
    }
}

fn watch(files: &[String], changed: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let access = matches!(&event, Ok(event) if event.kind.is_access());
        if !access {
            // A full channel means that a reading is due anyway.
            let _ = changed.try_send(());
        }
    })?;
    for file in files {
        let folder = Path::new(file).parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        watcher.watch(folder, notify::RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// The files that exist now, in order.
fn matches(patterns: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in patterns {
        let path = Path::new(pattern);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((before, after)) = name.split_once('*') else {
            if path.is_file() {
                found.push(path.to_owned());
            }
            continue;
        };
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let file = entry.file_name();
            let Some(text) = file.to_str() else { continue };
            let fits =
                text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after);
            if fits && entry.path().is_file() {
                found.push(path.with_file_name(text));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

async fn read(path: &Path) -> Result<Vec<TargetGroup>, String> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())?;
    let name: Arc<str> = Arc::from(path.to_string_lossy());
    let mut problems = Problems::new();
    problems.add_source(&name, &text);
    let node = yaml::parse(&text, &name, &mut problems);
    let mut groups = match &node {
        Some(node) => read_groups(node, "", &name, &mut problems),
        None => Vec::new(),
    };
    if problems.has_errors() {
        return Err(problems.render(false));
    }
    for group in &mut groups {
        group.labels.set("__meta_filepath", name.to_string());
    }
    Ok(groups)
}

fn gone(path: &Path, at: usize) -> TargetGroup {
    TargetGroup { source: format!("{}:{at}", path.display()), targets: Vec::new(), labels: LabelSet::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_may_stand_once_and_in_the_last_part() {
        for good in ["a.json", "/etc/t/*.yml", "x/foo-*.YAML"] {
            assert!(is_valid_path(good), "{good}");
        }
        for bad in ["a.txt", "/etc/*/a.yml", "/etc/**.yml", "yml", "/etc/*", ""] {
            assert!(!is_valid_path(bad), "{bad}");
        }
    }
}
