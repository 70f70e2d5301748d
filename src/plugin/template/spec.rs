//! The directive `template CLASS TYPE [ZONES...] { ... }`.

use std::sync::Arc;

use regex::Regex;

use super::conditions::{Conditions, Reading};
use super::render::Line;
use super::{Said, Spec};
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::question::DNSClass;
use crate::message::reply::ResponseCode;
use crate::message::{class_named, rcode_named, type_called};
use crate::plugin::block::Block;
use crate::plugin::kit::{Directives, Registration, expression, fallthrough};

pub(in crate::plugin) const PLUGIN: Registration = Registration {
    name: "template",
    setup,
};

const PROPERTIES: &str =
    "match, var, expr, answer, additional, authority, rcode, ederror, fallthrough or upstream";

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    for directive in directives.iter() {
        let template = read(directives, directive)?;
        block.links.push((PLUGIN.name, Box::new(template)));
    }
    Ok(())
}

fn read(directives: &Directives<'_>, directive: &Directive) -> Result<Spec, CorefileError> {
    const EXPECTED: &str = "a class, a type, and zones";
    let [qclass, qtype, zones @ ..] = &directive.args[..] else {
        return Err(directive.name.error("`template` needs arguments", EXPECTED));
    };
    let mut template = Spec {
        qclass: any(qclass, class, "class")?,
        qtype: any(qtype, type_called, "type")?,
        origins: directives.origins(zones)?.into(),
        matches: Vec::new(),
        conditions: Conditions::default(),
        answer: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        rcode: ResponseCode::NoError,
        error: None,
        fallthrough: None,
    };
    if directive.body.is_empty() {
        // CoreDNS takes it, and so it fails every question that fits.
        template.matches.extend(Regex::new(".*").ok());
    }
    let mut conditions = Reading::begin();
    for property in &directive.body {
        match property.name.text.as_str() {
            "var" => conditions.variable(property)?,
            "expr" => conditions.condition(property)?,
            _ => template.property(directive, property)?,
        }
    }
    template.conditions = conditions.read;
    if template.matches.is_empty() {
        template.matches.extend(Regex::new(".*").ok());
    }
    Ok(template)
}

/// A class or type; `None` for ANY.
fn any<T>(
    token: &Token,
    read: impl FnOnce(&str) -> Option<T>,
    what: &str,
) -> Result<Option<T>, CorefileError> {
    let text = token.text.as_str();
    if text == "ANY" {
        return Ok(None);
    }
    let problem = || {
        let problem = format!("'{}' is no {what}", token.text);
        token.error(
            problem,
            format!("a {what} as the registry writes it, or ANY"),
        )
    };
    read(text).map(Some).ok_or_else(problem)
}

fn class(text: &str) -> Option<DNSClass> {
    class_named(text).filter(|_| text == text.to_uppercase())
}

impl Spec {
    fn property(
        &mut self,
        directive: &Directive,
        property: &Directive,
    ) -> Result<(), CorefileError> {
        match property.name.text.as_str() {
            "match" => {
                for arg in property.some_args("an expression")? {
                    self.matches.push(expression(arg, "a regular expression")?);
                }
            }
            "answer" => self.answer.extend(templates(property)?),
            "authority" => self.authority.extend(templates(property)?),
            "additional" => self.additional.extend(templates(property)?),
            "rcode" => {
                const EXPECTED: &str = "a response code such as NXDOMAIN";
                let arg = property.one_arg(EXPECTED)?;
                let problem = || arg.error(format!("'{}' is no response code", arg.text), EXPECTED);
                let capitals = Some(&arg.text).filter(|text| **text == text.to_uppercase());
                self.rcode = capitals
                    .and_then(|text| rcode_named(text))
                    .ok_or_else(problem)?;
            }
            "ederror" => self.error = Some(extended_error(property)?),
            "fallthrough" => self.fallthrough = Some(fallthrough(property)?),
            // Aliases are always followed through this server.
            "upstream" => {}
            _ => return Err(directive.unknown_property(property, PROPERTIES)),
        }
        Ok(())
    }
}

fn templates(property: &Directive) -> Result<Vec<Arc<Line>>, CorefileError> {
    const EXPECTED: &str = "a record as a template, in quotes";
    let read = |arg: &Token| match Line::read(&arg.text) {
        Ok(line) => Ok(Arc::new(line)),
        Err(error) => Err(arg.error(format!("this is no template: {error}"), EXPECTED)),
    };
    property.some_args(EXPECTED)?.iter().map(read).collect()
}

/// `ederror CODE [TEXT]` (RFC 8914).
fn extended_error(property: &Directive) -> Result<Said, CorefileError> {
    const EXPECTED: &str = "the code of an extended error, and a text";
    let args = property.some_args(EXPECTED)?;
    let problem = || args[0].error(format!("'{}' is no code", args[0].text), EXPECTED);
    let code = args[0].text.parse().ok().ok_or_else(problem)?;
    if let Some(more) = args.get(2) {
        return Err(more.error("there are too many arguments", EXPECTED));
    }
    let text = args.get(1).map_or("", |arg| arg.text.as_str());
    Ok(Said {
        code,
        text: text.into(),
    })
}
