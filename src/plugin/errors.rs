//! `errors`: failures of the plugins behind it are logged; replies stay as they are.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;
use tracing::error;

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration, duration};
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Directive};
use crate::message::question::Query;
use crate::message::rcode_name;
use crate::throttle::Throttle;

/// Lines a second: what a client asks for must not fill a disk.
const MOST: u32 = 10;

/// The handler.
#[derive(Debug)]
pub struct Errors {
    start: Instant,
    lines: Throttle,
}

impl Default for Errors {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            lines: Throttle::new(MOST),
        }
    }
}

pub(super) const PLUGIN: Registration = Registration {
    name: "errors",
    setup,
};

#[derive(Debug)]
struct Spec;

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    check(directives.only()?)?;
    block.links.push((PLUGIN.name, Box::new(Spec)));
    Ok(())
}

impl Link for Spec {
    fn build(&self, _: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Errors::default()))
    }
}

/// `consolidate` and `stacktrace` are checked, and have no effect: each failure is one event.
fn check(directive: &Directive) -> Result<(), CorefileError> {
    if let Some(arg) = directive.args.iter().find(|arg| arg.text != "stdout") {
        return Err(arg.error("`errors` writes to the log only", "`stdout`, or nothing"));
    }
    for property in &directive.body {
        match property.name.text.as_str() {
            "stacktrace" => property.no_args()?,
            "consolidate" => {
                let args = property.some_args("a duration and a regular expression")?;
                duration(&args[0])?;
            }
            _ => return Err(directive.unknown_property(property, "consolidate or stacktrace")),
        }
    }
    Ok(())
}

impl Plugin for Errors {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let handled = next.handle(query).await;
            if let Err(failure) = &handled
                && let Some(before) = self.lines.pass(self.start.elapsed())
            {
                if before > 0 {
                    error!(lines = before, "failures were left out before this one");
                }
                let question = &query.question;
                let rcode = rcode_name(failure.rcode);
                error!(qname = %question.qname, qtype = %question.qtype, %rcode, error = %failure, "no plugin answered");
            }
            handled
        }
        .boxed()
    }
}
