//! The directive `cache [TTL] [ZONES...] { ... }`.

use std::sync::Arc;
use std::time::Duration;

use super::Cache;
use crate::corefile::{CorefileError, Directive, Token};
use crate::name::Origins;
use crate::plugin::Plugin;
use crate::plugin::block::{Block, Link, Parts};
use crate::plugin::kit::{Directives, Registration, duration, flag};

/// How many replies of a kind are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) room: usize,
    /// Seconds, at most.
    pub(super) most: u32,
    /// Seconds, at least.
    pub(super) least: u32,
}

impl Bounds {
    /// The TTL that a reply with this one has.
    pub(super) fn clamp(&self, ttl: u32) -> u32 {
        ttl.max(self.least).min(self.most)
    }
}

/// When a reply is fetched before it is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefetch {
    /// It was asked for this often …
    pub(super) amount: u32,
    /// … without a longer pause …
    pub(super) pause: Duration,
    /// … and no more than this part of its TTL is left, in percent.
    pub(super) percent: u32,
}

/// What becomes of a reply that is not fresh any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stale {
    /// How long it is used.
    pub(super) for_: Duration,
    pub(super) refresh: Refresh,
    /// The TTL that it has then, in seconds.
    pub(super) ttl: u32,
    /// How long after a failure it is not fetched again; zero: that does not matter.
    pub(super) recheck: Duration,
    /// A positive reply that is old is better than a denial that is fresh.
    pub(super) prefer_positive: bool,
}

/// `serve_stale_policy prefer_positive`, where the file says it.
type PreferPositive<'d> = Option<&'d Token>;

/// When a reply that is not fresh any more is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresh {
    /// After the old one was given.
    Immediate,
    /// Before, but the client waits no longer than this; `None`: as long as it takes.
    Verify(Option<Duration>),
}

/// How many replies there is room for, whatever the file says: CoreDNS's.
const LEAST_ROOM: usize = 1024;

/// The directive, parsed.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) origins: Origins,
    pub(super) success: Bounds,
    pub(super) denial: Bounds,
    /// How long a failure is kept; zero: not at all.
    pub(super) servfail: Duration,
    pub(super) prefetch: Option<Prefetch>,
    pub(super) stale: Option<Stale>,
    /// Positive replies to these are not kept.
    pub(super) no_success: Origins,
    /// Nor are denials of these.
    pub(super) no_denial: Origins,
    pub(super) keepttl: bool,
}

pub(in crate::plugin) const PLUGIN: Registration = Registration {
    name: "cache",
    setup,
};

const PROPERTIES: &str =
    "success, denial, prefetch, serve_stale, serve_stale_policy, servfail, disable or keepttl";

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    let (mut args, mut most) = (&directive.args[..], None);
    if let Some((first, rest)) = args.split_first()
        && first.text.parse::<i64>().is_ok()
    {
        most = Some(seconds(first, 1)?);
        args = rest;
    }
    let bounds = |default| Bounds {
        room: 9984,
        most: most.unwrap_or(default),
        least: 5,
    };
    let mut spec = Spec {
        origins: directives.origins(args)?.into(),
        success: bounds(3600),
        denial: bounds(1800),
        servfail: Duration::from_secs(5),
        prefetch: None,
        stale: None,
        no_success: Origins::default(),
        no_denial: Origins::default(),
        keepttl: false,
    };
    let mut policy = None;
    for property in &directive.body {
        if property.name.text == "serve_stale_policy" {
            policy = Some(prefer_positive(property, policy)?);
        } else {
            spec.property(directives, directive, property)?;
        }
    }
    match (policy, &mut spec.stale) {
        (Some(_), Some(stale)) => stale.prefer_positive = true,
        (Some(policy), None) => {
            let problem = "`serve_stale_policy` needs `serve_stale`";
            return Err(policy.error(problem, "`serve_stale` beside it"));
        }
        (None, _) => {}
    }
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Cache::new(self.clone(), parts)))
    }
}

impl Spec {
    /// Whether a positive reply that is old is better than a denial that is fresh.
    pub(super) fn prefers_positive(&self) -> bool {
        self.stale.is_some_and(|stale| stale.prefer_positive)
    }

    /// The TTLs, in seconds, that records of every kind may have.
    pub(super) fn bounds(&self) -> (u32, u32) {
        let least = self.success.least.max(self.denial.least);
        (least, self.success.most.min(self.denial.most))
    }

    fn property(
        &mut self,
        directives: &Directives<'_>,
        directive: &Directive,
        property: &Directive,
    ) -> Result<(), CorefileError> {
        match property.name.text.as_str() {
            "success" => bounds(&mut self.success, property)?,
            "denial" => bounds(&mut self.denial, property)?,
            "prefetch" => self.prefetch = prefetch(property)?,
            "serve_stale" => self.stale = Some(stale(property)?),
            "servfail" => {
                const EXPECTED: &str = "a duration up to 5m";
                let arg = property.one_arg(EXPECTED)?;
                self.servfail = duration(arg)?;
                if self.servfail > Duration::from_secs(300) {
                    return Err(arg.error("a failure is kept too long", EXPECTED));
                }
            }
            "disable" => {
                const EXPECTED: &str = "success or denial, and zones";
                let args = property.some_args(EXPECTED)?;
                let origins = directives.origins(&args[1..])?;
                match args[0].text.as_str() {
                    "success" => self.no_success.extend(origins),
                    "denial" => self.no_denial.extend(origins),
                    other => {
                        return Err(args[0].error(format!("'{other}' is neither"), EXPECTED));
                    }
                }
            }
            "keepttl" => self.keepttl = flag(property)?,
            _ => return Err(directive.unknown_property(property, PROPERTIES)),
        }
        Ok(())
    }
}

/// `serve_stale_policy prefer_positive`, once; `known`: where it stands already.
fn prefer_positive<'d>(
    property: &'d Directive,
    known: PreferPositive<'d>,
) -> Result<&'d Token, CorefileError> {
    const EXPECTED: &str = "prefer_positive";
    let arg = property.one_arg(EXPECTED)?;
    if known.is_some() {
        let problem = "`serve_stale_policy` stands twice";
        return Err(property.name.error(problem, "it once"));
    }
    if !arg.text.eq_ignore_ascii_case(EXPECTED) {
        return Err(arg.error(format!("'{}' is no policy", arg.text), EXPECTED));
    }
    Ok(&property.name)
}

/// Seconds, at least so many; more than a TTL has are as many as that has.
fn seconds(arg: &Token, least: u32) -> Result<u32, CorefileError> {
    let number = arg.text.parse::<u64>().ok();
    let ttl = number.map(|ttl| u32::try_from(ttl).unwrap_or(u32::MAX));
    ttl.filter(|ttl| *ttl >= least).ok_or_else(|| {
        let problem = format!("'{}' is no TTL", arg.text);
        arg.error(problem, format!("seconds, {least} or more"))
    })
}

/// `success|denial CAPACITY [TTL] [MINTTL]`.
fn bounds(bounds: &mut Bounds, property: &Directive) -> Result<(), CorefileError> {
    const EXPECTED: &str = "a number of replies, and after it the largest and the smallest TTL";
    let args = property.some_args(EXPECTED)?;
    let problem = || args[0].error(format!("'{}' is no number", args[0].text), EXPECTED);
    let room: usize = args[0].text.parse().ok().ok_or_else(problem)?;
    bounds.room = room.max(LEAST_ROOM);
    if let Some(most) = args.get(1) {
        bounds.most = seconds(most, 1)?;
    }
    if let Some(least) = args.get(2) {
        bounds.least = seconds(least, 0)?;
    }
    match args.get(3) {
        Some(more) => Err(more.error("there are too many arguments", EXPECTED)),
        None => Ok(()),
    }
}

/// `prefetch AMOUNT [DURATION] [PERCENTAGE%]`.
fn prefetch(property: &Directive) -> Result<Option<Prefetch>, CorefileError> {
    const EXPECTED: &str = "a number of queries, and after it a duration and a percentage";
    let args = property.some_args(EXPECTED)?;
    let problem = || args[0].error(format!("'{}' is no number", args[0].text), EXPECTED);
    let amount = args[0].text.parse().ok().ok_or_else(problem)?;
    let mut prefetch = Prefetch {
        amount,
        pause: Duration::from_secs(60),
        percent: 10,
    };
    if let Some(arg) = args.get(1) {
        prefetch.pause = duration(arg)?;
    }
    if let Some(arg) = args.get(2) {
        let number = arg.text.strip_suffix('%').and_then(|n| n.parse().ok());
        let problem = || {
            let problem = format!("'{}' is no percentage", arg.text);
            arg.error(problem, "a percentage from 10% to 90%")
        };
        let percent = number.filter(|percent| (10..=90).contains(percent));
        prefetch.percent = percent.ok_or_else(problem)?;
    }
    if let Some(more) = args.get(3) {
        return Err(more.error("there are too many arguments", EXPECTED));
    }
    Ok((amount > 0).then_some(prefetch))
}

/// `serve_stale [DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]`.
fn stale(property: &Directive) -> Result<Stale, CorefileError> {
    const EXPECTED: &str = "a duration, and `immediate` with a TTL and a recheck, or `verify` with a time-out, a TTL and a recheck";
    let mut stale = Stale {
        for_: Duration::from_secs(3600),
        refresh: Refresh::Immediate,
        ttl: 0,
        recheck: Duration::ZERO,
        prefer_positive: false,
    };
    let mut args = property.args.iter();
    if let Some(arg) = args.next() {
        stale.for_ = duration(arg)?;
    }
    if let Some(arg) = args.next() {
        stale.refresh = match arg.text.to_lowercase().as_str() {
            "immediate" => Refresh::Immediate,
            "verify" => Refresh::Verify(None),
            other => return Err(arg.error(format!("'{other}' is neither"), EXPECTED)),
        };
    }
    if let Refresh::Verify(timeout) = &mut stale.refresh
        && let Some(arg) = args.next()
    {
        // As in CoreDNS zero is as long as it takes.
        *timeout = Some(duration(arg)?).filter(|timeout| !timeout.is_zero());
    }
    if let Some(arg) = args.next() {
        stale.ttl = whole_seconds(arg)?;
    }
    if let Some(arg) = args.next() {
        stale.recheck = duration(arg)?;
        if stale.recheck > LATEST_RECHECK {
            return Err(arg.error("that is too long after a failure", "a duration up to 5m"));
        }
    }
    match args.next() {
        Some(more) => Err(more.error("there are too many arguments", EXPECTED)),
        None => Ok(stale),
    }
}

/// RFC 8767 section 5.
const LATEST_RECHECK: Duration = Duration::from_secs(300);

fn whole_seconds(arg: &Token) -> Result<u32, CorefileError> {
    let ttl = duration(arg)?;
    let seconds = u32::try_from(ttl.as_secs()).ok();
    let whole = seconds.filter(|_| ttl.subsec_nanos() == 0);
    whole.ok_or_else(|| arg.error("a TTL has whole seconds", "a duration such as `30s`"))
}
