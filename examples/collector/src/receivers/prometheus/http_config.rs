//! The HTTP client keys of a scrape job or of a discoverer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::{Leniency, NoEffect, Node, Problems, Secret, decode};

/// The keys that [`HttpConfig::read`] reads; the rest of a job is for others.
pub const KEYS: &[&str] = &[
    "authorization",
    "basic_auth",
    "bearer_token",
    "bearer_token_file",
    "enable_http2",
    "follow_redirects",
    "http_headers",
    "no_proxy",
    "oauth2",
    "proxy_connect_header",
    "proxy_from_environment",
    "proxy_url",
    "tls_config",
];

/// How a job's requests are made: valid by construction.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// What goes into the `Authorization` header.
    pub auth: Auth,
    /// How the server's certificate is checked and which one we show.
    pub tls: TlsConfig,
    /// A proxy for all requests.
    pub proxy_url: Option<String>,
    /// Hosts reached without the proxy.
    pub no_proxy: Option<String>,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` count.
    pub proxy_from_environment: bool,
    /// Whether a redirect is followed; if not, it is a failed scrape.
    pub no_redirects: bool,
    /// Headers of every request.
    pub headers: Vec<(String, Credential)>,
}

/// Content of the `Authorization` header.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// No header.
    #[default]
    None,
    /// `Basic` with name and password.
    Basic {
        /// The user.
        username: Credential,
        /// The password.
        password: Credential,
    },
    /// A scheme and what follows it.
    Scheme {
        /// As a rule `Bearer`.
        scheme: String,
        /// What follows.
        credentials: Credential,
    },
}

/// A secret, or the file that holds it. Files are read anew for every request, so a
/// rotated token needs no restart.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Written in the configuration.
    Inline(Secret),
    /// The path of a file; white space around its content does not count.
    File(PathBuf),
}

/// `tls_config`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates to trust, PEM.
    pub ca: Option<String>,
    /// A file of them.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, PEM.
    pub cert: Option<String>,
    /// A file of it.
    pub cert_file: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<Secret>,
    /// A file of it.
    pub key_file: Option<PathBuf>,
    /// The name the server's certificate must have, if not that of the URL.
    pub server_name: Option<String>,
    /// Trust any certificate.
    pub insecure_skip_verify: bool,
    /// `TLS10` to `TLS13`.
    pub min_version: Option<String>,
    /// `TLS10` to `TLS13`.
    pub max_version: Option<String>,
}

impl Credential {
    /// The secret text. Reads the file if it is one.
    ///
    /// # Errors
    ///
    /// The file cannot be read; the text names it.
    pub async fn read(&self) -> Result<Secret, String> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(Secret::from(text.trim().to_owned())),
                Err(error) => Err(format!("unable to read credentials file {}: {error}", path.display())),
            },
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    authorization: Option<Authorization>,
    basic_auth: Option<BasicAuth>,
    bearer_token: Option<Secret>,
    bearer_token_file: Option<PathBuf>,
    #[serde(rename = "enable_http2")]
    _enable_http2: NoEffect<bool>,
    follow_redirects: Option<bool>,
    http_headers: BTreeMap<String, Header>,
    no_proxy: Option<String>,
    oauth2: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    proxy_connect_header: BTreeMap<String, serde::de::IgnoredAny>,
    proxy_from_environment: bool,
    proxy_url: Option<String>,
    tls_config: TlsConfig,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Authorization {
    r#type: Option<String>,
    credentials: Option<Secret>,
    credentials_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BasicAuth {
    username: Option<String>,
    username_file: Option<PathBuf>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Header {
    values: Vec<String>,
    secrets: Vec<Secret>,
    files: Vec<PathBuf>,
}

impl HttpConfig {
    /// Reads the HTTP client keys of `node`, which holds no others. Everything that is
    /// wrong goes to `problems`. A named file that is missing is a warning: it
    /// may be mounted later, and each request says so until then.
    pub fn read(node: &Node, path: &str, problems: &mut Problems) -> Self {
        let Some(keys) = decode::<Keys>(node, path, Leniency::Prometheus, problems) else {
            return Self::default();
        };
        let ways = [
            keys.basic_auth.is_some(),
            keys.oauth2.is_some(),
            keys.authorization.is_some() || keys.bearer_token.is_some() || keys.bearer_token_file.is_some(),
        ];
        if ways.iter().filter(|given| **given).count() > 1 {
            problems.error_at(
                node,
                "",
                "at most one of basic_auth, oauth2 and authorization (or bearer_token) must be configured",
                None,
            );
        }
        if keys.oauth2.is_some() {
            problems.error_at(
                node,
                "oauth2",
                "oauth2 is not supported yet",
                Some("use authorization with credentials_file, and let a helper refresh the file".into()),
            );
        }
        if !keys.proxy_connect_header.is_empty() {
            problems.error_at(
                node,
                "proxy_connect_header",
                "proxy_connect_header is not supported yet",
                None,
            );
        }
        if keys.proxy_from_environment && keys.proxy_url.is_some() {
            problems.error_at(
                node,
                "proxy_url",
                "if proxy_from_environment is configured, proxy_url must not be configured",
                None,
            );
        }
        if keys.no_proxy.is_some() && keys.proxy_url.is_none() {
            problems.error_at(
                node,
                "no_proxy",
                "if no_proxy is configured, proxy_url must also be configured",
                None,
            );
        }
        let tls = keys.tls_config;
        check_tls(node, &tls, problems);
        Self {
            auth: read_auth(
                node,
                keys.authorization,
                keys.basic_auth,
                keys.bearer_token,
                keys.bearer_token_file,
                problems,
            ),
            tls,
            proxy_url: keys.proxy_url.filter(|url| !url.is_empty()),
            no_proxy: keys.no_proxy,
            proxy_from_environment: keys.proxy_from_environment,
            no_redirects: keys.follow_redirects == Some(false),
            headers: read_headers(node, keys.http_headers, problems),
        }
    }
}

fn read_auth(
    node: &Node,
    authorization: Option<Authorization>,
    basic: Option<BasicAuth>,
    bearer: Option<Secret>,
    bearer_file: Option<PathBuf>,
    problems: &mut Problems,
) -> Auth {
    if let Some(basic) = basic {
        let one_of = |place: &str, inline: Option<Secret>, file: Option<PathBuf>, problems: &mut Problems| {
            if inline.is_some() && file.is_some() {
                problems.error_at(
                    node,
                    &format!("basic_auth.{place}"),
                    format!("at most one of basic_auth {place} and {place}_file must be configured"),
                    None,
                );
            }
            credential(node, &format!("basic_auth.{place}_file"), inline, file, problems)
                .unwrap_or_else(|| Credential::Inline(Secret::from(String::new())))
        };
        let username = one_of("username", basic.username.map(Secret::from), basic.username_file, problems);
        let password = one_of("password", basic.password, basic.password_file, problems);
        return Auth::Basic { username, password };
    }
    if bearer.is_some() && bearer_file.is_some() {
        problems.error_at(
            node,
            "bearer_token",
            "at most one of bearer_token and bearer_token_file must be configured",
            None,
        );
    }
    if authorization.is_some() && (bearer.is_some() || bearer_file.is_some()) {
        problems.error_at(
            node,
            "authorization",
            "authorization is not compatible with bearer_token and bearer_token_file",
            Some("bearer_token_file is the old form of authorization.credentials_file: keep one".into()),
        );
    }
    if let Some(authorization) = authorization {
        let scheme = authorization.r#type.map_or_else(|| "Bearer".to_owned(), |text| text.trim().to_owned());
        if scheme.eq_ignore_ascii_case("basic") {
            problems.error_at(
                node,
                "authorization.type",
                "authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
                None,
            );
        }
        if authorization.credentials.is_some() && authorization.credentials_file.is_some() {
            problems.error_at(
                node,
                "authorization",
                "at most one of authorization credentials and credentials_file must be configured",
                None,
            );
        }
        let found = credential(
            node,
            "authorization.credentials_file",
            authorization.credentials,
            authorization.credentials_file,
            problems,
        );
        return found.map_or(Auth::None, |credentials| Auth::Scheme { scheme, credentials });
    }
    credential(node, "bearer_token_file", bearer, bearer_file, problems)
        .map_or(Auth::None, |credentials| Auth::Scheme { scheme: "Bearer".into(), credentials })
}

fn credential(
    node: &Node,
    place: &str,
    inline: Option<Secret>,
    file: Option<PathBuf>,
    problems: &mut Problems,
) -> Option<Credential> {
    if let Some(file) = &file {
        must_exist(node, place, "credentials file", file, problems);
    }
    file.map(Credential::File).or(inline.map(Credential::Inline))
}

fn check_tls(node: &Node, tls: &TlsConfig, problems: &mut Problems) {
    for (name, inline, file) in [
        ("ca", tls.ca.is_some(), &tls.ca_file),
        ("cert", tls.cert.is_some(), &tls.cert_file),
        ("key", tls.key.is_some(), &tls.key_file),
    ] {
        if inline && file.is_some() {
            problems.error_at(
                node,
                &format!("tls_config.{name}"),
                format!("at most one of {name} and {name}_file must be configured"),
                None,
            );
        }
        if let Some(file) = file {
            must_exist(node, &format!("tls_config.{name}_file"), "file", file, problems);
        }
    }
    let (cert, key) =
        (tls.cert.is_some() || tls.cert_file.is_some(), tls.key.is_some() || tls.key_file.is_some());
    if cert != key {
        let missing = if cert { "key" } else { "cert" };
        problems.error_at(node, "tls_config", format!("exactly one of {missing} or {missing}_file must be configured when a client certificate is used"), None);
    }
    for (name, version) in [("min_version", &tls.min_version), ("max_version", &tls.max_version)] {
        if let Some(version) = version
            && !["TLS10", "TLS11", "TLS12", "TLS13"].contains(&version.as_str())
        {
            problems.error_at(
                node,
                &format!("tls_config.{name}"),
                format!("unknown TLS version: {version}"),
                Some("use TLS12 or TLS13".into()),
            );
        }
    }
}

fn must_exist(node: &Node, place: &str, what: &str, file: &Path, problems: &mut Problems) {
    if let Err(error) = std::fs::metadata(file) {
        problems.warning_at(
            node,
            place,
            format!(
                "{what} {} cannot be read now ({error}): requests fail until it is there",
                file.display()
            ),
            Some("mount the file, or correct the path".into()),
        );
    }
}

fn read_headers(
    node: &Node,
    headers: BTreeMap<String, Header>,
    problems: &mut Problems,
) -> Vec<(String, Credential)> {
    let mut list = Vec::new();
    for (name, header) in headers {
        if is_reserved(&name) {
            problems.error_at(node, "http_headers", format!("setting header {name:?} is not allowed"), None);
        }
        list.extend(
            header.values.into_iter().map(|value| (name.clone(), Credential::Inline(Secret::from(value)))),
        );
        list.extend(header.secrets.into_iter().map(|value| (name.clone(), Credential::Inline(value))));
        list.extend(header.files.into_iter().map(|file| (name.clone(), Credential::File(file))));
    }
    list
}

fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let exact = [
        "authorization",
        "host",
        "user-agent",
        "connection",
        "keep-alive",
        "www-authenticate",
        "accept-encoding",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
    ];
    exact.contains(&name.as_str())
        || ["content-", "proxy-", "x-prometheus-"].iter().any(|prefix| name.starts_with(prefix))
}
