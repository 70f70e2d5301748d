//! Every CoreDNS plugin name and its fate: supported, accepted without effect, or refused.

use crate::corefile::{CorefileError, Directive, Key, ServerBlock, Source};

use super::{
    autopath, bind, errors, forward, health, k8s_external, kubernetes, loadbalance, log, ready,
    tls, transfer,
};

/// A supported plugin's directive, parsed.
#[derive(Clone, Debug)]
pub enum Spec {
    /// Search lists walked for the client.
    Autopath(autopath::Spec),
    /// Addresses to listen on.
    Bind(bind::Spec),
    /// Failures are logged.
    Errors,
    /// Names elsewhere.
    Forward(forward::Spec),
    /// Liveness over HTTP.
    Health(health::Spec),
    /// Names of external addresses.
    K8sExternal(k8s_external::Spec),
    /// The cluster's names.
    Kubernetes(kubernetes::Spec),
    /// Shuffled answers.
    Loadbalance,
    /// A line per query.
    Log(log::Spec),
    /// Readiness over HTTP.
    Ready(ready::Spec),
    /// The certificate of encrypted transports.
    Tls(tls::Spec),
    /// Zone transfers.
    Transfer(transfer::Spec),
}

/// A server block, parsed.
#[derive(Clone, Debug)]
pub struct Block {
    /// What it serves.
    pub keys: Vec<Key>,
    /// Its plugins, in the order of the chain.
    pub specs: Vec<Spec>,
    /// Plugins that were accepted without effect, with the reason.
    pub without_effect: Vec<(String, &'static str)>,
}

enum Fate {
    /// Parsed by the function; `bool`: may stand more than once in a block.
    Supported(fn(&Setup<'_>) -> Result<Spec, CorefileError>, Repeat),
    /// Leaves answers as they are; why it has no effect.
    WithoutEffect(&'static str),
    /// Would change answers, which must not be ignored.
    Refused,
}

/// What a second directive of the same name in a block means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Adds,
    Error,
    LastWins,
}

/// What a plugin's parser is given.
pub struct Setup<'a> {
    /// The directive.
    pub directive: &'a Directive,
    /// The keys of the block it stands in: the zones where it names none.
    pub keys: &'a [Key],
    /// Files and environment.
    pub source: &'a dyn Source,
}

const LATER: &str = "not part of this program yet";
const BUILT_IN: &str = "built in";
const NO_CACHE: &str = "answers come from memory, and upstreams cache for themselves";

/// In the order of CoreDNS 1.14's chain.
const PLUGINS: &[(&str, Fate)] = &[
    (
        "root",
        Fate::WithoutEffect("no plugin here reads zone files"),
    ),
    ("metadata", Fate::WithoutEffect(LATER)),
    ("geoip", Fate::WithoutEffect(LATER)),
    ("cancel", Fate::WithoutEffect(BUILT_IN)),
    (
        "tls",
        Fate::Supported(|s| tls::parse(s).map(Spec::Tls), Repeat::Error),
    ),
    ("timeouts", Fate::WithoutEffect(BUILT_IN)),
    ("multisocket", Fate::WithoutEffect(LATER)),
    ("reload", Fate::WithoutEffect(LATER)),
    ("nsid", Fate::WithoutEffect(LATER)),
    (
        "bufsize",
        Fate::WithoutEffect("datagrams are never larger than 1232 octets"),
    ),
    (
        "bind",
        Fate::Supported(|s| bind::parse(s).map(Spec::Bind), Repeat::Adds),
    ),
    (
        "debug",
        Fate::WithoutEffect("the log level comes from HEADLESS_DNS_LOG"),
    ),
    ("trace", Fate::WithoutEffect(LATER)),
    (
        "ready",
        Fate::Supported(|s| ready::parse(s).map(Spec::Ready), Repeat::Error),
    ),
    (
        "health",
        Fate::Supported(|s| health::parse(s).map(Spec::Health), Repeat::LastWins),
    ),
    (
        "pprof",
        Fate::WithoutEffect("there is no Go runtime to profile"),
    ),
    ("shed", Fate::WithoutEffect(LATER)),
    ("prometheus", Fate::WithoutEffect(LATER)),
    (
        "errors",
        Fate::Supported(|s| errors::parse(s).map(|()| Spec::Errors), Repeat::Error),
    ),
    (
        "log",
        Fate::Supported(|s| log::parse(s).map(Spec::Log), Repeat::Adds),
    ),
    ("dnstap", Fate::WithoutEffect(LATER)),
    ("local", Fate::WithoutEffect(LATER)),
    ("dns64", Fate::Refused),
    ("any", Fate::WithoutEffect("ANY is never expanded")),
    ("chaos", Fate::Refused),
    (
        "loadbalance",
        Fate::Supported(
            |s| loadbalance::parse(s).map(|()| Spec::Loadbalance),
            Repeat::LastWins,
        ),
    ),
    ("tsig", Fate::Refused),
    ("rewrite", Fate::Refused),
    (
        "autopath",
        Fate::Supported(|s| autopath::parse(s).map(Spec::Autopath), Repeat::LastWins),
    ),
    ("acl", Fate::Refused),
    ("cache", Fate::WithoutEffect(NO_CACHE)),
    ("header", Fate::Refused),
    ("dnssec", Fate::Refused),
    ("minimal", Fate::WithoutEffect("replies are whole")),
    ("template", Fate::Refused),
    (
        "transfer",
        Fate::Supported(|s| transfer::parse(s).map(Spec::Transfer), Repeat::Adds),
    ),
    ("hosts", Fate::Refused),
    ("route53", Fate::Refused),
    ("azure", Fate::Refused),
    ("clouddns", Fate::Refused),
    (
        "k8s_external",
        Fate::Supported(
            |s| k8s_external::parse(s).map(Spec::K8sExternal),
            Repeat::Error,
        ),
    ),
    (
        "kubernetes",
        Fate::Supported(
            |s| kubernetes::parse(s).map(|k| Spec::Kubernetes(*k)),
            Repeat::Error,
        ),
    ),
    ("file", Fate::Refused),
    ("auto", Fate::Refused),
    ("secondary", Fate::Refused),
    ("etcd", Fate::Refused),
    (
        "loop",
        Fate::WithoutEffect("an upstream that is this server itself is refused at start"),
    ),
    (
        "forward",
        Fate::Supported(|s| forward::parse(s).map(Spec::Forward), Repeat::Adds),
    ),
    ("grpc", Fate::Refused),
    ("grpc_server", Fate::Refused),
    ("https", Fate::Refused),
    ("https3", Fate::Refused),
    ("quic", Fate::Refused),
    ("erratic", Fate::Refused),
    ("whoami", Fate::Refused),
    ("on", Fate::Refused),
    ("sign", Fate::Refused),
    ("view", Fate::Refused),
    ("nomad", Fate::Refused),
];

/// Reads the plugins of every server block.
///
/// # Errors
/// A directive that is unknown, refused, repeated or wrong, with its place.
pub fn read_blocks(
    blocks: &[ServerBlock],
    source: &dyn Source,
) -> Result<Vec<Block>, CorefileError> {
    blocks
        .iter()
        .map(|block| read_block(block, source))
        .collect()
}

fn read_block(block: &ServerBlock, source: &dyn Source) -> Result<Block, CorefileError> {
    let mut found: Vec<(usize, Spec)> = Vec::new();
    let mut without_effect = Vec::new();
    for directive in &block.directives {
        let name = &directive.name;
        let Some(position) = PLUGINS.iter().position(|(plugin, _)| *plugin == name.text) else {
            return Err(name.error(format!("unknown directive '{}'", name.text), supported()));
        };
        let (parse, repeat) = match &PLUGINS[position].1 {
            Fate::Supported(parse, repeat) => (parse, *repeat),
            Fate::WithoutEffect(why) => {
                without_effect.push((name.text.clone(), *why));
                continue;
            }
            Fate::Refused => {
                let problem = format!(
                    "the plugin `{}` is not supported, and leaving it out would change answers",
                    name.text
                );
                return Err(name.error(problem, supported()));
            }
        };
        let spec = parse(&Setup {
            directive,
            keys: &block.keys,
            source,
        })?;
        match (repeat, found.iter().position(|(p, _)| *p == position)) {
            (Repeat::Error, Some(_)) => {
                return Err(name.error(
                    format!("`{}` stands twice in this block", name.text),
                    "one of them",
                ));
            }
            (Repeat::LastWins, Some(at)) => found[at].1 = spec,
            (Repeat::Adds | Repeat::Error | Repeat::LastWins, _) => found.push((position, spec)),
        }
    }
    found.sort_by_key(|(position, _)| *position);
    let specs = found.into_iter().map(|(_, spec)| spec).collect();
    Ok(Block {
        keys: block.keys.clone(),
        specs,
        without_effect,
    })
}

/// The plugins that are supported, in the order of the chain.
pub fn names() -> impl Iterator<Item = &'static str> {
    PLUGINS
        .iter()
        .filter(|(_, fate)| matches!(fate, Fate::Supported(..)))
        .map(|(name, _)| *name)
}

fn supported() -> String {
    format!("one of {}", names().collect::<Vec<_>>().join(", "))
}

impl Setup<'_> {
    /// The zones that arguments name; those of the block where there are none.
    ///
    /// # Errors
    /// An argument that is no zone.
    pub fn zones(
        &self,
        args: &[crate::corefile::Token],
    ) -> Result<Vec<crate::name::Name>, CorefileError> {
        if args.is_empty() {
            return Ok(self.keys.iter().map(|key| key.zone.clone()).collect());
        }
        let mut zones = Vec::new();
        for arg in args {
            let named = crate::corefile::zones_of(&arg.text);
            zones.extend(named.map_err(|problem| {
                arg.error(problem, "a zone such as `cluster.local`, or a CIDR")
            })?);
        }
        Ok(zones)
    }
}
