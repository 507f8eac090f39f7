//! Labels of a sample: what it exposes, what the target adds, who wins.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use otelpipe_core::label::{Label, LabelSet, METRIC_NAME};

/// Exposed labels as they stand on the line, which a [`LabelSet`] cannot hold: names
/// may come twice, values may be empty.
#[derive(Debug, Default)]
pub(crate) struct Exposed<'a> {
    /// The labels; the last of equal names.
    pub(crate) labels: LabelSet<'a>,
    /// Names with an empty value.
    empty: Vec<Cow<'a, str>>,
    /// Names that came more than once.
    pub(crate) repeated: Vec<Cow<'a, str>>,
}

impl<'a> Exposed<'a> {
    pub(crate) fn new(
        name: Cow<'a, str>,
        labels: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Self {
        let mut exposed = Self::default();
        exposed.labels.set(METRIC_NAME, name);
        for (name, value) in labels {
            if exposed.labels.get(&name).is_some() {
                exposed.repeated.push(name.clone());
            }
            if value.is_empty() {
                exposed.empty.push(name);
            } else {
                exposed.labels.set(name, value);
            }
        }
        exposed
    }

    /// Adds the target's labels.
    ///
    /// With `honor`, only where the sample lacks the *name*: an empty exposed value hides
    /// the target's label. Otherwise the target wins, and the exposed label becomes
    /// `exported_…`, with as many prefixes as make it unique, shortest name first.
    ///
    /// Source: Prometheus `scrape/scrape.go` (mutateSampleLabels,
    /// resolveConflictingExposedLabels).
    pub(crate) fn merge(&mut self, target: &'a LabelSet<'static>, honor: bool) {
        let mut conflicts: Vec<(&'a str, Cow<'a, str>)> = Vec::new();
        for Label { name, value } in target {
            if honor {
                let is_exposed =
                    self.labels.get(name).is_some() || self.empty.iter().any(|empty| empty == name);
                if !is_exposed {
                    self.labels.set(&**name, &**value);
                }
                continue;
            }
            if let Some(exposed) = self.labels.remove(name) {
                conflicts.push((name, exposed));
            }
            self.labels.set(&**name, &**value);
        }
        conflicts.sort_by_key(|(name, _)| name.len());
        for (name, value) in conflicts {
            let mut exported = format!("exported_{name}");
            while self.labels.get(&exported).is_some() {
                exported.insert_str(0, "exported_");
            }
            self.labels.set(exported, value);
        }
    }

    /// The first name, in order, that came twice and is still there.
    pub(crate) fn first_repeated(&self) -> Option<String> {
        let left = self.repeated.iter().filter(|name| self.labels.get(name).is_some());
        left.min().map(|name| name.clone().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[track_caller]
    fn check(
        honor: bool,
        exposed: &[(&'static str, &'static str)],
        target: &[(&'static str, &'static str)],
        merged: &str,
    ) {
        let target: LabelSet<'static> = target.iter().copied().collect();
        let pairs = exposed.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value)));
        let mut labels = Exposed::new("a".into(), pairs);
        labels.merge(&target, honor);
        assert_eq!(labels.labels.to_string(), merged);
    }

    #[test]
    fn the_target_wins_unless_labels_are_honored() {
        check(
            false,
            &[("env", "dev")],
            &[("env", "prod")],
            r#"{__name__="a", env="prod", exported_env="dev"}"#,
        );
        check(true, &[("env", "dev")], &[("env", "prod")], r#"{__name__="a", env="dev"}"#);
        check(true, &[("env", "")], &[("env", "prod")], r#"{__name__="a"}"#);
        check(false, &[("env", "")], &[("env", "prod")], r#"{__name__="a", env="prod"}"#);
        check(
            false,
            &[("env", "1"), ("exported_env", "2")],
            &[("env", "T")],
            r#"{__name__="a", env="T", exported_env="2", exported_exported_env="1"}"#,
        );
        check(
            false,
            &[("env", "1"), ("exported_env", "2")],
            &[("env", "T"), ("exported_env", "U")],
            r#"{__name__="a", env="T", exported_env="U", exported_exported_env="1", exported_exported_exported_env="2"}"#,
        );
    }
}
