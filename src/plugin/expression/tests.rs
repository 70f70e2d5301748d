//! Tests of expressions.

use super::*;
use crate::message::metadata::Metadata;
use crate::message::question::{DNSClass, Edns, RecordType, Transport};
use crate::plugin::tests::{error, query};

fn read(text: &str) -> Expression {
    Expression {
        program: expr::compile(text).unwrap(),
        environment: &OF_QUESTIONS,
    }
}

#[test]
fn each_function_says_what_it_is_called_after() {
    let mut query = query("A.Example.org", RecordType::HTTPS);
    query.question.qclass = DNSClass::CH;
    query.transport = Transport::Udp;
    query.size = 42;
    query.route.client = "[2001:db8::7]:4242".parse().unwrap();
    query.route.server = Some("192.0.2.53:1053".parse().unwrap());
    query.edns = Some(Edns {
        udp_size: 1400,
        dnssec_ok: true,
    });
    let metadata = Metadata::default();
    metadata.set("view/name", "v");
    for text in [
        "type() == 'HTTPS'",
        "name() == 'a.example.org.'",
        "class() == 'CH'",
        "proto() == 'udp'",
        "size() == 42",
        "client_ip() == '2001:db8::7'",
        "port() == '4242'",
        "id() == 7",
        "opcode() == 0",
        "do()",
        "bufsize() == 1400",
        "server_ip() == '192.0.2.53'",
        "server_port() == '1053'",
        "metadata('view/name') == 'v'",
        "metadata('no/such') == ''",
        "incidr(client_ip(), '2001:db8::/32')",
        "!incidr(server_ip(), '10.0.0.0/8')",
    ] {
        let read = read(text);
        assert!(read.is_true(&Facts::of(&query, Some(&metadata))), "{text}");
    }
}

#[test]
fn the_language_is_that_of_expr_lang() {
    let query = query("abc.x.example.com", RecordType::A);
    for text in [
        r"name() matches '^abc\\..*\\.example\\.com\\.$'",
        "type() in ['A', 'AAAA'] and not (type() == 'MX')",
        "(type() == 'A' && name() == 'example.com.') || client_ip() == '127.0.0.1'",
        "len(name()) > 5 ? true : false",
        "split(name(), '.')[1] == 'x'",
        "any(['10.0.0.0/8', '127.0.0.0/8'], {incidr(client_ip(), #)})",
        "name() startsWith 'abc.' and name() contains 'example'",
        "let n = name(); n endsWith '.com.'",
        "upper(proto()) + ':' + string(id()) == 'UDP:7'",
        "bufsize() == 512",
        "id() in 1..10",
    ] {
        assert!(read(text).is_true(&Facts::of(&query, None)), "{text}");
    }
    for text in [
        "1 + 1",
        "'true'",
        "nil",
        "incidr('nowhere', '10.0.0.0/8')",
        "incidr(client_ip(), 'x')",
        "split(name(), '.')[77] == 'x'",
        "type(1) == 'A'",
    ] {
        assert!(!read(text).is_true(&Facts::of(&query, None)), "{text}");
    }
}

#[test]
fn what_no_question_makes_true_is_refused_with_its_place() {
    for (text, why) in [
        ("bogus()", "there is no function bogus"),
        ("true || bogus()", "there is no function bogus"),
        ("now() == 1", "there is no function now"),
        ("size() > 'a'", "Invalid operands for operator >"),
        ("do", "unknown variable: do"),
        ("do() && 'x'", "Invalid operands for operator and"),
        ("type(1) == 'A'", "type() takes nothing"),
        ("name() == 1", "name() is text, and 1 is a number"),
        (
            "do() || !(port() != 53)",
            "port() is text, and 53 is a number",
        ),
        (
            "incidr(client_ip())",
            "incidr() takes an address and a CIDR",
        ),
    ] {
        let wanted = format!("`{text}` is no expression: {why}");
        assert_eq!(error(&format!("view v {{\nexpr {text}\n}}")), wanted);
    }
    let unclosed = error("view v {\nexpr name() matches '['\n}");
    assert!(unclosed.ends_with("unclosed character class"), "{unclosed}");
    let long = error("view v {\nexpr id() in 1..9999999\n}");
    assert!(long.ends_with("a range has a million numbers at most"));
    for text in ["type() ==", "(", "'"] {
        let said = error(&format!("view v {{\nexpr {text}\n}}"));
        assert!(said.contains("is no expression: expected"), "{said}");
    }
    assert_eq!(error("view v {\nexpr\n}"), "`expr` has no expression");
    // An error that another question may be without is none here.
    let fine = "split(name(), '.')[20] == 'x'";
    let block = crate::plugin::tests::block(&format!("view v {{\nexpr {fine}\n}}"));
    assert!(block.view.is_some());
}
