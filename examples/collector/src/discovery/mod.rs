//! Finding targets: from the configuration itself, from files, from HTTP, from Kubernetes.
//!
//! A discoverer runs as a task and reports target groups by source; the last report of
//! a source counts, an empty one means that the source is gone.

pub mod file;
pub mod handover;
pub mod http;
pub mod kubernetes;
pub mod static_list;

use otelpipe_core::label::LabelSet;
use tokio::sync::mpsc;

use crate::config::{Leniency, Node, Problems, decode};

/// Targets that one source listed together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroup {
    /// Where they come from, unique within a discoverer: a path, an object.
    pub source: String,
    /// The labels of each target, `__address__` among them.
    pub targets: Vec<LabelSet<'static>>,
    /// Labels of all targets that a target does not set itself.
    pub labels: LabelSet<'static>,
}

/// What a discoverer found, or found gone (a group without targets).
#[derive(Debug)]
pub struct Update {
    /// The job that the discoverer works for.
    pub job: usize,
    /// Which of the job's discoverers it is.
    pub discoverer: usize,
    /// The groups that changed.
    pub groups: Vec<TargetGroup>,
}

/// The way of a discoverer's updates to the manager.
#[derive(Clone, Debug)]
pub struct Updates {
    job: usize,
    discoverer: usize,
    sender: mpsc::Sender<Update>,
}

impl Updates {
    /// The way for discoverer number `discoverer` of job number `job`.
    pub fn new(job: usize, discoverer: usize, sender: mpsc::Sender<Update>) -> Self {
        Self { job, discoverer, sender }
    }

    /// Reports groups. Returns false when nobody listens any more.
    pub async fn send(&self, groups: Vec<TargetGroup>) -> bool {
        groups.is_empty()
            || self.sender.send(Update { job: self.job, discoverer: self.discoverer, groups }).await.is_ok()
    }
}

/// A list of target groups as static configurations, files and HTTP answers hold it.
/// Group `i` gets the source `source:i`.
///
/// Values may be numbers or booleans in YAML; they are taken as text, as Prometheus does.
pub fn read_groups(node: &Node, path: &str, source: &str, problems: &mut Problems) -> Vec<TargetGroup> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Group {
        targets: Vec<String>,
        labels: std::collections::BTreeMap<String, String>,
    }
    let mut groups = Vec::new();
    for (at, item) in node.items().iter().enumerate() {
        if item.is_null() {
            problems.error(Some(&item.span), path, "nil target group item found", None);
            continue;
        }
        let item_path = format!("{path}[{at}]");
        let Some(group) = decode::<Group>(item, &item_path, Leniency::Prometheus, problems) else { continue };
        groups.push(TargetGroup {
            source: format!("{source}:{at}"),
            targets: group
                .targets
                .into_iter()
                .map(|address| LabelSet::from_iter([("__address__", address)]))
                .collect(),
            labels: group.labels.into_iter().collect(),
        });
    }
    groups
}
