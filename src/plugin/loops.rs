//! `loop`: a question that comes back to its server through an upstream is found at start, and ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;

use super::block::{Block, LoopProbe};
use super::kit::{Directives, Registration};
use super::passage::{Passage, Way};
use super::{Handled, Next, Plugin};
use crate::corefile::CorefileError;
use crate::message::question::{Query, RecordType};
use crate::name::{Qname, absolute};

pub(super) const PLUGIN: Registration = Registration {
    name: "loop",
    setup,
};

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only_bare()?;
    let zone = directives.origins(&[])?.remove(0);
    // Nobody else asks for this name.
    let random = [(); 2].map(|()| rand::random::<u64>().to_string());
    let below = zone.to_string();
    let text = format!(
        "{}.{}.{}",
        random[0],
        random[1],
        below.trim_start_matches('.')
    );
    let expected = "a zone that a name fits into";
    let problem = |_| {
        directive
            .name
            .error(format!("'{text}' is no name"), expected)
    };
    let probe = LoopProbe {
        qname: absolute(&text).map_err(problem)?,
        zone: zone.to_string(),
        seen: Arc::new(AtomicU32::new(0)),
        token: directive.name.clone(),
    };
    let counts = Counts {
        qname: Qname::from(probe.qname.clone()),
        seen: Arc::clone(&probe.seen),
    };
    block.probe = Some(probe);
    block.links.push((PLUGIN.name, Box::new(counts)));
    Ok(())
}

/// Counts how often the probe's question has come.
#[derive(Clone, Debug)]
struct Counts {
    qname: Qname,
    seen: Arc<AtomicU32>,
}

impl Plugin for Counts {
    fn passage(&self) -> Passage<'_> {
        Passage(Way::Clear)
    }

    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let question = &query.question;
        if question.qtype == RecordType::HINFO && question.qname == self.qname {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
        next.handle(query)
    }
}
