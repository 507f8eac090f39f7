//! Runs detectors side by side, within one time limit.

use std::time::Duration;

use futures_util::future::join_all;
use otelpipe_core::attributes::Attributes;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{DetectError, Finding, Surroundings, ec2, ecs, eks, system};

/// A detector with its settings.
#[derive(Clone, Debug)]
pub enum Detector {
    /// What the environment variable says. It does not change while the process runs, so
    /// it was read before.
    Env(Attributes),
    /// The machine or container.
    System(system::Config),
    /// The instance.
    Ec2(ec2::Config),
    /// The task.
    Ecs(ecs::Config),
    /// The cluster.
    Eks(eks::Config),
}

impl Detector {
    /// Its name in `detectors`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Env(_) => "env",
            Self::System(_) => "system",
            Self::Ec2(_) => "ec2",
            Self::Ecs(_) => "ecs",
            Self::Eks(_) => "eks",
        }
    }

    async fn find(&self, around: &Surroundings) -> Finding {
        match self {
            Self::Env(found) => Finding { attributes: found.clone(), ..Finding::default() },
            Self::System(config) => system::detect(around, config),
            Self::Ec2(config) => ec2::detect(around, config).await,
            Self::Ecs(config) => ecs::detect(around, config).await.into(),
            Self::Eks(config) => eks::detect(around, config).await,
        }
    }
}

/// Asks all detectors at once and returns what each found, in the order of `detectors`.
///
/// One that fails is asked again after about one second, then two, … until `limit`.
pub async fn detect_all(detectors: &[Detector], around: &Surroundings, limit: Duration) -> Vec<Finding> {
    let deadline = Instant::now() + limit;
    join_all(detectors.iter().map(|detector| settle(detector, around, deadline, limit))).await
}

async fn settle(detector: &Detector, around: &Surroundings, deadline: Instant, limit: Duration) -> Finding {
    let mut last = None;
    let mut pause = FIRST_PAUSE;
    loop {
        match timeout_at(deadline, detector.find(around)).await {
            Ok(finding) if !finding.try_again => return finding,
            Ok(finding) => last = Some(finding),
            Err(_) => {
                let failure = DetectError(format!("no answer within the timeout of {limit:?}"));
                return last.unwrap_or_else(|| Err(failure).into());
            }
        }
        let next = Instant::now() + pause.mul_f64(0.5 + fastrand::f64());
        if let (Some(last), true) = (&last, next >= deadline) {
            return last.clone();
        }
        sleep_until(next).await;
        pause *= 2;
    }
}

/// Joins what detectors found: of equal keys, that of the first detector.
///
/// Source: `MergeResource` in `internal/resourcedetection.go`.
pub fn merge<'a>(findings: impl IntoIterator<Item = &'a Attributes>) -> Attributes {
    let mut merged = Attributes::new();
    for (key, value) in findings.into_iter().flatten() {
        if merged.get(key).is_none() {
            merged.insert(key.clone(), value.clone());
        }
    }
    merged
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
