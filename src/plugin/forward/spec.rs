//! The directive `forward FROM TO... { ... }`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::pool::Limits;
use super::target::{DNS_PORT, Target, address};
use super::tls::{self, Tls};
use super::{Check, DohMethod, Host};
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::{rcode_named, reply::ResponseCode};
use crate::name::{Name, Origin, Origins, absolute};
use crate::plugin::Plugin;
use crate::plugin::block::{Block, Link, Parts};
use crate::plugin::forward::Forward;
use crate::plugin::kit::{Directives, Registration, duration, flag, number, origins};

/// The directive, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Names under this are forwarded …
    pub from: Origin,
    /// … but for names under these.
    pub except: Origins,
    /// Whom to ask.
    pub upstreams: Vec<Target>,
    /// Whom else, by hostname, each with its place among the others; none once they are prepared.
    pub hosts: Vec<(usize, Host)>,
    /// Who knows the hosts' addresses; none: the machine's own resolver.
    pub resolvers: Vec<SocketAddr>,
    /// In which order.
    pub policy: Policy,
    /// Ask over TCP even what came over UDP.
    pub force_tcp: bool,
    /// Ask over UDP even what came over TCP, and over TCP where the reply is cut.
    pub prefer_udp: bool,
    /// An upstream is down after more failed checks in a row than this; 0: never.
    pub max_fails: u32,
    /// More queries than this at a time are refused.
    pub max_concurrent: Option<usize>,
    /// How many exchanges one query may take; 0: two for each upstream.
    pub max_attempts: usize,
    /// Where all upstreams are down, none is asked.
    pub failfast: bool,
    /// A reply with one of these has the next upstream asked.
    pub failover: Vec<ResponseCode>,
    /// A reply with one of these has the next `forward` of the block asked.
    pub next: Vec<ResponseCode>,
    /// So has one without data.
    pub next_on_nodata: bool,
    /// Another `forward` comes after this one.
    pub is_followed: bool,
    /// How an upstream that failed is checked.
    pub check: Check,
    /// What connections may take.
    pub limits: Limits,
    /// Certificates of encrypted upstreams.
    pub tls: Tls,
}

/// The order of upstreams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// A new order for each query.
    #[default]
    Random,
    /// Each query begins with the next one.
    RoundRobin,
    /// The order of the file.
    Sequential,
}

const PROPERTIES: &str = "except, force_tcp, prefer_udp, policy, max_concurrent, max_fails, max_connect_attempts, \
    max_idle_conns, expire, max_age, read_timeout, health_check, failover, next, next_on_nodata, \
    failfast_all_unhealthy_upstreams, resolver, source_address, tls, tls_servername or doh_method";

pub(in crate::plugin) const PLUGIN: Registration = Registration {
    name: "forward",
    setup,
};

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    // What is forwarded may be of any class.
    block.any_class = true;
    let mut all = directives.iter().peekable();
    while let Some(directive) = all.next() {
        let mut spec = parse(directives, directive)?;
        spec.is_followed = all.peek().is_some();
        block.links.push((PLUGIN.name, Box::new(spec)));
    }
    Ok(())
}

impl Link for Spec {
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), CorefileError>> {
        async move {
            // From the last, so that the places of those before stay.
            while let Some((at, host)) = self.hosts.pop() {
                let found = host.resolve(&self.resolvers, self.limits).await?;
                self.upstreams.splice(at..at, found);
            }
            self.count()
        }
        .boxed()
    }

    fn upstreams(&self) -> Vec<(SocketAddr, Token)> {
        let targets = self.upstreams.iter();
        targets
            .map(|target| (target.address, target.token.clone()))
            .collect()
    }

    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        tls::check(&self.tls)?;
        let targets = self.upstreams.iter();
        let secured: Result<Vec<_>, _> = targets
            .map(|target| tls::secured(target, &self.tls, self.limits))
            .collect();
        Ok(Arc::new(Forward::new(
            self.clone(),
            secured?,
            &parts.metrics,
        )))
    }
}

pub(super) fn parse(
    directives: &Directives<'_>,
    directive: &Directive,
) -> Result<Spec, CorefileError> {
    let [from, to @ ..] = directive.some_args("a zone and upstreams")? else {
        return Err(directive
            .name
            .error("`forward` needs arguments", "a zone and upstreams"));
    };
    let mut froms = origins(std::slice::from_ref(from))?;
    if froms.len() != 1 {
        return Err(from.error(format!("{} is several zones", from.text), "one zone"));
    }
    let mut spec = Spec::new(froms.remove(0).into());
    for token in to {
        spec.upstream(directives, token)?;
    }
    if spec.upstreams.is_empty() && spec.hosts.is_empty() {
        let last = to.last().unwrap_or(from);
        return Err(last.error(
            "there is no upstream",
            "addresses, or a resolv.conf with a nameserver",
        ));
    }
    spec.count()?;
    for property in &directive.body {
        spec.property(directive, property)?;
    }
    let named = spec
        .upstreams
        .iter()
        .find(|target| target.over.name().is_some());
    if let (Some(name), Some(target)) = (&spec.tls.name, named) {
        let problem = format!(
            "{} has another name than `tls_servername`",
            target.token.text
        );
        return Err(name.error(problem, "the name in one of these places"));
    }
    if !spec.limits.max_age.is_zero() && spec.limits.max_age < spec.limits.expire {
        let problem = "`max_age` is shorter than `expire`";
        return Err(directive
            .name
            .error(problem, "a connection's age above its idle time"));
    }
    Ok(spec)
}

impl Spec {
    /// With CoreDNS's defaults.
    fn new(from: Origin) -> Self {
        Self {
            from,
            except: Origins::default(),
            upstreams: Vec::new(),
            hosts: Vec::new(),
            resolvers: Vec::new(),
            policy: Policy::default(),
            force_tcp: false,
            prefer_udp: false,
            max_fails: 2,
            max_concurrent: None,
            max_attempts: 0,
            failfast: false,
            failover: Vec::new(),
            next: Vec::new(),
            next_on_nodata: false,
            is_followed: false,
            check: Check {
                every: Duration::from_millis(500),
                recursion: true,
                domain: Name::root(),
            },
            limits: Limits {
                read_timeout: Duration::from_secs(2),
                expire: Duration::from_secs(10),
                max_age: Duration::ZERO,
                max_idle: 0,
                source: None,
            },
            tls: Tls::default(),
        }
    }

    fn property(
        &mut self,
        directive: &Directive,
        property: &Directive,
    ) -> Result<(), CorefileError> {
        match property.name.text.as_str() {
            "except" => self.except.extend(origins(property.some_args("zones")?)?),
            "force_tcp" => self.force_tcp = flag(property)?,
            "prefer_udp" => self.prefer_udp = flag(property)?,
            "policy" => self.policy = policy(property)?,
            "max_fails" => self.max_fails = number(property)?,
            "max_concurrent" => {
                let most = number(property)?;
                self.max_concurrent = (most > 0).then_some(most as usize);
            }
            "max_connect_attempts" => self.max_attempts = number(property)? as usize,
            "max_idle_conns" => self.limits.max_idle = number(property)? as usize,
            "expire" => self.limits.expire = one_duration(property)?,
            "max_age" => self.limits.max_age = one_duration(property)?,
            "read_timeout" => {
                self.limits.read_timeout = one_duration(property)?;
                if self.limits.read_timeout.is_zero() {
                    let problem = "no reply comes in no time";
                    return Err(property.args[0].error(problem, "a duration above 0"));
                }
            }
            "health_check" => self.check = check(property)?,
            "failover" => {
                self.failover = rcodes(property)?;
                if self.failover.contains(&ResponseCode::NoError) {
                    let problem = "NOERROR is no failure";
                    return Err(property.name.error(problem, "codes such as SERVFAIL"));
                }
            }
            "next" => self.next = rcodes(property)?,
            "next_on_nodata" => self.next_on_nodata = flag(property)?,
            "failfast_all_unhealthy_upstreams" => self.failfast = flag(property)?,
            "resolver" => self.resolvers = resolvers(property)?,
            "source_address" => self.limits.source = Some(source(property)?),
            "tls" => self.tls.files = tls::files(property)?,
            "doh_method" => self.tls.method = doh_method(property)?,
            "tls_servername" => {
                let name = property.one_arg("the name of the upstream's certificate")?;
                self.tls.name = Some(name.clone());
            }
            _ => return Err(directive.unknown_property(property, PROPERTIES)),
        }
        Ok(())
    }
}

/// `doh_method GET|POST`.
fn doh_method(property: &Directive) -> Result<DohMethod, CorefileError> {
    const EXPECTED: &str = "GET or POST";
    let arg = property.one_arg(EXPECTED)?;
    match arg.text.as_str() {
        "GET" => Ok(DohMethod::Get),
        "POST" => Ok(DohMethod::Post),
        other => Err(arg.error(format!("'{other}' is no method"), EXPECTED)),
    }
}

fn policy(property: &Directive) -> Result<Policy, CorefileError> {
    const EXPECTED: &str = "random, round_robin or sequential";
    let arg = property.one_arg(EXPECTED)?;
    match arg.text.as_str() {
        "random" => Ok(Policy::Random),
        "round_robin" => Ok(Policy::RoundRobin),
        "sequential" => Ok(Policy::Sequential),
        other => Err(arg.error(format!("unknown policy '{other}'"), EXPECTED)),
    }
}

fn one_duration(property: &Directive) -> Result<Duration, CorefileError> {
    duration(property.one_arg("a duration such as `5s`")?)
}

fn resolvers(property: &Directive) -> Result<Vec<SocketAddr>, CorefileError> {
    const EXPECTED: &str = "addresses such as 192.0.2.1 or 192.0.2.1:5353";
    let read = |arg: &Token| {
        let problem = || arg.error(format!("'{}' is no address", arg.text), EXPECTED);
        let bracketed = arg.text.starts_with('[') && arg.text.ends_with(']');
        let server = address(&arg.text, DNS_PORT).filter(|_| !bracketed);
        server.ok_or_else(problem)
    };
    property.some_args(EXPECTED)?.iter().map(read).collect()
}

fn source(property: &Directive) -> Result<IpAddr, CorefileError> {
    const EXPECTED: &str = "an address of this machine";
    let arg = property.one_arg(EXPECTED)?;
    let problem = |_| arg.error(format!("'{}' is no address", arg.text), EXPECTED);
    arg.text.parse().map_err(problem)
}

/// `health_check DURATION [no_rec] [domain NAME]`.
fn check(property: &Directive) -> Result<Check, CorefileError> {
    const EXPECTED: &str = "a duration, and after it `no_rec` or `domain NAME`";
    let (every, mut options) = property.some_args(EXPECTED)?.split_first().ok_or_else(|| {
        property
            .name
            .error("`health_check` needs an argument", EXPECTED)
    })?;
    let mut check = Check {
        every: duration(every)?,
        recursion: true,
        domain: Name::root(),
    };
    loop {
        options = match options {
            [] => return Ok(check),
            [option, rest @ ..] if option.text == "no_rec" => {
                check.recursion = false;
                rest
            }
            [option, name, rest @ ..] if option.text == "domain" => {
                let problem = |_| name.error(format!("'{}' is no name", name.text), "a name");
                check.domain = absolute(&name.text).map_err(problem)?.to_lowercase();
                rest
            }
            [option, ..] => {
                let problem = format!("'{}' is no option of `health_check`", option.text);
                return Err(option.error(problem, EXPECTED));
            }
        };
    }
}

/// Response codes by their names, in any case.
fn rcodes(property: &Directive) -> Result<Vec<ResponseCode>, CorefileError> {
    const EXPECTED: &str = "response codes such as SERVFAIL";
    let read = |arg: &Token| {
        let problem = || arg.error(format!("'{}' is no response code", arg.text), EXPECTED);
        rcode_named(&arg.text).ok_or_else(problem)
    };
    property.some_args(EXPECTED)?.iter().map(read).collect()
}
