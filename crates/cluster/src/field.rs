//! What is wrong with a field of an object, as the API server says it.

use std::fmt;

use serde_json::Value;

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The path, such as `spec.ports[0].port`.
    pub field: String,
    pub(super) problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Duplicate(Value),
    Forbidden(String),
    Invalid(Value, String),
    NotFound(Value),
    NotSupported(Value, Vec<&'static str>),
    Required(String),
}

/// The errors found so far.
#[derive(Debug, Default)]
pub struct Errors(pub(super) Vec<FieldError>);

impl Errors {
    pub(super) fn add(&mut self, field: impl Into<String>, problem: Problem) {
        self.0.push(FieldError {
            field: field.into(),
            problem,
        });
    }

    pub(super) fn required(&mut self, field: impl Into<String>, what: &str) {
        self.add(field, Problem::Required(what.into()));
    }

    pub(super) fn invalid(&mut self, field: impl Into<String>, value: &Value, what: &str) {
        self.add(field, Problem::Invalid(value.clone(), what.into()));
    }

    pub(super) fn one_of(&mut self, field: &str, value: &Value, allowed: &[&'static str]) {
        if !value.is_null() && !value.as_str().is_some_and(|v| allowed.contains(&v)) {
            self.add(
                field,
                Problem::NotSupported(value.clone(), allowed.to_vec()),
            );
        }
    }

    pub(super) fn at_least(&mut self, field: &str, value: &Value, least: i64) {
        if value.as_i64().is_some_and(|v| v < least) {
            self.invalid(
                field,
                value,
                &format!("must be greater than or equal to {least}"),
            );
        }
    }

    pub(super) fn unchanged(&mut self, field: &str, new: &Value, old: &Value) {
        if new != old {
            self.invalid(field, new, "field is immutable");
        }
    }
}

impl FieldError {
    pub(super) fn reason(&self) -> &'static str {
        match self.problem {
            Problem::Duplicate(_) => "FieldValueDuplicate",
            Problem::Forbidden(_) => "FieldValueForbidden",
            Problem::Invalid(..) => "FieldValueInvalid",
            Problem::NotFound(_) => "FieldValueNotFound",
            Problem::NotSupported(..) => "FieldValueNotSupported",
            Problem::Required(_) => "FieldValueRequired",
        }
    }

    pub(super) fn message(&self) -> String {
        match &self.problem {
            Problem::Duplicate(value) => format!("Duplicate value: {value}"),
            Problem::Forbidden(what) => format!("Forbidden: {what}"),
            Problem::Invalid(value, what) => format!("Invalid value: {value}: {what}"),
            Problem::NotFound(value) => format!("Not found: {value}"),
            Problem::NotSupported(value, allowed) => {
                let allowed: Vec<_> = allowed.iter().map(|a| format!("\"{a}\"")).collect();
                format!(
                    "Unsupported value: {value}: supported values: {}",
                    allowed.join(", ")
                )
            }
            Problem::Required(what) if what.is_empty() => "Required value".into(),
            Problem::Required(what) => format!("Required value: {what}"),
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
