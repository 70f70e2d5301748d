//! Expressions about a question, in the language of expr-lang, with CoreDNS's functions.

use std::net::IpAddr;
use std::sync::LazyLock;

use expr::{Context, ContextProvider, Environment, Program, Value};
use regex::Regex;

use crate::corefile::{CorefileError, Directive};
use crate::message::metadata::Metadata;
use crate::message::question::{Edns, Query, Question, RecordType, Transport};
use crate::message::wire::limit;
use crate::name::absolute;
use crate::plugin::kit::Network;

const EXPECTED: &str = "an expression such as `type() == 'A' && incidr(client_ip(), '10.0.0.0/8')`";

/// What the errors say of an expression that is wrong for every question.
const OF_TYPES: [&str; 4] = [
    "Invalid operand",
    "Invalid condition",
    "unknown variable",
    "() takes ",
];

/// An expression, read.
#[derive(Clone, Debug)]
pub(super) struct Expression(Program);

impl Expression {
    /// Reads the words of a line. Its language has no types: names that nobody knows, and operands that never fit, are found
    /// by trying it.
    pub(super) fn read(line: &Directive) -> Result<Self, CorefileError> {
        let words: Vec<_> = line.args.iter().map(|arg| arg.text.as_str()).collect();
        let text = words.join(" ");
        let Some(first) = line.args.first() else {
            return Err(line.name.error("`expr` has no expression", EXPECTED));
        };
        let wrong = |why: &str| {
            let problem = format!("`{text}` is no expression: {why}");
            first.error(problem, EXPECTED)
        };
        if is_long(&text) {
            return Err(wrong("a range has a million numbers at most"));
        }
        let program = expr::compile(&text).map_err(|error| wrong(&short(&error)))?;
        for name in called(&text) {
            let tried = ENVIRONMENT.eval(&format!("{name}()"), &Context::default());
            if let Some(why) = tried.err().map(|error| short(&error))
                && (why.starts_with("Unknown function") || why.contains("feature"))
            {
                return Err(wrong(&format!("there is no function {name}")));
            }
        }
        let read = Self(program);
        for query in samples() {
            if let Err(error) = read.value(&query, None)
                && is_of_types(&error)
            {
                return Err(wrong(&short(&error)));
            }
        }
        Ok(read)
    }

    /// Whether it is true of a question; what has no value, or another, is not.
    pub(super) fn is_true(&self, query: &Query, metadata: Option<&Metadata>) -> bool {
        matches!(self.value(query, metadata), Ok(Value::Bool(true)))
    }

    fn value(&self, query: &Query, metadata: Option<&Metadata>) -> expr::Result<Value> {
        ENVIRONMENT.run(&self.0, &Facts::of(query, metadata))
    }
}

/// Whether an error would come with every question.
fn is_of_types(error: &expr::Error) -> bool {
    let text = short(error);
    matches!(error, expr::Error::RegexError(_)) || OF_TYPES.iter().any(|kind| text.contains(kind))
}

/// Whether there is a range that nobody has room for: it would be written out.
fn is_long(text: &str) -> bool {
    let ends = text.split("..").skip(1).map(str::trim_start);
    let digits = |end: &str| {
        end.bytes()
            .take_while(|c| c.is_ascii_digit() || *c == b'_')
            .count()
    };
    ends.map(digits).any(|digits| digits > 6)
}

/// The last line of an error, without the parser's drawing.
fn short(error: &expr::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches([' ', '=']).to_owned()
}

/// The names before parentheses, outside of texts.
fn called(text: &str) -> Vec<String> {
    let texts = Regex::new(r#"'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`"#);
    let calls = Regex::new(r"(^|[^.\w$#])([A-Za-z_]\w*)\s*\(");
    let (texts, calls) = (texts.expect("it is one"), calls.expect("it is one"));
    let bare = texts.replace_all(text, "''");
    let name = |found: regex::Captures<'_>| found[2].to_owned();
    let mut names: Vec<_> = calls.captures_iter(&bare).map(name).collect();
    // Words of the language before which an operand may stand in parentheses.
    let words = [
        "and", "or", "not", "in", "if", "else", "let", "matches", "contains",
    ];
    let more = ["startsWith", "endsWith"];
    names.retain(|name| !words.contains(&name.as_str()) && !more.contains(&name.as_str()));
    names
}

/// Questions with which an expression is tried.
fn samples() -> [Query; 2] {
    let query = |qname: &str, qtype, client: &str| {
        let name = absolute(qname).unwrap_or_default();
        let client = client
            .parse()
            .unwrap_or_else(|_| IpAddr::from([192, 0, 2, 1]));
        Query::plain(Question::new(name, qtype), (client, 5353).into())
    };
    [
        query("a.b.c.d.example.org", RecordType::A, "192.0.2.1"),
        Query {
            transport: Transport::Tcp,
            edns: Some(Edns {
                udp_size: 1232,
                dnssec_ok: true,
            }),
            ..query("a.b.c.d.example.org", RecordType::TXT, "2001:db8::1")
        },
    ]
}

/// The functions about a question that take nothing: CoreDNS's.
const OF_QUESTION: [&str; 13] = [
    "type",
    "name",
    "class",
    "proto",
    "size",
    "client_ip",
    "port",
    "id",
    "opcode",
    "do",
    "bufsize",
    "server_ip",
    "server_port",
];

/// The language's functions, and those about a question.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    for name in OF_QUESTION {
        environment.add_function(name, move |call| match &call.args[..] {
            [] => Ok(call.ctx.get(&fact(name)).cloned().unwrap_or(Value::Nil)),
            [..] => Err(format!("{name}() takes nothing").into()),
        });
    }
    environment.add_function("metadata", |call| match &call.args[..] {
        [Value::String(label)] => {
            let value = call.ctx.get(&fact(&format!("metadata {label}"))).cloned();
            Ok(value.unwrap_or_else(|| "".into()))
        }
        [..] => Err("metadata() takes a label".to_owned().into()),
    });
    environment.add_function("incidr", |call| match &call.args[..] {
        [Value::String(ip), Value::String(cidr)] => {
            let ip: IpAddr = ip.parse().map_err(|_| format!("'{ip}' is no address"))?;
            let network = Network::cidr(cidr).ok_or_else(|| format!("'{cidr}' is no CIDR"))?;
            Ok(network.has(ip.to_canonical()).into())
        }
        [..] => Err("incidr() takes an address and a CIDR".to_owned().into()),
    });
    environment
});

/// The key of a fact: with a blank, so that no expression can name it as a variable.
fn fact(name: &str) -> String {
    format!(" {name}")
}

/// What functions read.
struct Facts(Context);

impl Facts {
    fn of(query: &Query, metadata: Option<&Metadata>) -> Self {
        let mut facts = Context::default();
        let mut set = |name: &str, value: Value| facts.insert(fact(name), value);
        let question = &query.question;
        let proto = match query.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        let ip = |ip: IpAddr| ip.to_canonical().to_string();
        let server = query.route.server;
        // A type without a name is nothing in Go's table.
        let qtype = if matches!(question.qtype, RecordType::Unknown(_)) {
            String::new()
        } else {
            question.qtype.to_string()
        };
        set("type", qtype.into());
        set("name", question.qname.to_lowercase().to_string().into());
        set("class", question.qclass.to_string().into());
        set("proto", proto.into());
        set("size", query.size.into());
        set("client_ip", ip(query.route.client.ip()).into());
        set("port", query.route.client.port().to_string().into());
        set("id", i32::from(query.id).into());
        set("opcode", i32::from(u8::from(query.opcode)).into());
        let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
        set("do", dnssec_ok.into());
        let room = limit(query.transport, query.edns);
        set("bufsize", i32::from(room).into());
        let server_ip = server.map_or(String::new(), |server| ip(server.ip()));
        set("server_ip", server_ip.into());
        let port = server.map_or(String::new(), |server| server.port().to_string());
        set("server_port", port.into());
        let metadata = metadata.map(Metadata::all).unwrap_or_default();
        for (label, value) in metadata {
            set(&format!("metadata {label}"), value.into());
        }
        Self(facts)
    }
}

impl ContextProvider for Facts {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Nothing: an expression sees functions only.
    fn to_context(&self) -> Context {
        Context::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::question::DNSClass;
    use crate::plugin::tests::{error, query};

    fn read(text: &str) -> Expression {
        Expression(expr::compile(text).unwrap())
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
            assert!(read.is_true(&query, Some(&metadata)), "{text}");
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
            assert!(read(text).is_true(&query, None), "{text}");
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
            assert!(!read(text).is_true(&query, None), "{text}");
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
}
