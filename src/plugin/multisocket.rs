//! `multisocket`: how many sockets, each with a thread of its own, take the datagrams of an address.

use super::block::Block;
use super::kit::{Directives, Registration};
use crate::corefile::{CorefileError, Token};

pub(super) const PLUGIN: Registration = Registration {
    name: "multisocket",
    setup,
};

/// `multisocket [NUMBER]`; without it as many as there are cores.
fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    const EXPECTED: &str = "a number from 1 to 1024";
    let directive = directives.only()?;
    directive.no_braces()?;
    let sockets = |arg: &Token| arg.text.parse().ok().filter(|n| (1..=1024).contains(n));
    block.multisocket = match &directive.args[..] {
        [] => None,
        [arg] => {
            let problem = || arg.error(format!("'{}' is no number of sockets", arg.text), EXPECTED);
            Some(sockets(arg).ok_or_else(problem)?)
        }
        [_, more, ..] => return Err(more.error("`multisocket` has one argument", EXPECTED)),
    };
    Ok(())
}
