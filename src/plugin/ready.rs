//! `ready`: readiness at `/ready`.

use super::block::{Block, Ready};
use super::kit::{Directives, Registration, address};
use crate::corefile::{CorefileError, Directive};

/// Where CoreDNS has it.
const DEFAULT_ADDRESS: &str = ":8181";

pub(super) const PLUGIN: Registration = Registration {
    name: "ready",
    setup,
};

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    block.ready = Some(parse(directives.only()?)?);
    Ok(())
}

/// Once synced the server stays ready, so both ways to monitor are the same.
fn parse(directive: &Directive) -> Result<Ready, CorefileError> {
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
    Ok(Ready { address })
}
