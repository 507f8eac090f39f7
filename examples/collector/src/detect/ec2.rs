//! The EC2 instance that the collector runs on.

use otelpipe_core::attributes::Attributes;
use otelpipe_core::pattern::Pattern;
use otelpipe_k8s::detect::ec2::{IdentityDocument, attributes};
use serde::Deserialize;

use super::{DetectError, Finding, Known, Surroundings, Switches, ec2_api};
use crate::aws::imds::{Imds, ImdsError};
use crate::config::{GoDuration, NoEffect};

/// The settings of the detector `ec2`, as users write them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// Patterns of tag keys, not anchored. Default: no tags.
    pub tags: Vec<String>,
    /// How often the metadata service is asked in all. Default: 3.
    pub max_attempts: u32,
    /// Longest wait between two questions; ours follow each other at once.
    #[serde(rename = "max_backoff")]
    pub _max_backoff: NoEffect<GoDuration>,
    /// A missing metadata service is an error. Default: false.
    pub fail_on_missing_metadata: bool,
    /// Tags come from the metadata service, not from the API of EC2. Default: false.
    pub tags_from_imds: bool,
    /// Which attributes it gives. Default: all.
    pub resource_attributes: Switches,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            max_attempts: 3,
            _max_backoff: NoEffect::default(),
            fail_on_missing_metadata: false,
            tags_from_imds: false,
            resource_attributes: Switches::default(),
        }
    }
}

/// The settings of the detector `ec2`.
#[derive(Clone, Debug)]
pub struct Config {
    keys: Keys,
    tags: Vec<Pattern>,
}

impl Config {
    /// The attributes it can give, tags apart.
    pub const KNOWN: &[Known] = &[
        ("cloud.account.id", true),
        ("cloud.availability_zone", true),
        ("cloud.platform", true),
        ("cloud.provider", true),
        ("cloud.region", true),
        ("host.id", true),
        ("host.image.id", true),
        ("host.name", true),
        ("host.type", true),
    ];

    /// Compiles the patterns.
    ///
    /// # Errors
    ///
    /// Path and message of a pattern that is none.
    pub fn new(keys: Keys) -> Result<Self, (String, String)> {
        let tags = keys.tags.iter().enumerate().map(|(at, pattern)| {
            Pattern::search(pattern).map_err(|failure| {
                (format!("tags[{at}]"), format!("failed creating detector type \"ec2\": {failure}"))
            })
        });
        Ok(Self { tags: tags.collect::<Result<_, _>>()?, keys })
    }
}

/// What the instance's metadata service says; nothing where there is none, unless it must be.
/// Tags that cannot be read are a failure that leaves the rest as it is.
pub async fn detect(around: &Surroundings, config: &Config) -> Finding {
    let (keys, missing_is_fine) = (&config.keys, !config.keys.fail_on_missing_metadata);
    let imds = match imds(around) {
        Ok(imds) => imds.with_attempts(keys.max_attempts),
        Err(failure) => return Err(failure).into(),
    };
    let (document, mut found) = match instance(&imds).await {
        Ok(found) => found,
        Err(ImdsError::Disabled | ImdsError::Unreachable(_)) if missing_is_fine => return Finding::default(),
        Err(failure) => return Err(DetectError(failure.to_string())).into(),
    };
    keys.resource_attributes.keep_wanted(Config::KNOWN, &mut found);
    if config.tags.is_empty() {
        return Ok(found).into();
    }
    let tags = match keys.tags_from_imds {
        true => tags(&imds).await,
        false => ec2_api::tags(around, &document.region, &document.instance_id).await,
    };
    match tags {
        Ok(tags) => {
            for (key, value) in tags {
                if config.tags.iter().any(|pattern| pattern.is_match(&key)) {
                    found.insert(format!("ec2.tag.{key}"), value);
                }
            }
            Ok(found).into()
        }
        Err(failure) => Finding { attributes: found, failure: Some(failure), try_again: false },
    }
}

/// A client of the metadata service as the environment wants it.
pub(super) fn imds(around: &Surroundings) -> Result<Imds, DetectError> {
    Imds::from_env(&around.env).map_err(|failure| DetectError(failure.to_string()))
}

/// The instance's document, and all attributes of it.
pub(super) async fn instance(imds: &Imds) -> Result<(IdentityDocument, Attributes), ImdsError> {
    const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
    let document: IdentityDocument = serde_json::from_value(imds.get_json(DOCUMENT).await?)
        .map_err(|failure| ImdsError::Answer { path: DOCUMENT.into(), reason: failure.to_string() })?;
    let host_name = imds.get("/latest/meta-data/hostname").await?.unwrap_or_default();
    let found = attributes(&document, host_name.trim());
    Ok((document, found))
}

/// Tags of the instance, where its metadata options allow to read them: name and value.
async fn tags(imds: &Imds) -> Result<Vec<(String, String)>, DetectError> {
    const TAGS: &str = "/latest/meta-data/tags/instance";
    let failed = |failure: ImdsError| DetectError(format!("tags: {failure}"));
    let Some(names) = imds.get(TAGS).await.map_err(failed)? else {
        return Err(DetectError(
            "tags: the instance metadata has none; allow them in the instance's metadata options".into(),
        ));
    };
    let mut tags = Vec::new();
    for name in names.lines().map(str::trim).filter(|name| !name.is_empty()) {
        // Keys of tags may hold blanks and slashes; where metadata shows tags, EC2 forbids both.
        if let Some(value) = imds.get(&format!("{TAGS}/{name}")).await.map_err(failed)? {
            tags.push((name.to_owned(), value));
        }
    }
    Ok(tags)
}
