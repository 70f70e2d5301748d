//! What is wrong with an expression for every question, found by looking at its text and by trying it.

use std::net::IpAddr;
use std::sync::LazyLock;

use expr::{Context, Environment, Value};
use regex::Regex;

use super::{Expression, Facts};
use crate::message::question::{Edns, Query, Question, RecordType, Transport};
use crate::name::absolute;

/// What the errors say of an expression that is wrong for every question.
const OF_TYPES: [&str; 4] = [
    "Invalid operand",
    "Invalid condition",
    "unknown variable",
    "() takes ",
];

/// Words of the language.
const WORDS: [&str; 14] = [
    "true",
    "false",
    "nil",
    "and",
    "or",
    "not",
    "in",
    "if",
    "else",
    "let",
    "matches",
    "contains",
    "startsWith",
    "endsWith",
];

/// Whether it is a word of the language.
pub(super) fn is_word(name: &str) -> bool {
    WORDS.contains(&name)
}

/// Whether there is such a function, also one that is left out here.
pub(super) fn is_function(environment: &Environment<'_>, name: &str) -> bool {
    !refusal(environment, name).starts_with("Unknown function")
}

/// What is wrong with a function that is called without arguments; empty: nothing.
fn refusal(environment: &Environment<'_>, name: &str) -> String {
    let tried = environment.eval(&format!("{name}()"), &Context::default());
    tried.err().map(|error| short(&error)).unwrap_or_default()
}

/// What is wrong before it is read.
pub(super) fn before(environment: &Environment<'_>, text: &str) -> Result<(), String> {
    // What stands in texts is none of the language.
    let bare = &*TEXTS.replace_all(text, "''");
    if is_long(bare) {
        return Err("a range has a million numbers at most".to_owned());
    }
    if let Some(value) = computed(bare) {
        return Err(format!(
            "a map holds texts and numbers only, and not {value}"
        ));
    }
    for name in called(bare) {
        let why = refusal(environment, name);
        if why.starts_with("Unknown function") || why.contains("feature") {
            return Err(format!("there is no function {name}"));
        }
    }
    Ok(())
}

/// An entry of a map, and a value that is constant.
static ENTRY: LazyLock<Regex> = LazyLock::new(|| {
    let entry = format!(r"[{{,]\s*(?:{TEXT}|[A-Za-z_]\w*)\s*:\s*(?P<value>{TEXT}|[^,}}\]]*)");
    Regex::new(&entry).expect("it is one")
});
static CONSTANT: LazyLock<Regex> = LazyLock::new(|| {
    let constant = format!(r"^(?:{TEXT}|true|false|nil|[0-9][0-9_]*(?:\.[0-9]+)?)$");
    Regex::new(&constant).expect("it is one")
});

/// A value of a map that is neither text nor number: the parser of the crate ends the program there.
fn computed(text: &str) -> Option<String> {
    let mut values = ENTRY.captures_iter(text);
    let value = values.find(|entry| !CONSTANT.is_match(entry["value"].trim()))?;
    Some(value["value"].trim().to_owned())
}

/// What an expression says to a sample.
pub(super) fn tried(expression: &Expression, facts: &Facts) -> Result<(), String> {
    match expression.value(facts) {
        Err(error) if is_of_types(&error) => Err(short(&error)),
        Ok(_) | Err(_) => Ok(()),
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
pub(super) fn short(error: &expr::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches([' ', '=']).to_owned()
}

/// What is text in an expression.
const TEXT: &str = r#"'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`"#;

static TEXTS: LazyLock<Regex> = LazyLock::new(|| Regex::new(TEXT).expect("it is one"));

static CALLS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[^.\w$#])([A-Za-z_]\w*)\s*\(").expect("it is one"));

/// The names before parentheses.
fn called(bare: &str) -> impl Iterator<Item = &str> {
    let names = CALLS.captures_iter(bare).filter_map(|found| found.get(1));
    // Before words of the language an operand may stand in parentheses.
    names
        .map(|name| name.as_str())
        .filter(|name| !is_word(name))
}

/// What tells where operands begin and end: texts, words, brackets and signs.
static PARTS: LazyLock<Regex> = LazyLock::new(|| {
    let parts = format!(r"{TEXT}|[A-Za-z_]\w*|[=!]=|&&|\|\||\?\?|\?\.|[<>]=?|[()\[\]{{}},;?:|=]");
    Regex::new(&parts).expect("it is one")
});

/// The operands of each `==` and `!=`.
fn compared(text: &str) -> Vec<[&str; 2]> {
    /// Where the operand begins that is being read, and the one before a comparison.
    struct Open<'t> {
        start: usize,
        left: Option<&'t str>,
    }
    let (mut open, mut compared) = (
        vec![Open {
            start: 0,
            left: None,
        }],
        Vec::new(),
    );
    let ends = std::iter::once((text.len(), text.len(), ""));
    let parts = PARTS.find_iter(text);
    for (from, to, part) in parts
        .map(|part| (part.start(), part.end(), part.as_str()))
        .chain(ends)
    {
        let is_word = part.starts_with(|first: char| first.is_ascii_alphabetic());
        let is_boundary = match part {
            "and" | "or" | "not" | "let" | "if" | "else" => true,
            "?." => false,
            part => !is_word && !part.starts_with(['\'', '"', '`', '_']),
        };
        if !is_boundary {
            continue;
        }
        if matches!(part, "(" | "[" | "{") {
            open.push(Open {
                start: to,
                left: None,
            });
            continue;
        }
        let Some(now) = open.last_mut() else {
            return compared;
        };
        let operand = &text[now.start..from];
        compared.extend(now.left.take().map(|left| [left, operand]));
        now.left = matches!(part, "==" | "!=").then_some(operand);
        now.start = to;
        if matches!(part, ")" | "]" | "}") {
            open.pop();
        }
    }
    compared
}

/// Refuses comparisons of what can never be alike, as the language does in Go, where it has types.
pub(super) fn comparisons(
    environment: &Environment<'_>,
    text: &str,
    facts: &Facts,
) -> Result<(), String> {
    for operands in compared(text) {
        let kinds = operands.map(|operand| kind(&environment.eval(operand.trim(), facts).ok()?));
        if let [Some(left), Some(right)] = kinds
            && left != right
        {
            let [a, b] = operands.map(str::trim);
            return Err(format!("{a} is {left}, and {b} is {right}"));
        }
    }
    Ok(())
}

/// What a value is; `None`: anything.
fn kind(value: &Value) -> Option<&'static str> {
    match value {
        Value::Integer(_) | Value::Float(_) => Some("a number"),
        Value::Bool(_) => Some("true or false"),
        Value::String(_) => Some("text"),
        Value::Array(_) => Some("a list"),
        Value::Map(_) | Value::KeyedMap(_) | Value::Bytes(_) | Value::Nil => None,
    }
}

/// Questions with which an expression is tried.
pub(super) fn samples() -> [Facts; 2] {
    let query = |qtype, client: IpAddr| {
        let name = absolute("a.b.c.d.example.org").unwrap_or_default();
        Query::plain(Question::new(name, qtype), (client, 5353).into())
    };
    let queries = [
        query(RecordType::A, [192, 0, 2, 1].into()),
        Query {
            transport: Transport::Tcp,
            edns: Some(Edns {
                udp_size: 1232,
                dnssec_ok: true,
            }),
            ..query(RecordType::TXT, [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into())
        },
    ];
    queries.map(|query| Facts::of(&query, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operands_of_comparisons_are_found_where_they_stand() {
        for (text, wanted) in [
            (
                "name() == 'a == b' && id() != 7",
                &[["name()", "'a == b'"], ["id()", "7"]][..],
            ),
            ("not (size() + 1 == 2)", &[["size() + 1", "2"]]),
            (
                "any([1], # == 2) or x[0] == 'y'",
                &[["#", "2"], ["x[0]", "'y'"]],
            ),
            ("a ? b == c : d", &[["b", "c"]]),
            ("let n = name(); n == 'x'", &[["n", "'x'"]]),
            ("size() > 5", &[]),
            (")) == (", &[]),
            ("{a: 1}.a == 1", &[["{a: 1}.a", "1"]]),
        ] {
            let found: Vec<_> = compared(text)
                .iter()
                .map(|operands| operands.map(str::trim))
                .collect();
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn what_stands_in_texts_is_none_of_the_language() {
        let environment = Environment::new();
        for text in [
            "name() == 'foo, bar: baz'",
            "name() matches 'x..1234567'",
            "name() == 'f()'",
        ] {
            let text = text.replace("name()", "'a'");
            assert_eq!(before(&environment, &text), Ok(()), "{text}");
        }
        let refused = before(&environment, "{k: 'a, b', l: 1 + 1}").unwrap_err();
        assert_eq!(refused, "a map holds texts and numbers only, and not 1 + 1");
    }

    #[test]
    fn a_map_of_constants_is_none_that_is_computed() {
        for (text, wanted) in [
            ("{'k': id()}", Some("id()")),
            ("{k: 'a, b', l: n + 1}", Some("n + 1")),
            ("{k: -1}", Some("-1")),
            ("{k: 'a', l: 1, m: 2.5, n: true}", None),
            ("any([1], {# > 0 ? true : false})", None),
            ("name() in ['a', 'b: c']", None),
        ] {
            assert_eq!(computed(text).as_deref(), wanted, "{text}");
        }
    }
}
