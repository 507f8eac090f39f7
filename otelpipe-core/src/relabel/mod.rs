//! Relabeling: rules that rewrite label sets or drop them.
//!
//! The same rules serve targets (`relabel_configs`) and samples
//! (`metric_relabel_configs`). They run in order, each on the labels as the rules
//! before left them; `keep` and `drop` end it at once.
//!
//! ```
//! use otelpipe_core::label::{LabelSet, NameValidation};
//! use otelpipe_core::relabel::{RelabelConfig, RelabelRules};
//!
//! let config = RelabelConfig {
//!     source_labels: vec!["__meta_kubernetes_pod_node_name".into()],
//!     target_label: "NodeName".into(),
//!     ..RelabelConfig::default()
//! };
//! let rules = RelabelRules::compile(&[config], NameValidation::Utf8)?;
//!
//! let mut labels: LabelSet<'_> = [("__meta_kubernetes_pod_node_name", "ip-10-0-0-1")].into_iter().collect();
//! assert!(rules.apply(&mut labels));
//! assert_eq!(labels.get("NodeName"), Some("ip-10-0-0-1"));
//! # Ok::<(), otelpipe_core::relabel::RelabelError>(())
//! ```
//!
//! Source: Prometheus `model/relabel/relabel.go`.

mod action;
mod config;
#[cfg(test)]
mod tests;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use action::{Action, ActionName, regex_of};
pub use config::RelabelConfig;

use crate::label::{LabelSet, NameValidation};
use crate::pattern::Pattern;

/// A list of relabel rules, ready to run.
#[derive(Clone, Debug, Default)]
pub struct RelabelRules {
    rules: Vec<Rule>,
    names: NameValidation,
}

#[derive(Clone, Debug)]
struct Rule {
    name: ActionName,
    action: Action,
}

impl RelabelRules {
    /// Compiles rules. `names` says which label names a rule may produce.
    ///
    /// # Errors
    ///
    /// The first rule that Prometheus would refuse: unknown actions and patterns
    /// that do not compile before all else, then the fields of each rule.
    pub fn compile(configs: &[RelabelConfig], names: NameValidation) -> Result<Self, RelabelError> {
        let at = |index| move |(field, message)| RelabelError { index, field, message };
        let mut read = Vec::with_capacity(configs.len());
        for (index, config) in configs.iter().enumerate() {
            let name = ActionName::parse(config.action.as_deref()).map_err(at(index))?;
            let regex = Pattern::anchored(regex_of(config));
            read.push((name, regex.map_err(|error| at(index)(("regex", error.to_string())))?));
        }
        let mut rules = Vec::with_capacity(configs.len());
        for ((index, config), (name, regex)) in configs.iter().enumerate().zip(read) {
            let action = Action::compile(config, name, regex, names).map_err(at(index))?;
            rules.push(Rule { name, action });
        }
        Ok(Self { rules, names })
    }

    /// Runs the rules over `labels`. False: the target or sample is dropped, and
    /// `labels` is as the dropping rule found it.
    pub fn apply(&self, labels: &mut LabelSet<'_>) -> bool {
        self.rules.iter().all(|rule| rule.action.apply(labels, self.names).keep)
    }

    /// Like [`apply`](Self::apply), telling `report` what each rule did.
    ///
    /// A rule behind one that dropped is not reported. Copies the labels once a rule.
    pub fn apply_traced(&self, labels: &mut LabelSet<'_>, report: &mut dyn FnMut(RuleTrace)) -> bool {
        for (index, rule) in self.rules.iter().enumerate() {
            let source = rule.action.source().map(|source| source.value(labels).into_owned());
            let before = labels.clone();
            let outcome = rule.action.apply(labels, self.names);
            report(RuleTrace {
                index,
                action: rule.name.as_str(),
                source,
                matched: outcome.matched,
                kept: outcome.keep,
                changes: changes(&before, labels),
            });
            if !outcome.keep {
                return false;
            }
        }
        true
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// What one rule did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleTrace {
    /// The rule's place in the list.
    pub index: usize,
    /// Its action, such as `replace`.
    pub action: &'static str,
    /// The joined source values; `None` for the actions that look at names.
    pub source: Option<String>,
    /// Whether the rule applied: its pattern matched, or for `keepequal` and
    /// `dropequal` the values were equal.
    pub matched: bool,
    /// Whether the target or sample is still there.
    pub kept: bool,
    /// The labels it changed, sorted by name.
    pub changes: Vec<LabelChange>,
}

/// One label before and after a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LabelChange {
    /// The label's name.
    pub name: String,
    /// Its value before, `None` if it was not there.
    pub before: Option<String>,
    /// Its value now, `None` if it is gone.
    pub after: Option<String>,
}

/// A rule that cannot be run. Displays as Prometheus words it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RelabelError {
    /// The rule's place in the list.
    pub index: usize,
    /// The key of the rule that is wrong, such as `target_label`.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
}

impl RelabelError {
    /// Where in the list of rules: `[2].regex`.
    pub fn path(&self) -> String {
        alloc::format!("[{}].{}", self.index, self.field)
    }
}

fn changes(before: &LabelSet<'_>, after: &LabelSet<'_>) -> Vec<LabelChange> {
    let mut changes = Vec::new();
    for label in before {
        let now = after.get(&label.name);
        if now != Some(&*label.value) {
            let before = Some(label.value.clone().into_owned());
            changes.push(LabelChange {
                name: label.name.clone().into_owned(),
                before,
                after: now.map(String::from),
            });
        }
    }
    for label in after.iter().filter(|label| before.get(&label.name).is_none()) {
        let after = Some(label.value.clone().into_owned());
        changes.push(LabelChange { name: label.name.clone().into_owned(), before: None, after });
    }
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}
