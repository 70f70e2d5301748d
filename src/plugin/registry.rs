//! Every CoreDNS plugin name and its fate: supported, or refused with what to do instead.

use super::block::Block;
use super::kit::{Directives, Registration};
use super::{
    acl, admin, any, auto, autopath, bind, bufsize, cache, chaos, cookies, dns64, erratic, errors,
    file, forward, header, health, hosts, k8s_external, kubernetes, loadbalance, local, log, loops,
    metadata, minimal, multisocket, noted, nsid, pending, prometheus, ready, reload, rewrite, root,
    rrl, secondary, template, timeouts, tls, transfer, tsig, view, whoami,
};
use crate::corefile::{CorefileError, CorefileErrors, Directive, ServerBlock, Source};

enum Fate {
    Supported(Registration),
    /// Must not be ignored; what to write instead.
    Refused(&'static str, &'static str),
}

impl Fate {
    fn name(&self) -> &'static str {
        match self {
            Self::Supported(plugin) => plugin.name,
            Self::Refused(name, _) => name,
        }
    }
}

const ELSEWHERE: &str = "`forward` of its zones to a CoreDNS that has it";
const NO_PROXY: &str = "no such line, and a proxy in front that keeps its clients' addresses";
const NO_UPDATES: &str =
    "`file` of what another program writes, or `secondary` of a server that takes updates";
const NO_TRACES: &str = "no such line: `log` and `prometheus` tell what is asked";
const TRANSPORT: &str = "no such line: `timeouts` and `tls` say what a transport's limits are";

/// In the order of CoreDNS 1.15's chain; `admin`, `cookies` and `pending` are ours, `rrl` one of its external plugins.
const PLUGINS: &[Fate] = &[
    Fate::Supported(root::PLUGIN),
    Fate::Supported(metadata::PLUGIN),
    Fate::Refused("geoip", "no such line: nothing here asks where a client is"),
    Fate::Supported(noted::CANCEL),
    Fate::Refused("proxyproto", NO_PROXY),
    Fate::Refused("quic", TRANSPORT),
    Fate::Refused("grpc_server", TRANSPORT),
    Fate::Refused("https", TRANSPORT),
    Fate::Refused("https3", TRANSPORT),
    Fate::Supported(timeouts::PLUGIN),
    Fate::Supported(multisocket::PLUGIN),
    Fate::Supported(reload::PLUGIN),
    Fate::Supported(cookies::PLUGIN),
    Fate::Supported(nsid::PLUGIN),
    Fate::Supported(bufsize::PLUGIN),
    Fate::Supported(bind::PLUGIN),
    Fate::Supported(noted::DEBUG),
    Fate::Refused("trace", NO_TRACES),
    Fate::Supported(ready::PLUGIN),
    Fate::Supported(health::PLUGIN),
    Fate::Supported(admin::PLUGIN),
    Fate::Refused(
        "pprof",
        "no such line: `perf record -p PID` shows where time is spent",
    ),
    Fate::Supported(noted::SHED),
    Fate::Supported(prometheus::PLUGIN),
    Fate::Supported(errors::PLUGIN),
    Fate::Supported(log::PLUGIN),
    Fate::Refused("dnstap", NO_TRACES),
    Fate::Supported(rrl::PLUGIN),
    Fate::Supported(local::PLUGIN),
    Fate::Supported(dns64::PLUGIN),
    Fate::Refused("siit", ELSEWHERE),
    Fate::Supported(any::PLUGIN),
    Fate::Supported(chaos::PLUGIN),
    Fate::Supported(loadbalance::PLUGIN),
    Fate::Supported(tsig::PLUGIN),
    Fate::Supported(rewrite::PLUGIN),
    Fate::Supported(autopath::PLUGIN),
    Fate::Supported(acl::PLUGIN),
    Fate::Supported(cache::PLUGIN),
    Fate::Supported(header::PLUGIN),
    Fate::Refused("dnssec", "no such line, or a signing server in front"),
    Fate::Supported(tls::PLUGIN),
    Fate::Supported(minimal::PLUGIN),
    Fate::Supported(template::PLUGIN),
    Fate::Supported(transfer::PLUGIN),
    Fate::Refused("dynupdate", NO_UPDATES),
    Fate::Supported(hosts::PLUGIN),
    Fate::Refused("route53", ELSEWHERE),
    Fate::Refused("azure", ELSEWHERE),
    Fate::Refused("clouddns", ELSEWHERE),
    Fate::Supported(pending::PLUGIN),
    Fate::Supported(k8s_external::PLUGIN),
    Fate::Supported(kubernetes::PLUGIN),
    Fate::Supported(file::PLUGIN),
    Fate::Supported(auto::PLUGIN),
    Fate::Supported(secondary::PLUGIN),
    Fate::Refused("etcd", ELSEWHERE),
    Fate::Supported(loops::PLUGIN),
    Fate::Supported(forward::PLUGIN),
    Fate::Refused("grpc", "`forward` with `tls://`"),
    Fate::Supported(erratic::PLUGIN),
    Fate::Supported(whoami::PLUGIN),
    Fate::Refused("on", "no such line: what runs this program can run others"),
    Fate::Refused("sign", "no such line, or a signing server in front"),
    Fate::Supported(view::PLUGIN),
    Fate::Refused("nomad", ELSEWHERE),
];

/// Reads the plugins of every server block.
///
/// # Errors
/// Every directive that is unknown, refused, repeated or wrong, with its place.
pub fn read_blocks(
    blocks: &[ServerBlock],
    source: &dyn Source,
) -> Result<Vec<Block>, CorefileErrors> {
    let (read, errors) = inspect(blocks, source);
    CorefileErrors::of(errors).map_or(Ok(read), Err)
}

/// Reads the plugins of every server block as far as they can be read, and says everything that is wrong.
pub fn inspect(blocks: &[ServerBlock], source: &dyn Source) -> (Vec<Block>, Vec<CorefileError>) {
    let mut errors = Vec::new();
    let read = |block| read_block(block, source, &mut errors);
    (blocks.iter().map(read).collect(), errors)
}

/// Reads one block as far as it can be read.
fn read_block(read: &ServerBlock, source: &dyn Source, errors: &mut Vec<CorefileError>) -> Block {
    let mut block = Block {
        keys: read.keys.clone(),
        said: read.said(),
        ..Block::default()
    };
    for directive in &read.directives {
        errors.extend(check(directive).err());
    }
    for fate in PLUGINS {
        let Fate::Supported(plugin) = fate else {
            continue;
        };
        let named = Directives::named(plugin.name, &read.directives, &read.keys, source);
        if let Some(directives) = named {
            let found = (plugin.setup)(&directives, &mut block).err();
            errors.extend(
                found
                    .map(|first| all_of(plugin, &directives, first))
                    .into_iter()
                    .flatten(),
            );
        }
    }
    block
}

/// What is wrong with a plugin's directives, of which the `first` error is known: what is wrong with each by itself, too.
fn all_of(
    plugin: &Registration,
    directives: &Directives<'_>,
    first: CorefileError,
) -> Vec<CorefileError> {
    let alone = |directive| {
        let mut aside = Block {
            keys: directives.keys().to_vec(),
            ..Block::default()
        };
        (plugin.setup)(&directives.alone(directive), &mut aside).err()
    };
    let mut all: Vec<_> = directives.iter().filter_map(alone).collect();
    if !all.contains(&first) {
        all.insert(0, first);
    }
    all
}

/// Refuses what nobody can read.
fn check(directive: &Directive) -> Result<(), CorefileError> {
    let name = &directive.name;
    match PLUGINS.iter().find(|fate| fate.name() == name.text) {
        Some(Fate::Supported(_)) => Ok(()),
        Some(Fate::Refused(_, instead)) => Err(name.error(
            format!("the plugin `{}` is not supported", name.text),
            *instead,
        )),
        None => Err(name.error(format!("unknown directive '{}'", name.text), supported())),
    }
}

/// The plugins that are supported, in the order of the chain.
pub fn names() -> impl Iterator<Item = &'static str> {
    PLUGINS
        .iter()
        .filter(|fate| matches!(fate, Fate::Supported(_)))
        .map(Fate::name)
}

fn supported() -> String {
    format!("one of {}", names().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `coredns -plugins` prints.
    const OF_COREDNS: &str = include_str!("../../tests/corefiles/plugins-1.15.0.txt");

    /// Those that CoreDNS does not have of itself.
    const OTHERS: [&str; 4] = ["admin", "cookies", "pending", "rrl"];

    #[test]
    fn every_plugin_of_coredns_has_a_fate_once_and_others_are_named() {
        let mut theirs: Vec<_> = OF_COREDNS.lines().chain(OTHERS).collect();
        let mut ours: Vec<_> = PLUGINS.iter().map(Fate::name).collect();
        theirs.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, theirs);
    }
}
