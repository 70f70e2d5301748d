//! Whom a webhook's certificate is trusted by: the authorities of `caBundle`, or its own place in it.

use std::sync::Arc;

use base64::Engine as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// What trusts the certificates of a bundle (base64 of PEM), and no others.
pub(super) fn trusting(bundle: &str) -> Result<ClientConfig, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("caBundle: {error}");
    let pem = base64::engine::general_purpose::STANDARD.decode(bundle);
    let pem = pem.map_err(|error| unreadable(&error))?;
    let bundled: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let bundled = bundled.map_err(|error| unreadable(&error))?;
    let mut roots = RootCertStore::empty();
    for root in &bundled {
        roots
            .add(root.clone())
            .map_err(|error| unreadable(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities =
        WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let trust = Trust {
        // An empty bundle has none.
        authorities: authorities.build().ok(),
        bundled,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    Ok(config.with_no_client_auth())
}

/// As Go does, it takes a server's own certificate for an authority where it stands in the bundle: `envtest` puts it there.
#[derive(Debug)]
struct Trust {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    bundled: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.bundled.iter().any(|bundled| bundled == shown) {
            verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let unknown = CertificateError::UnknownIssuer;
        let authorities = self.authorities.as_ref().ok_or(unknown)?;
        authorities.verify_server_cert(shown, between, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, shown, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, shown, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
