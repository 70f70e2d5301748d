//! Variables and conditions of a template: `var NAME EXPRESSION` and `expr EXPRESSION`.

use std::collections::HashMap;

use expr::Value;

use super::render::Fields;
use crate::corefile::{CorefileError, Directive};
use crate::message::reply::Failure;
use crate::plugin::expression::{Expression, Facts, Reader};

/// Variables in the order of the file, and conditions, of which all have to be true.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    variables: Vec<(String, Expression)>,
    all: Vec<Expression>,
}

/// Reads those of one directive.
pub(super) struct Reading {
    reader: Reader,
    pub(super) read: Conditions,
}

impl Reading {
    pub(super) fn begin() -> Self {
        Self {
            reader: Reader::with_groups(),
            read: Conditions::default(),
        }
    }

    /// `var NAME EXPRESSION`.
    pub(super) fn variable(&mut self, property: &Directive) -> Result<(), CorefileError> {
        const EXPECTED: &str = "a name that nothing else has, and an expression";
        let [name, expression @ ..] = property.some_args(EXPECTED)? else {
            return Err(property.name.error("there is no variable", EXPECTED));
        };
        if !self.reader.is_free(&name.text) {
            let problem = format!("'{}' is no name for a variable", name.text);
            return Err(name.error(problem, EXPECTED));
        }
        let expression = self.reader.read(&property.name, expression)?;
        self.reader.define(&name.text, &expression);
        self.read.variables.push((name.text.clone(), expression));
        Ok(())
    }

    /// `expr EXPRESSION`.
    pub(super) fn condition(&mut self, property: &Directive) -> Result<(), CorefileError> {
        let condition = self.reader.read(&property.name, &property.args)?;
        self.read.all.push(condition);
        Ok(())
    }
}

impl Conditions {
    /// The values of the variables; `None`: a condition is not true.
    ///
    /// # Errors
    /// An expression that has no value: the question fails.
    pub(super) fn of(
        &self,
        fields: &Fields<'_>,
    ) -> Result<Option<HashMap<String, gtmpl::Value>>, Failure> {
        let mut variables = HashMap::new();
        if self.variables.is_empty() && self.all.is_empty() {
            return Ok(Some(variables));
        }
        let failed = |error| Failure::servfail(format_args!("plugin/template: {error}"));
        let mut facts = Facts::of(fields.query, fields.query.metadata.as_deref());
        for (name, value) in fields.groups() {
            facts.set_group(&name, value);
        }
        for (name, expression) in &self.variables {
            let value = expression.value(&facts).map_err(failed)?;
            variables.insert(name.clone(), shown(&value));
            facts.set_variable(name, value);
        }
        for condition in &self.all {
            if condition.value(&facts).map_err(failed)? != Value::Bool(true) {
                return Ok(None);
            }
        }
        Ok(Some(variables))
    }
}

/// A value as templates have it.
fn shown(value: &Value) -> gtmpl::Value {
    match value {
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Bool(is_true) => (*is_true).into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(all) => gtmpl::Value::Array(all.iter().map(shown).collect()),
        Value::Map(map) => {
            let fields = map.iter();
            gtmpl::Value::Map(
                fields
                    .map(|(name, value)| (name.clone(), shown(value)))
                    .collect(),
            )
        }
        Value::Nil | Value::Bytes(_) | Value::KeyedMap(_) => gtmpl::Value::NoValue,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use regex::Regex;

    use super::*;
    use crate::message::question::{Query, Question, RecordType};
    use crate::name::absolute;
    use crate::plugin::template::render::Line;
    use crate::plugin::tests::{error, read};

    /// What `.Var.x` is for a name.
    fn x(lines: &str, name: &str) -> Result<Option<String>, String> {
        let file = format!("template IN A {{\n{lines}\n}}");
        let conditions = read(&file, |directives| {
            let mut reading = Reading::begin();
            for property in &directives.first.body {
                match property.name.text.as_str() {
                    "var" => reading.variable(property)?,
                    _ => reading.condition(property)?,
                }
            }
            Ok(reading.read)
        })
        .unwrap();
        let question = Question::new(absolute(name).unwrap(), RecordType::A);
        let query = Query::plain(question, ([10, 0, 0, 9], 1).into());
        let regex = Regex::new("^(?P<ip>[0-9-]+)[.]").unwrap();
        let mut fields = Fields {
            name: name.into(),
            zone: ".".into(),
            class: "IN".into(),
            qtype: "A".into(),
            remote: "10.0.0.9".into(),
            query: &query,
            metadata: BTreeMap::new(),
            captures: regex.captures(name).unwrap(),
            regex: &regex,
            variables: HashMap::new(),
        };
        let variables = conditions
            .of(&fields)
            .map_err(|failure| failure.why.to_string())?;
        let Some(variables) = variables else {
            return Ok(None);
        };
        fields.variables = variables;
        let line = Line::read("{{ .Var.x }}").unwrap();
        Ok(Some(line.render(&fields).unwrap()))
    }

    #[test]
    fn variables_are_there_for_later_ones_for_conditions_and_for_templates() {
        let net = "expr \"any(['10.0.0.0/8', '172.16.0.0/12'], incidr(x, #))\"";
        let ip = format!("var x replace(group('ip'), '-', '.')\n{net}");
        let found = |text: &str| Ok(Some(text.to_owned()));
        for (lines, name, wanted) in [
            (&*ip, "10-1-2-3.test.", found("10.1.2.3")),
            (&ip, "192-0-2-1.test.", Ok(None)),
            ("var y len(name())\nvar x y + 1", "1.test.", found("8")),
            ("var x group(1) + group('none')", "1.test.", found("1")),
            ("var x group(0) == '1.'", "1.test.", found("true")),
            ("expr true\nexpr size() < 0", "1.test.", Ok(None)),
            ("expr 1", "1.test.", Ok(None)),
        ] {
            assert_eq!(x(lines, name), wanted, "{lines}");
        }
        assert!(x("expr incidr(group('ip'), '10.0.0.0/8')", "10-1.test.").is_err());
    }

    #[test]
    fn a_variable_has_a_name_of_its_own() {
        for (line, problem) in [
            ("var x", "`var` has no expression"),
            ("var 1x 1", "'1x' is no name for a variable"),
            ("var type 1", "'type' is no name for a variable"),
            ("var group 1", "'group' is no name for a variable"),
            ("var len 1", "'len' is no name for a variable"),
            ("var true 1", "'true' is no name for a variable"),
            ("var x 1\nvar x 2", "'x' is no name for a variable"),
            ("var x y", "`y` is no expression: unknown variable: y"),
            (
                "var x name()\nexpr x == 1",
                "`x == 1` is no expression: x is text, and 1 is a number",
            ),
            ("expr", "`expr` has no expression"),
        ] {
            assert_eq!(error(&format!("template IN A {{\n{line}\n}}")), problem);
        }
    }
}
