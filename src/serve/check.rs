//! A Corefile looked at without being served: each directive's fate, everything that is wrong, the rights that it needs.

use std::sync::Arc;

use super::chain::{client, link, options, view};
use super::sockets::Listeners;
use super::{Ambient, Setup, known};
use crate::api::{self, ApiError, Right};
use crate::corefile::{self, CorefileError, CorefileErrors, Directive, ServerBlock};
use crate::metrics::Metrics;
use crate::plugin::{Answering, Block, Cluster, Parts, Stanza, inspect};
use crate::process::whole;
use crate::store::{List, Resource};
use crate::zone::Zone;

/// What there is to say of a Corefile.
pub struct Report {
    /// Each directive of each block, in the order of the file.
    pub directives: Vec<Verdict>,
    /// Everything that is wrong.
    pub errors: Vec<CorefileError>,
    /// What each `kubernetes` needs, and whether it has it.
    pub rights: Vec<Granted>,
}

/// What becomes of a directive.
pub struct Verdict {
    /// The keys of its block, as they stand in the file.
    pub block: String,
    /// The plugin.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Line and column, both from 1.
    pub position: (usize, usize),
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a directive.
pub enum Fate {
    /// It has its effect.
    Supported,
    /// It has none; why.
    WithoutEffect(&'static str),
    /// It is one of the errors, or has one inside.
    Wrong,
}

/// A right, and what the API server says of it.
pub struct Granted {
    /// The right.
    pub right: Right,
    /// Whether it is granted; an error where nobody says.
    pub granted: Result<bool, String>,
}

/// Looks at a Corefile as a server would that is to be started with it. No socket is bound, no zone watched, and no host
/// looked up that the file names as an upstream.
pub async fn check(setup: Setup<'_>) -> Report {
    let read = match corefile::parse(setup.name, setup.text, setup.source) {
        Ok(blocks) => blocks,
        // What stands behind cannot be told apart.
        Err(error) => {
            return Report {
                directives: Vec::new(),
                errors: vec![error],
                rights: Vec::new(),
            };
        }
    };
    let (mut blocks, mut errors) = inspect(&read, setup.source);
    for block in &mut blocks {
        block.restrict(&setup.namespaces);
    }
    errors.extend(unservable(&blocks, &setup));
    let stanzas = || blocks.iter().filter_map(|block| block.kubernetes.as_ref());
    for stanza in stanzas() {
        errors.extend(unreachable(stanza, &setup.api).await);
    }
    let stanzas = stanzas();
    let errors = CorefileErrors::of(errors);
    let errors: Vec<_> = errors
        .iter()
        .flat_map(CorefileErrors::iter)
        .cloned()
        .collect();
    let verdicts = |(block, set): (&ServerBlock, &Block)| -> Vec<Verdict> {
        let directives = block.directives.iter();
        directives
            .map(|directive| verdict(block, set, directive, &errors))
            .collect()
    };
    let directives = read.iter().zip(&blocks).flat_map(verdicts).collect();
    let mut rights = Vec::new();
    for stanza in stanzas {
        rights.extend(granted(stanza, &setup.api).await);
    }
    Report {
        directives,
        errors,
        rights,
    }
}

/// What a server finds wrong when it puts its chains and sockets together.
fn unservable(blocks: &[Block], setup: &Setup<'_>) -> Vec<CorefileError> {
    let metrics = Arc::new(Metrics::default());
    let mut listeners = Listeners::new(setup.port, &setup.interfaces, &metrics);
    let mut errors = Vec::new();
    for block in blocks {
        let cluster = block.kubernetes.as_ref().map(|stanza| Cluster {
            zone: Arc::new(Zone::default()),
            view: Arc::new(stanza.view.clone()),
        });
        let mut parts = Parts {
            cluster,
            metrics: Arc::clone(&metrics),
            ..Parts::default()
        };
        let mut chain = Vec::new();
        for at in 0..block.links.len() {
            match link(block, at, &mut parts) {
                Ok(plugin) => chain.push(plugin),
                Err(error) => errors.push(error),
            }
        }
        let answering = Answering {
            chain: chain.into(),
            view: view(block, &parts),
        };
        errors.extend(listeners.add(block, &answering).err());
        errors.extend(listeners.check_upstreams(block).err());
        errors.extend(known::check(block).err());
    }
    errors
}

fn verdict(
    block: &ServerBlock,
    set: &Block,
    directive: &Directive,
    errors: &[CorefileError],
) -> Verdict {
    let name = &directive.name;
    let keys: Vec<_> = block
        .keys
        .iter()
        .map(|key| key.token.text.as_str())
        .collect();
    let mut noted = set.without_effect.iter();
    let fate = if errors.iter().any(|error| directive.has(error)) {
        Fate::Wrong
    } else {
        let why = noted.find(|(noted, _)| *noted == name.text);
        why.map_or(Fate::Supported, |(_, why)| Fate::WithoutEffect(why))
    };
    let (file, position) = name.place();
    Verdict {
        block: keys.join(" "),
        name: name.text.clone(),
        file: file.to_owned(),
        position,
        fate,
    }
}

/// What is wrong with how a stanza, or the command line, names an API server. That none is named is not wrong: the file
/// may be meant for a cluster.
async fn unreachable(stanza: &Stanza, ambient: &Ambient) -> Option<CorefileError> {
    let error = client(stanza, ambient, None).await.err()?;
    let is_named = !matches!(error, ApiError::Ambient { .. });
    is_named.then(|| {
        let problem = whole(&error);
        stanza.api_token.error(problem, "an API server to watch")
    })
}

/// Asks the API server of a stanza for its rights.
async fn granted(stanza: &Stanza, ambient: &Ambient) -> Vec<Granted> {
    let options = options(stanza);
    let needed: Vec<Right> = options
        .watches()
        .into_iter()
        .filter(|list| !options.can_do_without(list))
        .flat_map(rights)
        .collect();
    let client = client(stanza, ambient, None).await;
    let mut answers = Vec::new();
    for right in needed {
        let granted = match &client {
            Ok(client) => api::is_granted(client, &right)
                .await
                .map_err(|error| api::explain(&error)),
            Err(error) => Err(whole(error)),
        };
        answers.push(Granted { right, granted });
    }
    answers
}

/// What a watch does with its objects.
fn rights(list: List) -> [Right; 2] {
    let (group, resource) = match list.resource {
        Resource::Imports => ("multicluster.x-k8s.io", "serviceimports"),
        Resource::Namespaces => ("", "namespaces"),
        Resource::Pods => ("", "pods"),
        Resource::Services => ("", "services"),
        Resource::Sets => ("apps", "statefulsets"),
        Resource::Slices | Resource::ImportSlices => ("discovery.k8s.io", "endpointslices"),
    };
    ["list", "watch"].map(|verb| Right {
        group,
        resource,
        verb,
        ns: list.ns.clone(),
    })
}
