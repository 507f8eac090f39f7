//! Attributes of an EC2 instance.

use alloc::string::String;

use otelpipe_core::attributes::Attributes;

/// What an instance says about itself at `/latest/dynamic/instance-identity/document`.
/// Missing members are empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, rename_all = "camelCase"))]
pub struct IdentityDocument {
    /// `us-east-1`
    pub region: String,
    /// `us-east-1a`
    pub availability_zone: String,
    /// Twelve digits.
    pub account_id: String,
    /// `i-…`
    pub instance_id: String,
    /// `ami-…`
    pub image_id: String,
    /// `m5.large`
    pub instance_type: String,
}

/// The attributes of the instance; `host_name` is what it answers at
/// `/latest/meta-data/hostname`. Empty members give none.
///
/// ```
/// use otelpipe_k8s::detect::ec2::{IdentityDocument, attributes};
///
/// let document = IdentityDocument { region: "us-east-1".into(), ..IdentityDocument::default() };
/// let found = attributes(&document, "ip-10-0-0-1");
/// assert_eq!(found.get_str("cloud.platform"), Some("aws_ec2"));
/// assert_eq!(found.get_str("host.name"), Some("ip-10-0-0-1"));
/// assert_eq!(found.get("host.id"), None);
/// ```
pub fn attributes(document: &IdentityDocument, host_name: &str) -> Attributes {
    [
        ("cloud.provider", "aws"),
        ("cloud.platform", "aws_ec2"),
        ("cloud.region", &document.region),
        ("cloud.account.id", &document.account_id),
        ("cloud.availability_zone", &document.availability_zone),
        ("host.id", &document.instance_id),
        ("host.image.id", &document.image_id),
        ("host.type", &document.instance_type),
        ("host.name", host_name),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect()
}
