//! Which requests go through a proxy.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Request, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::error::HttpError;
use crate::env::Env;

/// The rule that names the proxy of a request. Cloning copies a pointer.
#[derive(Clone, Default)]
pub struct Proxy {
    matcher: Option<Arc<Matcher>>,
    /// Go never sends requests to this machine through a proxy of the environment.
    skips_loopback: bool,
}

impl Proxy {
    /// No proxy for any request.
    pub fn none() -> Self {
        Self::default()
    }

    /// As `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, in either case. Requests to
    /// `localhost` and loopback addresses go direct.
    ///
    /// Source: Go `golang.org/x/net/http/httpproxy`.
    pub fn from_env(env: &Env) -> Self {
        let http = env.first(&["HTTP_PROXY", "http_proxy"]);
        let https = env.first(&["HTTPS_PROXY", "https_proxy"]);
        if http.is_none() && https.is_none() {
            return Self::none();
        }
        let matcher = Matcher::builder()
            .http(http.unwrap_or_default().to_owned())
            .https(https.unwrap_or_default().to_owned())
            .no(without_ports(env.first(&["NO_PROXY", "no_proxy"]).unwrap_or_default()))
            .build();
        Self { matcher: Some(Arc::new(matcher)), skips_loopback: true }
    }

    /// This proxy for every request.
    ///
    /// # Errors
    ///
    /// The address is not an `http` or `https` URL. A missing scheme means `http`.
    pub fn url(address: &str) -> Result<Self, HttpError> {
        let unusable = |reason: String| HttpError::Url { url: without_password(address), reason };
        let full = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let uri: Uri = full.parse().map_err(|failure| unusable(format!("as a proxy address: {failure}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(unusable("a proxy address begins with http:// or https://".into()));
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(unusable("a proxy address needs a host".into()));
        }
        let matcher = Matcher::builder().all(full).build();
        Ok(Self { matcher: Some(Arc::new(matcher)), skips_loopback: false })
    }

    /// The proxy for requests to `uri`, if there is one.
    pub(super) fn intercept(&self, uri: &Uri) -> Option<Intercept> {
        if self.skips_loopback && is_loopback(uri.host()?) {
            return None;
        }
        self.matcher.as_ref()?.intercept(uri)
    }

    /// Adds the proxy's user and password to a request that the proxy itself reads:
    /// those of `https` travel through a tunnel that is authorized when it is opened.
    pub(super) fn authorize<B>(&self, request: &mut Request<B>) {
        if request.uri().scheme_str() != Some("http") {
            return;
        }
        let auth: Option<HeaderValue> = self.intercept(request.uri()).and_then(|it| it.basic_auth().cloned());
        if let Some(auth) = auth {
            request.headers_mut().insert(http::header::PROXY_AUTHORIZATION, auth);
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.matcher.is_some() { "Proxy(..)" } else { "Proxy(none)" })
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host:port` entries of `NO_PROXY` as `host`: the matcher knows hosts only.
fn without_ports(list: &str) -> String {
    let host = |entry: &str| match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            host.to_owned()
        }
        _ => entry.to_owned(),
    };
    list.split(',').map(|entry| host(entry.trim())).collect::<Vec<_>>().join(",")
}

fn without_password(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}***@{host}")
        }
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(env: &[(&str, &str)], url: &str, proxy: Option<&str>) {
        let rule = Proxy::from_env(&env.iter().copied().collect());
        let uri: Uri = url.parse().unwrap();
        let found = rule.intercept(&uri).map(|it| it.uri().to_string());
        assert_eq!(found.as_deref(), proxy, "{env:?} {url}");
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let env = [("HTTPS_PROXY", "http://p:3128"), ("http_proxy", "q:80")];
        check(&env, "https://logs.us-east-1.amazonaws.com/", Some("http://p:3128/"));
        check(&env, "http://example.com/", Some("http://q:80/"));
        check(&[], "https://example.com/", None);
    }

    #[test]
    fn no_proxy_and_loopback_go_direct() {
        let env = [("HTTPS_PROXY", "http://p:3128"), ("NO_PROXY", "example.com, .svc,10.0.0.0/8,host:8443")];
        check(&env, "https://example.com/", None);
        check(&env, "https://logs.example.com/", None);
        check(&env, "https://a.svc/", None);
        check(&env, "https://10.1.2.3/", None);
        check(&env, "https://host:8443/", None);
        check(&env, "https://localhost:4566/", None);
        check(&env, "https://[::1]:4566/", None);
        check(&env, "https://other.com/", Some("http://p:3128/"));
    }

    #[test]
    fn a_configured_proxy_takes_every_request() {
        let rule = Proxy::url("http://u:secret@p:3128").unwrap();
        let uri: Uri = "http://localhost/".parse().unwrap();
        let mut request = Request::get(uri).body(()).unwrap();
        rule.authorize(&mut request);
        assert_eq!(request.headers()["proxy-authorization"], "Basic dTpzZWNyZXQ=");
    }

    #[test]
    fn a_proxy_address_that_is_no_url_is_refused_without_its_password() {
        let message = Proxy::url("ftp://u:secret@p").unwrap_err().to_string();
        assert_eq!(
            message,
            "\"ftp://***@p\" is not a usable URL: a proxy address begins with http:// or https://"
        );
        assert!(Proxy::url("::bad").is_err());
    }
}
