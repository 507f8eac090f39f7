//! The HTTP side of a scrape: one GET with the job's credentials, bounded in time and size.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};

use crate::compression::UnpackError;
use crate::env::Env;
use crate::http_client::{Body, HttpClient, HttpError, HttpOptions, Limits, Proxy, TlsOptions, TlsVersion};

use super::body_room::{BodyRoom, ScrapeBody};
use super::http_config::{Auth, Credential, HttpConfig};

/// Redirects that are followed before a scrape fails, as Go's client does.
const MAX_REDIRECTS: usize = 10;

/// Bytes of a body when the job sets no `body_size_limit`: far above any honest target,
/// far below what a gzip bomb can hold.
pub const DEFAULT_BODY_LIMIT: usize = 256 << 20;

/// Why a request gave nothing to parse. The text is for the log and for `up` = 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The client cannot be made, or a secret cannot be read.
    #[error("{0}")]
    Setup(String),
    /// No answer, or a broken one.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A status other than 200.
    #[error("server returned HTTP status {0}{1}")]
    Status(StatusCode, &'static str),
    /// More redirects than a client follows.
    #[error("stopped after 10 redirects")]
    Redirects,
    /// The body is larger than allowed, after inflating.
    #[error("body size limit exceeded")]
    TooLarge,
    /// The body says gzip and is none.
    #[error("gzip: {0}")]
    Gzip(String),
}

/// An answer with status 200.
#[derive(Debug)]
pub struct Fetched {
    /// The body, inflated.
    pub body: ScrapeBody,
    /// As the server wrote it.
    pub content_type: Option<String>,
}

/// What one request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Scheme, host, path and query.
    pub url: &'a str,
    /// The `Accept` header.
    pub accept: &'a str,
    /// Whether a gzip body is asked for.
    pub compression: bool,
    /// For the whole exchange, redirects included.
    pub timeout: Duration,
    /// Bytes of the body; reaching it exactly is too much already, as upstream.
    pub body_limit: usize,
    /// More headers.
    pub headers: &'a [(HeaderName, HeaderValue)],
}

/// A job's client. Certificates and secrets may be rotated while it runs: secrets are
/// read for each request, a changed certificate file makes a new pool of connections.
#[derive(Debug)]
pub struct ScrapeClient {
    config: HttpConfig,
    proxy: Proxy,
    user_agent: HeaderValue,
    room: BodyRoom,
    pool: Option<(Vec<FileState>, HttpClient)>,
}

type FileState = Option<(u64, SystemTime)>;

impl ScrapeClient {
    /// A client for a job. Opens nothing yet.
    ///
    /// # Errors
    ///
    /// The proxy's address is not a URL.
    pub fn new(config: HttpConfig, env: &Env, user_agent: &str, room: BodyRoom) -> Result<Self, FetchError> {
        let proxy = match &config.proxy_url {
            Some(url) => match &config.no_proxy {
                None => Proxy::url(url)?,
                // The same rules as those of the environment, with the job's own values.
                Some(no) => Proxy::from_env(&Env::from_iter([
                    ("HTTP_PROXY", url),
                    ("HTTPS_PROXY", url),
                    ("NO_PROXY", no),
                ])),
            },
            None if config.proxy_from_environment => Proxy::from_env(env),
            None => Proxy::default(),
        };
        let user_agent = HeaderValue::from_str(user_agent).unwrap_or(HeaderValue::from_static("otelpipe"));
        Ok(Self { config, proxy, user_agent, room, pool: None })
    }

    /// Asks once and reads the whole answer.
    ///
    /// # Errors
    ///
    /// Everything but an answer with status 200 and a body within its limit.
    pub async fn fetch(&mut self, ask: Ask<'_>) -> Result<Fetched, FetchError> {
        let after = ask.timeout;
        match tokio::time::timeout(after, self.fetch_unbounded(ask)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(HttpError::Timeout { target: ask.url.to_owned(), after }.into()),
        }
    }

    async fn fetch_unbounded(&mut self, ask: Ask<'_>) -> Result<Fetched, FetchError> {
        let client = self.client()?;
        let mut uri: Uri = ask
            .url
            .parse()
            .map_err(|error| FetchError::Setup(format!("invalid URL {}: {error}", ask.url)))?;
        let first_host = uri.authority().cloned();
        for _ in 0..=MAX_REDIRECTS {
            // Credentials go to the host they are meant for and to no other.
            let own_host = uri.authority() == first_host.as_ref();
            let request = self.request(&uri, ask, own_host).await?;
            // The wire carries at most the inflated size; inflating has the exact limit.
            let limits = Limits { timeout: ask.timeout, max_body: ask.body_limit };
            let answer = client.send(request, limits).await?;
            if !answer.status().is_redirection() || self.config.no_redirects {
                return read(answer, ask.body_limit, &self.room).await;
            }
            uri = next(&uri, &answer)?;
        }
        Err(FetchError::Redirects)
    }

    async fn request(&self, uri: &Uri, ask: Ask<'_>, own_host: bool) -> Result<Request<Bytes>, FetchError> {
        let mut request = Request::get(uri.clone()).body(Bytes::new()).expect("a parsed URI makes a request");
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_str(ask.accept).map_err(setup)?);
        let encoding = if ask.compression { "gzip" } else { "identity" };
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        for (name, value) in ask.headers {
            headers.insert(name.clone(), value.clone());
        }
        for (name, credential) in &self.config.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(setup)?;
            headers
                .append(name, secret_header(credential.read().await.map_err(FetchError::Setup)?.expose())?);
        }
        if own_host && let Some(value) = self.authorization().await? {
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn authorization(&self) -> Result<Option<HeaderValue>, FetchError> {
        let read = async |credential: &Credential| credential.read().await.map_err(FetchError::Setup);
        Ok(match &self.config.auth {
            Auth::None => None,
            Auth::Basic { username, password } => {
                let pair = format!("{}:{}", read(username).await?.expose(), read(password).await?.expose());
                Some(secret_header(&format!(
                    "Basic {}",
                    base64::engine::general_purpose::STANDARD.encode(pair)
                ))?)
            }
            Auth::Scheme { scheme, credentials } => {
                Some(secret_header(&format!("{scheme} {}", read(credentials).await?.expose()))?)
            }
        })
    }

    fn client(&mut self) -> Result<HttpClient, FetchError> {
        let tls = &self.config.tls;
        let files = [&tls.ca_file, &tls.cert_file, &tls.key_file];
        let states: Vec<FileState> = files.into_iter().flatten().map(file_state).collect();
        if let Some((known, client)) = &self.pool
            && *known == states
        {
            return Ok(client.clone());
        }
        let version = |text: &Option<String>| text.as_deref().map(TlsVersion::parse).transpose();
        let options = HttpOptions {
            tls: TlsOptions {
                ca_file: tls.ca_file.clone(),
                ca_pem: tls.ca.clone(),
                cert_file: tls.cert_file.clone(),
                cert_pem: tls.cert.clone(),
                key_file: tls.key_file.clone(),
                key_pem: tls.key.as_ref().map(|key| key.expose().to_owned()),
                server_name: tls.server_name.clone(),
                insecure_skip_verify: tls.insecure_skip_verify,
                min_version: version(&tls.min_version)?,
                max_version: version(&tls.max_version)?,
                ..TlsOptions::default()
            },
            proxy: self.proxy.clone(),
            idle_timeout: Duration::from_secs(300),
            ..HttpOptions::default()
        };
        let client = HttpClient::new(&options)?;
        self.pool = Some((states, client.clone()));
        Ok(client)
    }
}

async fn read(answer: Response<Body>, limit: usize, room: &BodyRoom) -> Result<Fetched, FetchError> {
    let (head, body) = answer.into_parts();
    if head.status != StatusCode::OK {
        return Err(FetchError::Status(head.status, remedy(head.status)));
    }
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let gzip = text(header::CONTENT_ENCODING) == Some("gzip");
    let content_type = text(header::CONTENT_TYPE).map(str::to_owned);
    let body = body.collect().await.map_err(|error| match error {
        HttpError::BodyTooLarge { .. } => FetchError::TooLarge,
        error => error.into(),
    })?;
    // One byte less than the limit: a body of exactly the limit fails upstream.
    let most = limit.saturating_sub(1);
    let body = match gzip {
        true => room.inflate(&body, most)?,
        false if body.len() > most => return Err(FetchError::TooLarge),
        false => ScrapeBody::Plain(body),
    };
    Ok(Fetched { body, content_type })
}

/// What to do about a status, where the reason is nearly always the same.
fn remedy(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            " (the credentials were not accepted: check the token file and that it is the one for this server)"
        }
        StatusCode::FORBIDDEN => {
            " (the credentials are known but may not read this path: in Kubernetes give the service account a \
             ClusterRole with get on nodes/proxy and nodes/metrics, or on the non-resource URL)"
        }
        StatusCode::NOT_FOUND => " (nothing is served at this path: check metrics_path and __metrics_path__)",
        _ => "",
    }
}

fn next(from: &Uri, answer: &Response<Body>) -> Result<Uri, FetchError> {
    let place = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(place) = place else { return Err(FetchError::Status(answer.status(), "")) };
    let absolute = if place.contains("://") {
        place.to_owned()
    } else if place.starts_with('/') {
        format!(
            "{}://{}{place}",
            from.scheme_str().unwrap_or("http"),
            from.authority().map_or("", |a| a.as_str())
        )
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!(
            "{}://{}{folder}/{place}",
            from.scheme_str().unwrap_or("http"),
            from.authority().map_or("", |a| a.as_str())
        )
    };
    absolute
        .parse()
        .map_err(|error| FetchError::Setup(format!("redirected to an invalid URL {absolute}: {error}")))
}

fn file_state(file: &PathBuf) -> FileState {
    let about = std::fs::metadata(file).ok()?;
    Some((about.len(), about.modified().ok()?))
}

fn secret_header(text: &str) -> Result<HeaderValue, FetchError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| FetchError::Setup("credentials hold characters that no header may hold".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn setup(error: impl std::fmt::Display) -> FetchError {
    FetchError::Setup(error.to_string())
}

impl From<UnpackError> for FetchError {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::TooLarge(_) => Self::TooLarge,
            UnpackError::Broken(_, reason) => Self::Gzip(reason),
        }
    }
}
