//! Asks what surrounds the collector where it runs, for resource attributes.
//!
//! What the answers mean is in `otelpipe_k8s::detect`.

pub mod ec2;
pub mod ecs;
pub mod eks;
pub mod system;

use std::path::PathBuf;

use crate::env::Env;

/// Why a detector that is in its environment found nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct DetectError(pub String);

/// What detectors look at.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The environment variables.
    pub env: Env,
    /// Where the file system begins: `/`, but for tests.
    pub root: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub fn new(env: Env) -> Self {
        Self { env, root: "/".into() }
    }

    /// The text of a file; `None` if it cannot be read.
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path.trim_start_matches('/'))).ok()
    }
}
