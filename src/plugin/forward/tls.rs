//! Certificates for encrypted upstreams.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::https::Https;
use super::peer::{Encrypted, Secured};
use super::pool::Limits;
use super::{DohMethod, Over, Target};
use crate::corefile::{CorefileError, Directive, Token};

/// What a `forward` says of TLS.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// Files in PEM.
    pub files: Files,
    /// The name that certificates must have; without it the upstream's address.
    pub name: Option<Token>,
    /// How questions are put over HTTPS.
    pub method: DohMethod,
}

/// `tls [CERT KEY] [CA]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Files {
    /// Our certificate and its key.
    own: Option<[Token; 2]>,
    /// The authority that upstreams are trusted by; without it those of this machine.
    authority: Option<Token>,
}

/// Reads `tls [CERT KEY] [CA]`.
pub(super) fn files(property: &Directive) -> Result<Files, CorefileError> {
    let (own, authority) = match &property.args[..] {
        [] => (None, None),
        [ca] => (None, Some(ca.clone())),
        [cert, key] => (Some([cert.clone(), key.clone()]), None),
        [cert, key, ca] => (Some([cert.clone(), key.clone()]), Some(ca.clone())),
        [_, _, _, more, ..] => {
            return Err(more.error("`tls` has too many arguments", "[CERT KEY] [CA]"));
        }
    };
    Ok(Files { own, authority })
}

/// Refuses files that cannot be used, also where no upstream needs them.
pub(super) fn check(tls: &Tls) -> Result<(), CorefileError> {
    let own = tls.files.own.as_ref().map(|[cert, _]| cert);
    match own.or(tls.files.authority.as_ref()) {
        Some(token) => config(&tls.files, token).map(drop),
        None => Ok(()),
    }
}

/// How to talk to an upstream over TLS or HTTPS; `None` where that is not asked for.
pub(super) fn secured(
    target: &Target,
    tls: &Tls,
    limits: Limits,
) -> Result<Option<Secured>, CorefileError> {
    if target.over == Over::Plain {
        return Ok(None);
    }
    let (text, token) = match (&tls.name, target.over.name()) {
        (Some(token), _) => (token.text.clone(), token),
        (None, Some(name)) => (name.to_owned(), &target.token),
        (None, None) => (target.address.ip().to_string(), &target.token),
    };
    let problem = |_| token.error(format!("'{text}' is no server's name"), "a host's name");
    let name = ServerName::try_from(text.clone()).map_err(problem)?;
    let config = config(&tls.files, token)?;
    if let Over::Https(_) = target.over {
        let https = Https::new(target.address, (config, name), tls.method, limits);
        return Ok(Some(Secured::Https(Box::new(https))));
    }
    let connector = TlsConnector::from(Arc::new(config));
    Ok(Some(Secured::Tls(Encrypted { connector, name })))
}

fn config(files: &Files, token: &Token) -> Result<ClientConfig, CorefileError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| token.error(error.to_string(), "TLS 1.2 or newer"))?
        .with_root_certificates(roots(files)?);
    let Some([cert, key]) = &files.own else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(cert)?;
    let parsed = PrivateKeyDer::from_pem_file(&key.text)
        .map_err(|error| key.error(format!("{}: {error}", key.text), "a PEM file of a key"))?;
    builder
        .with_client_auth_cert(chain, parsed)
        .map_err(|error| cert.error(error.to_string(), "a certificate, and its key"))
}

fn roots(files: &Files) -> Result<RootCertStore, CorefileError> {
    let mut roots = RootCertStore::empty();
    match &files.authority {
        Some(ca) => {
            roots.add_parsable_certificates(certificates(ca)?);
        }
        None => {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
        }
    }
    Ok(roots)
}

fn certificates(token: &Token) -> Result<Vec<CertificateDer<'static>>, CorefileError> {
    const EXPECTED: &str = "a PEM file of certificates";
    let problem =
        |error: &dyn std::fmt::Display| token.error(format!("{}: {error}", token.text), EXPECTED);
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&token.text)
        .map_err(|error| problem(&error))?
        .collect();
    let read = read.map_err(|error| problem(&error))?;
    if read.is_empty() {
        return Err(problem(&"there is no certificate in it"));
    }
    Ok(read)
}
