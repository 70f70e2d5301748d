//! `tls`: the certificate of a block's encrypted transports.

use super::block::Block;
use super::kit::Directives;
use super::registry::Registration;
use crate::corefile::{CorefileError, Directive, Token};

/// `tls CERT KEY`.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The file of the certificate and its chain, PEM.
    pub certificate: Token,
    /// The file of its key, PEM.
    pub key: Token,
}

pub(super) const PLUGIN: Registration = Registration { name: "tls", setup };

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    block.tls = Some(parse(directives.only()?)?);
    Ok(())
}

fn parse(directive: &Directive) -> Result<Spec, CorefileError> {
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
