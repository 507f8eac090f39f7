//! The EKS cluster that the collector runs in.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use otelpipe_core::attributes::Attributes;
use otelpipe_k8s::detect::eks;
use serde_json::Value;

use super::{DetectError, Surroundings, ec2};
use crate::http_client::{HttpClient, HttpOptions, Limits, TlsOptions};

/// Provider and platform if this is a pod on EKS; nothing elsewhere. With `details` also
/// what the instance's metadata says, and the cluster's name from its tags.
///
/// Signs of EKS, in this order: the paths of its tokens, the issuer of the service
/// account's token, the version of the API server.
///
/// # Errors
///
/// The API server does not tell its version, or details are wanted and there is no
/// metadata service, as on Fargate.
pub async fn detect(around: &Surroundings, details: bool) -> Result<Attributes, DetectError> {
    if !is_eks(around).await? {
        return Ok(Attributes::new());
    }
    let mut found = eks::attributes();
    if details {
        let instance = ec2::instance(around).await;
        let instance =
            instance.map_err(|failure| DetectError(format!("can't get K8s Instance Metadata; {failure}")))?;
        for (key, value) in &instance {
            if found.get(key).is_none() {
                found.insert(key.clone(), value.clone());
            }
        }
        if let Some(name) = ec2::tags(around).await.ok().and_then(|tags| cluster_name(&tags)) {
            found.insert("k8s.cluster.name", name);
        }
    }
    Ok(found)
}

/// The cluster's name from the tags that EKS, or its users, give to nodes.
fn cluster_name(tags: &[(String, String)]) -> Option<String> {
    let value = |wanted: &str| tags.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let prefixed =
        || tags.iter().find_map(|(name, _)| name.strip_prefix("kubernetes.io/cluster/").map(str::to_owned));
    value("aws:eks:cluster-name").or_else(|| value("eks:cluster-name")).or_else(prefixed)
}

async fn is_eks(around: &Surroundings) -> Result<bool, DetectError> {
    let env = &around.env;
    let Some(host) = env.get("KUBERNETES_SERVICE_HOST") else { return Ok(false) };
    let token_file = env.get("AWS_WEB_IDENTITY_TOKEN_FILE").unwrap_or_default();
    let pod_identity = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").unwrap_or_default();
    if eks::is_eks_token_path(token_file, pod_identity) {
        return Ok(true);
    }
    let Some(token) = around.read(&format!("{ACCOUNT}/token")) else {
        return Err(DetectError(format!(
            "cannot tell EKS from other clusters: no service account token in {ACCOUNT}"
        )));
    };
    let token = token.trim();
    if eks::is_eks_token(token) {
        return Ok(true);
    }
    let failed = |reason: String| DetectError(format!("cannot ask the API server for its version: {reason}"));
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let url = format!("https://{host}:{}/version", env.get("KUBERNETES_SERVICE_PORT").unwrap_or("443"));
    let ca_file = around.root.join(ACCOUNT.trim_start_matches('/')).join("ca.crt");
    let tls = TlsOptions { ca_file: Some(ca_file), ..TlsOptions::default() };
    let http = HttpClient::new(&HttpOptions { tls, ..HttpOptions::default() });
    let http = http.map_err(|failure| failed(failure.to_string()))?;
    let request = Request::get(url).header("authorization", format!("Bearer {token}")).body(Bytes::new());
    let request = request.map_err(|failure| failed(failure.to_string()))?;
    let answer = http.fetch(request, LIMITS).await.map_err(|failure| failed(failure.to_string()))?;
    if answer.status() != 200 {
        return Err(failed(format!("status {}", answer.status().as_u16())));
    }
    let version: Value =
        serde_json::from_slice(answer.body()).map_err(|failure| failed(failure.to_string()))?;
    Ok(eks::is_eks_version(version.get("gitVersion").and_then(Value::as_str).unwrap_or_default()))
}

const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const LIMITS: Limits = Limits { timeout: Duration::from_secs(3), max_body: 1 << 20 };
