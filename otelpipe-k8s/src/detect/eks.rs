//! Signs that a Kubernetes cluster is EKS.

use alloc::string::String;
use alloc::vec::Vec;

use otelpipe_core::attributes::Attributes;

/// What a pod on EKS knows without asking further: provider and platform.
pub fn attributes() -> Attributes {
    [("cloud.provider", "aws"), ("cloud.platform", "aws_eks")].into_iter().collect()
}

/// Whether the path of a web identity token, or of a pod identity token, is that of EKS.
///
/// ```
/// use otelpipe_k8s::detect::eks::is_eks_token_path;
///
/// assert!(is_eks_token_path("/var/run/secrets/eks.amazonaws.com/serviceaccount/token", ""));
/// assert!(is_eks_token_path("", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"));
/// assert!(!is_eks_token_path("/token", ""));
/// ```
pub fn is_eks_token_path(web_identity_file: &str, pod_identity_file: &str) -> bool {
    web_identity_file.contains("eks.amazonaws.com") || pod_identity_file.contains("eks-pod-identity")
}

/// Whether the API server's version, such as `v1.31.2-eks-7f9249a`, is one of EKS.
pub fn is_eks_version(git_version: &str) -> bool {
    git_version.contains("-eks-")
}

/// Whether a service account's token was issued by EKS: its payload names an issuer with
/// `oidc.eks.`. The signature is not looked at: nothing is trusted because of it.
pub fn is_eks_token(token: &str) -> bool {
    let payload = token.split('.').nth(1).and_then(decode_base64_url).unwrap_or_default();
    let Some((_, after)) = payload.split_once("\"iss\"") else { return false };
    let issuer = after.trim_start().strip_prefix(':').unwrap_or_default().trim_start();
    issuer
        .strip_prefix('"')
        .and_then(|text| text.split('"').next())
        .is_some_and(|text| text.contains("oidc.eks."))
}

/// The cluster's name from the tags that EKS, or its users, give to nodes: key and value.
///
/// ```
/// use otelpipe_k8s::detect::eks::cluster_name;
///
/// let tags = [("Name", "node"), ("kubernetes.io/cluster/demo", "owned")];
/// let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
/// assert_eq!(cluster_name(&tags), Some("demo"));
/// ```
///
/// Source: `internal/metadataproviders/aws/eks/metadata.go`.
pub fn cluster_name(tags: &[(String, String)]) -> Option<&str> {
    tags.iter().find_map(|(key, value)| match key.as_str() {
        "aws:eks:cluster-name" | "eks:cluster-name" => Some(value.as_str()),
        key => key.strip_prefix("kubernetes.io/cluster/"),
    })
}

/// Region, zone and instance of a node from its provider id. The region is the zone
/// without its last letter.
///
/// ```
/// use otelpipe_k8s::detect::eks::place_of_node;
///
/// assert_eq!(place_of_node("aws:///us-west-2a/i-04"), Some(("us-west-2", "us-west-2a", "i-04")));
/// assert_eq!(place_of_node("gce://project/us-west1-a/node"), None);
/// ```
pub fn place_of_node(provider_id: &str) -> Option<(&str, &str, &str)> {
    let mut parts = provider_id.strip_prefix("aws://")?.split('/').skip(1);
    let (zone, id) = (parts.next()?, parts.next()?);
    let (last, _) = zone.char_indices().next_back()?;
    (!id.is_empty()).then_some((zone.get(..last)?, zone, id))
}

fn decode_base64_url(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_of_a_token_tells_eks() {
        // {"aud":["x"],"iss":"https://oidc.eks.eu-west-1.amazonaws.com/id/ABC"}
        let eks = "e30.eyJhdWQiOlsieCJdLCJpc3MiOiJodHRwczovL29pZGMuZWtzLmV1LXdlc3QtMS5hbWF6b25hd3MuY29tL2lkL0FCQyJ9.c2ln";
        assert!(is_eks_token(eks));
        // {"iss":"https://kubernetes.default.svc","sub":"oidc.eks."}
        let other = "e30.eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMuZGVmYXVsdC5zdmMiLCJzdWIiOiJvaWRjLmVrcy4ifQ.c2ln";
        assert!(!is_eks_token(other));
        for broken in ["", "a", "a.b", "a.*.c"] {
            assert!(!is_eks_token(broken), "{broken}");
        }
    }

    #[test]
    fn the_version_of_the_api_server_tells_eks() {
        assert!(is_eks_version("v1.31.2-eks-7f9249a"));
        assert!(!is_eks_version("v1.31.2"));
    }
}
