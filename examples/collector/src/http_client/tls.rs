//! TLS settings into a rustls configuration.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::error::HttpError;

/// A TLS version that rustls speaks. Older ones are refused by name, not in silence.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// TLS 1.2
    V1_2,
    /// TLS 1.3
    V1_3,
}

impl TlsVersion {
    /// Reads `1.2`, `TLS12`, `1.3` or `TLS13`: the spellings of the collector and of Prometheus.
    ///
    /// # Errors
    ///
    /// Any other text; 1.0 and 1.1 are named as unsupported.
    pub fn parse(text: &str) -> Result<Self, HttpError> {
        match text {
            "1.2" | "TLS12" => Ok(Self::V1_2),
            "1.3" | "TLS13" => Ok(Self::V1_3),
            "1.0" | "1.1" | "TLS10" | "TLS11" => {
                Err(HttpError::Tls(format!("version {text} is obsolete and not supported, use 1.2 or 1.3")))
            }
            _ => Err(HttpError::Tls(format!("unknown version {text:?}, use 1.2 or 1.3"))),
        }
    }

    /// The same of a setting, where an empty text sets nothing.
    ///
    /// # Errors
    ///
    /// As [`TlsVersion::parse`].
    pub fn setting(text: &str) -> Result<Option<Self>, HttpError> {
        if text.is_empty() { Ok(None) } else { Self::parse(text).map(Some) }
    }
}

/// Whom to trust and who we are.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// PEM file with the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The same as text.
    pub ca_pem: Option<String>,
    /// Trust the system's authorities besides `ca_file` and `ca_pem`.
    pub include_system_roots: bool,
    /// PEM file with our certificate and those that lead from it to an authority.
    pub cert_file: Option<PathBuf>,
    /// The same as text.
    pub cert_pem: Option<String>,
    /// PEM file with the key of our certificate.
    pub key_file: Option<PathBuf>,
    /// The same as text.
    pub key_pem: Option<String>,
    /// Name to expect in the server's certificate, if not the host of the URL.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Lowest version to speak; 1.2 when not set.
    pub min_version: Option<TlsVersion>,
    /// Highest version to speak; 1.3 when not set.
    pub max_version: Option<TlsVersion>,
}

/// The name to expect in certificates, if one is set.
pub(super) fn server_name(options: &TlsOptions) -> Result<Option<ServerName<'static>>, HttpError> {
    let Some(name) = options.server_name.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
    match ServerName::try_from(name.to_owned()) {
        Ok(name) => Ok(Some(name)),
        Err(_) => Err(HttpError::Tls(format!("server name {name:?} is neither a host name nor an address"))),
    }
}

/// Reads the files and makes the configuration, without ALPN.
pub(super) fn client_config(options: &TlsOptions) -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = versions(options.min_version, options.max_version)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|failure| HttpError::Tls(failure.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(options, provider)?);
    match identity(&options.cert_file, &options.cert_pem, &options.key_file, &options.key_pem)? {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|failure| HttpError::Tls(format!("client certificate and key: {failure}"))),
    }
}

/// The versions from `min` to `max`.
pub(crate) fn versions(
    min: Option<TlsVersion>,
    max: Option<TlsVersion>,
) -> Result<&'static [&'static rustls::SupportedProtocolVersion], HttpError> {
    static BOTH: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    let [newer, older] = BOTH.each_ref().map(core::slice::from_ref);
    match (min.unwrap_or(TlsVersion::V1_2), max.unwrap_or(TlsVersion::V1_3)) {
        (TlsVersion::V1_2, TlsVersion::V1_3) => Ok(&BOTH),
        (TlsVersion::V1_2, TlsVersion::V1_2) => Ok(older),
        (TlsVersion::V1_3, TlsVersion::V1_3) => Ok(newer),
        (TlsVersion::V1_3, TlsVersion::V1_2) => {
            Err(HttpError::Tls("the lowest version is above the highest".into()))
        }
    }
}

fn verifier(
    options: &TlsOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, HttpError> {
    if options.insecure_skip_verify {
        return Ok(Arc::new(AcceptAny(provider)));
    }
    let mut roots = RootCertStore::empty();
    if let Some(file) = named(&options.ca_file) {
        add_roots_of(&mut roots, file)?;
    }
    if let Some(text) = &options.ca_pem {
        add_roots(&mut roots, text.as_bytes(), Path::new("ca_pem"))?;
    }
    if roots.is_empty() {
        return Ok(Arc::new(SystemRoots));
    }
    if options.include_system_roots {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() {
        Ok(verifier) => Ok(verifier),
        Err(failure) => Err(HttpError::Tls(failure.to_string())),
    }
}

/// A file that a setting names; an empty text names none.
pub(crate) fn named(file: &Option<PathBuf>) -> Option<&Path> {
    file.as_deref().filter(|file| !file.as_os_str().is_empty())
}

/// Adds the authorities of a PEM file.
pub(crate) fn add_roots_of(roots: &mut RootCertStore, file: &Path) -> Result<(), HttpError> {
    add_roots(roots, &read(file)?, file)
}

fn add_roots(roots: &mut RootCertStore, pem: &[u8], file: &Path) -> Result<(), HttpError> {
    let unusable = |reason: String| HttpError::File { file: file.to_owned(), reason };
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|failure| unusable(failure.to_string()))?;
        roots.add(certificate).map_err(|failure| unusable(failure.to_string()))?;
    }
    if roots.len() == before {
        Err(unusable("no certificate in it (PEM is expected)".into()))
    } else {
        Ok(())
    }
}

pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A certificate with its chain, and its key, if both are given.
pub(crate) fn identity(
    cert_file: &Option<PathBuf>,
    cert_pem: &Option<String>,
    key_file: &Option<PathBuf>,
    key_pem: &Option<String>,
) -> Result<Option<Identity>, HttpError> {
    let part = |file: &Option<PathBuf>, pem: &Option<String>, name: &str| match (named(file), pem) {
        (Some(file), _) => Ok(Some((read(file)?, file.to_owned()))),
        (None, Some(pem)) => Ok(Some((pem.clone().into_bytes(), PathBuf::from(name)))),
        (None, None) => Ok(None),
    };
    let chain = part(cert_file, cert_pem, "cert_pem")?;
    let key = part(key_file, key_pem, "key_pem")?;
    let ((chain, chain_file), (key, key_file)) = match (chain, key) {
        (None, None) => return Ok(None),
        (Some(chain), Some(key)) => (chain, key),
        _ => {
            return Err(HttpError::Tls("a certificate needs its key, and a key its certificate".into()));
        }
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let certificates = match certificates {
        Ok(list) if !list.is_empty() => list,
        Ok(_) => {
            return Err(HttpError::File {
                file: chain_file,
                reason: "no certificate in it (PEM is expected)".into(),
            });
        }
        Err(failure) => return Err(HttpError::File { file: chain_file, reason: failure.to_string() }),
    };
    match PrivateKeyDer::from_pem_slice(&key) {
        Ok(key) => Ok(Some((certificates, key))),
        Err(failure) => {
            Err(HttpError::File { file: key_file, reason: format!("no private key in it: {failure}") })
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, HttpError> {
    std::fs::read(file)
        .map_err(|failure| HttpError::File { file: file.to_owned(), reason: failure.to_string() })
}

/// Trusts the system's authorities. They are read at the first handshake and shared by
/// all clients: a collector that scrapes plain HTTP never loads them.
#[derive(Debug)]
struct SystemRoots;

impl SystemRoots {
    fn load() -> Result<&'static Arc<WebPkiServerVerifier>, rustls::Error> {
        static LOADED: OnceLock<Result<Arc<WebPkiServerVerifier>, String>> = OnceLock::new();
        let loaded = LOADED.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let provider = Arc::new(aws_lc_rs::default_provider());
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|_| {
                "no trusted authorities on this system: install its ca-certificates, or name a file in SSL_CERT_FILE, \
                 AWS_CA_BUNDLE or the component's ca_file"
                    .to_owned()
            })
        });
        loaded.as_ref().map_err(|reason| rustls::Error::General(reason.clone()))
    }
}

impl ServerCertVerifier for SystemRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Self::load()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::load()?.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::load()?.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts any certificate, but still wants proof that the server has its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
