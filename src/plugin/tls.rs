//! `tls`: the certificate of a block's encrypted transports.

use super::registry::Setup;
use crate::corefile::{CorefileError, Token};

/// `tls CERT KEY`.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The file of the certificate and its chain, PEM.
    pub certificate: Token,
    /// The file of its key, PEM.
    pub key: Token,
}

/// Reads the directive.
///
/// # Errors
/// Where it is wrong, or asks for certificates of clients.
pub fn parse(setup: &Setup<'_>) -> Result<Spec, CorefileError> {
    let directive = setup.directive;
    match &directive.args[..] {
        [certificate, key] => {
            directive.no_body()?;
            Ok(Spec {
                certificate: certificate.clone(),
                key: key.clone(),
            })
        }
        [_, _, ca, ..] => Err(ca.error(
            "certificates of clients are not supported",
            "the end of the line",
        )),
        _ => Err(directive.name.error("`tls` takes two files", "CERT KEY")),
    }
}
