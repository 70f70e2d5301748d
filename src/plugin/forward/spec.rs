//! The directive `forward FROM TO... { ... }`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use resolv_conf::ScopedIp;

use crate::corefile::{CorefileError, Directive, Token};
use crate::name::{Origin, Origins};
use crate::plugin::Plugin;
use crate::plugin::block::{Block, Link, Parts};
use crate::plugin::forward::Forward;
use crate::plugin::kit::{Directives, Registration, ResolvConf, duration, number, origins};

/// The directive, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Names under this are forwarded …
    pub from: Origin,
    /// … but for names under these.
    pub except: Origins,
    /// Whom to ask, and where the file says so.
    pub upstreams: Vec<(SocketAddr, Token)>,
    /// In which order.
    pub policy: Policy,
    /// Ask over TCP even what came over UDP.
    pub force_tcp: bool,
    /// Ask over UDP even what came over TCP.
    pub prefer_udp: bool,
    /// An upstream is down after more failed checks in a row than this; 0: never.
    pub max_fails: u32,
    /// More queries than this at a time are refused.
    pub max_concurrent: Option<usize>,
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

/// As many as CoreDNS takes.
const MAX_UPSTREAMS: usize = 15;

const PROPERTIES: &str = "except, force_tcp, prefer_udp, policy, max_concurrent, max_fails, health_check, expire, max_idle_conns or max_connect_attempts";

pub(in crate::plugin) const PLUGIN: Registration = Registration {
    name: "forward",
    setup,
};

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    // What is forwarded may be of any class.
    block.any_class = true;
    for directive in directives.iter() {
        let spec = parse(directives, directive)?;
        block.upstreams.extend(spec.upstreams.iter().cloned());
        block.links.push((PLUGIN.name, Box::new(spec)));
    }
    Ok(())
}

impl Link for Spec {
    fn build(&self, _: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Forward::new(self.clone())))
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
    let mut upstreams = Vec::new();
    for token in to {
        upstreams.extend(parse_upstream(directives, token)?);
    }
    if upstreams.is_empty() {
        let last = to.last().unwrap_or(from);
        return Err(last.error(
            "there is no upstream",
            "addresses, or a resolv.conf with a nameserver",
        ));
    }
    if upstreams.len() > MAX_UPSTREAMS {
        let (_, token) = &upstreams[MAX_UPSTREAMS];
        return Err(token.error(
            "there are too many upstreams",
            format!("at most {MAX_UPSTREAMS}"),
        ));
    }
    let mut spec = Spec {
        from: froms.remove(0).into(),
        except: Origins::default(),
        upstreams,
        policy: Policy::default(),
        force_tcp: false,
        prefer_udp: false,
        max_fails: 2,
        max_concurrent: None,
    };
    for property in &directive.body {
        parse_property(&mut spec, directive, property)?;
    }
    Ok(spec)
}

fn parse_property(
    spec: &mut Spec,
    directive: &Directive,
    property: &Directive,
) -> Result<(), CorefileError> {
    match property.name.text.as_str() {
        "except" => {
            spec.except.extend(origins(property.some_args("zones")?)?);
        }
        "force_tcp" => {
            property.no_args()?;
            spec.force_tcp = true;
        }
        "prefer_udp" => {
            property.no_args()?;
            spec.prefer_udp = true;
        }
        "policy" => {
            const EXPECTED: &str = "random, round_robin or sequential";
            let arg = property.one_arg(EXPECTED)?;
            spec.policy = match arg.text.as_str() {
                "random" => Policy::Random,
                "round_robin" => Policy::RoundRobin,
                "sequential" => Policy::Sequential,
                other => return Err(arg.error(format!("unknown policy '{other}'"), EXPECTED)),
            };
        }
        "max_fails" => spec.max_fails = number(property)?,
        "max_concurrent" => {
            let most = number(property)?;
            spec.max_concurrent = (most > 0).then_some(most as usize);
        }
        // Checked, and without effect: every exchange has a connection of its own.
        "max_idle_conns" | "max_connect_attempts" => drop(number(property)?),
        "expire" | "health_check" => {
            duration(&property.some_args("a duration")?[0])?;
        }
        _ => return Err(directive.unknown_property(property, PROPERTIES)),
    }
    Ok(())
}

/// An address with or without port, or the nameservers of a file like resolv.conf.
fn parse_upstream(
    directives: &Directives<'_>,
    token: &Token,
) -> Result<Vec<(SocketAddr, Token)>, CorefileError> {
    let text = token.text.strip_prefix("dns://").unwrap_or(&token.text);
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(token.error(
            format!("{scheme}:// is not supported"),
            "an address to ask over UDP and TCP",
        ));
    }
    if let Some(address) = address(text) {
        return Ok(vec![(address, token.clone())]);
    }
    let lines = directives.source.read("", text).map_err(|error| {
        token.error(
            format!("{text} is no address, and cannot be read as a file: {error}"),
            "an address, or a file like /etc/resolv.conf",
        )
    })?;
    let servers = ResolvConf::read(&lines).nameservers.into_iter();
    let address = |server: ScopedIp| (SocketAddr::new(server.into(), DNS_PORT), token.clone());
    Ok(servers.map(address).collect())
}

const DNS_PORT: u16 = 53;

fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    text.parse().ok().or_else(|| {
        bare.parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, DNS_PORT))
    })
}
