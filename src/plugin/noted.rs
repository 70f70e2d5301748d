//! Plugins whose meaning has no equivalent here: what they say is read as CoreDNS reads it, and noted at start.

use super::block::Block;
use super::kit::{Registration, duration};
use crate::corefile::Scheme;

pub(super) const CANCEL: Registration = Registration {
    name: "cancel",
    setup: |directives, block| {
        for directive in directives.iter() {
            directive.no_body()?;
            let [arg, more @ ..] = &directive.args[..] else {
                continue;
            };
            if let Some(more) = more.first() {
                return Err(more.error("`cancel` has one argument", "a duration"));
            }
            if duration(arg)?.is_zero() {
                return Err(arg.error("a query cannot end before it begins", "a duration above 0"));
            }
        }
        note(
            block,
            "cancel",
            "a query waits 5 s for upstreams at most, and for nobody else",
        );
        Ok(())
    },
};

pub(super) const DEBUG: Registration = Registration {
    name: "debug",
    setup: |directives, block| {
        directives.all_bare()?;
        note(
            block,
            "debug",
            "the log level comes from --log, and a panic never ends the program",
        );
        Ok(())
    },
};

pub(super) const SHED: Registration = Registration {
    name: "shed",
    setup: |directives, block| {
        directives.only()?.no_args()?;
        directives.only()?.no_body()?;
        if let Some(key) = block.keys.iter().find(|key| key.scheme != Scheme::Dns) {
            let problem = "`shed` is for datagrams, which this block does not have";
            return Err(key.token.error(problem, "a block of plain DNS"));
        }
        note(
            block,
            "shed",
            "bounded queues drop what is too much, always",
        );
        Ok(())
    },
};

fn note(block: &mut Block, name: &str, why: &'static str) {
    block.without_effect.push((name.to_owned(), why));
}
