//! Certificates of encrypted transports: the server's, and what is asked of clients.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, KeyLog, RootCertStore, ServerConfig,
    SignatureScheme,
};

use crate::plugin::{Certificate, ClientAuth};

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {file}: {problem}")]
pub struct CertificateError {
    /// Which of the files.
    pub file: String,
    problem: String,
}

impl CertificateError {
    fn new(file: &str, problem: &impl ToString) -> Self {
        Self {
            file: file.into(),
            problem: problem.to_string(),
        }
    }
}

/// Reads the files that a `tls` directive names, all PEM.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn certificate(spec: &Certificate) -> Result<ServerConfig, CertificateError> {
    let (file, key) = (&spec.certificate.text, &spec.key.text);
    let chain = certificates(file)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| CertificateError::new(key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = clients(spec, &provider)?;
    let versions =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let built = versions.and_then(|builder| {
        builder
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, private)
    });
    built.map_err(|error| CertificateError::new(file, &error))
}

/// The other side of every handshake: none comes about.
#[must_use]
pub fn no_certificate() -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Nobody))
}

/// Who has no certificate for any name.
#[derive(Debug)]
struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// Has the secrets of connections written to the file that a `tls` directive names for that.
///
/// # Errors
/// Where it cannot be written.
pub fn log_keys(spec: &Certificate, config: &mut ServerConfig) -> Result<(), CertificateError> {
    if let Some(path) = &spec.key_log {
        config.key_log = Arc::new(Keys::new(&path.text)?);
    }
    Ok(())
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| CertificateError::new(file, &error))?;
    if read.is_empty() {
        return Err(CertificateError::new(
            file,
            &"there is no certificate in it",
        ));
    }
    Ok(read)
}

/// Who looks at the certificates of clients.
fn clients(
    spec: &Certificate,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let any = |mandatory| {
        let algorithms = provider.signature_verification_algorithms;
        Arc::new(Any {
            mandatory,
            algorithms,
        })
    };
    match spec.clients {
        ClientAuth::NoCert => {
            // Nobody needs it, but what is wrong with it is said.
            if let Some(file) = &spec.authority {
                certificates(&file.text)?;
            }
            Ok(WebPkiClientVerifier::no_client_auth())
        }
        ClientAuth::Request => Ok(any(false)),
        ClientAuth::Require => Ok(any(true)),
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
            let mut roots = RootCertStore::empty();
            let file = spec.authority.as_ref().map_or("", |token| &token.text);
            if spec.authority.is_some() {
                roots.add_parsable_certificates(certificates(file)?);
            } else {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            let provider = Arc::clone(provider);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if spec.clients == ClientAuth::VerifyIfGiven {
                verifier.allow_unauthenticated()
            } else {
                verifier
            };
            verifier
                .build()
                .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
                .map_err(|error| CertificateError::new(file, &error))
        }
    }
}

/// Takes any certificate of a client whose key it shows to have.
#[derive(Debug)]
struct Any {
    /// Without one there is no connection.
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Any {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// `keylog`: the secrets of connections, in the form that Wireshark reads (NSS key log format).
#[derive(Debug)]
struct Keys(Mutex<File>);

impl Keys {
    fn new(path: &str) -> Result<Self, CertificateError> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = File::options();
        let opened = options.append(true).create(true).mode(0o600).open(path);
        let file = opened.map_err(|error| CertificateError::new(path, &error))?;
        tracing::warn!(
            file = path,
            "the secrets of encrypted connections are written to a file"
        );
        Ok(Self(Mutex::new(file)))
    }
}

impl KeyLog for Keys {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |octets: &[u8]| -> String {
            octets.iter().map(|octet| format!("{octet:02x}")).collect()
        };
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::debug!(%error, "a secret is not written");
        }
    }
}
