//! The `tls` keys of a server, and the rustls configuration made from them.
//!
//! Source: collector core `config/configtls`.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;

use super::Protocol;
use crate::config::{GoDuration, NoEffect, Secret};
use crate::http_client::{HttpError, TlsVersion, tls as tls_parts};

/// The keys as users write them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TlsServerSettings {
    cert_file: Option<PathBuf>,
    cert_pem: Option<Secret>,
    key_file: Option<PathBuf>,
    key_pem: Option<Secret>,
    client_ca_file: Option<PathBuf>,
    min_version: String,
    max_version: String,
    #[serde(rename = "client_ca_file_reload")]
    _client_ca_file_reload: NoEffect<bool>,
    #[serde(rename = "ca_file")]
    _ca_file: NoEffect<PathBuf>,
    #[serde(rename = "ca_pem")]
    _ca_pem: NoEffect<Secret>,
    #[serde(rename = "include_system_ca_certs_pool")]
    _include_system_ca_certs_pool: NoEffect<bool>,
    #[serde(rename = "cipher_suites")]
    _cipher_suites: NoEffect<Vec<String>>,
    #[serde(rename = "curve_preferences")]
    _curve_preferences: NoEffect<Vec<String>>,
    #[serde(rename = "reload_interval")]
    _reload_interval: NoEffect<GoDuration>,
}

impl TlsServerSettings {
    /// Reads the files.
    pub(crate) fn config(&self, protocol: Protocol) -> Result<Arc<ServerConfig>, HttpError> {
        let (min, max) = (TlsVersion::setting(&self.min_version)?, TlsVersion::setting(&self.max_version)?);
        let versions = tls_parts::versions(min, max)?;
        let pem = |pem: &Option<Secret>| pem.as_ref().map(|pem| pem.expose().to_owned());
        let identity =
            tls_parts::identity(&self.cert_file, &pem(&self.cert_pem), &self.key_file, &pem(&self.key_pem))?;
        let Some((chain, key)) = identity else {
            return Err(HttpError::Tls("a server needs cert_file and key_file".into()));
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls = |failure: &dyn std::error::Error| HttpError::Tls(failure.to_string());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|failure| tls(&failure))?;
        let builder = match tls_parts::named(&self.client_ca_file) {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                tls_parts::add_roots_of(&mut roots, file)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|failure| tls(&failure))?)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|failure| HttpError::Tls(format!("certificate and key: {failure}")))?;
        config.alpn_protocols = match protocol {
            Protocol::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Grpc => vec![b"h2".to_vec()],
        };
        Ok(Arc::new(config))
    }
}
