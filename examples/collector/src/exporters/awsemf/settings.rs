//! What a user writes under `awsemf:`: the keys of EMF and those of the AWS session, side by side.

use otelpipe_emf::config::EmfConfig;

use crate::aws::session::SessionConfig;
use crate::config::{Leniency, Node, Problems, Value, decode, suggest};

/// The exporter's settings.
#[derive(Clone, Debug, Default)]
pub struct AwsEmfSettings {
    /// What is written, and where to.
    pub emf: EmfConfig,
    /// How AWS is called.
    pub session: SessionConfig,
}

impl AwsEmfSettings {
    /// Reads both groups of keys from one map; `path` is how messages call it. An empty
    /// value gives all defaults.
    pub fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        if !matches!(node.value, Value::Null | Value::Map(_)) {
            // Says what is wrong, as for every other component.
            let emf = decode(node, path, Leniency::Strict, problems)?;
            return Some(Self { emf, ..Self::default() });
        }
        let part = |keys: &[&str]| {
            let entries = node.entries().iter().filter(|(key, _)| keys.contains(&key.text.as_str()));
            Node::new(Value::Map(entries.cloned().collect()), node.span.clone())
        };
        let emf: Option<EmfConfig> = decode(&part(&EmfConfig::KEYS), path, Leniency::Strict, problems);
        let session = decode(&part(&SessionConfig::KEYS), path, Leniency::Strict, problems);
        let mut known: Vec<&str> = EmfConfig::KEYS.into_iter().chain(SessionConfig::KEYS).collect();
        known.sort_unstable();
        for (key, _) in node.entries() {
            if !known.contains(&key.text.as_str()) {
                let fix = suggest::fix(&key.text, &known, "the keys are");
                problems.error(Some(&key.span), path, format!("unknown key `{}`", key.text), fix);
            }
        }
        Some(Self { emf: emf?, session: session? })
    }
}
