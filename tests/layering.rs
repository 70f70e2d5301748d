//! Imports point down only: L3 → L2 → L1 → L0 (the picture in `src/lib.rs`). Reads the source, so it sees every arrow.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every top module with its layer.
const LAYERS: &[(&str, u8)] = &[
    ("name", 0),
    ("endpoint", 0),
    ("message", 0),
    ("apiserver", 0),
    ("throttle", 0),
    ("store", 1),
    ("zone", 1),
    ("answer", 1),
    ("statefulset", 1),
    ("corefile", 1),
    ("api", 2),
    ("watch", 2),
    ("controller", 2),
    ("listen", 2),
    ("plugin", 2),
    ("admin", 2),
    ("main", 3),
    ("args", 3),
    ("output", 3),
    ("signals", 3),
    ("serve", 3),
    ("sandbox", 3),
    ("commands", 3),
    ("process", 3),
    ("lib", 3),
];

/// Arrows between L2 siblings that are allowed: `listen` answers with plugins, everybody may have a kube client.
const SIBLINGS: &[(&str, &str)] = &[("listen", "plugin")];

/// Crates that only some modules may name.
const FOREIGN: &[(&str, &[&str])] = &[
    ("kube::", &["api", "watch", "controller"]),
    ("k8s_openapi::", &["api", "watch", "controller"]),
    ("headless_cluster::", &["commands", "sandbox"]),
    // A new major of hickory must stay a matter of L0.
    ("hickory_proto::", &["name", "message", "listen"]),
    ("hickory_server::", &["listen"]),
    (
        "anyhow::",
        &["main", "args", "commands", "process", "serve", "sandbox"],
    ),
];

/// What L0 and L1 may not name: waiting, clocks, sockets.
const IMPURE: &[&str] = &[
    "async ",
    ".await",
    "tokio::",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "std::net::UdpSocket",
    "std::net::TcpStream",
];

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn layer(module: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, layer)| *layer)
}

/// The module a file belongs to, and its lines without comments.
fn sources() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |path: &Path| {
        let first = path
            .strip_prefix(&src)
            .unwrap()
            .components()
            .next()
            .unwrap();
        first
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned()
    };
    let code = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .filter(|l| !l.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    files(&src)
        .into_iter()
        .map(|path| (module(&path), path.clone(), code(&path)))
        .collect()
}

/// The modules of ours that `code` names after `crate::`, also inside braces.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name = name
                .trim()
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap();
            // `build` is what tests build their clusters with.
            if !name.is_empty() && name != "self" && name != "build" {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_module_has_a_layer_and_every_layered_module_is_there() {
    let present: BTreeSet<String> = sources().into_iter().map(|(module, ..)| module).collect();
    let named: BTreeSet<String> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(present, named);
}

#[test]
fn imports_point_down_only() {
    let mut wrong = Vec::new();
    for (module, path, code) in sources() {
        let from = layer(&module).unwrap_or_else(|| panic!("{module} has no layer"));
        for target in imports(&code).into_iter().filter(|t| *t != module) {
            let to = layer(&target)
                .unwrap_or_else(|| panic!("{}: {target} has no layer", path.display()));
            let sibling = from == 2 && to == 2;
            let allowed = !sibling
                || target == "api"
                || SIBLINGS.contains(&(module.as_str(), target.as_str()));
            if to > from || !allowed {
                wrong.push(format!(
                    "{}: {module} (L{from}) → {target} (L{to})",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn foreign_worlds_stay_in_their_directories() {
    let mut wrong = Vec::new();
    for (module, path, code) in sources() {
        for (name, homes) in FOREIGN {
            let bare = code.match_indices(name).any(|(at, _)| {
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if bare && !homes.contains(&module.as_str()) {
                wrong.push(format!("{}: names {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn facts_and_decisions_neither_wait_nor_read_a_clock() {
    let mut wrong = Vec::new();
    for (module, path, code) in sources()
        .into_iter()
        .filter(|(m, ..)| layer(m).is_some_and(|l| l < 2))
    {
        for word in IMPURE.iter().filter(|word| code.contains(**word)) {
            wrong.push(format!("{}: {module} names {word}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
