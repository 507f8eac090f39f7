//! `file_sd_configs`: targets in files that are re-read when they change, and in those
//! that another component of the collector hands over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::Watcher;
use otelpipe_core::label::LabelSet;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{Problems, yaml};

use super::handover::Texts;
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

/// Watches the files until `stop`. A text that was handed over counts in place of its file.
pub async fn run(
    discovery: FileDiscovery,
    mut handed: watch::Receiver<Texts>,
    updates: Updates,
    stop: CancellationToken,
) {
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
        let texts = handed.borrow_and_update().clone();
        let found = matches(&discovery.files, &texts);
        let mut groups = Vec::new();
        for (path, count) in &known {
            if !found.contains(path) {
                groups.extend((0..*count).map(|at| gone(path, at)));
            }
        }
        known.retain(|path, _| found.contains(path));
        for path in found {
            let read = match texts.get(&path) {
                Some(text) => parse(&path, text),
                None => read(&path).await,
            };
            match read {
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
            Ok(()) = handed.changed() => {}
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

/// The files that exist now or were handed over, in order.
fn matches(patterns: &[String], handed: &Texts) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in patterns {
        let path = Path::new(pattern);
        found.extend(handed.keys().filter(|file| fits(path, file)).cloned());
        if !pattern.contains('*') {
            if path.is_file() {
                found.push(path.to_owned());
            }
            continue;
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let file = path.with_file_name(entry.file_name());
            if fits(path, &file) && entry.path().is_file() {
                found.push(file);
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether the file is one of the pattern: the same path, with anything in place of a `*`.
fn fits(pattern: &Path, file: &Path) -> bool {
    fn name(path: &Path) -> Option<&str> {
        path.file_name()?.to_str()
    }
    let (Some(wanted), Some(found)) = (name(pattern), name(file)) else { return false };
    pattern.parent() == file.parent()
        && match wanted.split_once('*') {
            Some((before, after)) => found.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
            None => wanted == found,
        }
}

async fn read(path: &Path) -> Result<Vec<TargetGroup>, String> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Vec<TargetGroup>, String> {
    let name: Arc<str> = Arc::from(path.to_string_lossy());
    let mut problems = Problems::new();
    problems.add_source(&name, text);
    let node = yaml::parse(text, &name, &mut problems);
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

    #[test]
    fn a_star_stands_for_anything_in_the_name() {
        for (pattern, file, expected) in [
            ("/etc/t/a.yml", "/etc/t/a.yml", true),
            ("/etc/t/a.yml", "/etc/t/b.yml", false),
            ("/etc/t/a.yml", "/etc/a.yml", false),
            ("/etc/t/*.yml", "/etc/t/a.yml", true),
            ("/etc/t/*.yml", "/etc/t/.yml", true),
            ("/etc/t/*.yml", "/etc/t/a.json", false),
            ("/etc/t/*.yml", "/etc/t/x/a.yml", false),
            ("/etc/t/aba*a.yml", "/etc/t/aba.yml", false),
            ("/etc/t/aba*a.yml", "/etc/t/abaa.yml", true),
        ] {
            assert_eq!(fits(Path::new(pattern), Path::new(file)), expected, "{pattern} {file}");
        }
    }

    #[tokio::test]
    async fn what_is_handed_over_counts_at_once_and_without_its_file() {
        let handover = crate::discovery::handover::Handover::default();
        let path = Path::new("/nonexistent/otelpipe/targets.yaml");
        let discovery = FileDiscovery {
            files: vec!["/nonexistent/otelpipe/*.yaml".into()],
            refresh_interval: Duration::from_secs(3600),
        };
        let (sender, mut updates) = mpsc::channel(4);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(discovery, handover.listen(), Updates::new(0, 0, sender), stop.clone()));
        let mut next = async |text: &str| {
            handover.give(path, text);
            updates.recv().await.unwrap().groups
        };
        let groups = next("- targets: ['10.0.0.1:80']\n  labels: {a: b}\n").await;
        let wanted = TargetGroup {
            source: "/nonexistent/otelpipe/targets.yaml:0".into(),
            targets: vec![[("__address__", "10.0.0.1:80")].into_iter().collect()],
            labels: [("__meta_filepath", "/nonexistent/otelpipe/targets.yaml"), ("a", "b")]
                .into_iter()
                .collect(),
        };
        assert_eq!(groups, [wanted]);
        assert_eq!(next("[]").await, [gone(path, 0)]);
        stop.cancel();
        task.await.unwrap();
    }
}
