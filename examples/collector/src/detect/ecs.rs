//! The ECS task that the collector runs in.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use otelpipe_core::attributes::Attributes;
use otelpipe_k8s::detect::ecs::attributes;
use otelpipe_k8s::ecs::metadata::{ContainerMetadata, TaskMetadata};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{DetectError, Known, Surroundings, Switches};
use crate::aws::session::metadata_client;
use crate::http_client::{HttpClient, Limits};

/// The settings of the detector `ecs`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which attributes it gives. Default: all.
    pub resource_attributes: Switches,
}

impl Config {
    /// The attributes it can give.
    pub const KNOWN: &[Known] = &[
        ("aws.ecs.cluster.arn", true),
        ("aws.ecs.launchtype", true),
        ("aws.ecs.task.arn", true),
        ("aws.ecs.task.family", true),
        ("aws.ecs.task.id", true),
        ("aws.ecs.task.revision", true),
        ("aws.log.group.arns", true),
        ("aws.log.group.names", true),
        ("aws.log.stream.arns", true),
        ("aws.log.stream.names", true),
        ("cloud.account.id", true),
        ("cloud.availability_zone", true),
        ("cloud.platform", true),
        ("cloud.provider", true),
        ("cloud.region", true),
    ];
}

/// What the task's metadata endpoint says; nothing outside of ECS.
///
/// # Errors
///
/// The endpoint does not answer as it should.
pub async fn detect(around: &Surroundings, config: &Config) -> Result<Attributes, DetectError> {
    let Some(endpoint) = around.env.first(&["ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"])
    else {
        return Ok(Attributes::new());
    };
    let endpoint = endpoint.trim().trim_end_matches('/');
    let http = metadata_client().map_err(|failure| DetectError(failure.to_string()))?;
    let task: TaskMetadata = get(&http, &format!("{endpoint}/task")).await?;
    let own: ContainerMetadata = get(&http, endpoint).await?;
    let mut found = attributes(&task, &own.docker_id);
    config.resource_attributes.keep_wanted(Config::KNOWN, &mut found);
    Ok(found)
}

async fn get<T: DeserializeOwned>(http: &HttpClient, url: &str) -> Result<T, DetectError> {
    let failed = |reason: String| DetectError(format!("ECS task metadata at {url}: {reason}"));
    let request = Request::get(url).body(Bytes::new()).map_err(|failure| failed(failure.to_string()))?;
    let answer = http.fetch(request, LIMITS).await.map_err(|failure| failed(failure.to_string()))?;
    if answer.status() != 200 {
        return Err(failed(format!("status {}", answer.status().as_u16())));
    }
    serde_json::from_slice(answer.body()).map_err(|failure| failed(failure.to_string()))
}

const LIMITS: Limits = Limits { timeout: Duration::from_secs(2), max_body: 4 << 20 };
