//! The EC2 instance that the collector runs on.

use otelpipe_core::attributes::Attributes;
use otelpipe_k8s::detect::ec2::{IdentityDocument, attributes};

use super::{DetectError, Surroundings};
use crate::aws::imds::{Imds, ImdsError};

/// What the instance's metadata service says; nothing where there is none, unless it must be.
///
/// # Errors
///
/// The service answers, but not as it should; or it is missing and `must_exist`.
pub async fn detect(around: &Surroundings, must_exist: bool) -> Result<Attributes, DetectError> {
    match instance(around).await {
        Ok(found) => Ok(found),
        Err(ImdsError::Disabled | ImdsError::Unreachable(_)) if !must_exist => Ok(Attributes::new()),
        Err(failure) => Err(DetectError(failure.to_string())),
    }
}

/// The same, with a missing service as an error.
pub(super) async fn instance(around: &Surroundings) -> Result<Attributes, ImdsError> {
    const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
    let imds = Imds::from_env(&around.env).map_err(ImdsError::Unreachable)?;
    let document: IdentityDocument = serde_json::from_value(imds.get_json(DOCUMENT).await?)
        .map_err(|failure| ImdsError::Answer { path: DOCUMENT.into(), reason: failure.to_string() })?;
    let host_name = imds.get("/latest/meta-data/hostname").await?.unwrap_or_default();
    Ok(attributes(&document, host_name.trim()))
}

/// Tags of the instance, where its metadata options allow to read them: name and value.
///
/// # Errors
///
/// The metadata service does not answer, or refuses.
pub async fn tags(around: &Surroundings) -> Result<Vec<(String, String)>, DetectError> {
    const TAGS: &str = "/latest/meta-data/tags/instance/";
    let failed = |failure: ImdsError| DetectError(failure.to_string());
    let imds = Imds::from_env(&around.env).map_err(|failure| DetectError(failure.to_string()))?;
    let Some(names) = imds.get(TAGS).await.map_err(failed)? else {
        return Err(DetectError(
            "instance metadata has no tags: allow them in the instance's metadata options".into(),
        ));
    };
    let mut tags = Vec::new();
    for name in names.lines().map(str::trim).filter(|name| !name.is_empty()) {
        if let Some(value) = imds.get(&format!("{TAGS}{name}")).await.map_err(failed)? {
            tags.push((name.to_owned(), value));
        }
    }
    Ok(tags)
}
