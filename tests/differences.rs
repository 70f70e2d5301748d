//! The tables of differences from CoreDNS in `docs/differences.md` are what the two corpora say, no more and no less.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use support::corpus::{Expect, cases};

const HEAD: &str = "\
# Differences from CoreDNS 1.15.0

Made from the cases of `tests/corpus` that say `ours`; everywhere else the reply is CoreDNS's, and `cargo test --test conformance`
holds it to that. To make this file anew: `UPDATE_DOCS=1 cargo test --test differences`.

The rules behind them:

* the rcode depends on the name alone, never on the type: what has any record, or is a name of the zone's own tree, is NODATA for
  other types; what does not exist is NXDOMAIN for SOA too;
* names compare without case everywhere, addresses compare as addresses, and every address of a Pod counts;
* a PTR exists exactly when the name it gives resolves to that address under the same options; no labels are ignored left of a
  reverse name;
* while a zone is not synced, a name it cannot decide is SERVFAIL, before any `fallthrough`; `autopath` never turns an answerable
  question into SERVFAIL;
* nobody keeps a denial of what is about to be there (an endpoint that is not ready, a Pod that a StatefulSet is to have): the SOA's
  TTL and minimum are 0. `cache` leaves that as it is.

| question | options | CoreDNS | headless-dns |
|---|---|---|---|
";

const PLUGINS: &str = "
## Plugins

Made from `tests/plugin-corpus/differences.txt`; in every other case of that corpus replies, log lines, metrics and what is refused
are CoreDNS's. `tests/plugin-corpus/check BINARY` holds a server to it. Cases of plugins that are not supported yet are left out:
`docs/plugins.md` names those.

| headless-dns | cases |
|---|---|
";

/// What is different on purpose, each reason with its cases.
fn of_plugins() -> BTreeMap<&'static str, Vec<&'static str>> {
    let listed = include_str!("plugin-corpus/differences.txt");
    let mut reasons: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in listed.lines().filter(|line| !line.starts_with('#')) {
        if let Some((case, reason)) = line.split_once(' ')
            && !reason.ends_with("not supported yet")
        {
            reasons.entry(reason).or_default().push(case);
        }
    }
    reasons
}

fn short(expect: &Expect) -> String {
    let data: Vec<_> = expect
        .answer
        .iter()
        .map(|(.., data)| data.as_str())
        .collect();
    match (expect.rcode.as_str(), data.is_empty()) {
        ("NOERROR", true) => "NODATA".into(),
        ("NOERROR", false) => format!("`{}`", data.join("`, `")),
        (rcode, _) => rcode.into(),
    }
}

/// A denial, with the TTL of its SOA.
fn kept(expect: &Expect) -> String {
    let (_, ttl, ..) = &expect.authority[0];
    format!("{}, for {ttl} s", short(expect))
}

#[test]
fn the_documented_differences_are_those_of_the_corpora() {
    let mut table = HEAD.to_owned();
    for case in cases() {
        let Some(ours) = &case.ours else {
            continue;
        };
        let options: Vec<String> = case
            .config
            .iter()
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        let options = options.join("; ").replace('"', "");
        let mut said = [&case.expect, &ours.expect].map(short);
        if said[0] == said[1] {
            // What differs is how long a denial may be kept.
            said = [&case.expect, &ours.expect].map(kept);
        }
        let [theirs, ours] = said;
        let question = format!("{} {}", case.qname, case.qtype);
        writeln!(table, "| `{question}` | {options} | {theirs} | {ours} |").unwrap();
    }
    table.push_str(PLUGINS);
    for (reason, cases) in of_plugins() {
        writeln!(table, "| {reason} | `{}` |", cases.join("`, `")).unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/differences.md");
    #[expect(clippy::disallowed_methods, reason = "how the file is made anew")]
    if std::env::var("UPDATE_DOCS").is_ok() {
        std::fs::write(path, &table).unwrap();
        println!("wrote {path}");
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        table,
        "run UPDATE_DOCS=1 cargo test --test differences"
    );
}
