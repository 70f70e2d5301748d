//! `tls`: the certificate of a block's encrypted transports.

use super::block::{Block, Certificate, ClientAuth};
use super::kit::{Directives, Registration};
use crate::corefile::{CorefileError, Directive};

pub(super) const PLUGIN: Registration = Registration { name: "tls", setup };

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    block.tls = Some(parse(directives.only()?, block)?);
    Ok(())
}

fn parse(directive: &Directive, block: &Block) -> Result<Certificate, CorefileError> {
    let (certificate, key, authority) = match &directive.args[..] {
        [certificate, key] => (certificate, key, None),
        [certificate, key, authority] => (certificate, key, Some(authority)),
        _ => {
            let problem = "`tls` takes two files or three; certificates are not fetched (ACME)";
            return Err(directive.name.error(problem, "CERT KEY [CA]"));
        }
    };
    let mut read = Certificate {
        certificate: block.path(certificate),
        key: block.path(key),
        authority: authority.map(|file| block.path(file)),
        clients: ClientAuth::default(),
        key_log: None,
    };
    for property in &directive.body {
        match property.name.text.as_str() {
            "client_auth" => read.clients = clients(property)?,
            "keylog" => read.key_log = Some(block.path(property.one_arg("a file")?)),
            _ => return Err(directive.unknown_property(property, "client_auth or keylog")),
        }
    }
    Ok(read)
}

fn clients(property: &Directive) -> Result<ClientAuth, CorefileError> {
    const EXPECTED: &str = "nocert, request, require, verify_if_given or require_and_verify";
    let arg = property.one_arg(EXPECTED)?;
    match arg.text.as_str() {
        "nocert" => Ok(ClientAuth::NoCert),
        "request" => Ok(ClientAuth::Request),
        "require" => Ok(ClientAuth::Require),
        "verify_if_given" => Ok(ClientAuth::VerifyIfGiven),
        "require_and_verify" => Ok(ClientAuth::RequireAndVerify),
        other => Err(arg.error(format!("'{other}' is asked of no client"), EXPECTED)),
    }
}
