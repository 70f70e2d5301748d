//! What one object has and another has not, and the fields of an object.

use std::collections::BTreeMap;

use serde_json::Value;

use super::element::Element;
use super::set::Set;
use super::site::{Form, Site};

/// Fields that differ between two objects.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Comparison {
    pub(super) removed: Set,
    pub(super) modified: Set,
    pub(super) added: Set,
}

impl Comparison {
    /// Of the object as it was, and as it is to be.
    ///
    /// # Errors
    /// An item of a list that is known by nothing.
    pub(super) fn of(site: Site<'_>, before: &Value, after: &Value) -> Result<Self, String> {
        let mut comparison = Self::default();
        comparison.walk(site, (Some(before), Some(after)), &mut Vec::new())?;
        Ok(comparison)
    }

    /// Without these fields and what is below them.
    pub(super) fn without(mut self, fields: &Set) -> Self {
        for set in [&mut self.removed, &mut self.modified, &mut self.added] {
            *set = std::mem::take(set).without(fields);
        }
        self
    }

    fn walk(&mut self, site: Site<'_>, sides: Sides<'_>, way: &mut Vec<Element>) -> Walked {
        let of = |side: Option<&Value>| side.map(|value| site.form(value));
        let (before, after) = (of(sides.0), of(sides.1));
        match (before, after) {
            (Some(before), Some(after)) if before != after && !any_null(sides) => {
                self.descend(site, before, (sides, way))?;
                self.descend(site, after, (sides, way))?;
            }
            (Some(form), _) if !sides.0.is_some_and(Value::is_null) => {
                self.descend(site, form, (sides, way))?;
            }
            (_, Some(form)) | (Some(form), None) => self.descend(site, form, (sides, way))?,
            (None, None) => {}
        }
        Ok(())
    }

    fn descend(
        &mut self,
        site: Site<'_>,
        form: Form<'_>,
        (sides, way): (Sides<'_>, &mut Vec<Element>),
    ) -> Walked {
        let is_leaf = form == Form::Leaf || (empty(sides.0) && empty(sides.1));
        match form {
            _ if is_leaf => {
                if let (Some(before), Some(after)) = sides
                    && before != after
                {
                    self.modified.insert(way);
                }
            }
            Form::Leaf => {}
            Form::Fields => {
                // Most of two objects is the same.
                let differing = fields(sides).into_iter();
                for (name, sides) in differing.filter(|(_, sides)| sides.0 != sides.1) {
                    let step = Element::Field(name.to_owned());
                    self.step(site, (step, sides), way)?;
                }
            }
            Form::Items(keys) => self.items(site, &keys, (sides, way))?,
        }
        match sides {
            (None, Some(_)) => self.added.insert(way),
            (Some(_), None) => self.removed.insert(way),
            (Some(_), Some(_)) | (None, None) => {}
        }
        Ok(())
    }

    fn step(
        &mut self,
        site: Site<'_>,
        (step, sides): (Element, Sides<'_>),
        way: &mut Vec<Element>,
    ) -> Walked {
        let below = site.below(&step);
        way.push(step);
        let walked = self.walk(below, sides, way);
        way.pop();
        walked
    }

    /// Items that are known by the same stand for one field, which all of them make up.
    fn items(
        &mut self,
        site: Site<'_>,
        keys: &[&str],
        (sides, way): (Sides<'_>, &mut Vec<Element>),
    ) -> Walked {
        let mut known: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for item in items(sides.0) {
            known
                .entry(site.item(keys, item)?)
                .or_default()
                .0
                .push(item);
        }
        for item in items(sides.1) {
            known
                .entry(site.item(keys, item)?)
                .or_default()
                .1
                .push(item);
        }
        for (step, (before, after)) in known {
            let several = |items: &[&'_ Value]| items.len() >= 2;
            let sides = (before.first().copied(), after.first().copied());
            match (several(&before), several(&after)) {
                (false, false) if sides.0 == sides.1 => {}
                (false, false) => self.step(site, (step, sides), way)?,
                (true, true) => {
                    if before != after {
                        self.modified.insert(&whole(way, &step));
                    }
                }
                (true, false) => {
                    let whole = whole(way, &step);
                    if sides.1.is_some() {
                        self.step(site, (step, (None, sides.1)), way)?;
                    }
                    self.removed.insert(&whole);
                }
                (false, true) => {
                    let whole = whole(way, &step);
                    if sides.0.is_some() {
                        self.step(site, (step, (sides.0, None)), way)?;
                    }
                    self.added.insert(&whole);
                }
            }
        }
        Ok(())
    }
}

/// A value before and after; `None`: it is not there.
type Sides<'a> = (Option<&'a Value>, Option<&'a Value>);

type Walked = Result<(), String>;

/// A way with one more step.
fn whole(way: &[Element], step: &Element) -> Vec<Element> {
    [way, std::slice::from_ref(step)].concat()
}

fn any_null(sides: Sides<'_>) -> bool {
    [sides.0, sides.1].into_iter().flatten().any(Value::is_null)
}

fn empty(side: Option<&Value>) -> bool {
    match side {
        None => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        // What is neither list nor object has nothing in it.
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => true,
    }
}

pub(super) fn items(side: Option<&Value>) -> &[Value] {
    side.and_then(Value::as_array).map_or(&[], |items| items)
}

/// The fields of both sides by name.
fn fields<'a>((before, after): Sides<'a>) -> BTreeMap<&'a str, Sides<'a>> {
    let mut fields: BTreeMap<&str, Sides<'_>> = BTreeMap::new();
    for (name, value) in before.and_then(Value::as_object).into_iter().flatten() {
        fields.entry(name).or_default().0 = Some(value);
    }
    for (name, value) in after.and_then(Value::as_object).into_iter().flatten() {
        fields.entry(name).or_default().1 = Some(value);
    }
    fields
}

impl Set {
    /// The fields of an object: its leaves, the keys of its maps, the items of its lists, and what is empty.
    ///
    /// # Errors
    /// An item of a list that is known by nothing.
    pub(super) fn of_object(site: Site<'_>, object: &Value) -> Result<Self, String> {
        let mut set = Self::default();
        set.collect(site, object, &mut Vec::new())?;
        Ok(set)
    }

    fn collect(&mut self, site: Site<'_>, value: &Value, way: &mut Vec<Element>) -> Walked {
        match site.form(value) {
            Form::Leaf => self.insert(way),
            Form::Fields => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    let step = Element::Field(name.clone());
                    let below = site.below(&step);
                    way.push(step);
                    self.collect(below, value, way)?;
                    let is_empty =
                        value.is_null() || value.as_object().is_some_and(|v| v.is_empty());
                    if is_empty || !site.names(name) {
                        self.insert(way);
                    }
                    way.pop();
                }
            }
            Form::Items(keys) => {
                let mut known: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
                for item in items(Some(value)) {
                    known.entry(site.item(&keys, item)?).or_default().push(item);
                }
                for (step, items) in known {
                    let below = site.below(&step);
                    way.push(step);
                    // Items that are known by the same are owned as a whole.
                    if let [item] = items[..] {
                        self.collect(below, item, way)?;
                    }
                    self.insert(way);
                    way.pop();
                }
            }
        }
        Ok(())
    }
}
