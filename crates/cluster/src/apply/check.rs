//! Whether what is applied fits its places, in structured-merge-diff's words.

use serde_json::Value;

use super::element::{Element, shown};
use super::site::{Form, Site};
use crate::patch::printed;
use crate::schema::{Shape, untyped};

/// What is wrong with an object that is applied.
///
/// # Errors
/// All of it, as one text.
pub(super) fn check(site: Site<'_>, object: &Value) -> Result<(), String> {
    let mut checker = Checker::default();
    checker.walk(site, object);
    match &checker.wrong[..] {
        [] => Ok(()),
        [one] => Err(one.clone()),
        all => Err(format!("errors:\n  {}", all.join("\n  "))),
    }
}

#[derive(Default)]
struct Checker {
    way: Vec<Element>,
    wrong: Vec<String>,
}

impl Checker {
    fn is_wrong(&mut self, problem: &str) {
        let way = shown(&self.way);
        self.wrong.push(if way.is_empty() {
            problem.to_owned()
        } else {
            format!("{way}: {problem}")
        });
    }

    fn walk(&mut self, site: Site<'_>, value: &Value) {
        let shape = match site {
            Site::Typed { shape, .. } => shape,
            Site::Custom { schema, .. } => return self.custom(site, schema, value),
            Site::Deduced | Site::Unknown => return,
        };
        match (shape, value) {
            (_, Value::Null) | (Shape::Any, _) => {}
            (Shape::Struct(_) | Shape::Map(_), Value::Object(fields)) => {
                for (name, value) in fields {
                    if matches!(shape, Shape::Struct(_)) && !site.names(name) {
                        self.below(Element::Field(name.clone()), |checker| {
                            checker.is_wrong("field not declared in schema");
                        });
                        return;
                    }
                    let step = Element::Field(name.clone());
                    let below = site.below(&step);
                    self.below(step, |checker| checker.walk(below, value));
                }
            }
            (Shape::List(_), Value::Array(items)) => self.items(site, items),
            (Shape::Struct(_) | Shape::Map(_), _) => {
                self.is_wrong(&format!("expected map, got {}", boxed(value)));
            }
            (Shape::List(_), _) => {
                self.is_wrong(&format!("expected list, got {}", boxed(value)));
            }
            _ => self.scalar(shape, value),
        }
    }

    /// Of a custom kind the fields have to be declared; the schema's own check comes later.
    fn custom(&mut self, site: Site<'_>, schema: &Value, value: &Value) {
        let shape = match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("integer" | "number"), _) => Some(Shape::Double),
            (Some("string"), None | Some("byte")) => Some(Shape::String),
            (Some("boolean"), _) => Some(Shape::Boolean),
            _ => None,
        };
        if let Some(shape) = shape.filter(|_| !value.is_null()) {
            return self.scalar(&shape, value);
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let step = Element::Field(name.clone());
                    let below = site.below(&step);
                    self.below(step, |checker| match below {
                        Site::Unknown => checker.is_wrong("field not declared in schema"),
                        Site::Typed { .. } | Site::Custom { .. } | Site::Deduced => {
                            checker.walk(below, value);
                        }
                    });
                }
            }
            Value::Array(items) => self.items(site, items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn items(&mut self, site: Site<'_>, items: &[Value]) {
        let mut seen = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let step = match site.form(&Value::Null) {
                Form::Items(keys) => match site.item(&keys, item) {
                    Ok(step) => step,
                    Err(problem) => {
                        self.is_wrong(&format!("element {at}: {problem}"));
                        return;
                    }
                },
                Form::Leaf | Form::Fields => Element::Index(at),
            };
            if seen.contains(&step) {
                self.is_wrong(&format!("duplicate entries for key {step}"));
            }
            seen.push(step.clone());
            let below = site.below(&step);
            self.below(step, |checker| checker.walk(below, item));
        }
    }

    fn below(&mut self, step: Element, check: impl FnOnce(&mut Self)) {
        self.way.push(step);
        check(self);
        self.way.pop();
    }

    fn scalar(&mut self, shape: &Shape, value: &Value) {
        match (shape, value) {
            (Shape::Int32 | Shape::Int64 | Shape::Double, Value::Number(_))
            | (Shape::String | Shape::Bytes, Value::String(_))
            | (Shape::Boolean, Value::Bool(_)) => {}
            (Shape::Int32 | Shape::Int64 | Shape::Double, _) => {
                let called = untyped(value);
                self.is_wrong(&format!("expected numeric (int or float), got {called}"));
            }
            (Shape::String | Shape::Bytes, _) => {
                let value = printed(value);
                self.is_wrong(&format!(
                    "expected string, got &value.valueUnstructured{{Value:{value}}}"
                ));
            }
            (Shape::Boolean, _) => {
                self.is_wrong(&format!("expected boolean, got {}", boxed(value)));
            }
            (_, Value::Array(_) | Value::Object(_)) => {
                self.is_wrong(&format!("expected any scalar, got {}", boxed(value)));
            }
            _ => {}
        }
    }
}

/// A value as Go prints the pointer to what holds it.
fn boxed(value: &Value) -> String {
    format!("&{{{}}}", printed(value))
}
