//! The fence: what each module may name (the picture in `src/lib.rs`). Reads the source, so it sees every arrow.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod circles;
mod scan;
mod tables;
mod tried;

use std::collections::BTreeSet;
use std::path::Path;

use scan::Source;
use tables::{CLOCKS_AND_SOCKETS, MODULES, Module, ROOMS};

/// All sources of the four crates, without what only tests have.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "src",
        "crates/cluster/src",
        "crates/node/src",
        "crates/objects/src",
    ];
    let files = folders.map(|dir| root.join(dir));
    let mut found = Vec::new();
    for path in files.iter().flat_map(|dir| scan::files(dir)) {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        found.extend(Source::read(name, &std::fs::read_to_string(&path).unwrap()));
    }
    found
}

/// What breaks the fence, one line each.
fn violations(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let file = &source.file;
        if let Some(module) = module_of(source) {
            found.extend(arrows(source, module));
        }
        for (name, rooms) in ROOMS {
            let names = source.foreign.contains(*name);
            let mut allowed = rooms.split_whitespace();
            if names && !rooms.is_empty() && !allowed.any(|room| is_in(file, room)) {
                found.push(format!("{file} names {name}, whose room is {rooms}"));
            }
        }
    }
    found.extend(circles::circles(sources));
    found
}

/// Whether a file is a module's: its file, or below its folder.
fn is_in(file: &str, room: &str) -> bool {
    let rest = file.strip_prefix(room);
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// The row of the top module that a source of the root crate belongs to; `lib.rs` and `main.rs` name what they like.
fn module_of(source: &Source) -> Option<&'static Module> {
    let top = source.top()?;
    let row = MODULES.iter().find(|module| module.name == top);
    Some(row.unwrap_or_else(|| panic!("{} has no row", source.file)))
}

fn arrows(source: &Source, module: &Module) -> Vec<String> {
    let (file, Module { name, layer, .. }) = (&source.file, module);
    let mut found = Vec::new();
    for target in source.targets() {
        if target == *name || module.may_name().any(|name| name == target) {
            continue;
        }
        let Some(row) = MODULES.iter().find(|row| row.name == target) else {
            found.push(format!("{file} names {target}, which has no row"));
            continue;
        };
        let why = if row.layer > *layer {
            "which is above"
        } else {
            "which its row does not list"
        };
        found.push(format!(
            "{file}: {name} (L{layer}) names {target} (L{}), {why}",
            row.layer
        ));
    }
    if *layer < 2 {
        let impure = CLOCKS_AND_SOCKETS.iter().filter(|word| source.names(word));
        found.extend(impure.map(|word| format!("{file}: {name} (L{layer}) names {word}")));
    }
    found
}

#[test]
fn the_code_keeps_to_the_fence() {
    let found = violations(&sources());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_rows_are_those_of_the_modules_and_of_the_dependencies() {
    let top = sources().iter().filter_map(Source::top).collect();
    let rows: BTreeSet<String> = MODULES.iter().map(|module| module.name.into()).collect();
    assert_eq!(rows, top);
    let rooms: BTreeSet<String> = ROOMS.iter().map(|(name, _)| (*name).into()).collect();
    assert_eq!(rooms, dependencies());
}

/// The crates that the four crates depend on.
fn dependencies() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for manifest in [
        "Cargo.toml",
        "crates/cluster/Cargo.toml",
        "crates/node/Cargo.toml",
        "crates/objects/Cargo.toml",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest);
        let text = std::fs::read_to_string(path).unwrap();
        let section = text.split("\n[dependencies]\n").nth(1).unwrap();
        let section = section.split("\n[").next().unwrap();
        let names = section
            .lines()
            .filter_map(|line| line.split(['.', ' ']).next());
        found.extend(
            names
                .filter(|name| !name.is_empty())
                .map(|name| name.replace('-', "_")),
        );
    }
    found
}

#[test]
fn a_row_lists_nothing_that_its_module_does_not_name() {
    let sources = sources();
    for module in MODULES {
        let own = sources
            .iter()
            .filter(|source| source.top().as_deref() == Some(module.name));
        let named: BTreeSet<String> = own.flat_map(Source::targets).collect();
        let idle: Vec<_> = module
            .may_name()
            .filter(|target| !named.contains(*target))
            .collect();
        assert!(idle.is_empty(), "{} does not name {idle:?}", module.name);
    }
}

#[test]
fn a_row_lists_what_is_below_it_and_siblings_without_a_circle() {
    let layer = |name: &str| {
        MODULES
            .iter()
            .find(|module| module.name == name)
            .unwrap()
            .layer
    };
    let mut edges = BTreeSet::new();
    for module in MODULES {
        for target in module.may_name() {
            assert!(
                layer(target) <= module.layer,
                "{} → {target} points up",
                module.name
            );
            edges.insert((module.name.to_owned(), target.to_owned()));
        }
    }
    assert_eq!(circles::of(&edges), Vec::<Vec<String>>::new());
}
