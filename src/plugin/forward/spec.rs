//! The directive `forward FROM TO... { ... }`.

use std::net::{IpAddr, SocketAddr};

use crate::corefile::{CorefileError, Directive, Token, go_duration, zones_of};
use crate::name::{Origin, Origins};
use crate::plugin::registry::Setup;

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

/// Reads the directive.
///
/// # Errors
/// Where it is wrong.
pub fn parse(setup: &Setup<'_>) -> Result<Spec, CorefileError> {
    let directive = setup.directive;
    let [from, to @ ..] = directive.some_args("a zone and upstreams")? else {
        return Err(directive
            .name
            .error("`forward` needs arguments", "a zone and upstreams"));
    };
    let mut zones = zones_of(&from.text).map_err(|problem| from.error(problem, "a zone"))?;
    if zones.len() != 1 {
        return Err(from.error(format!("{} is several zones", from.text), "one zone"));
    }
    let mut upstreams = Vec::new();
    for token in to {
        upstreams.extend(parse_upstream(setup, token)?);
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
        from: zones.remove(0).into(),
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
            for arg in property.some_args("zones")? {
                spec.except
                    .extend(zones_of(&arg.text).map_err(|problem| arg.error(problem, "a zone"))?);
            }
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
            let arg = &property.some_args("a duration")?[0];
            go_duration(&arg.text)
                .ok_or_else(|| arg.error("this is no duration", "a duration such as `10s`"))?;
        }
        _ => return Err(directive.unknown_property(property, PROPERTIES)),
    }
    Ok(())
}

fn number(property: &Directive) -> Result<u32, CorefileError> {
    let arg = property.one_arg("a number, 0 or more")?;
    arg.text.parse().map_err(|_| {
        arg.error(
            format!("'{}' is no number", arg.text),
            "a number, 0 or more",
        )
    })
}

/// An address with or without port, or the nameservers of a file like resolv.conf.
fn parse_upstream(
    setup: &Setup<'_>,
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
    let lines = setup.source.read("", text).map_err(|error| {
        token.error(
            format!("{text} is no address, and cannot be read as a file: {error}"),
            "an address, or a file like /etc/resolv.conf",
        )
    })?;
    let servers = lines
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"));
    let servers = servers.filter_map(|rest| rest.split_whitespace().next().and_then(address));
    Ok(servers.map(|address| (address, token.clone())).collect())
}

fn address(text: &str) -> Option<SocketAddr> {
    const DNS_PORT: u16 = 53;
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    text.parse().ok().or_else(|| {
        bare.parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, DNS_PORT))
    })
}

impl Spec {
    /// Refuses an upstream that is one of this server's own sockets: a query would never end.
    ///
    /// # Errors
    /// The upstream, with its place in the file.
    pub fn check_not_ourselves(
        &self,
        bound: &[SocketAddr],
        local: &[IpAddr],
    ) -> Result<(), CorefileError> {
        for (upstream, token) in &self.upstreams {
            let ours = |ip: IpAddr| ip.is_loopback() || local.contains(&ip);
            let hit = |b: &&SocketAddr| {
                b.port() == upstream.port()
                    && (b.ip() == upstream.ip() || b.ip().is_unspecified() && ours(upstream.ip()))
            };
            if let Some(socket) = bound.iter().find(hit) {
                let problem = format!(
                    "the upstream {upstream} is this server itself, which listens on {socket}"
                );
                return Err(token.error(problem, "another server"));
            }
        }
        Ok(())
    }
}
