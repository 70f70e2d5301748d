//! `timeouts`: how long connections may be idle, and how many questions one may ask.

use std::time::Duration;

use super::block::{Block, Timeouts};
use super::kit::{Directives, Registration, duration};
use crate::corefile::{CorefileError, Directive};

pub(super) const PLUGIN: Registration = Registration {
    name: "timeouts",
    setup,
};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let mut timeouts = Timeouts::default();
    for directive in directives.iter() {
        read(directive, &mut timeouts)?;
    }
    block.timeouts = timeouts;
    Ok(())
}

fn read(directive: &Directive, timeouts: &mut Timeouts) -> Result<(), CorefileError> {
    directive.no_args()?;
    if directive.body.is_empty() {
        let expected = "a block with read, write, idle or maxtcpqueries";
        return Err(directive.name.error("`timeouts` says nothing", expected));
    }
    for property in &directive.body {
        match property.name.text.as_str() {
            // Replies are queued for the client and never waited for, and a question is read with the pause before it.
            "read" | "write" => drop(time(property)?),
            "idle" => timeouts.idle = Some(time(property)?),
            "maxtcpqueries" => timeouts.queries = queries(property)?,
            _ => {
                let known = "read, write, idle or maxtcpqueries";
                return Err(directive.unknown_property(property, known));
            }
        }
    }
    Ok(())
}

fn time(property: &Directive) -> Result<Duration, CorefileError> {
    const EXPECTED: &str = "a duration from 1s to 24h, or seconds";
    let arg = property.one_arg(EXPECTED)?;
    // A bare number is seconds.
    let seconds = arg.text.parse().map(Duration::from_secs);
    let time = seconds.or_else(|_| duration(arg))?;
    if !(SHORTEST..=LONGEST).contains(&time) {
        return Err(arg.error("the time is too short or too long", EXPECTED));
    }
    Ok(time)
}

/// A number; -1 is as many as it likes.
fn queries(property: &Directive) -> Result<Option<u32>, CorefileError> {
    const EXPECTED: &str = "a number from 1, or -1 for any";
    let arg = property.one_arg(EXPECTED)?;
    if arg.text == "-1" {
        return Ok(None);
    }
    let number = arg.text.parse().ok().filter(|number| *number > 0);
    let problem = || arg.error(format!("'{}' is no number of queries", arg.text), EXPECTED);
    number.map(Some).ok_or_else(problem)
}
