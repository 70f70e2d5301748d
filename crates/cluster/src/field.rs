//! What is wrong with a field of an object, as the API server says it.

use std::fmt;

use serde_json::Value;

use super::place::Place;

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The path, such as `spec.ports[0].port`.
    pub field: String,
    pub(super) problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Duplicate(Value, &'static str),
    Forbidden(String),
    /// Without a value, where none is shown.
    Invalid(Option<Value>, String),
    NotFound(Value, String),
    NotSupported(Value, Vec<&'static str>),
    Required(String),
    /// More bytes than there may be.
    TooLong(usize),
    /// So many items, and no more than these.
    TooMany(usize, usize),
}

/// The errors found so far.
#[derive(Debug, Default)]
pub struct Errors(pub(super) Vec<FieldError>);

impl Errors {
    pub(super) fn add(&mut self, field: impl Into<String>, problem: Problem) {
        let field = field.into();
        self.0.push(FieldError { field, problem });
    }

    pub(super) fn required(&mut self, field: impl Into<String>, what: &str) {
        self.add(field, Problem::Required(what.into()));
    }

    pub(super) fn forbidden(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.add(field, Problem::Forbidden(what.into()));
    }

    pub(super) fn invalid(&mut self, field: impl Into<String>, value: &Value, what: &str) {
        self.add(field, Problem::Invalid(Some(value.clone()), what.into()));
    }

    /// The value that stands there is wrong; none is an empty text.
    pub(super) fn bad(&mut self, place: &Place<'_>, what: &str) {
        self.invalid(place, &place.shown(), what);
    }

    /// The text that stands there is wrong; none is an empty one.
    pub(super) fn each(&mut self, place: &Place<'_>, wrong: Vec<String>) {
        for what in wrong {
            self.invalid(place, &place.text().into(), &what);
        }
    }

    /// There has to be a text, with nothing wrong.
    pub(super) fn named(&mut self, place: &Place<'_>, wrong: fn(&str) -> Vec<String>) {
        if place.is_empty() {
            self.required(place, "");
        } else {
            self.each(place, wrong(place.text()));
        }
    }

    /// There may be a text, with nothing wrong.
    pub(super) fn maybe(&mut self, place: &Place<'_>, wrong: fn(&str) -> Vec<String>) {
        if !place.is_empty() {
            self.each(place, wrong(place.text()));
        }
    }

    pub(super) fn duplicate(&mut self, place: &Place<'_>) {
        self.add(place, Problem::Duplicate(place.shown(), ""));
    }

    /// What is named there is nowhere.
    pub(super) fn not_found(&mut self, place: &Place<'_>, why: &str) {
        let problem = Problem::NotFound(place.text().into(), why.into());
        self.add(place, problem);
    }

    /// A value that may be there has to be one of these.
    pub(super) fn one_of(&mut self, place: &Place<'_>, allowed: &[&'static str]) {
        if place.is_given() {
            self.must_be(place, allowed);
        }
    }

    /// The text has to be one of these; none is an empty one.
    pub(super) fn must_be(&mut self, place: &Place<'_>, allowed: &[&'static str]) {
        if !allowed.contains(&place.text()) {
            self.not_supported(place, &place.text().into(), allowed);
        }
    }

    pub(super) fn not_supported(
        &mut self,
        place: &Place<'_>,
        value: &Value,
        allowed: &[&'static str],
    ) {
        let problem = Problem::NotSupported(value.clone(), allowed.to_vec());
        self.add(place, problem);
    }

    pub(super) fn at_least(&mut self, place: &Place<'_>, least: i64) {
        if place.value.as_i64().is_some_and(|v| v < least) {
            self.bad(place, &format!("must be greater than or equal to {least}"));
        }
    }

    /// None of the numbers of these fields is negative.
    pub(super) fn not_negative(&mut self, parent: &Place<'_>, fields: &[&str]) {
        for field in fields {
            self.at_least(&parent.of(field), 0);
        }
    }

    /// A number within bounds, where one is there.
    pub(super) fn between(&mut self, place: &Place<'_>, least: i64, most: i64) {
        if place
            .value
            .as_i64()
            .is_some_and(|n| !(least..=most).contains(&n))
        {
            self.bad(
                place,
                &format!("must be between {least} and {most}, inclusive"),
            );
        }
    }

    /// A value that its type itself says not to change: it is not shown.
    pub(super) fn fixed(&mut self, place: &Place<'_>, old: &Value) {
        if place.value != old {
            self.invalid(place, &Value::Null, "field is immutable");
        }
    }

    /// A value that stays as it is, and that is shown as it is, none as null.
    pub(super) fn stays(&mut self, place: &Place<'_>, old: &Value) {
        if place.value != old {
            self.invalid(place, place.value, "field is immutable");
        }
    }

    pub(super) fn unchanged(&mut self, place: &Place<'_>, old: &Value) {
        if place.value != old {
            self.bad(place, "field is immutable");
        }
    }
}

impl FieldError {
    pub(super) fn reason(&self) -> &'static str {
        match self.problem {
            Problem::Duplicate(..) => "FieldValueDuplicate",
            Problem::Forbidden(_) => "FieldValueForbidden",
            Problem::Invalid(..) => "FieldValueInvalid",
            Problem::NotFound(..) => "FieldValueNotFound",
            Problem::NotSupported(..) => "FieldValueNotSupported",
            Problem::Required(_) => "FieldValueRequired",
            Problem::TooLong(_) => "FieldValueTooLong",
            Problem::TooMany(..) => "FieldValueTooMany",
        }
    }

    pub(super) fn message(&self) -> String {
        let (what, why) = match &self.problem {
            Problem::Duplicate(value, why) => (format!("Duplicate value: {value}"), *why),
            Problem::Forbidden(why) => ("Forbidden".into(), why.as_str()),
            Problem::Invalid(Some(value), why) => (format!("Invalid value: {value}"), &**why),
            Problem::Invalid(None, why) => ("Invalid value".into(), &**why),
            Problem::NotFound(value, why) => (format!("Not found: {value}"), &**why),
            Problem::NotSupported(value, allowed) => {
                let allowed: Vec<_> = allowed.iter().map(|a| format!("\"{a}\"")).collect();
                let allowed = allowed.join(", ");
                let what = format!("Unsupported value: {value}: supported values: {allowed}");
                (what, "")
            }
            Problem::Required(why) => ("Required value".into(), &**why),
            Problem::TooLong(most) => (format!("Too long: may not be more than {most} bytes"), ""),
            Problem::TooMany(count, most) => {
                let what = format!("Too many: {count}: must have at most {most} items");
                (what, "")
            }
        };
        if why.is_empty() {
            what
        } else {
            format!("{what}: {why}")
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}

/// A field of another type: where it is, and what is wrong.
#[derive(Debug, PartialEq)]
pub struct Mistyped {
    pub(super) field: String,
    pub(super) problem: String,
}
