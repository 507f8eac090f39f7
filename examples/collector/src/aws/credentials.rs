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
        let provider: Box<dyn ProvideCredentials> = if role_arn.is_empty() {
            Box::new(source)
        } else {
            let external_id = Some(external_id).filter(|id| !id.is_empty());
            let base = Self::with_provider(Box::new(source), true);
            Box::new(sts.assume_role(Shared(Arc::new(base)), role_arn, external_id).await)
        };
        Ok(Self::with_provider(provider, may_stretch))
    }

    /// Always the same credentials.
    pub fn fixed(credentials: Credentials) -> Self {
        Self::with_provider(Box::new(Source::Fixed(credentials)), false)
    }

    fn with_provider(provider: Box<dyn ProvideCredentials>, may_stretch: bool) -> Self {
        Self { provider, may_stretch, cache: Mutex::default() }
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
