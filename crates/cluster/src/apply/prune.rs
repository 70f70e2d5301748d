//! An object without some of its fields.

use serde_json::{Map, Value};

use super::element::Element;
use super::set::Set;
use super::site::{Form, Site};

/// The value without these fields and what is below them; what is left with nothing in it is null.
pub(super) fn without(site: Site<'_>, value: &Value, gone: &Set) -> Value {
    match (site.form(value), value) {
        (Form::Fields, Value::Object(fields)) => {
            let left: Map<_, _> = fields
                .iter()
                .filter_map(|(name, value)| {
                    let step = Element::Field(name.clone());
                    let left = kept(site, (&step, value), gone)?;
                    Some((name.clone(), left))
                })
                .collect();
            or_null(left.is_empty(), left.into())
        }
        (Form::Items(keys), Value::Array(items)) => {
            let left: Vec<_> = items
                .iter()
                .filter_map(|item| match site.item(&keys, item) {
                    Ok(step) => kept(site, (&step, item), gone),
                    // It was checked before.
                    Err(_) => Some(item.clone()),
                })
                .collect();
            or_null(left.is_empty(), left.into())
        }
        // What is owned as a whole has nothing in it to take away.
        (Form::Leaf, Value::Object(_) | Value::Array(_)) => Value::Null,
        (Form::Leaf | Form::Fields | Form::Items(_), _) => value.clone(),
    }
}

fn kept(site: Site<'_>, (step, value): (&Element, &Value), gone: &Set) -> Option<Value> {
    if gone.members.contains(step) {
        return None;
    }
    Some(match gone.child(step) {
        Some(below) => without(site.below(step), value, below),
        None => value.clone(),
    })
}

fn or_null(is_empty: bool, value: Value) -> Value {
    if is_empty { Value::Null } else { value }
}
