//! What the tests of several plugins share, and the tests of the registry.

use std::io;

use futures::FutureExt;

use super::*;
use crate::corefile::{self, CorefileError, CorefileErrors, Source};
use crate::message::question::{Question, RecordType};
use crate::message::record;
use crate::message::reply::{Composed, ResponseCode};
use crate::name::absolute;
use crate::plugin::kit::Directives;

/// A link that always gives the same.
pub(super) struct Fixed(pub(super) Handled);

impl Fixed {
    pub(super) fn address(ip: [u8; 4]) -> Self {
        let owner = absolute("fixed").unwrap();
        let answer = vec![record::address(owner, 5, ip.into())];
        Self(Ok(Composed {
            answer,
            ..Composed::empty(ResponseCode::NoError)
        }
        .into()))
    }
}

impl Plugin for Fixed {
    fn handle<'a>(&'a self, _: &'a Query, _: Next<'a>) -> BoxFuture<'a, Handled> {
        futures::future::ready(self.0.clone()).boxed()
    }
}

/// A query over UDP, without EDNS.
pub(super) fn query(qname: &str, qtype: RecordType) -> Query {
    let question = Question::new(absolute(qname).unwrap(), qtype);
    let client = "127.0.0.1:5353".parse().unwrap();
    Query {
        id: 7,
        ..Query::plain(question, client)
    }
}

/// No files but a resolv.conf, one of keys and one of a token, no environment.
pub(super) struct Files;

impl Source for Files {
    fn read(&self, _: &str, path: &str) -> io::Result<String> {
        match path {
            "/etc/resolv.conf" => {
                Ok("search x\nnameserver 192.0.2.1\n# no\nnameserver 2001:db8::1 # yes\n".into())
            }
            "/etc/headless-dns/token" => Ok("0123456789abcdef0123456789abcdef\n".into()),
            "/etc/headless-dns/tsig.keys" => Ok("key \"b.\" {\n secret \"a2V5\";\n};\n".into()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
        }
    }

    fn glob(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

fn blocks(directives: &str) -> Result<Vec<Block>, CorefileErrors> {
    let text = format!("cluster.local:53 {{\n{directives}\n}}");
    let blocks = corefile::parse("Corefile", &text, &Files).unwrap();
    read_blocks(&blocks, &Files)
}

/// A block with these directives.
pub(super) fn block(directives: &str) -> Block {
    blocks(directives).unwrap().remove(0)
}

/// What is wrong with these directives.
pub(super) fn error(directives: &str) -> String {
    let errors = blocks(directives).unwrap_err();
    let problems: Vec<_> = errors.iter().map(CorefileError::problem).collect();
    problems.join("; ")
}

/// What `parse` makes of a directive, which stands alone in its block.
pub(super) fn read<T>(
    directive: &str,
    parse: impl FnOnce(&Directives<'_>) -> Result<T, CorefileError>,
) -> Result<T, CorefileError> {
    let text = format!("cluster.local:53 {{\n{directive}\n}}");
    let block = corefile::parse("Corefile", &text, &Files)?.remove(0);
    let name = &block.directives[0].name.text;
    let directives = Directives::named(name, &block.directives, &block.keys, &Files).unwrap();
    parse(&directives)
}

#[test]
fn a_block_s_plugins_come_in_coredns_s_order_whatever_the_file_s() {
    let block =
        block("forward . 192.0.2.1\nkubernetes\nloadbalance\nready\nlog\nerrors\nhealth\nbind lo");
    let names: Vec<_> = block.links.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["errors", "log", "loadbalance", "kubernetes", "forward"]
    );
    assert_eq!(block.bind.len(), 1);
    assert!(block.ready.is_some() && block.health.is_some());
}

#[test]
fn kubeadm_s_corefile_is_accepted_and_all_of_it_has_effect() {
    let blocks = read_blocks(
        &corefile::parse("Corefile", corefile::KUBEADM, &Files).unwrap(),
        &Files,
    )
    .unwrap();
    let names: Vec<_> = blocks[0]
        .without_effect
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, [""; 0]);
    assert_eq!(blocks[0].links.len(), 7);
}

#[test]
fn no_directive_is_mistyped_and_ignored() {
    for (text, problem) in [
        ("forwrad . 192.0.2.1", "unknown directive 'forwrad'"),
        ("route53 a b", "the plugin `route53` is not supported"),
        (
            "kubernetes\nkubernetes",
            "`kubernetes` stands twice in this block",
        ),
        (
            "health {\n lameduk 5s\n}",
            "unknown property 'lameduk' of `health`",
        ),
        ("health {\n lameduck 5\n}", "'5' is no duration"),
        ("ready 8181", "8181 ends in no port"),
        (
            "loadbalance weighted",
            "'weighted' is no policy, or has other arguments",
        ),
        ("errors file", "`errors` writes to the log only"),
        (
            "ready 8181\nroute53 a\nhealth {\n lameduck 5\n}\nforwrad",
            "8181 ends in no port; the plugin `route53` is not supported; '5' is no duration; unknown directive 'forwrad'",
        ),
        // Each of several with one name.
        (
            "acl {\n permit\n}\nacl {\n forbid\n}\nacl {\n allow\n}",
            "'permit' is no action of `acl`; 'forbid' is no action of `acl`",
        ),
    ] {
        assert_eq!(error(text), problem, "{text}");
    }
}

#[test]
fn the_last_of_several_health_directives_counts() {
    let block = block("health :1\nhealth :2");
    assert_eq!(block.health.unwrap().address, ":2");
}

/// The options that a plugin says that it has.
fn options(plugin: &str) -> Vec<String> {
    let args = match plugin {
        "bind" => "lo",
        "file" => "db.zone",
        "forward" => ". 192.0.2.1",
        "template" => "IN A",
        "tls" => "cert.pem key.pem",
        "view" => "v",
        _ => "",
    };
    let errors = blocks(&format!("{plugin} {args} {{\n no-such-option x\n}}")).err();
    let expected = errors.iter().flat_map(CorefileErrors::iter);
    let expected: Vec<_> = expected.map(CorefileError::expected).collect();
    let expected = expected.join(", ").replace(" or ", ", ");
    let is_option = |word: &&str| {
        let letters = |octet: u8| octet.is_ascii_lowercase() || b"_-0123456789".contains(&octet);
        !word.is_empty() && word.bytes().all(letters)
    };
    let words = expected.split(", ").map(str::trim).filter(is_option);
    words.map(str::to_owned).collect()
}

#[test]
fn every_directive_and_option_has_an_example_that_is_read() {
    let text = include_str!("../../docs/corefile.md");
    let sections: Vec<_> = text
        .split("\n## ")
        .skip(1)
        .map(|part| part.split_once('\n').unwrap())
        .collect();
    let headings: Vec<_> = sections.iter().map(|(name, _)| *name).collect();
    let mut plugins: Vec<_> = names().collect();
    plugins.sort_unstable();
    assert_eq!(headings, plugins);
    let mut found = 0;
    for (plugin, section) in sections {
        let examples: Vec<_> = section
            .split("```corefile\n")
            .skip(1)
            .map(|example| example.split_once("```").unwrap().0)
            .collect();
        for example in &examples {
            let blocks = corefile::parse("Corefile", example, &Files).unwrap();
            let errors = read_blocks(&blocks, &Files).err();
            let problems = errors.iter().flat_map(CorefileErrors::iter);
            let problems: Vec<_> = problems.map(CorefileError::problem).collect();
            assert_eq!(problems, [""; 0], "{example}");
        }
        let lines: Vec<_> = examples
            .iter()
            .flat_map(|example| example.lines())
            .collect();
        // A rule of `rewrite` has its field behind a word or two.
        let has = |word: &str| {
            let mut words = lines
                .iter()
                .flat_map(|line| line.split_whitespace().take(3));
            words.any(|first| first == word)
        };
        assert!(has(plugin), "{plugin} has no example");
        for option in options(plugin) {
            assert!(has(&option), "`{option}` of `{plugin}` has no example");
            found += 1;
        }
    }
    assert!(found > 120, "{found} options");
}
