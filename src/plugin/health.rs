//! `health`: liveness at `/health`, and how long a stopping server goes on answering.

use std::time::Duration;

use super::block::{Block, Health};
use super::kit::{Directives, Registration, address, duration};
use crate::corefile::{CorefileError, Directive};

/// Where CoreDNS has it.
const DEFAULT_ADDRESS: &str = ":8080";

pub(super) const PLUGIN: Registration = Registration {
    name: "health",
    setup,
};

/// As in CoreDNS the last of several counts.
fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    for directive in directives.iter() {
        block.health = Some(parse(directive)?);
    }
    Ok(())
}

fn parse(directive: &Directive) -> Result<Health, CorefileError> {
    let address = address(directive, DEFAULT_ADDRESS)?;
    let mut lameduck = Duration::ZERO;
    for property in &directive.body {
        match property.name.text.as_str() {
            "lameduck" => lameduck = duration(property.one_arg("a duration such as `5s`")?)?,
            _ => return Err(directive.unknown_property(property, "lameduck")),
        }
    }
    Ok(Health { address, lameduck })
}
