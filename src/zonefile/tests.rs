//! A zone as its users see it, by the sentences of RFC 1034, 4592 and 6672.

use super::*;
use crate::message::question::{Question, RecordType};
use crate::message::record::Record;
use crate::message::type_named;
use crate::name::{Name, absolute};

const ZONE: &str = r#"
$ORIGIN z.test.
$TTL 1h
@       SOA ns1 Hostmaster 7 2h 30m 2w 300
        NS ns1
        NS ns2.other.test.
ns1     A 192.0.2.53
www     CNAME WEB
web 60  A 192.0.2.80
    60  IN AAAA 2001:db8::80
chain   CNAME www
out     CNAME a.other.test.
gone    CNAME nowhere
loop    CNAME loop
round   CNAME again
again   CNAME round
low     CNAME x.sub
*.wild  A 192.0.2.99
x.wild  TXT "explicit"
*.alias CNAME web
a.*.ent TXT "below a wildcard"
sub     NS ns.sub
        NS ns1
        DS 1 8 2 00
ns.sub  A 192.0.2.54
dn      DNAME t.test.
in      DNAME wild
self    DNAME self.self
mx      MX 1 web
        MX 2 web
"#;

fn origin() -> Name {
    absolute("z.test").unwrap()
}

fn zone(text: &str) -> Result<FileZone, String> {
    let records = read("db.z", text, &origin(), &|path| {
        Err(std::io::Error::other(format!("no {}", path.display())))
    });
    FileZone::new(&origin(), records.map_err(|error| error.to_string())?)
}

/// `owner TYPE data` of each record.
fn shown(records: &[Record]) -> Vec<String> {
    let shown = |record: &Record| {
        let text = record
            .to_string()
            .replace(" 3600 IN", "")
            .replace(" IN", "");
        text.replace(".z.test.", "")
    };
    records.iter().map(shown).collect()
}

fn look(zone: &FileZone, question: &str, dnssec: bool) -> Looked {
    let (qname, qtype) = question.split_once(' ').unwrap();
    let qname = absolute(&format!("{qname}.z.test")).unwrap();
    zone.lookup(&Question::new(qname, type_named(qtype).unwrap()), dnssec)
}

/// The outcome, the answer, and what it leads to.
fn says(zone: &FileZone, question: &str) -> (Outcome, Vec<String>, Option<String>) {
    let looked = look(zone, question, false);
    let leads = looked.leads.map(|name| name.to_string());
    (looked.outcome, shown(&looked.answer), leads)
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn each_kind_of_name_says_what_it_has() {
    use Outcome::{Answer, EmptyNonTerminal, Failed, NoData, NoSuchName, Referral};
    let zone = zone(ZONE).unwrap();
    let web = "web 60 A 192.0.2.80";
    // One line each.
    let round = [["round CNAME again", "again CNAME round"]; 5];
    for (question, outcome, answer) in [
        ("web A", Answer, &[web][..]),
        ("WEB a", Answer, &[web]),
        ("web MX", NoData, &[]),
        ("a.web A", NoSuchName, &[]),
        ("www CNAME", Answer, &["www CNAME web"]),
        ("www A", Answer, &["www CNAME web", web]),
        (
            "chain A",
            Answer,
            &["chain CNAME www", "www CNAME web", web],
        ),
        ("chain MX", Answer, &["chain CNAME www", "www CNAME web"]),
        ("loop A", Failed, &[]),
        ("round A", Answer, &round.concat()[..]),
        ("low A", Referral, &["low CNAME x.sub"]),
        ("q.Wild A", Answer, &["q.wild A 192.0.2.99"]),
        ("a.b.wild A", Answer, &["a.b.wild A 192.0.2.99"]),
        ("q.wild MX", NoData, &[]),
        ("x.wild A", NoData, &[]),
        // The closest name that exists has no wildcard (RFC 4592 section 2.2.1).
        ("q.x.wild A", NoSuchName, &[]),
        ("wild A", EmptyNonTerminal, &[]),
        ("q.alias A", Answer, &["q.alias CNAME web", web]),
        ("q.ent A", NoData, &[]),
        ("ent A", EmptyNonTerminal, &[]),
        ("sub A", Referral, &[]),
        ("a.b.sub TXT", Referral, &[]),
        ("ns.sub A", Referral, &[]),
        ("sub DS", Answer, &["sub DS …"]),
        ("dn A", NoData, &[]),
        (
            "x.self A",
            Answer,
            &["self DNAME …", "x.self CNAME x.self.self"],
        ),
    ] {
        let (found, records, _) = says(&zone, question);
        // What hickory-proto has no type for it writes in octets.
        let is_odd = |word: &str| ["DS", "DNAME"].contains(&word);
        let records = records.iter().map(|record| {
            let words: Vec<_> = record.split(' ').collect();
            match words[..] {
                [owner, rtype, _] if is_odd(rtype) => format!("{owner} {rtype} …"),
                _ => record.clone(),
            }
        });
        assert_eq!(
            (found, &records.collect::<Vec<_>>()[..]),
            (outcome, &owned(answer)[..]),
            "{question}"
        );
    }
    assert_eq!(look(&zone, "x.other A", false).outcome, NoSuchName);
    let elsewhere = Question::new(absolute("other.test").unwrap(), RecordType::A);
    assert_eq!(zone.lookup(&elsewhere, false).outcome, Failed);
}

#[test]
fn an_alias_leads_out_of_what_the_zone_knows() {
    let zone = zone(ZONE).unwrap();
    for (question, wanted) in [
        ("out A", "a.other.test."),
        ("gone A", "nowhere.z.test."),
        ("x.y.dn TXT", "x.y.t.test."),
        ("q.in A", "q.wild.z.test."),
        ("chain NS", "www.z.test."),
    ] {
        let (_, _, leads) = says(&zone, question);
        assert_eq!(leads.as_deref(), Some(wanted), "{question}");
    }
    assert_eq!(says(&zone, "q.dn CNAME").2, None);
}

#[test]
fn the_other_sections_say_whose_the_answer_is_and_where_to_go_on() {
    let zone = zone(ZONE).unwrap();
    let soa = ["z.test. SOA ns1 hostmaster 7 7200 1800 1209600 300"];
    let servers = ["z.test. NS ns1", "z.test. NS ns2.other.test."];
    let cut = ["sub NS ns.sub", "sub NS ns1"];
    let web = ["web 60 A 192.0.2.80", "web 60 AAAA 2001:db8::80"];
    for (question, authority, additional) in [
        ("web A", &servers[..], &[][..]),
        ("web TXT", &soa, &[]),
        ("none A", &soa, &[]),
        ("ent A", &soa, &[]),
        ("mx MX", &servers, &web),
        ("x.sub A", &cut, &["ns.sub A 192.0.2.54"]),
        ("low A", &cut, &["ns.sub A 192.0.2.54"]),
    ] {
        let looked = look(&zone, question, false);
        assert_eq!(shown(&looked.authority), authority, "{question}");
        assert_eq!(shown(&looked.additional), additional, "{question}");
    }
    let apex = Question::new(origin(), RecordType::NS);
    let looked = zone.lookup(&apex, false);
    assert_eq!(shown(&looked.answer), servers);
    assert_eq!(shown(&looked.additional), ["ns1 A 192.0.2.53"]);
    assert!(looked.authority.is_empty());
}

/// Names, and what covers them, of a zone that somebody has signed.
#[test]
fn who_asks_for_dnssec_gets_signatures_and_denials() {
    let sig =
        |rtype: &str| format!("RRSIG {rtype} 8 2 60 20300101000000 20200101000000 1 z.test. AAAA");
    let text = format!(
        "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ {}\n@ NS ns\n@ NSEC a NS SOA\n\
        a A 192.0.2.1\na {}\na NSEC *.w A\n*.w A 192.0.2.2\n*.w {}\n*.w NSEC @ A\n",
        sig("SOA"),
        sig("A"),
        sig("A")
    );
    let zone = zone(&text).unwrap();
    let types = |question: &str, dnssec| {
        let looked = look(&zone, question, dnssec);
        let types = |records: &[Record]| {
            let each = records
                .iter()
                .map(|r| format!("{} {}", r.name, r.record_type()));
            each.collect::<Vec<_>>().join(", ").replace(".z.test.", "")
        };
        (types(&looked.answer), types(&looked.authority))
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(types("a A", false), pair("a A", "z.test. NS"));
    assert_eq!(types("a A", true), pair("a A, a RRSIG", "z.test. NS"));
    assert_eq!(types("a RRSIG", false), pair("a RRSIG", "z.test. NS"));
    assert_eq!(types("q.w RRSIG", false), pair("q.w RRSIG", "z.test. NS"));
    let wildcard = |question| look(&zone, question, false).wildcard;
    let wanted = absolute("*.w.z.test").unwrap();
    assert_eq!(wildcard("q.w A"), Some(wanted));
    assert_eq!(wildcard("a A"), None);
    let soa = "z.test. SOA, z.test. RRSIG";
    assert_eq!(types("a MX", true), pair("", &format!("{soa}, a NSEC")));
    assert_eq!(
        types("b A", true),
        pair("", &format!("{soa}, a NSEC, z.test. NSEC"))
    );
    assert_eq!(types("w A", true), pair("", &format!("{soa}, a NSEC")));
    assert_eq!(
        types("q.w A", true),
        pair("q.w A, q.w RRSIG", "z.test. NS, *.w NSEC")
    );
}

/// CoreDNS's: another plugin may know the name.
#[test]
fn a_zone_s_own_name_with_nothing_but_what_each_has_is_as_good_as_empty() {
    let outcome = |more: &str| {
        let zone = zone(&format!("@ 5 SOA ns h 9 2 3 4 5\n@ 5 NS ns\n{more}")).unwrap();
        let apex = Question::new(origin(), RecordType::A);
        zone.lookup(&apex, false).outcome
    };
    assert_eq!(outcome(""), Outcome::EmptyNonTerminal);
    assert_eq!(outcome("@ 5 TXT x\n"), Outcome::NoData);
}

#[test]
fn directives_change_what_is_behind_them() {
    let included = |path: &std::path::Path| match path.to_str() {
        Some("zones/more") => Ok("$ORIGIN deep\n$TTL 99\n@ 5 A 192.0.2.7\n".to_owned()),
        _ => Err(std::io::Error::other("no such file")),
    };
    let records = |text: &str| {
        let records = read("zones/db", text, &origin(), &included);
        records
            .map(|all| shown(&all))
            .map_err(|error| error.to_string())
    };
    let text = "@ 60 SOA ns h (\n 1 ; serial\n 2 3 4 5 )\n NS ns\n$TTL 7\nb TXT \"semi;colon\" \"q\\\"d\"\n\
        $GENERATE 1-2 g$ A 192.0.2.1$\nd A 192.0.2.4\n$INCLUDE more inc\n AAAA 2001:db8::4\n$ORIGIN sub\nrel 1d IN A 192.0.2.9\n";
    assert_eq!(
        records(text).unwrap(),
        [
            "z.test. 60 SOA ns h 1 2 3 4 5",
            "z.test. 60 NS ns",
            "b 7 TXT semi;colonq\"d",
            "g1 7 A 192.0.2.11",
            "g2 7 A 192.0.2.12",
            "d 7 A 192.0.2.4",
            "deep.inc 5 A 192.0.2.7",
            "d 7 AAAA 2001:db8::4",
            "rel.sub 86400 A 192.0.2.9",
        ]
    );
}

#[test]
fn what_is_no_zone_is_an_error_at_its_line() {
    let included = |path: &std::path::Path| match path.to_str() {
        Some("zones/again") => Ok("$INCLUDE again\n".to_owned()),
        _ => Err(std::io::Error::other("no such file")),
    };
    let error_of = |text: &str| {
        let read = read("zones/db", text, &origin(), &included);
        read.unwrap_err().to_string()
    };
    for (text, error) in [
        (
            "a A 192.0.2.1",
            "zones/db:1: there is no TTL, nor one before",
        ),
        (
            " A 192.0.2.1",
            "zones/db:1: there is no name, nor one before",
        ),
        ("\n\na 5 A x", "zones/db:3: 'x' is no IPv4 address"),
        (
            "$TTL 5\na A 192.0.2.1\nthis is ( not\nb A 192.0.2.2\n",
            "zones/db:3: a `(` is not closed",
        ),
        ("this is not", "zones/db:1: 'is' is no type"),
        ("$TTL x", "zones/db:1: 'x' is no TTL"),
        (
            "$INCLUDE nothing",
            "zones/db:1: zones/nothing: no such file",
        ),
        (
            "$INCLUDE again",
            "zones/again:1: 8 files include each other at most",
        ),
        (
            "$GENERATE 2-1 a A 1",
            "zones/db:1: '2-1' is no range such as 1-10 or 0-100/10",
        ),
        (
            "$BOGUS",
            "zones/db:1: '$BOGUS' is not $ORIGIN NAME, $TTL SECONDS, $INCLUDE FILE [ORIGIN] or $GENERATE RANGE",
        ),
    ] {
        assert_eq!(error_of(text), error, "{text}");
    }
}

#[test]
fn of_records_alike_there_is_one_in_a_set_of_any_size() {
    let many = "$GENERATE 1-90 a 5 A 192.0.2.$\n";
    let text = format!("@ 5 SOA ns h 9 2 3 4 5\n{many}{many}a 5 A 192.0.2.91\n");
    let all = zone(&text).unwrap();
    let records: Vec<_> = all.records().cloned().collect();
    let wanted = (1..92).map(|at| format!("a 5 A 192.0.2.{at}"));
    let soa = "z.test. 5 SOA ns h 9 2 3 4 5".to_owned();
    let wanted: Vec<_> = std::iter::once(soa).chain(wanted).collect();
    assert_eq!(shown(&records), wanted);
}

/// CoreDNS serves it as it stands.
#[test]
fn a_record_of_another_class_stays_what_it_is() {
    let zone = zone("@ 5 SOA ns h 9 2 3 4 5\na 5 CH TXT x\na 5 IN TXT x\na 5 CH TXT x\n").unwrap();
    let looked = look(&zone, "a TXT", false);
    let classes: Vec<_> = looked
        .answer
        .iter()
        .map(|record| record.to_string().replace(".z.test.", ""))
        .collect();
    assert_eq!(classes, ["a 5 CH TXT x", "a 5 IN TXT x"]);
}

#[test]
fn a_zone_has_a_soa_and_its_own_names_only() {
    let start = "@ 5 SOA ns h 9 2 3 4 5\n";
    let all = zone(&format!(
        "{start}a 5 A 192.0.2.1\na 5 A 192.0.2.1\na.other. 5 A 192.0.2.2\n"
    ));
    let all = all.unwrap();
    let records: Vec<_> = all.records().cloned().collect();
    assert_eq!(
        shown(&records),
        ["z.test. 5 SOA ns h 9 2 3 4 5", "a 5 A 192.0.2.1"]
    );
    assert_eq!(all.serial(), 9);
    let later = zone(&format!("{start}@ 5 SOA ns h 10 2 3 4 5\n")).unwrap();
    let records: Vec<_> = later.records().cloned().collect();
    assert_eq!(shown(&records), ["z.test. 5 SOA ns h 10 2 3 4 5"]);
    for (text, problem) in [
        ("a 5 A 192.0.2.1", "there is no SOA record of z.test."),
        (
            "a.z.test. 5 SOA ns h 9 2 3 4 5",
            "a.z.test. has a SOA record, and is not z.test.",
        ),
        (
            "other. 5 SOA ns h 9 2 3 4 5",
            "other. has a SOA record, and is not z.test.",
        ),
        (
            "@ 5 NSEC3PARAM 1 0 1 -",
            "a zone with NSEC3 cannot be served",
        ),
    ] {
        let error = zone(&format!("{text}\n")).unwrap_err();
        assert!(error == problem || text.contains("NSEC3"), "{error}");
    }
}
