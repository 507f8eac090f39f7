//! The task metadata endpoint: where it is, and what it answers.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use otelpipe_k8s::ecs::metadata::TaskMetadata;
use otelpipe_k8s::ecs::stats::{TaskStats, read_task_stats};
use serde::Deserialize as _;

use crate::aws::session::metadata_client;
use crate::component::ComponentError;
use crate::env::Env;
use crate::http_client::{HttpClient, HttpError, Limits};

const VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// Bytes of an answer: a task has at most some ten containers, of a few KiB each.
pub(super) const MAX_BODY: usize = 4 << 20;

/// Why the endpoint gave nothing to measure.
#[derive(Debug, thiserror::Error)]
pub(super) enum EndpointError {
    #[error("cannot read {path}: {source}")]
    Http { path: &'static str, source: HttpError },
    #[error("request GET {path} failed: status {status}")]
    Status { path: &'static str, status: u16 },
    #[error("the answer to GET {path} is not what ECS documents: {source}")]
    Json { path: &'static str, source: serde_json::Error },
}

/// The endpoint of the task that this collector runs in.
#[derive(Debug)]
pub(super) struct Endpoint {
    base: String,
    http: HttpClient,
    limits: Limits,
}

impl Endpoint {
    /// The endpoint that the environment names; each request may take `timeout`.
    pub(super) fn detect(env: &Env, timeout: Duration) -> Result<Self, ComponentError> {
        let failed = |reason: &str| {
            ComponentError(format!(
                "unable to detect task metadata endpoint: no valid endpoint for environment variable {VARIABLE}: \
                 {reason}; ECS sets it in every container of a task (Fargate platform 1.4.0 or container agent 1.39.0 \
                 and later): run the collector as a container of the task, or take the receiver out"
            ))
        };
        let base = env.get(VARIABLE).ok_or_else(|| failed("endpoint is empty"))?.trim_end_matches('/');
        let uri: Uri = base.parse().map_err(|_| failed(&format!("{base:?} is not a URL")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(failed(&format!("{base:?} is not an http URL with a host")));
        }
        let http = metadata_client().map_err(|error| ComponentError(error.to_string()))?;
        Ok(Self { base: base.to_owned(), http, limits: Limits { timeout, max_body: MAX_BODY } })
    }

    /// The task, then the statistics of its containers.
    pub(super) async fn read(&self) -> Result<(TaskMetadata, TaskStats), EndpointError> {
        let body = self.get("/task").await?;
        let task = decode("/task", &body, |from| TaskMetadata::deserialize(from))?;
        let body = self.get("/task/stats").await?;
        Ok((task, decode("/task/stats", &body, |from| read_task_stats(from))?))
    }

    async fn get(&self, path: &'static str) -> Result<Bytes, EndpointError> {
        let url = format!("{}{path}", self.base);
        let request =
            Request::get(url).body(Bytes::new()).expect("the base is a URL, and so is it with a path");
        let answer = self.http.fetch(request, self.limits).await;
        let answer = answer.map_err(|source| EndpointError::Http { path, source })?;
        match answer.status().as_u16() {
            200 => Ok(answer.into_body()),
            status => Err(EndpointError::Status { path, status }),
        }
    }
}

fn decode<'b, T>(
    path: &'static str,
    body: &'b [u8],
    read: impl FnOnce(
        &mut serde_json::Deserializer<serde_json::de::SliceRead<'b>>,
    ) -> Result<T, serde_json::Error>,
) -> Result<T, EndpointError> {
    let mut from = serde_json::Deserializer::from_slice(body);
    let value = read(&mut from).and_then(|value| from.end().map(|()| value));
    value.map_err(|source| EndpointError::Json { path, source })
}
