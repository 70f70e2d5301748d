//! `reload`: a Corefile that changes is read again.

use std::time::Duration;

use super::block::{Block, Reload};
use super::kit::{Directives, Registration, duration};
use crate::corefile::{CorefileError, Directive};

pub(super) const PLUGIN: Registration = Registration {
    name: "reload",
    setup,
};

/// Nobody needs it sooner, and a file that is written in two steps is whole by then.
const SHORTEST: Duration = Duration::from_secs(2);

/// CoreDNS's.
const LEAST_JITTER: Duration = Duration::from_secs(1);

/// As in CoreDNS the last of several counts.
fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    for directive in directives.iter() {
        block.reload = Some(read(directive)?);
    }
    Ok(())
}

fn read(directive: &Directive) -> Result<Reload, CorefileError> {
    const EXPECTED: &str = "a duration of 2s or more, and a jitter";
    directive.no_body()?;
    let mut reload = Reload {
        every: Duration::from_secs(30),
        jitter: Duration::from_secs(15),
    };
    if let Some(arg) = directive.args.first() {
        reload.every = duration(arg)?;
        if reload.every < SHORTEST {
            return Err(arg.error("the file would be looked at too often", EXPECTED));
        }
    }
    if let Some(arg) = directive.args.get(1) {
        reload.jitter = duration(arg)?;
        if !reload.jitter.is_zero() && reload.jitter < LEAST_JITTER {
            return Err(arg.error("the jitter is too short", "0, or a duration of 1s or more"));
        }
    }
    reload.jitter = reload.jitter.min(reload.every / 2);
    match directive.args.get(2) {
        Some(more) => Err(more.error("`reload` has too many arguments", EXPECTED)),
        None => Ok(reload),
    }
}
