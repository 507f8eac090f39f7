//! In which region a component works.

use super::imds::{Imds, ImdsError};
use super::profile::SharedProfile;
use crate::env::Env;

/// No region was found.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "no AWS region found: looked at the component's region, AWS_REGION, AWS_DEFAULT_REGION, profile {profile:?} and the \
     EC2 metadata service ({metadata}); set AWS_REGION or the component's region"
)]
pub struct NoRegion {
    profile: String,
    metadata: String,
}

/// The region: `configured`, else `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, or
/// the instance's own. Only the last asks over the network, for a few seconds at most.
///
/// # Errors
///
/// None of these is set, and there is no metadata service.
pub async fn resolve(configured: &str, env: &Env) -> Result<String, NoRegion> {
    if let Some(region) = without_metadata(configured, env) {
        return Ok(region);
    }
    let failed = |metadata: String| NoRegion { profile: SharedProfile::from_env(env).name, metadata };
    let imds = Imds::from_env(env).map_err(|failure| failed(failure.to_string()))?;
    match instance_region(&imds).await {
        Ok(Some(region)) => Ok(region),
        Ok(None) => Err(failed("its identity document names no region".into())),
        Err(failure) => Err(failed(failure.to_string())),
    }
}

/// The same without asking the instance's metadata.
pub fn without_metadata(configured: &str, env: &Env) -> Option<String> {
    if !configured.is_empty() {
        return Some(configured.to_owned());
    }
    match env.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        Some(region) => Some(region.to_owned()),
        None => SharedProfile::from_env(env).region(),
    }
}

async fn instance_region(imds: &Imds) -> Result<Option<String>, ImdsError> {
    let document = imds.get_json("/latest/dynamic/instance-identity/document").await?;
    Ok(document
        .get("region")
        .and_then(|region| region.as_str())
        .filter(|region| !region.is_empty())
        .map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(configured: &str, env: &[(&str, &str)], region: Option<&str>) {
        let found = without_metadata(configured, &env.iter().copied().collect());
        assert_eq!(found.as_deref(), region, "{configured:?} {env:?}");
    }

    #[test]
    fn the_region_key_wins_then_the_environment_then_the_profile() {
        check("a", &[("AWS_REGION", "b")], Some("a"));
        check("", &[("AWS_REGION", "b"), ("AWS_DEFAULT_REGION", "c")], Some("b"));
        check("", &[("AWS_DEFAULT_REGION", "c")], Some("c"));
        check("", &[], None);
        let folder = std::env::temp_dir().join(format!("otelpipe-region-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("config");
        std::fs::write(
            &file,
            "[default]\nregion = d\n[profile  p]\noutput=json\nregion=e\n  region=nested\n",
        )
        .unwrap();
        let file = file.to_str().unwrap();
        check("", &[("AWS_CONFIG_FILE", file)], Some("d"));
        check("", &[("AWS_CONFIG_FILE", file), ("AWS_PROFILE", "p")], Some("e"));
        check("", &[("AWS_CONFIG_FILE", file), ("AWS_PROFILE", "q")], None);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn without_any_region_the_message_names_the_remedy() {
        let env = [("AWS_EC2_METADATA_DISABLED", "true")].into_iter().collect();
        assert_eq!(
            resolve("", &env).await.unwrap_err().to_string(),
            "no AWS region found: looked at the component's region, AWS_REGION, AWS_DEFAULT_REGION, profile \"default\" and \
             the EC2 metadata service (the EC2 metadata service is disabled by AWS_EC2_METADATA_DISABLED); set AWS_REGION or \
             the component's region"
        );
    }
}
