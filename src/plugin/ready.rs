//! `ready`: readiness at `/ready`.

use super::registry::Setup;
use crate::corefile::{CorefileError, Directive};

/// `ready [ADDRESS] { monitor until-ready|continuously }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `host:port`; an empty host is every address.
    pub address: String,
}

/// Where CoreDNS has it.
const DEFAULT_ADDRESS: &str = ":8181";

/// Reads the directive. Once synced the server stays ready, so both ways to monitor are the same.
///
/// # Errors
/// Where it is wrong.
pub fn parse(setup: &Setup<'_>) -> Result<Spec, CorefileError> {
    let directive = setup.directive;
    let address = address(directive, DEFAULT_ADDRESS)?;
    for property in &directive.body {
        match property.name.text.as_str() {
            "monitor" => {
                let arg = property.one_arg("until-ready or continuously")?;
                if !["until-ready", "continuously"].contains(&arg.text.as_str()) {
                    return Err(arg.error(
                        format!("unknown way to monitor '{}'", arg.text),
                        "until-ready or continuously",
                    ));
                }
            }
            _ => return Err(directive.unknown_property(property, "monitor")),
        }
    }
    Ok(Spec { address })
}

/// The directive's `host:port` argument.
pub(super) fn address(directive: &Directive, default: &str) -> Result<String, CorefileError> {
    if directive.args.is_empty() {
        return Ok(default.into());
    }
    let arg = directive.one_arg("an address such as `:8080`")?;
    let port = arg
        .text
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    port.map(|_| arg.text.clone()).ok_or_else(|| {
        arg.error(
            format!("{} has no port", arg.text),
            "an address such as `:8080` or `127.0.0.1:8080`",
        )
    })
}
