//! Go's templates, with what CoreDNS's have: fields of the question, groups of the expression, `parseInt`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::LazyLock;

use gtmpl::{Context, Template, Value};
use regex::{Captures, Regex};

use super::functions;
use crate::message::question::Query;

/// What a template may name.
pub(super) struct Fields<'a> {
    /// In lower case.
    pub(super) name: String,
    pub(super) zone: String,
    pub(super) class: String,
    pub(super) qtype: String,
    pub(super) remote: String,
    pub(super) query: &'a Query,
    /// What other plugins say of the query, by label.
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) captures: Captures<'a>,
    pub(super) regex: &'a Regex,
    /// What `var` has set.
    pub(super) variables: HashMap<String, Value>,
}

impl Fields<'_> {
    fn context(&self) -> Context {
        let map = |fields: Vec<(&str, Value)>| {
            let owned = fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value));
            Value::from(owned.collect::<HashMap<String, Value>>())
        };
        let all: Vec<&str> = (0..self.captures.len()).map(|i| self.group(i)).collect();
        let groups = self.groups().into_iter();
        let groups: HashMap<String, Value> = groups
            .map(|(name, value)| (name, Value::from(value)))
            .collect();
        let metadata = self.metadata.iter();
        let metadata: HashMap<String, Value> = metadata
            .map(|(label, value)| (label.clone(), value.as_str().into()))
            .collect();
        Context::from(map(vec![
            ("Name", self.name.as_str().into()),
            ("Zone", self.zone.as_str().into()),
            ("Class", self.class.as_str().into()),
            ("Type", self.qtype.as_str().into()),
            ("Remote", self.remote.as_str().into()),
            ("Match", all.into()),
            ("Group", groups.into()),
            ("Question", map(self.question())),
            ("Message", map(self.message())),
            ("Metadata", metadata.into()),
            ("Var", self.variables.clone().into()),
            ("Regex", self.regex.as_str().into()),
        ]))
    }

    fn group(&self, i: usize) -> &str {
        self.captures.get(i).map_or("", |group| group.as_str())
    }

    /// What the groups of the expression have found, each by its number, and by its name where it has one.
    pub(super) fn groups(&self) -> Vec<(String, &str)> {
        let mut groups = Vec::new();
        for (i, name) in self.regex.capture_names().enumerate() {
            groups.push((i.to_string(), self.group(i)));
            groups.extend(name.map(|name| (name.to_owned(), self.group(i))));
        }
        groups
    }

    /// The question, as Go's `dns.Question` has it.
    fn question(&self) -> Vec<(&'static str, Value)> {
        let question = &self.query.question;
        vec![
            ("Name", question.qname.to_string().into()),
            ("Qtype", Value::from(u16::from(question.qtype))),
            ("Qclass", Value::from(u16::from(question.qclass))),
        ]
    }

    /// The request's header, as Go's `dns.Msg` has it.
    fn message(&self) -> Vec<(&'static str, Value)> {
        let query = self.query;
        let opcode = u8::from(query.opcode);
        vec![
            ("Id", Value::from(query.id)),
            ("Response", false.into()),
            ("Opcode", Value::from(opcode)),
            ("Authoritative", false.into()),
            ("Truncated", false.into()),
            ("RecursionDesired", query.recursion_desired.into()),
            ("RecursionAvailable", false.into()),
            ("Zero", false.into()),
            ("AuthenticatedData", query.authentic_data.into()),
            ("CheckingDisabled", query.checking_disabled.into()),
            ("Rcode", Value::from(0_u8)),
            ("Compress", false.into()),
        ]
    }
}

/// A template of one record.
pub(super) struct Line {
    template: Template,
    /// As Go writes it: no blanks at the ends of its actions.
    plain: String,
}

impl Line {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        Ok(Self {
            template: template(text)?,
            plain: plain(text),
        })
    }

    pub(super) fn as_go_writes_it(&self) -> &str {
        &self.plain
    }

    /// The text that the template makes of these fields.
    ///
    /// # Errors
    /// An action that cannot be done with them.
    pub(super) fn render(&self, fields: &Fields<'_>) -> Result<String, String> {
        let rendered = self.template.render(&fields.context());
        let rendered = rendered.map_err(|error| error.to_string())?;
        // A field that is not there is nothing, as a missing group is in Go.
        Ok(rendered.replace("<no value>", ""))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.plain, f)
    }
}

/// How many actions a template may have, and how many parentheses an action: more than a record needs.
const MAX_ACTIONS: usize = 200;
const MAX_PARENTHESES: usize = 50;

/// What stands between `{{` and `}}`; quotes and comments may hold either. The parser never ends where an action does not.
fn actions(text: &str) -> Result<Vec<&str>, String> {
    let (mut rest, mut actions) = (text, Vec::new());
    while let Some((_, action)) = rest.split_once("{{") {
        let end = end_of_action(action).ok_or("an action does not end")?;
        actions.push(action[..end].trim());
        rest = &action[end + 2..];
    }
    Ok(actions)
}

/// Where the `}}` stands that ends an action.
fn end_of_action(action: &str) -> Option<usize> {
    let mut quote = None;
    let mut octets = action.bytes().enumerate();
    while let Some((at, octet)) = octets.next() {
        match (quote, octet) {
            (Some(b'"' | b'\''), b'\\') => {
                octets.next();
            }
            (Some(open), octet) if open == octet => quote = None,
            (None, b'"' | b'\'' | b'`') => quote = Some(octet),
            (None, b'}') if action[at..].starts_with("}}") => return Some(at),
            (Some(_) | None, _) => {}
        }
    }
    None
}

static WIDE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"%[-+# 0]*[0-9.]*[0-9]{4}").expect("the expression is one"));

fn template(text: &str) -> Result<Template, String> {
    let actions = actions(text)?;
    if actions.len() > MAX_ACTIONS {
        return Err(format!("it has more than {MAX_ACTIONS} actions"));
    }
    for action in actions {
        // A field of that width would be made, and more than there is memory for.
        if WIDE.is_match(action) {
            return Err("a width of more than three digits in `printf`".to_owned());
        }
        // The parser and the rendering call themselves for each pair of parentheses, and for each template that is named.
        if action.matches('(').count() > MAX_PARENTHESES {
            return Err(format!(
                "an action has more than {MAX_PARENTHESES} parentheses"
            ));
        }
        let word = action.trim_start_matches('-').split_whitespace().next();
        if let Some(word @ ("define" | "template" | "block")) = word {
            return Err(format!("`{word}` is not supported"));
        }
    }
    let mut template = Template::default();
    template.add_funcs(&functions::ALL);
    // A method in Go.
    let text = text.replace(".Meta ", "meta $.Metadata ");
    template
        .parse(text.as_str())
        .map_err(|error| error.to_string())?;
    Ok(template)
}

/// Without blanks at the ends of actions.
fn plain(text: &str) -> String {
    let mut parts = text.split("{{");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (action, rest) = part.split_once("}}").unwrap_or((part, ""));
        plain += &format!("{{{{{}}}}}{rest}", action.trim());
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::question::{Question, RecordType};
    use crate::name::absolute;

    #[test]
    fn what_would_never_end_is_no_template() {
        let deep = format!("{{{{{}.Name{}}}}}", "(".repeat(51), ")".repeat(51));
        let nested = "{{if .Name}}".repeat(101) + &"{{end}}".repeat(101);
        for (text, problem) in [
            ("{{ .Name", "an action does not end"),
            (r#"{{ "}}" "#, "an action does not end"),
            (r#"{{ "\"}}" "#, "an action does not end"),
            (&deep, "an action has more than 50 parentheses"),
            (&nested, "it has more than 200 actions"),
            (
                r#"{{ printf "%999999999d" 1 }}"#,
                "a width of more than three digits in `printf`",
            ),
            (r#"{{ template "x" }}"#, "`template` is not supported"),
            (r#"{{- define "x" }}{{ end }}"#, "`define` is not supported"),
        ] {
            assert_eq!(Line::read(text).unwrap_err(), problem, "{text}");
        }
        assert!(Line::read(r#"{{ "}}" }} {{ .Name }}"#).is_ok());
    }

    #[test]
    fn a_template_is_counted_as_go_writes_it() {
        assert_eq!(
            plain("{{ .Name }} 1 IN A {{- .Zone -}} x"),
            "{{.Name}} 1 IN A {{- .Zone -}} x"
        );
    }

    #[test]
    fn templates_say_what_go_s_say() {
        let question = Question::new(absolute("IP-7b-2.v.test").unwrap(), RecordType::A);
        let query = Query {
            id: 77,
            ..Query::plain(question, ([10, 0, 0, 9], 1).into())
        };
        let regex = Regex::new("^ip-(?P<a>[0-9a-f]+)-(?P<b>[0-9]*)[.]").unwrap();
        let fields = Fields {
            name: "ip-7b-2.v.test.".into(),
            zone: "v.test.".into(),
            class: "IN".into(),
            qtype: "A".into(),
            remote: "10.0.0.9".into(),
            query: &query,
            metadata: BTreeMap::from([("a/b".to_owned(), "c".to_owned())]),
            captures: regex.captures("ip-7b-2.v.test.").unwrap(),
            regex: &regex,
            variables: HashMap::from([("v".to_owned(), Value::from(7))]),
        };
        for (text, wanted) in [
            (
                "{{ .Name }} 60 IN A 10.0.{{ .Group.b }}",
                "ip-7b-2.v.test. 60 IN A 10.0.2",
            ),
            ("{{ parseInt .Group.a 16 8 }}", "123"),
            ("{{ index .Match 1 }} {{ .Group.none }}", "7b "),
            ("{{ if eq .Group.b `2` }}two{{ else }}other{{ end }}", "two"),
            ("{{ printf `%s-%d` .Zone (len .Zone) }}", "v.test.-7"),
            (
                "{{ slice .Name 0 2 }} {{ not true }} {{ lt 1 2 }}",
                "ip false true",
            ),
            (
                "{{ .Question.Name }}|{{ .Message.Id }}|{{ .Remote }}",
                "IP-7b-2.v.test.|77|10.0.0.9",
            ),
            (
                "{{ .Question.Qtype }} {{ .Message.RecursionDesired }} {{ printf `%03d` .Message.Opcode }}",
                "1 true 000",
            ),
            ("{{ .Var.v }}{{ .Var.none }}", "7"),
            ("[{{ .Meta `a/b` }}{{ .Meta `a/none` }}]", "[c]"),
        ] {
            assert_eq!(
                Line::read(text)
                    .and_then(|line| line.render(&fields))
                    .as_deref(),
                Ok(wanted),
                "{text}"
            );
        }
        let small = Line::read("{{ parseInt .Group.a 16 4 }}").unwrap();
        assert!(small.render(&fields).is_err());
        assert!(
            Line::read("{{ .Name ").is_err()
                && Line::read("{{ .Name").is_err()
                && Line::read("{{ nothing .Name }}").is_err()
        );
    }
}
