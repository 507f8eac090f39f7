//! Asks what surrounds the collector where it runs, for resource attributes.
//!
//! What the answers mean is in `otelpipe_k8s::detect`.

pub mod ec2;
mod ec2_api;
pub mod ecs;
pub mod eks;
mod run;
pub mod system;

use std::collections::BTreeMap;
use std::path::PathBuf;

use otelpipe_core::attributes::Attributes;
use serde::Deserialize;

pub use run::{Detector, detect_all, merge};

use crate::config::suggest;
use crate::env::Env;

/// Why a detector that is in its environment found nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct DetectError(pub String);

/// What a detector came back with.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// What it found; nothing if this is not its environment.
    pub attributes: Attributes,
    /// What it should have found and could not, with the cause.
    pub failure: Option<DetectError>,
    /// Whether asking again may help.
    pub try_again: bool,
}

impl Finding {
    /// Part of what was wanted, and why the rest is missing. Asking again may help.
    pub fn partial(attributes: Attributes, failure: DetectError) -> Self {
        Self { attributes, failure: Some(failure), try_again: true }
    }
}

impl From<Result<Attributes, DetectError>> for Finding {
    fn from(result: Result<Attributes, DetectError>) -> Self {
        match result {
            Ok(attributes) => Self { attributes, ..Self::default() },
            Err(failure) => Self::partial(Attributes::new(), failure),
        }
    }
}

/// What detectors look at.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The environment variables.
    pub env: Env,
    /// Where the file system begins: `/`, but for tests.
    pub root: PathBuf,
    /// URL of the Kubernetes API server, if it is not that of the environment variables.
    pub api_server: Option<String>,
}

impl Surroundings {
    /// Those of this process.
    pub fn new(env: Env) -> Self {
        Self { env, root: "/".into(), api_server: None }
    }

    /// The text of a file; `None` if it cannot be read.
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path.trim_start_matches('/'))).ok()
    }
}

/// `resource_attributes` as users write them: which attributes a detector gives.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Switches(BTreeMap<String, Switch>);

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Switch {
    enabled: Option<bool>,
}

/// An attribute that a detector may give, and whether it does when nothing is said.
pub type Known = (&'static str, bool);

impl Switches {
    /// The names that are not among `known`, each with what may have been meant.
    pub fn unknown<'s>(&'s self, known: &'s [Known]) -> impl Iterator<Item = (&'s str, Option<String>)> {
        self.0.keys().filter(|name| known.iter().all(|(other, _)| other != name)).map(|name| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            (name.as_str(), suggest::fix(name, &names, "the attributes of this detector"))
        })
    }

    /// Whether this attribute is wanted.
    pub fn wants(&self, name: &str, known: &[Known]) -> bool {
        let said = self.0.get(name).and_then(|switch| switch.enabled);
        said.unwrap_or_else(|| known.iter().any(|(other, on)| *other == name && *on))
    }

    /// Leaves out what is not wanted.
    pub fn keep_wanted(&self, known: &[Known], found: &mut Attributes) {
        found.retain(|key, _| self.wants(key, known));
    }
}
