//! `tls`: the certificate of a block's encrypted transports.

use super::block::{Block, Certificate};
use super::kit::{Directives, Registration};
use crate::corefile::{CorefileError, Directive};

pub(super) const PLUGIN: Registration = Registration { name: "tls", setup };

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    block.tls = Some(parse(directives.only()?)?);
    Ok(())
}

fn parse(directive: &Directive) -> Result<Certificate, CorefileError> {
    match &directive.args[..] {
        [certificate, key] => {
            directive.no_body()?;
            Ok(Certificate {
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
