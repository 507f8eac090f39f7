//! The calls of ECS and EC2 that describe a cluster.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};
use bytes::Bytes;
use http::{Request, Response, Uri};
use otelpipe_k8s::ecs::api::{
    ContainerInstance, DescribedContainerInstances, DescribedServices, DescribedTaskDefinition,
    DescribedTasks, Ec2Instance, Service, ServiceList, Task, TaskDefinition, TaskList,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::clock::ServiceClock;
use super::credentials::CredentialSource;
use super::retry;
use super::session::SessionConfig;
use super::sign::{self, Scope};
use crate::env::Env;
use crate::http_client::{HttpClient, HttpError, Limits};

/// What a call failed with, as far as callers act on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EcsErrorKind {
    /// The credentials are valid, but do not allow this.
    AccessDenied,
    /// There is no cluster of that name in the region.
    ClusterNotFound,
    /// The credentials or the signature were not accepted.
    Credentials,
    /// Later it may work.
    Transient,
    /// Anything else.
    Other,
}

/// A call that failed. The text names operation, cause and, where there is one, remedy.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct EcsError {
    operation: String,
    kind: EcsErrorKind,
    message: String,
}

impl EcsError {
    /// What to do about it.
    pub fn kind(&self) -> EcsErrorKind {
        self.kind
    }
}

/// Calls ECS and EC2: signed, tried again where that helps. Shares its connections.
#[derive(Debug)]
pub struct EcsClient {
    http: HttpClient,
    ecs: Uri,
    ec2: Uri,
    region: String,
    credentials: Arc<CredentialSource>,
    clock: ServiceClock,
    user_agent: String,
}

impl EcsClient {
    /// A client for a region. Makes no call.
    ///
    /// # Errors
    ///
    /// An endpoint of the environment that is no URL, or a certificate file that cannot be read.
    pub fn new(region: &str, credentials: Arc<CredentialSource>, env: &Env) -> Result<Self, HttpError> {
        let session = SessionConfig::default();
        Ok(Self {
            http: session.http_client(env)?,
            ecs: session.service_url("ecs", "ECS", region, env)?,
            ec2: session.service_url("ec2", "EC2", region, env)?,
            region: region.to_owned(),
            credentials,
            clock: ServiceClock::default(),
            user_agent: format!("otelpipe/{} (ecs_observer)", env!("CARGO_PKG_VERSION")),
        })
    }

    /// The ARNs of all running tasks of a cluster.
    ///
    /// # Errors
    ///
    /// No answer, a refusal, or an answer that is none.
    pub async fn list_tasks(&self, cluster: &str) -> Result<Vec<String>, EcsError> {
        let mut arns = Vec::new();
        let mut token = String::new();
        for _ in 0..MAX_PAGES {
            let page: TaskList = self.call("ListTasks", page(cluster, &token)).await?;
            arns.extend(page.task_arns);
            token = page.next_token;
            if token.is_empty() {
                break;
            }
        }
        Ok(arns)
    }

    /// The ARNs of all services of a cluster.
    ///
    /// # Errors
    ///
    /// As [`list_tasks`](Self::list_tasks).
    pub async fn list_services(&self, cluster: &str) -> Result<Vec<String>, EcsError> {
        let mut arns = Vec::new();
        let mut token = String::new();
        for _ in 0..MAX_PAGES {
            let page: ServiceList = self.call("ListServices", page(cluster, &token)).await?;
            arns.extend(page.service_arns);
            token = page.next_token;
            if token.is_empty() {
                break;
            }
        }
        Ok(arns)
    }

    /// Tasks with their tags. Those that have ended meanwhile are missing.
    ///
    /// # Errors
    ///
    /// As [`list_tasks`](Self::list_tasks).
    pub async fn describe_tasks(&self, cluster: &str, arns: &[String]) -> Result<Vec<Task>, EcsError> {
        let mut tasks = Vec::with_capacity(arns.len());
        for some in arns.chunks(100) {
            let body = json!({ "cluster": cluster, "tasks": some, "include": ["TAGS"] });
            tasks.extend(self.call::<DescribedTasks>("DescribeTasks", body).await?.tasks);
        }
        Ok(tasks)
    }

    /// Services.
    ///
    /// # Errors
    ///
    /// As [`list_tasks`](Self::list_tasks).
    pub async fn describe_services(&self, cluster: &str, arns: &[String]) -> Result<Vec<Service>, EcsError> {
        let mut services = Vec::with_capacity(arns.len());
        for some in arns.chunks(10) {
            let body = json!({ "cluster": cluster, "services": some });
            services.extend(self.call::<DescribedServices>("DescribeServices", body).await?.services);
        }
        Ok(services)
    }

    /// A task definition.
    ///
    /// # Errors
    ///
    /// As [`list_tasks`](Self::list_tasks).
    pub async fn describe_task_definition(&self, arn: &str) -> Result<TaskDefinition, EcsError> {
        let body = json!({ "taskDefinition": arn });
        Ok(self.call::<DescribedTaskDefinition>("DescribeTaskDefinition", body).await?.task_definition)
    }

    /// Machines of a cluster.
    ///
    /// # Errors
    ///
    /// As [`list_tasks`](Self::list_tasks).
    pub async fn describe_container_instances(
        &self,
        cluster: &str,
        arns: &[String],
    ) -> Result<Vec<ContainerInstance>, EcsError> {
        let mut instances = Vec::with_capacity(arns.len());
        for some in arns.chunks(100) {
            let body = json!({ "cluster": cluster, "containerInstances": some });
            let found: DescribedContainerInstances = self.call("DescribeContainerInstances", body).await?;
            instances.extend(found.container_instances);
        }
        Ok(instances)
    }

    /// Machines of EC2.
    ///
    /// # Errors
    ///
    /// As [`list_tasks`](Self::list_tasks).
    pub async fn describe_instances(&self, ids: &[String]) -> Result<Vec<Ec2Instance>, EcsError> {
        let mut instances = Vec::with_capacity(ids.len());
        for some in ids.chunks(100) {
            let mut body = String::from("Action=DescribeInstances&Version=2016-11-15");
            for (at, id) in some.iter().enumerate() {
                let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                body += &format!("&InstanceId.{}={id}", at + 1);
            }
            let operation = "ec2:DescribeInstances";
            let call = Call { url: &self.ec2, service: "ec2", operation, target: None, body: body.into() };
            let answer = self.send(call).await?;
            let text = String::from_utf8_lossy(&answer);
            instances.extend(
                read_instances(&text)
                    .map_err(|reason| failed(operation, EcsErrorKind::Other, reason.to_string()))?,
            );
        }
        Ok(instances)
    }

    async fn call<T: DeserializeOwned>(&self, operation: &'static str, body: Value) -> Result<T, EcsError> {
        let named = format!("ecs:{operation}");
        let call = Call {
            url: &self.ecs,
            service: "ecs",
            operation: &named,
            target: Some(format!("AmazonEC2ContainerServiceV20141113.{operation}")),
            body: body.to_string().into(),
        };
        let answer = self.send(call).await?;
        serde_json::from_slice(&answer)
            .map_err(|reason| failed(&named, EcsErrorKind::Other, reason.to_string()))
    }

    /// One call, tried up to [`ATTEMPTS`] times; and at once again, by the service's clock
    /// and with credentials fetched anew, the first time that it is not authenticated.
    async fn send(&self, call: Call<'_>) -> Result<Bytes, EcsError> {
        let mut attempt = 1;
        let mut may_sign_again = true;
        loop {
            let failure = match self.attempt(&call).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match failure.kind {
                EcsErrorKind::Credentials if core::mem::take(&mut may_sign_again) => {}
                EcsErrorKind::Transient if attempt < ATTEMPTS => {
                    tokio::time::sleep(retry::sdk_delay(attempt)).await;
                    attempt += 1;
                }
                _ => return Err(failure),
            }
        }
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Bytes, EcsError> {
        let failed = |kind, reason: String| failed(call.operation, kind, reason);
        let credentials = self.credentials.get(SystemTime::now()).await;
        let credentials = credentials.map_err(|failure| failed(EcsErrorKind::Other, failure.to_string()))?;
        let mut request = Request::post(call.url.clone()).header("user-agent", &self.user_agent);
        request = match &call.target {
            Some(target) => {
                request.header("content-type", "application/x-amz-json-1.1").header("x-amz-target", target)
            }
            None => request.header("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        };
        let request = request.body(call.body.clone());
        let mut request = request.map_err(|failure| failed(EcsErrorKind::Other, failure.to_string()))?;
        let scope = Scope { region: &self.region, service: call.service };
        sign::sign(&mut request, &credentials, scope, self.clock.now())
            .map_err(|failure| failed(EcsErrorKind::Other, failure.to_string()))?;
        let answer = self.http.fetch(request, LIMITS).await.map_err(|failure| {
            let kind = if failure.is_transient() { EcsErrorKind::Transient } else { EcsErrorKind::Other };
            failed(kind, failure.to_string())
        })?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let refused = refusal(call.operation, &answer);
        if refused.kind == EcsErrorKind::Credentials {
            self.credentials.forget().await;
            self.clock.learn(call.service, answer.headers());
        }
        Err(refused)
    }
}

/// One request, before it is signed.
struct Call<'a> {
    url: &'a Uri,
    service: &'a str,
    /// As IAM names it: `ecs:ListTasks`.
    operation: &'a str,
    target: Option<String>,
    body: Bytes,
}

fn page(cluster: &str, token: &str) -> Value {
    match token {
        "" => json!({ "cluster": cluster, "maxResults": 100 }),
        token => json!({ "cluster": cluster, "maxResults": 100, "nextToken": token }),
    }
}

fn failed(operation: &str, kind: EcsErrorKind, message: String) -> EcsError {
    EcsError { operation: operation.to_owned(), kind, message }
}

/// Reads a refusal, JSON of ECS or XML of EC2.
fn refusal(operation: &str, answer: &Response<Bytes>) -> EcsError {
    let text = String::from_utf8_lossy(answer.body());
    let json: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let member = |name: &str| json.get(name).and_then(Value::as_str);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    };
    let code = member("__type").or_else(|| element("Code")).unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let said = member("message").or_else(|| member("Message")).or_else(|| element("Message"));
    let status = answer.status().as_u16();
    let kind = match code {
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => EcsErrorKind::AccessDenied,
        "ClusterNotFoundException" => EcsErrorKind::ClusterNotFound,
        "ThrottlingException" | "Throttling" | "RequestLimitExceeded" | "ServerException" => {
            EcsErrorKind::Transient
        }
        code if sign::is_refused(code) => EcsErrorKind::Credentials,
        _ if status >= 500 || status == 429 => EcsErrorKind::Transient,
        _ => EcsErrorKind::Other,
    };
    let mut message = format!("{status} {code}: {}", said.unwrap_or_default());
    match kind {
        EcsErrorKind::AccessDenied => {
            message += &format!("; allow {operation} to the role or user of the collector");
        }
        EcsErrorKind::ClusterNotFound => message += "; check cluster_name and cluster_region",
        EcsErrorKind::Credentials => message += "; check the credentials and the clock of this machine",
        _ => {}
    }
    failed(operation, kind, message)
}

/// The instances in an answer of `DescribeInstances`.
fn read_instances(xml: &str) -> Result<Vec<Ec2Instance>, XmlDecodeError> {
    let mut document = Document::try_from(xml.as_bytes())?;
    let mut root = document.root_element()?;
    let mut instances = Vec::new();
    each(&mut root, "reservationSet", &mut |reservations| {
        each(reservations, "item", &mut |reservation| {
            each(reservation, "instancesSet", &mut |set| {
                each(set, "item", &mut |item| {
                    instances.push(read_instance(item)?);
                    Ok(())
                })
            })
        })
    })?;
    Ok(instances)
}

fn read_instance(item: &mut ScopedDecoder<'_, '_>) -> Result<Ec2Instance, XmlDecodeError> {
    let mut instance = Ec2Instance::default();
    while let Some(mut tag) = item.next_tag() {
        let member = match tag.start_el().local() {
            "instanceId" => &mut instance.instance_id,
            "instanceType" => &mut instance.instance_type,
            "privateIpAddress" => &mut instance.private_ip,
            "ipAddress" => &mut instance.public_ip,
            "vpcId" => &mut instance.vpc_id,
            "subnetId" => &mut instance.subnet_id,
            "tagSet" => {
                each(&mut tag, "item", &mut |item| {
                    let (mut key, mut value) = (String::new(), String::new());
                    while let Some(mut tag) = item.next_tag() {
                        match tag.start_el().local() {
                            "key" => key = try_data(&mut tag)?.into_owned(),
                            "value" => value = try_data(&mut tag)?.into_owned(),
                            _ => {}
                        }
                    }
                    instance.tags.push((key, value));
                    Ok(())
                })?;
                continue;
            }
            _ => continue,
        };
        *member = try_data(&mut tag)?.into_owned();
    }
    Ok(instance)
}

type Visit<'v> = &'v mut dyn FnMut(&mut ScopedDecoder<'_, '_>) -> Result<(), XmlDecodeError>;

/// Visits the children of that name.
fn each(parent: &mut ScopedDecoder<'_, '_>, name: &str, visit: Visit<'_>) -> Result<(), XmlDecodeError> {
    while let Some(mut tag) = parent.next_tag() {
        if tag.start_el().local() == name {
            visit(&mut tag)?;
        }
    }
    Ok(())
}

/// How often a call is tried in all.
const ATTEMPTS: u32 = 3;

/// Pages of a list: 100,000 tasks, far above ECS's own limit for a cluster.
const MAX_PAGES: usize = 1000;

const LIMITS: Limits = Limits { timeout: Duration::from_secs(30), max_body: 32 << 20 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Reply, TestServer};

    const ANSWER: &str = "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
        <reservationSet><item><reservationId>r-1</reservationId><groupSet><item><groupId>sg</groupId></item></groupSet><instancesSet>\
        <item><instanceId>i-1</instanceId><placement><availabilityZone>a</availabilityZone></placement><instanceType>m5.large</instanceType>\
        <privateIpAddress>10.0.0.5</privateIpAddress><ipAddress>1.2.3.4</ipAddress><vpcId>vpc-1</vpcId><subnetId>subnet-1</subnetId>\
        <networkInterfaceSet><item><privateIpAddress>10.9.9.9</privateIpAddress><vpcId>other</vpcId></item></networkInterfaceSet>\
        <tagSet><item><key>a&amp;b</key><value>1 &lt; 2</value></item><item><key>empty</key><value/></item></tagSet></item>\
        </instancesSet></item><item><instancesSet><item><instanceId>i-2</instanceId></item></instancesSet></item></reservationSet>\
        </DescribeInstancesResponse>";

    #[test]
    fn instances_are_read_from_xml_without_what_is_nested_in_them() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let first = Ec2Instance {
            instance_id: "i-1".into(),
            instance_type: "m5.large".into(),
            private_ip: "10.0.0.5".into(),
            public_ip: "1.2.3.4".into(),
            vpc_id: "vpc-1".into(),
            subnet_id: "subnet-1".into(),
            tags: vec![pair("a&b", "1 < 2"), pair("empty", "")],
        };
        let second = Ec2Instance { instance_id: "i-2".into(), ..Ec2Instance::default() };
        assert_eq!(read_instances(ANSWER).unwrap(), [first, second]);
        assert!(read_instances("<DescribeInst").is_err());
        assert!(read_instances("").is_err());
    }

    #[track_caller]
    fn check(status: u16, body: &str, kind: EcsErrorKind, text: &str) {
        let answer = Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap();
        let error = refusal("ecs:ListTasks", &answer);
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
    }

    #[test]
    fn refusals_name_cause_and_remedy() {
        check(
            400,
            r#"{"__type": "com.amazonaws.ecs#ClusterNotFoundException", "message": "Cluster not found."}"#,
            EcsErrorKind::ClusterNotFound,
            "ecs:ListTasks: 400 ClusterNotFoundException: Cluster not found.; check cluster_name and cluster_region",
        );
        check(
            400,
            r#"{"__type": "AccessDeniedException", "Message": "no"}"#,
            EcsErrorKind::AccessDenied,
            "ecs:ListTasks: 400 AccessDeniedException: no; allow ecs:ListTasks to the role or user of the collector",
        );
        check(
            503,
            "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow</Message></Error></Errors></Response>",
            EcsErrorKind::Transient,
            "ecs:ListTasks: 503 RequestLimitExceeded: slow",
        );
        check(400, "garbage", EcsErrorKind::Other, "ecs:ListTasks: 400 : ");
        check(
            401,
            "<Response><Errors><Error><Code>AuthFailure</Code><Message>who?</Message></Error></Errors></Response>",
            EcsErrorKind::Credentials,
            "ecs:ListTasks: 401 AuthFailure: who?; check the credentials and the clock of this machine",
        );
    }

    /// A client whose credentials come from a container's endpoint: `ASIA1`, `ASIA2`, …
    async fn client(url: &str, of_container: &TestServer) -> EcsClient {
        let full = of_container.url();
        let env: Env = [
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("HOME", "/nonexistent"),
            ("AWS_ENDPOINT_URL", url),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &full),
        ]
        .into_iter()
        .collect();
        let source = CredentialSource::new(&env, "eu-west-1", "", "").await.unwrap();
        EcsClient::new("eu-west-1", Arc::new(source), &env).unwrap()
    }

    async fn of_container() -> TestServer {
        let mut number = 0;
        TestServer::start(move |_| {
            number += 1;
            Reply::Status(
                200,
                format!(
                    r#"{{"AccessKeyId":"ASIA{number}","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}}"#
                ),
            )
        })
        .await
    }

    /// The first of these refusals is answered to the first call, and so on; then success.
    async fn refusing(codes: Vec<&'static str>) -> TestServer {
        let mut codes = codes.into_iter();
        TestServer::start(move |_| match codes.next() {
            Some(code) => {
                let date = "Tue, 02 Jan 2024 03:04:05 GMT".to_owned();
                Reply::WithHeader(400, ("date", date), format!(r#"{{"__type": "{code}", "message": "no"}}"#))
            }
            None => Reply::Status(200, r#"{"taskArns": ["arn"]}"#.into()),
        })
        .await
    }

    #[tokio::test]
    async fn expired_credentials_are_fetched_again_and_a_wrong_clock_is_put_right() {
        for code in ["ExpiredTokenException", "InvalidSignatureException", "RequestTimeTooSkewed"] {
            let (server, of_container) = (refusing(vec![code]).await, of_container().await);
            let client = client(&server.url(), &of_container).await;
            assert_eq!(client.list_tasks("demo").await.unwrap(), ["arn"], "{code}");
            let seen = server.seen();
            assert_eq!(seen.len(), 2);
            for (seen, id) in seen.iter().zip(["ASIA1", "ASIA2"]) {
                assert!(seen.header("authorization").contains(&format!("Credential={id}/")), "{code}");
            }
            assert!(seen[1].header("x-amz-date").starts_with("20240102T0304"), "{code}");
        }
    }

    #[tokio::test]
    async fn credentials_that_are_refused_again_are_an_error() {
        let server = refusing(vec!["ExpiredTokenException"; 2]).await;
        let of_container = of_container().await;
        let error = client(&server.url(), &of_container).await.list_tasks("demo").await.unwrap_err();
        assert_eq!(error.kind(), EcsErrorKind::Credentials);
        assert_eq!(
            error.to_string(),
            "ecs:ListTasks: 400 ExpiredTokenException: no; check the credentials and the clock of this machine"
        );
        assert_eq!(server.seen().len(), 2);
    }
}
