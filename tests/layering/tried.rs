//! What was tried against the fence: it stands only where each of these fails.

use super::scan::Source;
use super::{sources, violations};

/// Files that replace those of the project or stand beside them, and what is said of it.
struct Tried {
    what: &'static str,
    files: &'static [(&'static str, &'static str)],
    said: &'static [&'static str],
}

const TRIED: &[Tried] = &[
    Tried {
        what: "an arrow up",
        files: &[("src/zone/tried.rs", "use crate::listen::Sockets;")],
        said: &["src/zone/tried.rs: zone (L1) names listen (L2), which is above"],
    },
    Tried {
        what: "an arrow up in braces, in a macro, by way of super",
        files: &[
            (
                "src/zone/tried.rs",
                "use crate::{name::Name, plugin::{Next, Plugin}};",
            ),
            (
                "src/name/tried.rs",
                "fn f() { println!(\"{}\", crate::zone::Zone::x()); }",
            ),
            (
                "src/answer/tried.rs",
                "fn f() -> super::super::watch::Watches {}",
            ),
        ],
        said: &[
            "src/zone/tried.rs: zone (L1) names plugin (L2), which is above",
            "src/name/tried.rs: name (L0) names zone (L1), which is above",
            "src/answer/tried.rs: answer (L1) names watch (L2), which is above",
        ],
    },
    Tried {
        what: "a sibling that is not listed",
        files: &[
            ("src/listen/tried.rs", "use crate::watch::Watches;"),
            ("src/corefile/tried.rs", "use crate::zone::Zone;"),
        ],
        said: &[
            "src/listen/tried.rs: listen (L2) names watch (L2), which its row does not list",
            "src/corefile/tried.rs: corefile (L1) names zone (L1), which its row does not list",
        ],
    },
    Tried {
        what: "a circle in a folder, straight, over three files, in another crate, and of a folder with a file",
        files: &[
            ("src/zone/tried.rs", "use super::tried_too::X;"),
            ("src/zone/tried_too.rs", "use super::tried::X;"),
            ("src/plugin/forward/tried.rs", "use super::one::X;"),
            (
                "src/plugin/forward/one.rs",
                "use crate::plugin::forward::other::X;",
            ),
            ("src/plugin/forward/other.rs", "use super::tried::X;"),
            (
                "crates/cluster/src/reconcilers/tried.rs",
                "use super::tried_too::X;",
            ),
            (
                "crates/cluster/src/reconcilers/tried_too.rs",
                "use super::{tried::X};",
            ),
            ("src/api/tried/mod.rs", "use super::tried_too::X;"),
            ("src/api/tried_too.rs", "use super::tried::X;"),
        ],
        said: &[
            "crates/cluster/src/reconcilers: tried, tried_too name each other",
            "src/api: tried, tried_too name each other",
            "src/plugin/forward: one, other, tried name each other",
            "src/zone: tried, tried_too name each other",
        ],
    },
    Tried {
        what: "another crate out of its room",
        files: &[
            (
                "src/zone/tried.rs",
                "fn f() { let client: kube::Client = g(); }",
            ),
            (
                "src/plugin/tried.rs",
                "use hickory_proto::rr::{Name, Record};",
            ),
            (
                "src/plugin/forward/tried.rs",
                "use {hickory_server::Server, std::sync::Arc};",
            ),
            (
                "src/serve/tried.rs",
                "fn f() { headless_cluster::Cluster::start(); }",
            ),
            ("src/listen/tried.rs", "fn f() { anyhow::bail!(\"x\") }"),
            (
                "crates/cluster/src/tried.rs",
                "use headless_dns::zone::Zone; use rcgen::Key;",
            ),
        ],
        said: &[
            "src/zone/tried.rs names kube, whose room is crates/cluster/src src/api src/reconciler src/watch",
            "src/plugin/tried.rs names hickory_proto, whose room is src/name src/message src/listen/handler",
            "src/plugin/forward/tried.rs names hickory_server, whose room is src/listen/handler",
            "src/serve/tried.rs names headless_cluster, whose room is src/commands src/pods src/sandbox",
            "src/listen/tried.rs names anyhow, whose room is src/args src/commands src/logging src/sandbox src/serve",
            "crates/cluster/src/tried.rs names rcgen, whose room is crates/cluster/src/authority",
        ],
    },
    Tried {
        what: "waiting, a clock, a socket where facts and decisions are",
        files: &[
            ("src/zone/tried.rs", "async fn f() {}"),
            (
                "src/statefulset/tried.rs",
                "fn f() { std::time::Instant::now(); }",
            ),
            ("src/message/tried.rs", "use std::net::{TcpStream, IpAddr};"),
        ],
        said: &[
            "src/zone/tried.rs: zone (L1) names async",
            "src/statefulset/tried.rs: statefulset (L1) names Instant::now",
            "src/message/tried.rs: message (L0) names TcpStream",
        ],
    },
    Tried {
        what: "what is no arrow: tests, comments, text, what a folder's own mod.rs has",
        files: &[
            (
                "src/zone/tried.rs",
                "#[cfg(test)]\nmod tests { use crate::listen::X; }\nfn f() {}",
            ),
            ("src/zone/tests/tried.rs", "use crate::listen::X;"),
            (
                "src/name/tried.rs",
                "// crate::zone\n/// [`crate::zone`] and kube::Client\nconst X: &str = \"crate::zone\";",
            ),
            (
                "src/answer/tried.rs",
                "#[cfg(test)]\nuse crate::listen::X;\nuse super::Reply;",
            ),
        ],
        said: &[],
    },
];

#[test]
fn the_fence_stands_only_where_each_of_these_fails() {
    let project = sources();
    for Tried { what, files, said } in TRIED {
        let mut changed = project.clone();
        changed.extend(
            files
                .iter()
                .filter_map(|(file, text)| Source::read(file, text)),
        );
        let mut found = violations(&changed);
        found.sort();
        let mut said = said.to_vec();
        said.sort_unstable();
        assert_eq!(found, said, "{what}");
    }
}
