//! The EKS cluster that the collector runs in.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use otelpipe_core::attributes::Attributes;
use otelpipe_k8s::detect::eks;
use serde::Deserialize;
use serde_json::Value;

use super::{DetectError, Finding, Known, Surroundings, Switches, ec2, ec2_api};
use crate::aws::imds::ImdsError;
use crate::http_client::{HttpClient, HttpOptions, Limits, TlsOptions};

/// The settings of the detector `eks`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The environment variable that holds the node's name; asked for when there is no
    /// metadata service. Default: none.
    pub node_from_env_var: String,
    /// Which attributes it gives. Default: provider and platform.
    pub resource_attributes: Switches,
}

impl Config {
    /// The attributes it can give.
    pub const KNOWN: &[Known] = &[
        ("cloud.account.id", false),
        ("cloud.availability_zone", false),
        ("cloud.platform", true),
        ("cloud.provider", true),
        ("cloud.region", false),
        ("host.id", false),
        ("host.image.id", false),
        ("host.name", false),
        ("host.type", false),
        (CLUSTER, false),
    ];

    fn wants(&self, name: &str) -> bool {
        self.resource_attributes.wants(name, Self::KNOWN)
    }
}

/// Provider and platform if this is a pod on EKS; nothing elsewhere. Where more is wanted,
/// also what the instance's metadata service says, or, without one, the API servers of
/// Kubernetes and EC2. Unlike upstream nobody is asked for what is not wanted, so that the
/// default works on Fargate.
///
/// Signs of EKS, in this order: the paths of its tokens, the issuer of the service
/// account's token, the version of the API server.
pub async fn detect(around: &Surroundings, config: &Config) -> Finding {
    match is_eks(around).await {
        Ok(true) => {}
        Ok(false) => return Finding::default(),
        Err(failure) => return Err(failure).into(),
    }
    let mut found = eks::attributes();
    let details = Config::KNOWN.iter().any(|(name, on)| !on && config.wants(name));
    let failure = if details { add_details(around, config, &mut found).await.err() } else { None };
    config.resource_attributes.keep_wanted(Config::KNOWN, &mut found);
    match failure {
        None => Ok(found).into(),
        Some(failure) => Finding::partial(found, failure),
    }
}

async fn add_details(
    around: &Surroundings,
    config: &Config,
    found: &mut Attributes,
) -> Result<(), DetectError> {
    let imds = ec2::imds(around)?;
    let (region, id) = match ec2::instance(&imds).await {
        Ok((document, attributes)) => {
            add(found, attributes.iter().filter_map(|(key, value)| Some((key.as_ref(), value.as_str()?))));
            if !config.wants(CLUSTER) {
                return Ok(());
            }
            (document.region, document.instance_id)
        }
        Err(ImdsError::Disabled | ImdsError::Unreachable(_)) => {
            let (region, zone, id) = node(around, &config.node_from_env_var).await?;
            let place = [("cloud.region", &region), ("cloud.availability_zone", &zone), ("host.id", &id)];
            add(found, place.into_iter().map(|(key, value)| (key, value.as_str())));
            (region, id)
        }
        Err(failure) => return Err(DetectError(failure.to_string())),
    };
    let instance = ec2_api::instance(around, &region, &id).await?;
    let cluster = eks::cluster_name(&instance.tags).unwrap_or_default();
    let more = [
        ("cloud.account.id", instance.account_id.as_str()),
        ("host.image.id", &instance.image_id),
        ("host.type", &instance.instance_type),
        ("host.name", &instance.host_name),
        (CLUSTER, cluster),
    ];
    add(found, more);
    Ok(())
}

/// Adds the pairs that have a value and a new key.
fn add<'a>(found: &mut Attributes, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (key, value) in pairs {
        if !value.is_empty() && found.get(key).is_none() {
            found.insert(key, value);
        }
    }
}

/// Region, zone and instance of the node that the variable names.
async fn node(around: &Surroundings, variable: &str) -> Result<(String, String, String), DetectError> {
    let failed = |reason: String| DetectError(format!("can't get K8s Instance Metadata; {reason}"));
    let Some(name) = around.env.get(variable) else {
        return Err(failed(match variable {
            "" => "node name is empty: there is no EC2 metadata service, and eks.node_from_env_var is not set; give \
                   the pod its node's name (fieldRef spec.nodeName) as K8S_NODE_NAME and set node_from_env_var to it"
                .into(),
            _ => format!("node name is empty: the variable {variable} of eks.node_from_env_var is not set"),
        }));
    };
    let node = ask_api(around, &format!("/api/v1/nodes/{name}")).await.map_err(|reason| {
        failed(format!("failed to retrieve k8s node {reason}; the service account needs `get` on nodes"))
    })?;
    let provider = node.pointer("/spec/providerID").and_then(Value::as_str).unwrap_or_default();
    match eks::place_of_node(provider) {
        Some((region, zone, id)) => Ok((region.to_owned(), zone.to_owned(), id.to_owned())),
        None => Err(failed(format!("no region and instance in the node's provider id {provider:?}"))),
    }
}

async fn is_eks(around: &Surroundings) -> Result<bool, DetectError> {
    let env = &around.env;
    if env.get("KUBERNETES_SERVICE_HOST").is_none() {
        return Ok(false);
    }
    let token_file = env.get("AWS_WEB_IDENTITY_TOKEN_FILE").unwrap_or_default();
    let pod_identity = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").unwrap_or_default();
    if eks::is_eks_token_path(token_file, pod_identity)
        || account_token(around).is_some_and(|token| eks::is_eks_token(&token))
    {
        return Ok(true);
    }
    let version = ask_api(around, "/version").await.map_err(|reason| {
        DetectError(format!("cannot tell EKS from other clusters: the API server's version: {reason}"))
    })?;
    Ok(eks::is_eks_version(version.get("gitVersion").and_then(Value::as_str).unwrap_or_default()))
}

fn account_token(around: &Surroundings) -> Option<String> {
    around.read(&format!("{ACCOUNT}/token")).map(|token| token.trim().to_owned())
}

/// Asks the Kubernetes API with the pod's service account.
async fn ask_api(around: &Surroundings, path: &str) -> Result<Value, String> {
    let Some(token) = account_token(around) else {
        return Err(format!("no service account token in {ACCOUNT}"));
    };
    let ca_file = around.root.join(ACCOUNT.trim_start_matches('/')).join("ca.crt");
    let tls = TlsOptions { ca_file: Some(ca_file).filter(|file| file.exists()), ..TlsOptions::default() };
    let http = HttpClient::new(&HttpOptions { tls, ..HttpOptions::default() });
    let http = http.map_err(|failure| failure.to_string())?;
    let request = Request::get(format!("{}{path}", api_server(around)))
        .header("authorization", format!("Bearer {token}"))
        .body(Bytes::new())
        .map_err(|failure| failure.to_string())?;
    let answer = http.fetch(request, LIMITS).await.map_err(|failure| failure.to_string())?;
    if answer.status() != 200 {
        return Err(format!("status {}", answer.status().as_u16()));
    }
    serde_json::from_slice(answer.body()).map_err(|failure| failure.to_string())
}

fn api_server(around: &Surroundings) -> String {
    if let Some(url) = &around.api_server {
        return url.clone();
    }
    let host = around.env.get("KUBERNETES_SERVICE_HOST").unwrap_or_default();
    let port = around.env.get("KUBERNETES_SERVICE_PORT").unwrap_or("443");
    if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") }
}

const CLUSTER: &str = "k8s.cluster.name";
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const LIMITS: Limits = Limits { timeout: Duration::from_secs(3), max_body: 4 << 20 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Reply, Seen, TestServer};

    async fn find(version: &'static str, variables: &[(&str, &str)], switches: &str) -> Finding {
        let root = std::env::temp_dir().join(format!("otelpipe-eks-{version}-{}", std::process::id()));
        let account = root.join("var/run/secrets/kubernetes.io/serviceaccount");
        std::fs::create_dir_all(&account).unwrap();
        std::fs::write(account.join("token"), "e30.e30.e30\n").unwrap();
        let server = TestServer::start(move |seen: &Seen| {
            let known = seen.header("authorization") == "Bearer e30.e30.e30";
            match seen.path.as_str() {
                "/version" if known => Reply::Status(200, format!(r#"{{"gitVersion": "{version}"}}"#)),
                "/api/v1/nodes/node-1" if known => {
                    Reply::Status(200, r#"{"spec": {"providerID": "aws:///us-west-2a/i-04"}}"#.into())
                }
                "/" => Reply::Status(
                    200,
                    "<ownerId>111122223333</ownerId><item><key>aws:eks:cluster-name</key><value>demo</value></item>"
                        .into(),
                ),
                _ => Reply::Status(403, String::new()),
            }
        })
        .await;
        let env: crate::env::Env = [
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]
        .into_iter()
        .collect();
        let env = env.with(variables.iter().copied()).with([("AWS_ENDPOINT_URL_EC2", server.url())]);
        let around = Surroundings { env, root: root.clone(), api_server: Some(server.url()) };
        let config = Config {
            node_from_env_var: "K8S_NODE_NAME".into(),
            resource_attributes: serde_json::from_str(switches).unwrap(),
        };
        let finding = detect(&around, &config).await;
        std::fs::remove_dir_all(root).unwrap();
        finding
    }

    #[tokio::test]
    async fn the_api_servers_version_tells_eks_from_others() {
        let found = find("v1.31.2-eks-7f9249a", &[], "{}").await;
        assert_eq!((found.attributes, found.failure.is_none()), (eks::attributes(), true));
        let found = find("v1.31.2", &[], "{}").await;
        assert_eq!((found.attributes, found.failure.is_none()), (Attributes::new(), true));
    }

    #[tokio::test]
    async fn without_a_metadata_service_the_node_tells_where_it_is() {
        let switches = r#"{"cloud.region": {"enabled": true}, "host.id": {"enabled": true},
            "cloud.account.id": {"enabled": true}, "k8s.cluster.name": {"enabled": true}}"#;
        let found = find("v1.31.2-eks-1", &[("K8S_NODE_NAME", "node-1")], switches).await;
        let expected: Attributes = [
            ("cloud.provider", "aws"),
            ("cloud.platform", "aws_eks"),
            ("cloud.region", "us-west-2"),
            ("host.id", "i-04"),
            ("cloud.account.id", "111122223333"),
            ("k8s.cluster.name", "demo"),
        ]
        .into_iter()
        .collect();
        assert!(found.attributes.equals_unordered(&expected), "{found:?}");
        let found = find("v1.31.2-eks-2", &[("K8S_NODE_NAME", "node-2")], switches).await;
        assert_eq!(
            found.failure.unwrap().to_string(),
            "can't get K8s Instance Metadata; failed to retrieve k8s node status 403; the service account needs `get` on nodes"
        );
        let found = find("v1.31.2-eks-3", &[], switches).await;
        assert_eq!(found.attributes, eks::attributes());
        assert_eq!(
            found.failure.unwrap().to_string(),
            "can't get K8s Instance Metadata; node name is empty: the variable K8S_NODE_NAME of eks.node_from_env_var \
             is not set"
        );
    }
}
