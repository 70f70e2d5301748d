//! `health`: liveness at `/health`, and how long a stopping server goes on answering.

use std::time::Duration;

use super::registry::Setup;
use crate::corefile::{CorefileError, go_duration};

/// `health [ADDRESS] { lameduck DURATION }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `host:port`; an empty host is every address.
    pub address: String,
    /// How long a stopping server goes on answering.
    pub lameduck: Duration,
}

/// Where CoreDNS has it.
const DEFAULT_ADDRESS: &str = ":8080";

/// Reads the directive.
///
/// # Errors
/// Where it is wrong.
pub fn parse(setup: &Setup<'_>) -> Result<Spec, CorefileError> {
    let directive = setup.directive;
    let address = super::ready::address(directive, DEFAULT_ADDRESS)?;
    let mut lameduck = Duration::ZERO;
    for property in &directive.body {
        match property.name.text.as_str() {
            "lameduck" => {
                let expected = "a duration such as `5s`";
                let arg = property.one_arg(expected)?;
                lameduck = go_duration(&arg.text)
                    .ok_or_else(|| arg.error("this is no duration", expected))?;
            }
            _ => return Err(directive.unknown_property(property, "lameduck")),
        }
    }
    Ok(Spec { address, lameduck })
}
