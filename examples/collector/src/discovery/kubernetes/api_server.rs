//! How the client of the API server is set up.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::{NO_EFFECT, Node, Problems, Secret};
use crate::receivers::prometheus::http_config::{Auth, Credential, HttpConfig};

/// The URL as the environment variables of a pod give it.
pub(super) fn server_url(host: &str, port: &str) -> Result<http::Uri, String> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("https://{host}:{port}")
        .parse()
        .map_err(|error| format!("KUBERNETES_SERVICE_HOST {host:?}: {error}"))
}

/// The client's settings for a server that the configuration names. Secrets but the token are
/// read once.
pub(super) fn server_config(url: &http::Uri, http: &HttpConfig) -> Result<kube::Config, String> {
    let mut config = kube::Config::new(url.clone());
    config.accept_invalid_certs = http.tls.insecure_skip_verify;
    config.tls_server_name.clone_from(&http.tls.server_name);
    let pem = match (&http.tls.ca, &http.tls.ca_file) {
        (Some(text), _) => Some(text.as_bytes().to_vec()),
        (None, Some(file)) => {
            Some(std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?)
        }
        (None, None) => None,
    };
    if let Some(pem) = pem {
        config.root_cert = Some(certificates(&pem)?);
    }
    let read = |credential: &Credential| match credential {
        Credential::Inline(secret) => Ok(expose(secret)),
        Credential::File(file) => std::fs::read_to_string(file)
            .map(|text| text.trim().to_owned())
            .map_err(|error| format!("{}: {error}", file.display())),
    };
    let auth = &mut config.auth_info;
    let path = |file: &Option<PathBuf>| file.as_ref().map(|file| file.display().to_string());
    let base64 = |pem: &str| STANDARD.encode(pem);
    auth.client_certificate = path(&http.tls.cert_file);
    auth.client_certificate_data = http.tls.cert.as_deref().map(base64);
    auth.client_key = path(&http.tls.key_file);
    auth.client_key_data = http.tls.key.as_ref().map(|key| base64(key.expose()).into());
    match &http.auth {
        Auth::None => {}
        Auth::Scheme { scheme, credentials } if !scheme.eq_ignore_ascii_case("Bearer") => {
            let value = format!("{scheme} {}", read(credentials)?);
            config.headers.push((http::header::AUTHORIZATION, header_value(&value)?));
        }
        Auth::Scheme { credentials: Credential::File(file), .. } => {
            auth.token_file = Some(file.display().to_string())
        }
        Auth::Scheme { credentials: Credential::Inline(token), .. } => {
            auth.token = Some(expose(token).into())
        }
        Auth::Basic { username, password } => {
            auth.username = Some(read(username)?);
            auth.password = Some(read(password)?.into());
        }
    }
    for (name, value) in &http.headers {
        let name =
            http::HeaderName::try_from(name.as_str()).map_err(|_| format!("http_headers: {name:?}"))?;
        config.headers.push((name, header_value(&read(value)?)?));
    }
    Ok(config)
}

/// Keys of the HTTP client that ADOT follows and the client of the API server here does not.
pub(super) fn warn_of_idle_keys(node: &Node, problems: &mut Problems) {
    let proxies = "the API server is reached without a proxy";
    let versions = "the API server is reached with TLS 1.2 or 1.3";
    for (key, message) in [
        ("proxy_url", proxies),
        ("proxy_from_environment", proxies),
        ("tls_config.min_version", versions),
        ("tls_config.max_version", versions),
    ] {
        let value = node.at_path(key);
        if node.key_at_path(key).is_some() && !value.is_zero() {
            problems.warning_at(node, key, format!("{NO_EFFECT}: {message}"), None);
        }
    }
}

/// The certificates of a PEM file.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let list = list.map_err(|error| format!("CA certificate: {error}"))?;
    Ok(list.into_iter().map(|certificate| certificate.to_vec()).collect())
}

fn expose(secret: &Secret) -> String {
    secret.expose().to_owned()
}

fn header_value(text: &str) -> Result<http::HeaderValue, String> {
    let mut value = http::HeaderValue::try_from(text)
        .map_err(|_| "a header's value that HTTP cannot carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::yaml;
    use crate::env::Env;

    /// The settings, and what is said about them.
    fn read(keys: &str) -> (HttpConfig, Vec<String>) {
        let text = format!("{{role: pod, api_server: 'https://a:6443', {keys}}}");
        let mut problems = Problems::new();
        let node = yaml::parse(&text, &Arc::from("c.yaml"), &mut problems).expect("valid YAML");
        let (http, _) = node.split(crate::receivers::prometheus::http_config::KEYS);
        let http = HttpConfig::read(&http, "x", &mut problems);
        super::super::KubernetesDiscovery::read(&node, "x", &Env::default(), &mut problems)
            .unwrap_or_else(|| panic!("{}", problems.render(false)));
        let line = |problem: &crate::config::Problem| {
            let column = problem.span.as_ref().map_or(0, |span| span.column);
            format!("{column} {}: {}", problem.path, problem.message)
        };
        (http, problems.iter().map(line).collect())
    }

    #[track_caller]
    fn config(keys: &str) -> kube::Config {
        let (http, said) = read(keys);
        assert_eq!(said, [""; 0]);
        server_config(&"https://a:6443".parse().expect("a URL"), &http).expect("nothing to read")
    }

    #[test]
    fn a_client_certificate_is_shown() {
        let auth = config("tls_config: {cert: C, key: K}").auth_info;
        assert_eq!(auth.client_certificate_data.as_deref(), Some("Qw=="));
        assert!(auth.client_key_data.is_some());
        let file = "/proc/self/status";
        let auth = config(&format!("tls_config: {{cert_file: {file}, key_file: {file}}}")).auth_info;
        assert_eq!(
            (auth.client_certificate.as_deref(), auth.client_key.as_deref()),
            (Some(file), Some(file))
        );
    }

    #[test]
    fn headers_and_other_schemes_than_bearer_are_sent() {
        let headers = |keys: &str| {
            let list = config(keys).headers;
            let text = |(name, value): &(http::HeaderName, http::HeaderValue)| {
                format!("{name}: {}", value.to_str().expect("a text"))
            };
            list.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(headers("authorization: {type: Token, credentials: t}"), ["authorization: Token t"]);
        assert_eq!(headers("http_headers: {X-Scope: {values: [a, b]}}"), ["x-scope: a", "x-scope: b"]);
        let bearer = config("authorization: {credentials: t}");
        assert!(bearer.auth_info.token.is_some() && bearer.headers.is_empty());
    }

    #[test]
    fn what_is_not_followed_is_a_warning_at_its_place() {
        let proxies = "the API server is reached without a proxy";
        assert_eq!(
            read("proxy_url: 'http://p:1', tls_config: {min_version: TLS13}").1,
            [
                format!("54 x::proxy_url: {NO_EFFECT}: {proxies}"),
                format!(
                    "94 x::tls_config.min_version: {NO_EFFECT}: the API server is reached with TLS 1.2 or 1.3"
                ),
            ]
        );
        assert_eq!(
            read("proxy_from_environment: true").1,
            [format!("67 x::proxy_from_environment: {NO_EFFECT}: {proxies}")]
        );
    }
}
