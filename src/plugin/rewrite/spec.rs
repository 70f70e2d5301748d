//! The directive `rewrite [continue|stop] FIELD ...`.

use regex::Regex;

use super::edns;
use super::labels::Labelled;
use super::pattern::{Pattern, dotted};
use super::response::{Map, Response};
use super::{Field, NameRule, Rewrite, Rule};
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::question::{DNSClass, RecordType};
use crate::message::reply::ResponseCode;
use crate::message::{class_named, rcode_named, type_called};
use crate::plugin::block::Block;
use crate::plugin::kit::{Directives, Registration, expression};

pub(in crate::plugin) const PLUGIN: Registration = Registration {
    name: "rewrite",
    setup,
};

const FIELDS: &str = "name, type, class, edns0, ttl, rcode or cname";

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let rules: Result<Vec<Rule>, _> = directives.iter().map(read).collect();
    // A rule may turn any class into IN.
    block
        .links
        .push((PLUGIN.name, Box::new(Rewrite::new(rules?))));
    Ok(())
}

/// A rule, in one line or in a block whose lines belong to it.
fn read(directive: &Directive) -> Result<Rule, CorefileError> {
    let mut words: Vec<Token> = directive.args.clone();
    let mut continues = false;
    if let Some(first) = words.first() {
        match first.text.to_lowercase().as_str() {
            "continue" => {
                continues = true;
                words.remove(0);
            }
            "stop" => {
                words.remove(0);
            }
            _ => {}
        }
    }
    words.extend(of_body(directive)?);
    let Some((field, args)) = words.split_first() else {
        let expected = format!("a field ({FIELDS}), and a rule");
        return Err(directive.name.error("`rewrite` has no rule", expected));
    };
    let field = match field.text.to_lowercase().as_str() {
        "name" => Field::Name(name_rule(field, args)?),
        "type" => {
            let [from, to] = two(field, args)?;
            Field::Type(record_type(from)?, record_type(to)?)
        }
        "class" => {
            let [from, to] = two(field, args)?;
            Field::Class(class(from)?, class(to)?)
        }
        "edns0" => Field::Edns(edns::Rule::read(field, args)?),
        "ttl" => {
            let (pattern, rest) = Pattern::read(field, args, 1)?;
            let [range] = rest else {
                return Err(field.error("the rule is not whole", "a name, and seconds"));
            };
            let (least, most) = ttl(range)?;
            Field::Reply(pattern, Response::Ttl(least, most))
        }
        "rcode" => {
            let (pattern, rest) = Pattern::read(field, args, 2)?;
            let [from, to] = two(field, rest)?;
            Field::Reply(pattern, Response::Rcode(rcode(from)?, rcode(to)?))
        }
        "cname" => {
            let (pattern, rest) = Pattern::read(field, args, 1)?;
            let [to] = rest else {
                return Err(field.error("the rule is not whole", "two names"));
            };
            let to = to.text.to_lowercase();
            Field::Alias(Map { pattern, to })
        }
        other => return Err(field.error(format!("'{other}' is no field"), FIELDS)),
    };
    Ok(Rule { field, continues })
}

/// The words of a rule that stands in a block.
fn of_body(directive: &Directive) -> Result<Vec<Token>, CorefileError> {
    if let Some(property) = directive.body.first().filter(|_| directive.args.len() > 1) {
        let problem = "a rule stands in one line, or in a block";
        return Err(property.name.error(problem, "one of both"));
    }
    let lines = directive.body.iter();
    let words = lines.flat_map(|property| std::iter::once(&property.name).chain(&property.args));
    Ok(words.cloned().collect())
}

fn two<'t>(name: &Token, args: &'t [Token]) -> Result<[&'t Token; 2], CorefileError> {
    match args {
        [from, to] => Ok([from, to]),
        _ => Err(name.error("the rule is not whole", "what it is, and what it becomes")),
    }
}

fn name_rule(name: &Token, args: &[Token]) -> Result<NameRule, CorefileError> {
    let behind = args.iter().position(|arg| arg.text == "answer");
    let (own, behind) = args.split_at(behind.unwrap_or(args.len()));
    let (own, metadata) = match own {
        [own @ .., word] if own.len() == 3 && word.text == "metadata" => (own, Some(word)),
        own => (own, None),
    };
    if let ([first, _], [_, ..]) = (own, behind) {
        let problem = "what kind of pattern it is has to be said where there are answers";
        return Err(first.error(problem, "exact, prefix, suffix, substring or regex"));
    }
    let (pattern, rest) = Pattern::read(name, own, 1)?;
    let [to] = rest else {
        return Err(name.error("the rule is not whole", "two names"));
    };
    let labelled = match (&pattern, metadata) {
        (Pattern::Regex(regex), Some(_)) => {
            let labelled = Labelled::read(&dotted(&to.text), regex.captures_len() - 1);
            Some(
                labelled
                    .map_err(|problem| to.error(problem, "groups such as {1}, and metadata"))?,
            )
        }
        (Pattern::Regex(regex), None) => {
            has_groups(regex, to)?;
            None
        }
        (_, Some(word)) => {
            let problem = "metadata are put into names that `regex` makes only";
            return Err(word.error(problem, "regex"));
        }
        (_, None) => None,
    };
    let suffix = matches!(pattern, Pattern::Suffix(_)) && !to.text.ends_with('.');
    let mut rule = NameRule {
        pattern,
        to: to.text.to_lowercase() + if suffix { "." } else { "" },
        labelled,
        auto: false,
        answers: Vec::new(),
    };
    answers(&mut rule, behind)?;
    Ok(rule)
}

/// Reads `answer (auto | (name|value) FROM TO)`, again and again; after the first the word `answer` may be left out.
fn answers(rule: &mut NameRule, words: &[Token]) -> Result<(), CorefileError> {
    const ANSWER: &str =
        "`answer auto`, `answer name EXPRESSION NAME` or `answer value EXPRESSION NAME`";
    let mut left = words;
    while let Some((word, rest)) = left.split_first() {
        let said = if word.text == "answer" { rest } else { left };
        left = match said {
            [kind, rest @ ..] if kind.text == "auto" => {
                rule.auto = true;
                rest
            }
            [kind, from, to, rest @ ..] if ["name", "value"].contains(&kind.text.as_str()) => {
                let regex = expression(from, "a regular expression")?;
                has_groups(&regex, to)?;
                rule.answers.push(Response::Names {
                    map: Map::regex(regex, &to.text.to_lowercase()),
                    owners: kind.text == "name",
                    values: kind.text == "value",
                });
                rest
            }
            _ => return Err(word.error("the answer's rule is not whole", ANSWER)),
        };
        let is_of_names =
            |response: &Response| matches!(response, Response::Names { owners: true, .. });
        if rule.auto && rule.answers.iter().any(is_of_names) {
            let problem = "`answer auto` and `answer name` do not go together";
            return Err(word.error(problem, ANSWER));
        }
    }
    Ok(())
}

/// Refuses a name that has more groups in it than the expression: as in CoreDNS each of `{0}` to `{100}` counts.
fn has_groups(regex: &Regex, to: &Token) -> Result<(), CorefileError> {
    let used = (0..=100).filter(|group| to.text.contains(&format!("{{{group}}}")));
    let (used, has) = (used.count(), regex.captures_len() - 1);
    if used <= has {
        return Ok(());
    }
    let problem = format!(
        "'{}' uses {used} groups of an expression that has {has}",
        to.text
    );
    Err(to.error(problem, "as many groups in the expression"))
}

fn record_type(token: &Token) -> Result<RecordType, CorefileError> {
    let problem = || {
        token.error(
            format!("'{}' is no type", token.text),
            "a type such as AAAA",
        )
    };
    type_called(&token.text.to_uppercase()).ok_or_else(problem)
}

fn class(token: &Token) -> Result<DNSClass, CorefileError> {
    let problem = || {
        token.error(
            format!("'{}' is no class", token.text),
            "a class such as IN",
        )
    };
    class_named(&token.text).ok_or_else(problem)
}

/// A response code by its name or number.
fn rcode(token: &Token) -> Result<ResponseCode, CorefileError> {
    let digits = Some(&token.text).filter(|text| !text.starts_with('+'));
    let number = digits.and_then(|digits| digits.parse().ok());
    let number = number.filter(|number: &u16| *number < 24);
    let number = number.map(|number| {
        let [high, low] = [number >> 4, number & 0x0f].map(|part| u8::try_from(part).unwrap_or(0));
        ResponseCode::from(high, low)
    });
    let problem = || {
        let problem = format!("'{}' is no response code", token.text);
        token.error(problem, "a name such as NXDOMAIN, or a number")
    };
    rcode_named(&token.text).or(number).ok_or_else(problem)
}

/// `30`, `30-`, `-30` or `30-300`.
fn ttl(token: &Token) -> Result<(u32, u32), CorefileError> {
    let seconds = |text: &str, default| match text {
        "" => Some(default),
        text => text.parse::<u32>().ok(),
    };
    let most = u32::MAX / 2;
    let range = match token.text.split_once('-') {
        None => seconds(&token.text, 0).map(|ttl| (ttl, ttl)),
        Some((least, greatest)) => seconds(least, 0).zip(seconds(greatest, most)),
    };
    let is_whole = !["", "-"].contains(&token.text.as_str()) && !token.text.contains('+');
    let range = range.filter(|(least, most)| least <= most && is_whole);
    range.ok_or_else(|| {
        let problem = format!("'{}' is no TTL", token.text);
        token.error(problem, "seconds such as 30, or a range such as 30-300")
    })
}
