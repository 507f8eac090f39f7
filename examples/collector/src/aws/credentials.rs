//! The credentials that requests are signed with: where they come from, and for how long.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError as SdkError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::sync::Mutex;

use super::container::Container;
use super::imds::{Imds, ImdsError};
use super::profile::SharedProfile;
use super::session::default_client;
use super::sts::Sts;
use crate::env::Env;

/// Why there are no credentials. No message holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The environment contradicts itself.
    #[error("AWS credentials: {0}")]
    Setup(String),
    /// The source that is set up gave none.
    #[error("AWS credentials from the {source_name}: {reason}")]
    Source {
        /// Which source.
        source_name: &'static str,
        /// What it said.
        reason: String,
    },
    /// No source is set up.
    #[error(
        "no AWS credentials found: looked in AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_WEB_IDENTITY_TOKEN_FILE, \
         profile {profile:?}, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI, and the EC2 metadata service \
         ({metadata}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the workload a role: a service account's \
         (EKS), a task's (ECS) or an instance's (EC2)"
    )]
    Nowhere {
        /// The profile that was looked for.
        profile: String,
        /// What the metadata service said.
        metadata: String,
    },
}

/// Gives credentials, and renews them before they expire.
#[derive(Debug)]
pub struct CredentialSource {
    provider: Box<dyn ProvideCredentials>,
    /// The metadata service's credentials stay valid for a while when it fails.
    may_stretch: bool,
    is_fixed: bool,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    credentials: Option<Credentials>,
    /// When they are to be renewed, if ever.
    renew_at: Option<SystemTime>,
    /// Until when they may be used, if not for good.
    usable_until: Option<SystemTime>,
}

impl CredentialSource {
    /// Chooses the source as the environment says; the first that is set up decides, even
    /// if it fails later. Fetches nothing.
    ///
    /// With a `role_arn` that role is assumed with the credentials of the source.
    ///
    /// Source: aws-sdk-go-v2 `config/resolve_credentials.go`.
    ///
    /// # Errors
    ///
    /// The environment names a token file without a role, a profile that does not exist,
    /// or a container endpoint that must not be trusted.
    pub async fn new(
        env: &Env,
        region: &str,
        role_arn: &str,
        external_id: &str,
    ) -> Result<Self, CredentialsError> {
        let http = default_client(env).map_err(|failure| CredentialsError::Setup(failure.to_string()))?;
        let sts = Sts::new(http, Some(region), env);
        let source = Source::choose(env, &sts)?;
        let may_stretch = role_arn.is_empty() && matches!(source, Source::Ambient(_));
        let is_fixed = role_arn.is_empty() && matches!(source, Source::Fixed(_));
        let provider: Box<dyn ProvideCredentials> = if role_arn.is_empty() {
            Box::new(source)
        } else {
            let external_id = Some(external_id).filter(|id| !id.is_empty());
            let base = Self::with_provider(Box::new(source), true);
            Box::new(sts.assume_role(Shared(Arc::new(base)), role_arn, external_id).await)
        };
        Ok(Self { is_fixed, ..Self::with_provider(provider, may_stretch) })
    }

    /// The credentials of the role `role_arn` for the token in `file`, which is read anew
    /// each time. Fetches nothing.
    ///
    /// # Errors
    ///
    /// An `AWS_CA_BUNDLE` that cannot be read.
    pub fn web_identity(
        env: &Env,
        region: &str,
        file: PathBuf,
        role_arn: &str,
    ) -> Result<Self, CredentialsError> {
        let http = default_client(env).map_err(|failure| CredentialsError::Setup(failure.to_string()))?;
        let sts = Sts::new(http, Some(region), env);
        let config = StaticConfiguration {
            web_identity_token_file: file,
            role_arn: role_arn.to_owned(),
            session_name: session_name(),
        };
        let provider = WebIdentityTokenCredentialsProvider::builder()
            .configure(&sts.provider_config())
            .static_configuration(config);
        Ok(Self::with_provider(Box::new(Source::WebIdentity(Box::new(provider.build()))), false))
    }

    /// Whether they are always the same, so that fetching them again gives nothing new.
    pub fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// Always the same credentials.
    pub fn fixed(credentials: Credentials) -> Self {
        Self { is_fixed: true, ..Self::with_provider(Box::new(Source::Fixed(credentials)), false) }
    }

    fn with_provider(provider: Box<dyn ProvideCredentials>, may_stretch: bool) -> Self {
        Self { provider, may_stretch, is_fixed: false, cache: Mutex::default() }
    }

    /// Credentials that are valid at `now`. Callers that come while they are fetched wait
    /// for the same answer.
    ///
    /// They are renewed five minutes before they expire; while that fails, the old ones
    /// are given as long as they are valid.
    ///
    /// # Errors
    ///
    /// None could be had, and there are no valid ones left.
    pub async fn get(&self, now: SystemTime) -> Result<Credentials, CredentialsError> {
        let mut cache = self.cache.lock().await;
        if let Some(credentials) = &cache.credentials
            && cache.renew_at.is_none_or(|renew_at| now < renew_at)
        {
            return Ok(credentials.clone());
        }
        match self.provider.provide_credentials().await {
            Ok(credentials) => {
                *cache = self.keep(credentials.clone(), now);
                Ok(credentials)
            }
            Err(failure) => {
                let failure = from_sdk(&failure);
                let Cache { credentials: Some(old), usable_until, .. } = &*cache else { return Err(failure) };
                if usable_until.is_some_and(|until| now >= until) {
                    return Err(failure);
                }
                tracing::warn!("{failure}; using the ones from before");
                let old = old.clone();
                cache.renew_at = Some(now + RETRY_RENEWAL);
                Ok(old)
            }
        }
    }

    /// Forgets the credentials: the service said that they are not valid.
    pub async fn forget(&self) {
        *self.cache.lock().await = Cache::default();
    }

    fn keep(&self, credentials: Credentials, now: SystemTime) -> Cache {
        let Some(expiry) = credentials.expiry() else {
            return Cache { credentials: Some(credentials), renew_at: None, usable_until: None };
        };
        let lifetime = expiry.duration_since(now).unwrap_or_default();
        // The instance's are renewed hourly, however long they are valid.
        let lifetime = if self.may_stretch { lifetime.min(HOUR) } else { lifetime };
        // Half of a short life is better than renewing on each request.
        let ahead = RENEW_AHEAD.min(lifetime / 2);
        let stretch = if self.may_stretch { STRETCH } else { Duration::ZERO };
        Cache {
            credentials: Some(credentials),
            renew_at: Some(now + (lifetime - ahead)),
            usable_until: Some(expiry + stretch),
        }
    }
}

/// A source that several components use.
#[derive(Debug)]
struct Shared(Arc<CredentialSource>);

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            self.0.get(SystemTime::now()).await.map_err(SdkError::provider_error)
        })
    }
}

/// Where credentials come from.
#[derive(Debug)]
enum Source {
    Fixed(Credentials),
    WebIdentity(Box<WebIdentityTokenCredentialsProvider>),
    /// The profile, then the container's endpoint, then the instance's metadata.
    Ambient(Box<Ambient>),
}

#[derive(Debug)]
struct Ambient {
    profile: ProfileFileCredentialsProvider,
    profile_name: String,
    container: Option<Container>,
    imds: Imds,
}

impl Source {
    fn choose(env: &Env, sts: &Sts) -> Result<Self, CredentialsError> {
        let id = env.first(&["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]);
        let secret = env.first(&["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]);
        if let (Some(id), Some(secret)) = (id, secret) {
            let token = env.get("AWS_SESSION_TOKEN").map(str::to_owned);
            return Ok(Self::Fixed(Credentials::new(id, secret, token, None, "environment")));
        }
        if let Some(file) = env.get("AWS_WEB_IDENTITY_TOKEN_FILE") {
            let Some(role_arn) = env.get("AWS_ROLE_ARN") else {
                return Err(CredentialsError::Setup(
                    "AWS_WEB_IDENTITY_TOKEN_FILE is set, but role ARN is not set: set AWS_ROLE_ARN".into(),
                ));
            };
            let config = StaticConfiguration {
                web_identity_token_file: PathBuf::from(file),
                role_arn: role_arn.to_owned(),
                session_name: env.get("AWS_ROLE_SESSION_NAME").map_or_else(session_name, str::to_owned),
            };
            let provider = WebIdentityTokenCredentialsProvider::builder()
                .configure(&sts.provider_config())
                .static_configuration(config);
            return Ok(Self::WebIdentity(Box::new(provider.build())));
        }
        let shared = SharedProfile::from_env(env);
        if shared.is_named && !shared.exists() {
            return Err(CredentialsError::Setup(format!(
                "profile {:?} of AWS_PROFILE is in none of the shared files; add it, or unset AWS_PROFILE",
                shared.name
            )));
        }
        let profile = ProfileFileCredentialsProvider::builder()
            .configure(&sts.provider_config())
            .profile_name(&shared.name)
            .profile_files(shared.files())
            .build();
        Ok(Self::Ambient(Box::new(Ambient {
            profile,
            profile_name: shared.name,
            container: Container::from_env(env)?,
            imds: Imds::from_env(env).map_err(|failure| CredentialsError::Setup(failure.to_string()))?,
        })))
    }

    async fn fetch(&self) -> Result<Credentials, SdkError> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::WebIdentity(provider) => provider.provide_credentials().await,
            Self::Ambient(ambient) => ambient.fetch().await,
        }
    }
}

impl Ambient {
    async fn fetch(&self) -> Result<Credentials, SdkError> {
        match self.profile.provide_credentials().await {
            Err(SdkError::CredentialsNotLoaded(_)) => {}
            found_or_failed => return found_or_failed,
        }
        let found = match &self.container {
            Some(container) => container.fetch().await,
            None => of_instance(&self.imds, &self.profile_name).await,
        };
        found.map_err(SdkError::provider_error)
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.fetch())
    }
}

/// The credentials of the instance's role.
async fn of_instance(imds: &Imds, profile: &str) -> Result<Credentials, CredentialsError> {
    const SOURCE: &str = "EC2 metadata service";
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let failed = |reason: String| CredentialsError::Source { source_name: SOURCE, reason };
    let roles = match imds.get(ROLES).await {
        Ok(roles) => roles.unwrap_or_default(),
        Err(failure @ (ImdsError::Disabled | ImdsError::Unreachable(_))) => {
            return Err(CredentialsError::Nowhere {
                profile: profile.to_owned(),
                metadata: failure.to_string(),
            });
        }
        Err(failure) => return Err(failed(failure.to_string())),
    };
    let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty());
    let role =
        role.ok_or_else(|| failed("unexpected empty EC2 IMDS role list: the instance has no role".into()))?;
    match imds.get(&format!("{ROLES}{role}")).await {
        Ok(Some(text)) => super::container::parse(text.as_bytes(), SOURCE),
        Ok(None) => Err(failed(format!("no credentials for the role {role:?}"))),
        Err(failure) => Err(failed(failure.to_string())),
    }
}

/// Takes our own error out of the AWS crates' one, or describes theirs with its causes.
fn from_sdk(failure: &SdkError) -> CredentialsError {
    let mut cause: Option<&dyn std::error::Error> = Some(failure);
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<CredentialsError>() {
            return ours.clone();
        }
        cause = error.source();
    }
    CredentialsError::Source { source_name: "AWS SDK's sources", reason: crate::http_client::causes(failure) }
}

fn session_name() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}

const RENEW_AHEAD: Duration = Duration::from_secs(300);
const RETRY_RENEWAL: Duration = Duration::from_secs(30);
const STRETCH: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Reply, Seen, TestServer};

    async fn source(pairs: &[(&str, &str)]) -> Result<CredentialSource, CredentialsError> {
        // Tests never ask the machine that they run on.
        let safe = [("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")];
        let env: Env = safe.iter().chain(pairs).copied().collect();
        CredentialSource::new(&env, "us-east-1", "", "").await
    }

    async fn id(pairs: &[(&str, &str)]) -> String {
        match source(pairs).await.unwrap().get(SystemTime::now()).await {
            Ok(credentials) => credentials.access_key_id().to_owned(),
            Err(failure) => failure.to_string(),
        }
    }

    async fn refusal(pairs: &[(&str, &str)]) -> String {
        source(pairs).await.unwrap_err().to_string()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("otelpipe-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn file(folder: &std::path::Path, name: &str, text: &str) -> String {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn sts(seen: &Seen) -> Reply {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        let action = body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap();
        let id = if action == "AssumeRole" { "ASIAROLE" } else { "ASIAWEB" };
        Reply::Status(
            200,
            format!(
                "<{action}Response><{action}Result><Credentials><AccessKeyId>{id}</AccessKeyId>\
                 <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                 <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{action}Result></{action}Response>"
            ),
        )
    }

    fn json(id: &str, expiration: &str) -> String {
        format!(
            r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"s","Token":"t","Expiration":"{expiration}"}}"#
        )
    }

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "s")];

    #[tokio::test]
    async fn environment_keys_come_first_and_need_both_parts() {
        let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent")];
        assert_eq!(id(&[KEYS[0], KEYS[1], web[0]]).await, "AKIAENV");
        assert_eq!(id(&[("AWS_ACCESS_KEY", "AKIAOLD"), ("AWS_SECRET_KEY", "s")]).await, "AKIAOLD");
        assert_eq!(
            refusal(&[KEYS[0], web[0]]).await,
            "AWS credentials: AWS_WEB_IDENTITY_TOKEN_FILE is set, but role ARN is not set: set AWS_ROLE_ARN"
        );
    }

    #[tokio::test]
    async fn a_web_identity_token_is_read_anew_each_time() {
        let server = TestServer::start(sts).await;
        let folder = folder("web");
        let token = file(&folder, "token", "one");
        let url = server.url();
        let pairs = [
            ("AWS_ENDPOINT_URL_STS", url.as_str()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
            ("AWS_ROLE_SESSION_NAME", "session"),
        ];
        let source = source(&pairs).await.unwrap();
        assert_eq!(source.get(SystemTime::now()).await.unwrap().access_key_id(), "ASIAWEB");
        source.get(SystemTime::now()).await.unwrap();
        assert_eq!(server.seen().len(), 1, "kept until shortly before they expire");
        file(&folder, "token", "two");
        source.forget().await;
        source.get(SystemTime::now()).await.unwrap();
        let bodies: Vec<_> =
            server.seen().iter().map(|seen| String::from_utf8(seen.body.to_vec()).unwrap()).collect();
        let expected = |token: &str| {
            format!(
                "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&\
                 RoleSessionName=session&WebIdentityToken={token}"
            )
        };
        assert_eq!(bodies, [expected("one"), expected("two")]);
        assert_eq!(server.seen()[0].header("authorization"), "");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_profile_comes_before_the_container_and_must_exist_if_named() {
        let folder = folder("profile");
        let credentials = file(
            &folder,
            "credentials",
            "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = s\n\
             [base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n",
        );
        let config =
            file(&folder, "config", "[profile p]\nrole_arn = arn:aws:iam::1:role/p\nsource_profile = base\n");
        let files =
            [("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str()), ("AWS_CONFIG_FILE", config.as_str())];
        let container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
        assert_eq!(id(&[files[0], files[1], container]).await, "AKIAFILE");
        assert_eq!(
            refusal(&[files[0], files[1], ("AWS_PROFILE", "missing")]).await,
            "AWS credentials: profile \"missing\" of AWS_PROFILE is in none of the shared files; add it, or unset AWS_PROFILE"
        );
        let server = TestServer::start(sts).await;
        let url = server.url();
        let role = [files[0], files[1], ("AWS_PROFILE", "p"), ("AWS_ENDPOINT_URL_STS", &url)];
        assert_eq!(id(&role).await, "ASIAROLE");
        assert!(server.seen()[0].header("authorization").contains("Credential=AKIABASE/"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_container_endpoint_gets_the_token_of_its_file() {
        let server = TestServer::start(|_| Reply::Status(200, json("ASIAPOD", "2099-01-01T00:00:00Z"))).await;
        let folder = folder("pod");
        let token = file(&folder, "token", "tok");
        let url = format!("{}/v1/credentials", server.url());
        let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
        let other = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other");
        assert_eq!(id(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token), other]).await, "ASIAPOD");
        assert_eq!(id(&[full, other]).await, "ASIAPOD");
        let seen: Vec<_> = server.seen().iter().map(|seen| seen.header("authorization").to_owned()).collect();
        assert_eq!(seen, ["tok", "other"]);
        assert_eq!(server.seen()[0].path, "/v1/credentials");
        assert_eq!(
            id(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush\nhush")]).await,
            "AWS credentials: the token of AWS_CONTAINER_AUTHORIZATION_TOKEN has a line break or another control character"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_plain_http_container_endpoint_has_to_be_link_local() {
        let full = |url| [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)];
        assert_eq!(
            refusal(&full("http://10.0.0.1/x")).await,
            "AWS credentials: AWS_CONTAINER_CREDENTIALS_FULL_URI names \"10.0.0.1\": over plain http only \
             loopback/ecs/eks hosts are allowed; use https"
        );
        for url in ["https://10.0.0.1/x", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/x"] {
            assert!(source(&full(url)).await.is_ok(), "{url}");
        }
    }

    /// Answers as an instance with these roles, whose keys expire in `hours`.
    fn of_instance(seen: &Seen, token_status: u16, roles: &str, hours: i64) -> Reply {
        match seen.path.as_str() {
            "/latest/api/token" => Reply::Status(token_status, "session-token".into()),
            "/latest/meta-data/iam/security-credentials/" => Reply::Status(200, roles.into()),
            _ => {
                let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
                Reply::Status(200, json("ASIAEC2", &expiry.to_string()))
            }
        }
    }

    async fn instance(token_status: u16, roles: &'static str) -> TestServer {
        TestServer::start(move |seen| of_instance(seen, token_status, roles, 6)).await
    }

    async fn of_server(server: &TestServer, extra: &[(&str, &str)]) -> CredentialSource {
        let url = server.url();
        let endpoint =
            [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()), ("AWS_EC2_METADATA_DISABLED", "false")];
        let pairs: Vec<_> = endpoint.iter().chain(extra).copied().collect();
        source(&pairs).await.unwrap()
    }

    #[tokio::test]
    async fn an_instance_is_asked_with_a_session_token() {
        let server = instance(200, "r\nsecond").await;
        let found = of_server(&server, &[]).await.get(SystemTime::now()).await.unwrap();
        assert_eq!(found.access_key_id(), "ASIAEC2");
        let seen = server.seen();
        assert_eq!(seen[0].method, "PUT");
        assert_eq!(seen[0].header("x-aws-ec2-metadata-token-ttl-seconds"), "300");
        assert_eq!(seen[2].path, "/latest/meta-data/iam/security-credentials/r");
        assert_eq!(seen[2].header("x-aws-ec2-metadata-token"), "session-token");
    }

    #[tokio::test]
    async fn version_1_is_used_where_there_are_no_tokens_and_it_is_allowed() {
        let server = instance(404, "r").await;
        assert!(of_server(&server, &[]).await.get(SystemTime::now()).await.is_ok());
        assert_eq!(server.seen()[1].header("x-aws-ec2-metadata-token"), "");
        let strict = of_server(&server, &[("AWS_EC2_METADATA_V1_DISABLED", "true")]).await;
        assert_eq!(
            strict.get(SystemTime::now()).await.unwrap_err().to_string(),
            "AWS credentials from the EC2 metadata service: the EC2 metadata service refused a session token with \
             status 404 Not Found"
        );
    }

    #[tokio::test]
    async fn an_instance_without_role_says_so() {
        let server = instance(200, "").await;
        assert_eq!(
            of_server(&server, &[]).await.get(SystemTime::now()).await.unwrap_err().to_string(),
            "AWS credentials from the EC2 metadata service: unexpected empty EC2 IMDS role list: the instance has no role"
        );
    }

    #[tokio::test]
    async fn instance_keys_are_renewed_hourly_and_outlive_a_failing_service() {
        let down = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let is_down = Arc::clone(&down);
        let server = TestServer::start(move |seen| {
            if is_down.load(std::sync::atomic::Ordering::Relaxed) {
                Reply::Status(500, String::new())
            } else {
                of_instance(seen, 200, "r", 6)
            }
        })
        .await;
        let source = of_server(&server, &[]).await;
        let start = SystemTime::now();
        let minutes = |minutes: u64| start + Duration::from_secs(60 * minutes);
        source.get(start).await.unwrap();
        let asked = server.seen().len();
        source.get(minutes(50)).await.unwrap();
        assert_eq!(server.seen().len(), asked);
        source.get(minutes(56)).await.unwrap();
        assert!(server.seen().len() > asked);
        down.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(source.get(minutes(365)).await.is_ok(), "five minutes after they expired");
        assert!(source.get(minutes(375)).await.is_err(), "too long after they expired");
    }

    #[tokio::test]
    async fn a_role_is_assumed_with_the_credentials_found() {
        let server = TestServer::start(sts).await;
        let url = server.url();
        let env: Env = [KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", &url)].into_iter().collect();
        let source = CredentialSource::new(&env, "us-east-1", "arn:aws:iam::1:role/r", "ext").await.unwrap();
        let found = source.get(SystemTime::now()).await.unwrap();
        assert_eq!((found.access_key_id(), found.session_token()), ("ASIAROLE", Some("t")));
        let seen = server.seen();
        let body = String::from_utf8(seen[0].body.to_vec()).unwrap();
        assert!(body.contains("&DurationSeconds=900&ExternalId=ext"), "{body}");
        assert!(
            seen[0].header("authorization").contains("Credential=AKIAENV/"),
            "signed with the base credentials"
        );
        assert!(seen[0].header("authorization").contains("/us-east-1/sts/aws4_request"));
    }

    #[tokio::test]
    async fn a_role_that_is_refused_says_why() {
        let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                       <Message>not you</Message></Error></ErrorResponse>";
        let server = TestServer::start(move |_| Reply::Status(403, refusal.into())).await;
        let url = server.url();
        let env: Env = [KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", &url)].into_iter().collect();
        let source = CredentialSource::new(&env, "us-east-1", "arn:aws:iam::1:role/r", "").await.unwrap();
        let text = source.get(SystemTime::now()).await.unwrap_err().to_string();
        assert!(text.starts_with("AWS credentials from the AWS SDK's sources: "), "{text}");
        assert!(text.contains("not you"), "{text}");
    }

    #[tokio::test]
    async fn without_any_source_the_message_names_all_places_and_the_remedy() {
        assert_eq!(
            id(&[]).await,
            "no AWS credentials found: looked in AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, \
             AWS_WEB_IDENTITY_TOKEN_FILE, profile \"default\", AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI, and \
             the EC2 metadata service (the EC2 metadata service is disabled by AWS_EC2_METADATA_DISABLED); set \
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the workload a role: a service account's (EKS), a \
             task's (ECS) or an instance's (EC2)"
        );
    }

    #[tokio::test]
    async fn secrets_stay_out_of_debug_output() {
        let source = source(&[
            ("AWS_ACCESS_KEY_ID", "AKIAENV"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
            ("AWS_SESSION_TOKEN", "hush"),
        ]);
        let source = source.await.unwrap();
        source.get(SystemTime::now()).await.unwrap();
        assert!(!format!("{source:?}").contains("hush"));
    }
}
