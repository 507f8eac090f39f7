//! The calls of CloudWatch Logs that an exporter makes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use serde_json::{Map, Value, json};

use super::clock::ServiceClock;
use super::credentials::{CredentialSource, CredentialsError};
use super::retry;
use super::session::SessionConfig;
use super::sign::{self, Scope};
use crate::env::Env;
use crate::http_client::{HttpClient, HttpError, Limits};

/// What a call of CloudWatch Logs failed with, as far as callers act on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogsErrorKind {
    /// Something in the request is not allowed; sending it again does not help.
    InvalidParameter,
    /// The log group or stream does not exist.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// Too many requests.
    Throttled,
    /// The credentials are valid, but do not allow this.
    AccessDenied,
    /// There are no credentials, or the service does not accept them.
    Credentials,
    /// The service has a problem; later it may work.
    Unavailable,
    /// No answer: connection refused, broken, or timed out.
    Network,
    /// Any other refusal.
    Other,
}

impl LogsErrorKind {
    /// Whether the same request can succeed later without anybody doing something.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::Network | Self::Credentials)
    }

    /// A word for a metric's label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::InvalidParameter => "invalid_parameter",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Throttled => "throttled",
            Self::AccessDenied => "access_denied",
            Self::Credentials => "credentials",
            Self::Unavailable => "unavailable",
            Self::Network => "network",
            Self::Other => "refused",
        }
    }
}

/// A call of CloudWatch Logs that failed. The text names the operation, the cause and,
/// where there is one, the remedy.
#[derive(Clone, Debug, thiserror::Error)]
#[error("CloudWatch Logs {operation}: {message}")]
pub struct LogsError {
    operation: &'static str,
    kind: LogsErrorKind,
    message: String,
    code: String,
}

impl LogsError {
    /// What to do about it.
    pub fn kind(&self) -> LogsErrorKind {
        self.kind
    }

    /// The service's name for it, such as `ThrottlingException`; empty without an answer.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The operation that failed, such as `PutLogEvents`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }
}

/// Which events of an accepted batch the service threw away, as indexes into it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rejected {
    /// Events before this one are too old.
    pub too_old_end: Option<usize>,
    /// Events before this one are older than the group keeps them.
    pub expired_end: Option<usize>,
    /// This event and those after it are too far in the future.
    pub too_new_start: Option<usize>,
}

impl Rejected {
    /// How many of `events` were thrown away.
    pub fn count(self, events: usize) -> usize {
        let old = self.too_old_end.max(self.expired_end).unwrap_or(0).min(events);
        let new = self.too_new_start.map_or(0, |start| events.saturating_sub(start));
        (old + new).min(events)
    }

    /// Whether event `at` of `events` was thrown away.
    pub fn contains(self, at: usize) -> bool {
        self.too_old_end.max(self.expired_end).is_some_and(|end| at < end)
            || self.too_new_start.is_some_and(|start| at >= start)
    }
}

/// How a [`LogsClient`] is set up.
#[derive(Clone, Debug)]
pub struct LogsOptions {
    /// The AWS keys of the component.
    pub session: SessionConfig,
    /// The region, resolved.
    pub region: String,
    /// Days for which a group made by us keeps its events; 0 means for ever.
    pub retention_days: i64,
    /// Tags of a group made by us.
    pub tags: Vec<(String, String)>,
    /// The component and what it is used for, as in `awsemf; ContainerInsights`.
    pub user_agent_detail: String,
}

/// Calls CloudWatch Logs: signed, tried again where that helps. Shares its connections.
#[derive(Debug)]
pub struct LogsClient {
    http: HttpClient,
    url: Uri,
    region: String,
    credentials: Arc<CredentialSource>,
    user_agent: HeaderValue,
    timeout: Duration,
    attempts: u32,
    /// Multiplies the delays between attempts; tests set 0.
    delay_scale: u32,
    retention_days: i64,
    tags: Vec<(String, String)>,
    clock: ServiceClock,
}

impl LogsClient {
    /// Reads the session's settings. Makes no call.
    ///
    /// # Errors
    ///
    /// An endpoint or proxy that is no URL, or a certificate file that cannot be read.
    pub fn new(
        options: LogsOptions,
        credentials: Arc<CredentialSource>,
        env: &Env,
    ) -> Result<Self, HttpError> {
        let LogsOptions { session, region, retention_days, tags, user_agent_detail } = options;
        let user_agent = format!("otelpipe/{} ({user_agent_detail})", env!("CARGO_PKG_VERSION"));
        Ok(Self {
            http: session.http_client(env)?,
            url: session.service_url("logs", "CLOUDWATCH_LOGS", &region, env)?,
            region,
            credentials,
            user_agent: HeaderValue::from_str(&user_agent).unwrap_or(HeaderValue::from_static("otelpipe")),
            timeout: session.request_timeout(),
            attempts: session.attempts(),
            delay_scale: 1,
            retention_days,
            tags,
            clock: ServiceClock::default(),
        })
    }

    /// Sends a batch; `body` is the whole JSON request. A missing stream or group is made,
    /// then the batch is sent again.
    ///
    /// Any answer of success counts, with or without a sequence token. A batch that the
    /// service has had before counts as delivered.
    ///
    /// # Errors
    ///
    /// The batch was not taken; [`LogsError::kind`] says whether it could be later.
    pub async fn put_log_events(
        &self,
        group: &str,
        stream: &str,
        body: Bytes,
    ) -> Result<Rejected, LogsError> {
        let mut rounds = PUT_ROUNDS;
        loop {
            rounds -= 1;
            let failure = match self.call("PutLogEvents", body.clone()).await {
                Ok(answer) => return Ok(rejected(&answer)),
                Err(failure) if failure.code == "DataAlreadyAcceptedException" => {
                    return Ok(Rejected::default());
                }
                Err(failure) => failure,
            };
            if failure.kind != LogsErrorKind::NotFound || rounds == 0 {
                return Err(failure);
            }
            self.create_stream(group, stream).await?;
        }
    }

    /// Makes a stream, and its group if that is missing too. The group gets tags and
    /// retention. What exists already is left as it is.
    ///
    /// # Errors
    ///
    /// The stream could not be made. A retention that is refused is an error, too: then
    /// the group exists, but not the stream.
    pub async fn create_stream(&self, group: &str, stream: &str) -> Result<(), LogsError> {
        let stream_body = json!({ "logGroupName": group, "logStreamName": stream });
        match self.call("CreateLogStream", to_bytes(&stream_body)).await {
            Err(failure) if failure.kind == LogsErrorKind::NotFound => {}
            outcome => return tolerate_existing(outcome),
        }
        let mut body = json!({ "logGroupName": group });
        if !self.tags.is_empty() {
            let tags: Map<String, Value> =
                self.tags.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
            body["tags"] = tags.into();
        }
        match self.call("CreateLogGroup", to_bytes(&body)).await {
            Ok(_) => {}
            outcome => return tolerate_existing(outcome),
        }
        if self.retention_days != 0 {
            let body = json!({ "logGroupName": group, "retentionInDays": self.retention_days });
            self.call("PutRetentionPolicy", to_bytes(&body)).await?;
        }
        tolerate_existing(self.call("CreateLogStream", to_bytes(&stream_body)).await)
    }

    /// One call, tried up to `attempts` times.
    async fn call(&self, operation: &'static str, body: Bytes) -> Result<Bytes, LogsError> {
        let invocation = random_uuid();
        let mut renewed = false;
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(operation, body.clone(), &invocation, attempt).await;
            let (failure, wait) = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let repeat = match failure.kind {
                // The credentials may have been renewed elsewhere, or the clock be wrong: once.
                LogsErrorKind::Credentials => {
                    !failure.code.is_empty() && !std::mem::replace(&mut renewed, true)
                }
                kind => kind.is_transient() && attempt < self.attempts,
            };
            if !repeat {
                return Err(failure);
            }
            if failure.kind == LogsErrorKind::Credentials {
                self.credentials.forget().await;
            } else {
                let delay = retry::sdk_delay(attempt).max(wait.unwrap_or_default());
                tracing::debug!("{failure}; trying again in {delay:?}");
                tokio::time::sleep(delay * self.delay_scale).await;
                attempt += 1;
            }
        }
    }

    async fn attempt(
        &self,
        operation: &'static str,
        body: Bytes,
        invocation: &str,
        attempt: u32,
    ) -> Result<Bytes, (LogsError, Option<Duration>)> {
        let failed =
            |kind, message: String| (LogsError { operation, kind, message, code: String::new() }, None);
        let credentials = self.credentials.get(SystemTime::now()).await.map_err(|failure| match failure {
            CredentialsError::Setup(_) => failed(LogsErrorKind::Other, failure.to_string()),
            _ => failed(LogsErrorKind::Credentials, failure.to_string()),
        })?;
        let request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"))
            .header(TARGET, format!("Logs_20140328.{operation}"))
            .header(FORMAT, HeaderValue::from_static("json/emf"))
            .header(INVOCATION, invocation)
            .header(ATTEMPT, format!("attempt={attempt}; max={}", self.attempts))
            .header(USER_AGENT, self.user_agent.clone())
            .body(body);
        let mut request = request.map_err(|failure| failed(LogsErrorKind::Other, failure.to_string()))?;
        let scope = Scope { region: &self.region, service: "logs" };
        sign::sign(&mut request, &credentials, scope, self.clock.now())
            .map_err(|failure| failed(LogsErrorKind::Other, failure.to_string()))?;
        let limits = Limits { timeout: self.timeout, max_body: MAX_ANSWER };
        let answer = self.http.fetch(request, limits).await.map_err(|failure| {
            let kind = if failure.is_transient() { LogsErrorKind::Network } else { LogsErrorKind::Other };
            failed(kind, failure.to_string())
        })?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let wait = retry::retry_after(answer.headers());
        let failure = refusal(operation, &answer);
        if failure.kind == LogsErrorKind::Credentials {
            self.clock.learn("CloudWatch Logs", answer.headers());
        }
        Err((failure, wait))
    }

    /// Makes tests quick: no waiting between attempts.
    #[cfg(test)]
    pub(crate) fn without_delays(mut self) -> Self {
        self.delay_scale = 0;
        self
    }
}

/// Reads a refusal: its name from the header or the body, and what it means to us.
fn refusal(operation: &'static str, answer: &Response<Bytes>) -> LogsError {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = |keys: [&str; 2]| keys.iter().find_map(|key| body.get(key)).and_then(Value::as_str);
    let header = answer.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let code = header.or_else(|| text(["__type", "code"])).unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
    let said = match text(["message", "Message"]) {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(answer.body()).chars().take(200).collect(),
    };
    let kind = kind_of(&code, answer.status());
    let mut message = format!("{} {code}", answer.status().as_u16()).trim_end().to_owned();
    if !said.is_empty() {
        message = format!("{message}: {said}");
    }
    match kind {
        LogsErrorKind::AccessDenied => {
            message += &format!("; allow logs:{operation} to the role or user of the collector")
        }
        LogsErrorKind::Credentials => message += "; check the credentials and the clock of this machine",
        _ => {}
    }
    LogsError { operation, kind, message, code }
}

/// Source: aws-sdk-go-v2 `aws/retry/standard.go` for what counts as throttling.
fn kind_of(code: &str, status: StatusCode) -> LogsErrorKind {
    match code {
        "InvalidParameterException" | "ValidationException" | "SerializationException" => {
            LogsErrorKind::InvalidParameter
        }
        "ResourceNotFoundException" => LogsErrorKind::NotFound,
        "ResourceAlreadyExistsException" => LogsErrorKind::AlreadyExists,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "LimitExceededException"
        | "SlowDown"
        | "PriorRequestNotComplete" => LogsErrorKind::Throttled,
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => LogsErrorKind::AccessDenied,
        code if sign::is_refused(code) => LogsErrorKind::Credentials,
        "ServiceUnavailableException"
        | "OperationAbortedException"
        | "RequestTimeout"
        | "RequestTimeoutException" => LogsErrorKind::Unavailable,
        _ => match status.as_u16() {
            429 => LogsErrorKind::Throttled,
            401 | 403 => LogsErrorKind::AccessDenied,
            500..=599 | 408 => LogsErrorKind::Unavailable,
            _ => LogsErrorKind::Other,
        },
    }
}

fn rejected(answer: &[u8]) -> Rejected {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let index = |key: &str| {
        let index = answer.get("rejectedLogEventsInfo")?.get(key)?.as_u64()?;
        usize::try_from(index).ok()
    };
    Rejected {
        too_old_end: index("tooOldLogEventEndIndex"),
        expired_end: index("expiredLogEventEndIndex"),
        too_new_start: index("tooNewLogEventStartIndex"),
    }
}

fn tolerate_existing(outcome: Result<Bytes, LogsError>) -> Result<(), LogsError> {
    match outcome {
        Err(failure) if failure.kind != LogsErrorKind::AlreadyExists => Err(failure),
        _ => Ok(()),
    }
}

fn to_bytes(body: &Value) -> Bytes {
    body.to_string().into()
}

/// A random UUID, version 4.
pub(crate) fn random_uuid() -> String {
    let id = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{id:032x}");
    let mut text = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// A batch is sent at most this often while its stream keeps disappearing.
const PUT_ROUNDS: u32 = 3;
const MAX_ANSWER: usize = 1 << 20;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const FORMAT: HeaderName = HeaderName::from_static("x-amzn-logs-format");
const INVOCATION: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");
const ATTEMPT: HeaderName = HeaderName::from_static("amz-sdk-request");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Reply, TestServer, dead_url};
    use aws_credential_types::Credentials;

    fn client(url: &str, change: impl FnOnce(&mut LogsOptions)) -> LogsClient {
        let session = SessionConfig { endpoint: url.to_owned(), ..SessionConfig::default() };
        let mut options = LogsOptions {
            session,
            region: "us-east-1".into(),
            retention_days: 7,
            tags: vec![("k".into(), "v".into())],
            user_agent_detail: "awsemf; ContainerInsights".into(),
        };
        change(&mut options);
        let credentials = Credentials::new("AKIDEXAMPLE", "very secret", None, None, "test");
        let source = Arc::new(CredentialSource::fixed(credentials));
        LogsClient::new(options, source, &Env::default()).unwrap().without_delays()
    }

    fn put(client: &LogsClient) -> impl Future<Output = Result<Rejected, LogsError>> {
        client.put_log_events("G", "S", Bytes::from_static(br#"{"logEvents":[]}"#))
    }

    fn error(code: &str) -> String {
        json!({ "__type": format!("com.amazonaws.logs#{code}"), "message": "because" }).to_string()
    }

    const OK: &str = r#"{"nextSequenceToken":"1"}"#;

    /// Answers with the codes in turn; `ok` and everything after the last is success.
    async fn script(codes: &[(u16, &'static str)]) -> TestServer {
        let mut codes = Vec::from(codes).into_iter();
        TestServer::start(move |_| match codes.next() {
            None | Some((200, _)) => Reply::Status(200, OK.into()),
            Some((status, code)) => Reply::Status(status, error(code)),
        })
        .await
    }

    /// `PCGR`: Put, CreateLogStream, CreateLogGroup, PutRetentionPolicy.
    async fn check(codes: &[(u16, &'static str)], max_retries: i64, calls: &str, outcome: Result<(), &str>) {
        let server = script(codes).await;
        let client = client(&server.url(), |options| options.session.max_retries = max_retries);
        let found = put(&client).await.map(|_| ()).map_err(|failure| failure.to_string());
        assert_eq!(found, outcome.map_err(str::to_owned), "{codes:?}");
        let letter = |operation: &String| match operation.as_str() {
            "PutLogEvents" => 'P',
            "CreateLogStream" => 'C',
            "CreateLogGroup" => 'G',
            "PutRetentionPolicy" => 'R',
            other => panic!("unknown operation {other}"),
        };
        assert_eq!(server.operations().iter().map(letter).collect::<String>(), calls, "{codes:?}");
    }

    const MISSING: (u16, &str) = (400, "ResourceNotFoundException");
    const EXISTS: (u16, &str) = (400, "ResourceAlreadyExistsException");
    const DENIED: (u16, &str) = (400, "AccessDeniedException");

    #[tokio::test]
    async fn a_missing_stream_or_group_is_made_and_the_batch_sent_again() {
        check(&[MISSING], 2, "PCP", Ok(())).await;
        check(&[MISSING, MISSING], 2, "PCGRCP", Ok(())).await;
        check(&[MISSING, EXISTS], 2, "PCP", Ok(())).await;
        check(&[MISSING, MISSING, EXISTS], 2, "PCGP", Ok(())).await;
        let gone = "CloudWatch Logs PutLogEvents: 400 ResourceNotFoundException: because";
        check(&[MISSING, (200, ""), MISSING, (200, ""), MISSING], 2, "PCPCP", Err(gone)).await;
    }

    #[tokio::test]
    async fn creation_that_is_denied_is_the_error_and_names_the_permission() {
        let stream = "CloudWatch Logs CreateLogStream: 400 AccessDeniedException: because; allow \
                      logs:CreateLogStream to the role or user of the collector";
        check(&[MISSING, DENIED], 2, "PC", Err(stream)).await;
        let group = "CloudWatch Logs CreateLogGroup: 400 AccessDeniedException: because; allow \
                     logs:CreateLogGroup to the role or user of the collector";
        check(&[MISSING, MISSING, DENIED], 2, "PCG", Err(group)).await;
        let retention = "CloudWatch Logs PutRetentionPolicy: 400 AccessDeniedException: because; allow \
                         logs:PutRetentionPolicy to the role or user of the collector";
        check(&[MISSING, MISSING, (200, ""), DENIED], 2, "PCGR", Err(retention)).await;
    }

    #[tokio::test]
    async fn throttling_and_server_faults_are_tried_again_others_not() {
        let throttled = (400, "ThrottlingException");
        let unavailable = (503, "ServiceUnavailableException");
        let slow = Err("CloudWatch Logs PutLogEvents: 400 ThrottlingException: because");
        check(&[throttled], 2, "PP", Ok(())).await;
        check(&[throttled, throttled], 2, "PP", slow).await;
        let down = Err("CloudWatch Logs PutLogEvents: 503 ServiceUnavailableException: because");
        check(&[unavailable, unavailable, unavailable], 0, "PPP", down).await;
        check(
            &[(500, "InternalFailure")],
            1,
            "P",
            Err("CloudWatch Logs PutLogEvents: 500 InternalFailure: because"),
        )
        .await;
        let invalid = Err("CloudWatch Logs PutLogEvents: 400 InvalidParameterException: because");
        check(&[(400, "InvalidParameterException")], 2, "P", invalid).await;
        check(&[(400, "DataAlreadyAcceptedException")], 2, "P", Ok(())).await;
        let denied = "CloudWatch Logs PutLogEvents: 403 AccessDeniedException: because; allow logs:PutLogEvents to \
                      the role or user of the collector";
        check(&[(403, "AccessDeniedException")], 2, "P", Err(denied)).await;
    }

    #[tokio::test]
    async fn credentials_that_are_refused_are_fetched_once_more() {
        let expired = (400, "ExpiredTokenException");
        check(&[expired], 2, "PP", Ok(())).await;
        let message = "CloudWatch Logs PutLogEvents: 400 ExpiredTokenException: because; check the credentials and the \
                       clock of this machine";
        check(&[expired, expired], 2, "PP", Err(message)).await;
    }

    #[tokio::test]
    async fn a_request_is_signed_and_says_which_attempt_it_is() {
        let server = script(&[(503, "ServiceUnavailableException")]).await;
        put(&client(&server.url(), |_| ())).await.unwrap();
        let seen = server.seen();
        let [first, second] = seen.as_slice() else { panic!("two requests, not {}", seen.len()) };
        assert_eq!(first.path, "/");
        assert_eq!(first.header("content-type"), "application/x-amz-json-1.1");
        assert_eq!(first.header("x-amz-target"), "Logs_20140328.PutLogEvents");
        assert_eq!(first.header("x-amzn-logs-format"), "json/emf");
        let agent = format!("otelpipe/{} (awsemf; ContainerInsights)", env!("CARGO_PKG_VERSION"));
        assert_eq!(first.header("user-agent"), agent);
        assert!(first.header("authorization").contains(
            "SignedHeaders=amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;host;x-amz-date;\
             x-amz-target;x-amzn-logs-format, Signature="
        ));
        assert_eq!(first.header("amz-sdk-request"), "attempt=1; max=2");
        assert_eq!(second.header("amz-sdk-request"), "attempt=2; max=2");
        assert_eq!(first.header("amz-sdk-invocation-id").len(), 36);
        assert_eq!(first.header("amz-sdk-invocation-id"), second.header("amz-sdk-invocation-id"));
    }

    #[tokio::test]
    async fn a_new_group_gets_tags_and_retention() {
        let server = script(&[MISSING, MISSING]).await;
        put(&client(&server.url(), |_| ())).await.unwrap();
        let bodies: Vec<Value> = server.seen().iter().map(crate::test_server::Seen::json).collect();
        assert_eq!(bodies[1], json!({"logGroupName": "G", "logStreamName": "S"}));
        assert_eq!(bodies[2], json!({"logGroupName": "G", "tags": {"k": "v"}}));
        assert_eq!(bodies[3], json!({"logGroupName": "G", "retentionInDays": 7}));
    }

    #[tokio::test]
    async fn rejected_events_are_reported() {
        let info = r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"expiredLogEventEndIndex":2,"tooNewLogEventStartIndex":4}}"#;
        let server = TestServer::start(|_| Reply::Status(200, info.into())).await;
        let rejected = put(&client(&server.url(), |_| ())).await.unwrap();
        assert_eq!(rejected.count(5), 3);
        assert_eq!([0, 1, 2, 3, 4].map(|at| rejected.contains(at)), [true, true, false, false, true]);
        assert_eq!(Rejected::default().count(5), 0);
        assert_eq!(server.seen().len(), 1, "an answer without a token is success");
    }

    #[tokio::test]
    async fn nobody_listens() {
        let url = dead_url().await;
        let failure = put(&client(&url, |_| ())).await.unwrap_err();
        assert_eq!(failure.kind(), LogsErrorKind::Network);
        let host = url.trim_start_matches("http://");
        let text = failure.to_string();
        assert!(
            text.starts_with(&format!("CloudWatch Logs PutLogEvents: cannot connect to {host}: ")),
            "{text}"
        );
        assert!(text.contains("onnection refused"), "{text}");
    }

    #[tokio::test]
    async fn an_endpoint_that_hangs_ends_in_a_timeout() {
        let server = TestServer::start(|_| Reply::Hang).await;
        let mut client = client(&server.url(), |_| ());
        client.timeout = Duration::from_millis(50);
        let failure = put(&client).await.unwrap_err();
        assert_eq!(failure.kind(), LogsErrorKind::Network);
        assert_eq!(
            failure.to_string(),
            format!(
                "CloudWatch Logs PutLogEvents: no complete answer from {} within 50ms",
                server.url().trim_start_matches("http://")
            )
        );
        // The server may read the last request after it was given up.
        while server.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.seen().len(), 2);
    }

    #[tokio::test]
    async fn the_clock_of_the_service_is_used_when_ours_is_wrong() {
        let mut first = true;
        let server = TestServer::start(move |_| {
            if std::mem::replace(&mut first, false) {
                let date = "Tue, 02 Jan 2024 03:04:05 GMT".to_owned();
                Reply::WithHeader(403, ("date", date), error("InvalidSignatureException"))
            } else {
                Reply::Status(200, OK.into())
            }
        })
        .await;
        put(&client(&server.url(), |_| ())).await.unwrap();
        assert!(server.seen()[1].header("x-amz-date").starts_with("20240102T0304"));
    }
}
