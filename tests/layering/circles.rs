//! Circles: files of a folder that name each other, straight or by way of others.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::Source;

/// The circles of every folder. A folder's `mod.rs` is above its files: they may name what it has, and it names them.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let mut folders: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for source in sources {
        for target in &source.own {
            let own = &source.module;
            let shared = own.iter().zip(target).take_while(|(a, b)| a == b).count();
            // Between top modules the rows decide.
            if shared == 0 && source.root == "src" {
                continue;
            }
            if let (Some(from), Some(to)) = (own.get(shared), target.get(shared))
                && is_module(sources, &source.root, &target[..=shared])
            {
                let folder = format!("{}/{}", source.root, own[..shared].join("/"));
                let edges = folders.entry(folder).or_default();
                edges.insert((from.clone(), to.clone()));
            }
        }
    }
    let mut found = Vec::new();
    for (folder, edges) in folders {
        let folder = folder.trim_end_matches('/');
        found.extend(
            of(&edges)
                .iter()
                .map(|circle| format!("{folder}: {} name each other", circle.join(", "))),
        );
    }
    found
}

/// Whether this is a module, and not something that stands in its parent.
fn is_module(sources: &[Source], root: &str, path: &[String]) -> bool {
    let mut own = sources.iter().filter(|source| source.root == root);
    own.any(|source| source.module.starts_with(path))
}

/// The circles of a graph, each as the names in it.
pub(crate) fn of(edges: &BTreeSet<(String, String)>) -> Vec<Vec<String>> {
    let reached = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(name) = open.pop() {
            for (_, to) in edges.iter().filter(|(a, _)| *a == name) {
                if seen.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        seen
    };
    let names: BTreeSet<&String> = edges.iter().flat_map(|(a, b)| [a, b]).collect();
    let reach: BTreeMap<&String, BTreeSet<String>> =
        names.iter().map(|name| (*name, reached(name))).collect();
    let circle = |name: &&String| -> Vec<String> {
        let mutual =
            |other: &&&String| reach[*name].contains(**other) && reach[**other].contains(*name);
        names
            .iter()
            .filter(mutual)
            .map(|other| (*other).clone())
            .collect()
    };
    let circles: BTreeSet<Vec<String>> = names.iter().map(circle).collect();
    circles
        .into_iter()
        .filter(|circle| circle.len() > 1)
        .collect()
}
