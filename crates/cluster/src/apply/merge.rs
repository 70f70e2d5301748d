//! An object with what is applied: the applied value counts, fields and items that it does not name stay.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::compare::items;
use super::element::Element;
use super::site::{Form, Site};

/// Both objects in one; `None`: there is nothing.
///
/// # Errors
/// An item of a list that is known by nothing, or that stands twice in what is applied.
pub(super) fn merged(
    site: Site<'_>,
    live: Option<&Value>,
    applied: Option<&Value>,
) -> Result<Option<Value>, String> {
    let Some(applied) = applied else {
        return Ok(live.cloned());
    };
    let form = match live {
        Some(live) if applied.is_null() => site.form(live),
        _ => site.form(applied),
    };
    match form {
        Form::Leaf => Ok(Some(applied.clone())),
        Form::Fields => fields(site, live, applied),
        Form::Items(keys) => list(&List { site, keys: &keys }, (live, applied)),
    }
}

fn fields(site: Site<'_>, live: Option<&Value>, applied: &Value) -> Result<Option<Value>, String> {
    let none = Map::new();
    let before = live.and_then(Value::as_object).unwrap_or(&none);
    let after = applied.as_object().unwrap_or(&none);
    if before.is_empty() && after.is_empty() {
        return Ok(Some(applied.clone()));
    }
    let mut all = Map::new();
    let new = after.keys().filter(|name| !before.contains_key(*name));
    for name in before.keys().chain(new) {
        let below = site.below(&Element::Field(name.clone()));
        if let Some(value) = merged(below, before.get(name), after.get(name))? {
            all.insert(name.clone(), value);
        }
    }
    Ok((!all.is_empty()).then_some(Value::Object(all)))
}

/// A list of items that are known by something.
struct List<'a> {
    site: Site<'a>,
    keys: &'a [&'a str],
}

impl List<'_> {
    fn steps(&self, items: &[Value]) -> Result<Vec<Element>, String> {
        let steps = items.iter().enumerate().map(|(at, item)| {
            let step = self.site.item(self.keys, item);
            step.map_err(|problem| format!("element {at}: {problem}"))
        });
        steps.collect()
    }

    fn item(&self, step: &Element, sides: (Option<&Value>, Option<&Value>)) -> Merged {
        merged(self.site.below(step), sides.0, sides.1)
    }
}

type Merged = Result<Option<Value>, String>;

/// The items of both. Those of the applied list keep its order, those of the live one theirs; where both have an item, what
/// stood before it there comes before it.
fn list(list: &List<'_>, (live, applied): (Option<&Value>, &Value)) -> Merged {
    let (before, after) = (items(live), items(Some(applied)));
    if before.is_empty() && after.is_empty() {
        return Ok(Some(applied.clone()));
    }
    let (left, right) = (list.steps(before)?, list.steps(after)?);
    let mut of_live: BTreeMap<&Element, Option<&Value>> = BTreeMap::new();
    for (step, item) in left.iter().zip(before) {
        // An item that stands twice is not merged with the applied one.
        let known = of_live.entry(step);
        known.and_modify(|item| *item = None).or_insert(Some(item));
    }
    let mut of_applied = BTreeMap::new();
    for (step, item) in right.iter().zip(after) {
        if of_applied.insert(step, item).is_some() {
            return Err(format!("duplicate entries for key {step}"));
        }
    }
    let mut shared = right
        .iter()
        .filter(|step| of_live.contains_key(step))
        .peekable();
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some(mine), Some(theirs)) = (left.get(l), right.get(r)) {
            if mine == theirs {
                let sides = (of_live[mine], of_applied.get(mine).copied());
                out.extend(list.item(mine, sides)?);
                (l, r) = (l + 1, r + 1);
                shared.next();
                continue;
            }
            // A shared item, but not the one whose turn it is.
            if of_applied.contains_key(mine) && shared.peek().is_some_and(|next| *next != mine) {
                l += 1;
                continue;
            }
        }
        if let Some(mine) = left.get(l) {
            if !of_applied.contains_key(mine) {
                out.extend(list.item(mine, (Some(&before[l]), None))?);
                l += 1;
                continue;
            }
            if right[..r].contains(mine) {
                l += 1;
            }
        }
        if let Some(theirs) = right.get(r) {
            let sides = (of_live.get(theirs).copied().flatten(), Some(&after[r]));
            out.extend(list.item(theirs, sides)?);
            r += 1;
            shared.next_if(|next| *next == theirs);
        }
    }
    Ok((!out.is_empty()).then_some(Value::Array(out)))
}
