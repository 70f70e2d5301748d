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

fn parse(directive: &Directive) -> Result<Ready, CorefileError> {
    let mut ready = Ready {
        address: address(directive, DEFAULT_ADDRESS)?,
        continuously: false,
    };
    for property in &directive.body {
        match property.name.text.as_str() {
            "monitor" => {
                let arg = property.one_arg("until-ready or continuously")?;
                ready.continuously = match arg.text.as_str() {
                    "until-ready" => false,
                    "continuously" => true,
                    other => {
                        let problem = format!("unknown way to monitor '{other}'");
                        return Err(arg.error(problem, "until-ready or continuously"));
                    }
                };
            }
            _ => return Err(directive.unknown_property(property, "monitor")),
        }
    }
    Ok(ready)
}
