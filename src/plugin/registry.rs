//! Every CoreDNS plugin name and its fate: supported, accepted without effect, or refused.

use super::block::Block;
use super::kit::{Directives, Registration};
use super::{
    any, autopath, bind, bufsize, cache, chaos, errors, forward, header, health, hosts,
    k8s_external, kubernetes, loadbalance, local, log, loops, minimal, noted, nsid, prometheus,
    ready, reload, rewrite, template, timeouts, tls, transfer, whoami,
};
use crate::corefile::{CorefileError, Directive, ServerBlock, Source};

enum Fate {
    Supported(Registration),
    /// Leaves answers as they are; why it has no effect.
    WithoutEffect(&'static str, &'static str),
    /// Would change answers, which must not be ignored.
    Refused(&'static str),
}

impl Fate {
    fn name(&self) -> &'static str {
        match self {
            Self::Supported(plugin) => plugin.name,
            Self::WithoutEffect(name, _) | Self::Refused(name) => name,
        }
    }
}

/// In the order of CoreDNS 1.14's chain.
const PLUGINS: &[Fate] = &[
    Fate::WithoutEffect("root", "no plugin here reads zone files"),
    Fate::Supported(noted::METADATA),
    Fate::Refused("geoip"),
    Fate::Supported(noted::CANCEL),
    Fate::Supported(tls::PLUGIN),
    Fate::Supported(timeouts::PLUGIN),
    Fate::Supported(noted::MULTISOCKET),
    Fate::Supported(reload::PLUGIN),
    Fate::Supported(nsid::PLUGIN),
    Fate::Supported(bufsize::PLUGIN),
    Fate::Supported(bind::PLUGIN),
    Fate::Supported(noted::DEBUG),
    Fate::Refused("trace"),
    Fate::Supported(ready::PLUGIN),
    Fate::Supported(health::PLUGIN),
    Fate::Refused("pprof"),
    Fate::Supported(noted::SHED),
    Fate::Supported(prometheus::PLUGIN),
    Fate::Supported(errors::PLUGIN),
    Fate::Supported(log::PLUGIN),
    Fate::Refused("dnstap"),
    Fate::Supported(local::PLUGIN),
    Fate::Refused("dns64"),
    Fate::Supported(any::PLUGIN),
    Fate::Supported(chaos::PLUGIN),
    Fate::Supported(loadbalance::PLUGIN),
    Fate::Refused("tsig"),
    Fate::Supported(rewrite::PLUGIN),
    Fate::Supported(autopath::PLUGIN),
    Fate::Refused("acl"),
    Fate::Supported(cache::PLUGIN),
    Fate::Supported(header::PLUGIN),
    Fate::Refused("dnssec"),
    Fate::Supported(minimal::PLUGIN),
    Fate::Supported(template::PLUGIN),
    Fate::Supported(transfer::PLUGIN),
    Fate::Supported(hosts::PLUGIN),
    Fate::Refused("route53"),
    Fate::Refused("azure"),
    Fate::Refused("clouddns"),
    Fate::Supported(k8s_external::PLUGIN),
    Fate::Supported(kubernetes::PLUGIN),
    Fate::Refused("file"),
    Fate::Refused("auto"),
    Fate::Refused("secondary"),
    Fate::Refused("etcd"),
    Fate::Supported(loops::PLUGIN),
    Fate::Supported(forward::PLUGIN),
    Fate::Refused("grpc"),
    Fate::Refused("grpc_server"),
    Fate::Refused("https"),
    Fate::Refused("https3"),
    Fate::Refused("quic"),
    Fate::Refused("erratic"),
    Fate::Supported(whoami::PLUGIN),
    Fate::Refused("on"),
    Fate::Refused("sign"),
    Fate::Refused("view"),
    Fate::Refused("nomad"),
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

fn read_block(read: &ServerBlock, source: &dyn Source) -> Result<Block, CorefileError> {
    let mut block = Block {
        keys: read.keys.clone(),
        ..Block::default()
    };
    for directive in &read.directives {
        check(directive, &mut block)?;
    }
    for fate in PLUGINS {
        let Fate::Supported(plugin) = fate else {
            continue;
        };
        let named = Directives::named(plugin.name, &read.directives, &read.keys, source);
        if let Some(directives) = named {
            (plugin.setup)(&directives, &mut block)?;
        }
    }
    Ok(block)
}

/// Refuses what nobody can read, and notes what has no effect.
fn check(directive: &Directive, block: &mut Block) -> Result<(), CorefileError> {
    let name = &directive.name;
    match PLUGINS.iter().find(|fate| fate.name() == name.text) {
        Some(Fate::Supported(_)) => Ok(()),
        Some(Fate::WithoutEffect(_, why)) => {
            block.without_effect.push((name.text.clone(), *why));
            Ok(())
        }
        Some(Fate::Refused(_)) => {
            let problem = format!(
                "the plugin `{}` is not supported, and leaving it out would change answers",
                name.text
            );
            Err(name.error(problem, supported()))
        }
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
