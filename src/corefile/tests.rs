use std::collections::BTreeMap;
use std::io;

use super::*;

/// Files and variables by name.
#[derive(Default)]
struct Fake(BTreeMap<&'static str, &'static str>);

impl Source for Fake {
    fn read(&self, _: &str, path: &str) -> io::Result<String> {
        let text = self
            .0
            .get(path)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))?;
        Ok((*text).to_owned())
    }

    fn glob(&self, _: &str, pattern: &str) -> Vec<String> {
        let (start, end) = pattern.split_once('*').unwrap();
        let fits = |name: &&&str| name.starts_with(start) && name.ends_with(end);
        self.0
            .keys()
            .filter(fits)
            .map(|name| (*name).to_owned())
            .collect()
    }

    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|v| (*v).to_owned())
    }
}

/// The blocks as text: `zone:port|zone { name arg [ property arg; ]; }`.
fn show(text: &str, files: &[(&'static str, &'static str)]) -> Vec<String> {
    fn line(d: &Directive) -> String {
        let mut words = vec![d.name.text.clone()];
        words.extend(d.args.iter().map(|t| t.text.clone()));
        let body: String = d.body.iter().map(|d| format!("{}; ", line(d))).collect();
        if body.is_empty() {
            words.join(" ")
        } else {
            format!("{} [ {body}]", words.join(" "))
        }
    }
    let key = |k: &Key| {
        k.port
            .map_or_else(|| k.zone.to_string(), |port| format!("{}:{port}", k.zone))
    };
    let blocks = parse("Corefile", text, &Fake(files.iter().copied().collect())).unwrap();
    let block = |b: &ServerBlock| {
        let keys: Vec<_> = b.keys.iter().map(key).collect();
        let lines: Vec<_> = b.directives.iter().map(line).collect();
        format!("{} {{ {} }}", keys.join("|"), lines.join("; "))
    };
    blocks.iter().map(block).collect()
}

fn error(text: &str) -> CorefileError {
    parse("Corefile", text, &Fake::default()).unwrap_err()
}

#[test]
fn kubeadms_corefile_is_read_whole() {
    assert_eq!(
        show(KUBEADM, &[]),
        ["\
.:53 { errors; health [ lameduck 5s; ]; ready; kubernetes cluster.local in-addr.arpa ip6.arpa [ pods insecure; fallthrough in-addr.arpa ip6.arpa; ttl 30; ]; \
prometheus :9153; forward . /etc/resolv.conf [ max_concurrent 1000; ]; cache 30 [ disable success cluster.local; disable denial cluster.local; ]; loop; reload; loadbalance }"]
    );
}

#[test]
fn blocks_may_have_many_keys_and_no_braces() {
    assert_eq!(
        show("Example.org:53, b.:54 {\n}\n. {\n}", &[]),
        ["example.org.:53|b.:54 {  }", ". {  }"]
    );
    assert_eq!(
        show("a,\nb c:5353 {\n log\n}", &[]),
        ["a.|b.|c.:5353 { log }"]
    );
    assert_eq!(show("a b\n{\n log\n}", &[]), ["a.|b. { log }"]);
    assert_eq!(
        show(".:1053\nerrors\nforward . 1.1.1.1 {\n except a\n}", &[]),
        [".:1053 { errors; forward . 1.1.1.1 [ except a; ] }"]
    );
}

#[test]
fn quotes_comments_and_a_byte_order_mark_are_taken_as_caddy_takes_them() {
    let text = "\u{feff}. {\r\n log \"a # \\\" \\n {\" b#c\r\n # whole line {\n errors\n}";
    assert_eq!(show(text, &[]), [". { log a # \" \\n { b; errors }"]);
    let text = ". {\n chaos \"a\nb\" c\n errors\n}";
    assert_eq!(show(text, &[]), [". { chaos a\nb c; errors }"]);
}

#[test]
fn a_cidr_becomes_reverse_zones_at_the_next_octet_or_nibble() {
    let zones = |word| {
        origins_of(word)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        zones("10.0.0.0/15"),
        ["0.10.in-addr.arpa.", "1.10.in-addr.arpa."]
    );
    assert_eq!(zones("10.0.0.0/24"), ["0.0.10.in-addr.arpa."]);
    assert_eq!(zones("10.9.3.0/18").len(), 64);
    assert_eq!(zones("10.9.3.0/18")[0], "0.9.10.in-addr.arpa.");
    assert_eq!(
        zones("2001:db8::/31"),
        ["8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."]
    );
    assert_eq!(zones("0.0.0.0/0"), ["in-addr.arpa."]);
    assert!(origins_of("10.0.0.0/33").is_err());
    assert_eq!(
        show("2001:db8::/32:5353 {\n}", &[]),
        ["8.b.d.0.1.0.0.2.ip6.arpa.:5353 {  }"]
    );
}

#[test]
fn snippets_files_and_patterns_are_imported_in_place() {
    let files = [
        ("a.server", "a {\n log\n}"),
        ("b.server", "b {\n import common\n}"),
        ("more", "errors\nready"),
    ];
    let text = "(common) {\n errors\n forward . 1.1.1.1 {\n  import inner\n }\n}\n(inner) {\n except x\n}\nimport *.server\n. {\n import more\n}";
    assert_eq!(
        show(text, &files),
        [
            "a. { log }",
            "b. { errors; forward . 1.1.1.1 [ except x; ] }",
            ". { errors; ready }"
        ]
    );
    assert_eq!(show("import *.none\n. {\n}", &[]), [". {  }"]);
}

#[test]
fn the_environment_fills_keys_and_arguments() {
    let files = [("PORT", "1053"), ("UP", "10.0.0.1")];
    assert_eq!(
        show("{$ZONE}:{%PORT%} {\n forward . {$UP}:{$PORT}\n}", &files),
        [".:1053 { forward . 10.0.0.1:1053 }"]
    );
    // Without a name there is nothing to fill in.
    assert_eq!(
        show(". {\n log {%} {$} {%%} {$}{$UP}\n}", &files),
        [". { log {%} {$} {%%} {$}{$UP} }"]
    );
}

#[test]
fn errors_say_where_and_what_was_expected() {
    for (text, position, problem) in [
        (". {\n errors", (2, 2), "the file ends inside a block"),
        (". {\n log \"x\n}", (2, 6), "this quote is never closed"),
        (
            ". {\n health { lameduck 5s }\n}",
            (2, 11),
            "one property per line",
        ),
        ("foo:70000 {\n}", (1, 1), "port 70000 is out of range"),
        ("gopher://a {\n}", (1, 1), "unknown scheme gopher://"),
        (
            ". {\n import nothing\n}",
            (2, 9),
            "cannot import nothing: no such file",
        ),
        ("(a) {\n}\n(a) {\n}", (3, 1), "snippet (a) is defined twice"),
        (
            "(a) {\n import a\n}\n. {\n import a\n}",
            (2, 9),
            "too many imports: does it import itself?",
        ),
        ("{\n}", (1, 1), "a server block without a key"),
    ] {
        let error = error(text);
        assert_eq!(
            (error.position(), error.problem()),
            (position, problem),
            "{text}"
        );
    }
    let shown = error(". {\n health { lameduck 5s }\n}").to_string();
    assert_eq!(
        shown,
        "\
error: one property per line
 --> Corefile:2:11
  |
2 |  health { lameduck 5s }
  |           ^^^^^^^^ expected the end of the line after `{`"
    );
}
