//! `errors`: failures of the plugins behind it are logged, in CoreDNS's words; replies stay as they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use regex::Regex;
use tokio::time::Instant;
use tracing::{Level, debug, error, info, warn};

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration, duration, expression};
use super::passage::{Passage, Way};
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Directive};
use crate::message::question::Query;
use crate::message::type_name;
use crate::throttle::Throttle;

/// Lines a second: what a client asks for must not fill a disk.
const MOST: u32 = 10;

pub(super) const PLUGIN: Registration = Registration {
    name: "errors",
    setup,
};

/// `consolidate DURATION EXPRESSION [LEVEL] [show_first]`.
#[derive(Clone, Debug)]
struct Consolidate {
    every: Duration,
    like: Regex,
    level: Level,
    /// The first is logged as it comes.
    show_first: bool,
}

#[derive(Debug)]
struct Spec(Vec<Consolidate>);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    if let Some(arg) = directive.args.iter().find(|arg| arg.text != "stdout") {
        return Err(arg.error("`errors` writes to the log only", "`stdout`, or nothing"));
    }
    let mut rules = Vec::new();
    for property in &directive.body {
        match property.name.text.as_str() {
            // A failure has no stack here: it is a value that says what went wrong.
            "stacktrace" => property.no_args()?,
            "consolidate" => rules.push(consolidate(property)?),
            _ => return Err(directive.unknown_property(property, "consolidate or stacktrace")),
        }
    }
    block.links.push((PLUGIN.name, Box::new(Spec(rules))));
    Ok(())
}

fn consolidate(property: &Directive) -> Result<Consolidate, CorefileError> {
    const EXPECTED: &str =
        "a duration, an expression, and perhaps warning, error, info or debug, and show_first";
    let [every, like, options @ ..] = property.some_args(EXPECTED)? else {
        return Err(property.name.error("`consolidate` is not whole", EXPECTED));
    };
    let mut rule = Consolidate {
        every: duration(every)?,
        like: expression(like, EXPECTED)?,
        level: Level::ERROR,
        show_first: false,
    };
    let mut options = options.iter().peekable();
    let level = options
        .peek()
        .and_then(|option| match option.text.as_str() {
            "warning" => Some(Level::WARN),
            "error" => Some(Level::ERROR),
            "info" => Some(Level::INFO),
            "debug" => Some(Level::DEBUG),
            _ => None,
        });
    if let Some(level) = level {
        rule.level = level;
        options.next();
    }
    rule.show_first = options
        .next_if(|option| option.text == "show_first")
        .is_some();
    match options.next() {
        Some(option) => Err(option.error(format!("'{}' is no option", option.text), EXPECTED)),
        None => Ok(rule),
    }
}

impl Link for Spec {
    fn build(&self, _: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let rule = |rule: &Consolidate| {
            let counted = Counted {
                rule: rule.clone(),
                times: AtomicU64::new(0),
            };
            Arc::new(counted)
        };
        Ok(Arc::new(Errors {
            start: Instant::now(),
            lines: Throttle::new(MOST),
            rules: self.0.iter().map(rule).collect(),
        }))
    }
}

/// A rule, and how often it has fitted since it was told last.
struct Counted {
    rule: Consolidate,
    times: AtomicU64,
}

/// The handler.
struct Errors {
    start: Instant,
    lines: Throttle,
    /// The first that fits counts.
    rules: Vec<Arc<Counted>>,
}

impl Counted {
    /// Counts one; the first of a period begins it.
    fn add(self: &Arc<Self>, line: &str) {
        if self.times.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        if self.rule.show_first {
            say(self.rule.level, line);
        }
        let counted = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(counted.rule.every).await;
            counted.tell();
        });
    }

    fn tell(&self) {
        let Consolidate {
            every,
            like,
            level,
            show_first,
        } = &self.rule;
        let times = self.times.swap(0, Ordering::AcqRel);
        if times > 1 || !show_first {
            let every = go_text(*every);
            say(
                *level,
                &format!("{times} errors like '{like}' occurred in last {every}"),
            );
        }
    }
}

/// A duration as Go writes it.
fn go_text(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => format!("{millis}ms"),
        (0, 0, s) if millis > 0 => format!("{}s", f64::from(millis) / 1000.0 + whole(s)),
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

/// Seconds below a minute.
fn whole(seconds: u64) -> f64 {
    u32::try_from(seconds).map_or(0.0, f64::from)
}

fn say(level: Level, line: &str) {
    match level {
        Level::ERROR => error!(target: "dns", "plugin/errors: {line}"),
        Level::WARN => warn!(target: "dns", "plugin/errors: {line}"),
        Level::INFO => info!(target: "dns", "plugin/errors: {line}"),
        Level::DEBUG | Level::TRACE => debug!(target: "dns", "plugin/errors: {line}"),
    }
}

impl Plugin for Errors {
    fn passage(&self) -> Passage<'_> {
        Passage(Way::Clear)
    }

    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let handled = next.handle(query).await;
            // Some refuse without a word, as in CoreDNS.
            if let Err(failure) = &handled
                && !failure.why.is_empty()
            {
                let (question, why) = (&query.question, failure.to_string());
                let rcode = u16::from(failure.rcode);
                let qname = question.qname.to_lowercase();
                let line = format!("{rcode} {qname} {}: {why}", type_name(question.qtype));
                let rule = self
                    .rules
                    .iter()
                    .find(|counted| counted.rule.like.is_match(&why));
                match rule {
                    Some(counted) => counted.add(&line),
                    None => self.say(&line),
                }
            }
            handled
        }
        .boxed()
    }
}

impl Errors {
    fn say(&self, line: &str) {
        if let Some(before) = self.lines.pass(self.start.elapsed()) {
            if before > 0 {
                say(
                    Level::ERROR,
                    &format!("{before} errors were left out before this one"),
                );
            }
            say(Level::ERROR, line);
        }
    }
}
