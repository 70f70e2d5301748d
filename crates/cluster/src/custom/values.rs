//! Values against a structural schema, with the API server's words. Rules in CEL (`x-kubernetes-validations`) are not run.

use regex::Regex;
use serde_json::Value;

use super::structural::below;

/// What is wrong with a field.
#[derive(Debug, PartialEq)]
pub(crate) struct Wrong {
    pub(crate) field: String,
    /// Such as `FieldValueInvalid`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// What is wrong with an object.
pub(crate) fn check(schema: &Value, object: &Value) -> Vec<Wrong> {
    let mut checker = Checker::default();
    if schema.is_object() {
        checker.walk(schema, object, "");
    }
    checker.0
}

#[derive(Default)]
struct Checker(Vec<Wrong>);

impl Checker {
    fn say(&mut self, field: &str, reason: &'static str, message: String) {
        self.0.push(Wrong {
            field: field.to_owned(),
            reason,
            message,
        });
    }

    /// The value is wrong: `what` of the field.
    fn invalid(&mut self, field: &str, value: &Value, what: &str) {
        let message = format!("Invalid value: {value}: {field} in body {what}");
        self.say(field, "FieldValueInvalid", message);
    }

    fn mistyped(&mut self, field: &str, shown: &str, wanted: &str, is: &str) {
        let message =
            format!("Invalid value: {shown:?}: {field} in body must be of type {wanted}: {is:?}");
        self.say(field, "FieldValueTypeInvalid", message);
    }

    /// No schema of several fits; the API server names no field for that.
    fn unfit(&mut self, field: &str, what: &str) {
        let message = format!("Invalid value: \"\": {field:?} {what}");
        self.say("<nil>", "FieldValueInvalid", message);
    }

    fn walk(&mut self, schema: &Value, value: &Value, field: &str) {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if !is_of_type(schema, value) {
            let (is, wanted) = (called(value), wanted(schema));
            self.mistyped(field, is, wanted, is);
            return;
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
            let allowed = allowed.join(", ");
            let message = format!("Unsupported value: {value}: supported values: {allowed}");
            self.say(field, "FieldValueNotSupported", message);
        }
        match value {
            Value::String(text) => self.text(schema, text, (value, field)),
            Value::Number(_) => self.number(schema, value, field),
            Value::Array(items) => self.list(schema, items, field),
            Value::Object(_) => self.object(schema, value, field),
            Value::Null | Value::Bool(_) => {}
        }
        self.combined(schema, value, field);
    }

    fn text(&mut self, schema: &Value, text: &str, (value, field): (&Value, &str)) {
        let long = text.chars().count() as u64;
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| long > *most) {
            let message = format!("Too long: may not be more than {most} bytes");
            self.say(field, "FieldValueTooLong", message);
        }
        if let Some(least) = schema["minLength"].as_u64().filter(|least| long < *least) {
            self.invalid(
                field,
                value,
                &format!("should be at least {least} chars long"),
            );
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
        {
            self.invalid(field, value, &format!("should match '{pattern}'"));
        }
        let is_time = schema["format"] == "date-time";
        if is_time && text.parse::<jiff::Timestamp>().is_err() {
            self.mistyped(field, text, "date-time", text);
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, field: &str) {
        let number = value.as_f64().unwrap_or_default();
        if let Some(least) = schema["minimum"].as_f64() {
            let bound = &schema["minimum"];
            if schema["exclusiveMinimum"] == true && number <= least {
                self.invalid(field, value, &format!("should be greater than {bound}"));
            } else if number < least {
                let what = format!("should be greater than or equal to {bound}");
                self.invalid(field, value, &what);
            }
        }
        if let Some(most) = schema["maximum"].as_f64() {
            let bound = &schema["maximum"];
            if schema["exclusiveMaximum"] == true && number >= most {
                self.invalid(field, value, &format!("should be less than {bound}"));
            } else if number > most {
                let what = format!("should be less than or equal to {bound}");
                self.invalid(field, value, &what);
            }
        }
        if let Some(factor) = schema["multipleOf"]
            .as_f64()
            .filter(|factor| *factor != 0.0)
            && number % factor != 0.0
        {
            let factor = &schema["multipleOf"];
            self.invalid(field, value, &format!("should be a multiple of {factor}"));
        }
    }

    fn list(&mut self, schema: &Value, items: &[Value], field: &str) {
        let many = items.len() as u64;
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| many > *most) {
            let message = format!("Too many: {many}: must have at most {most} items");
            self.say(field, "FieldValueTooMany", message);
        }
        if let Some(least) = schema["minItems"].as_u64().filter(|least| many < *least) {
            let what = format!("should have at least {least} items");
            self.invalid(field, &many.into(), &what);
        }
        let known = |item: &Value| match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Some(item.clone()),
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"].as_array()?.iter();
                let keys = keys.filter_map(Value::as_str);
                let keys = keys.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone())));
                Some(Value::Object(keys.collect()))
            }
            _ => None,
        };
        let mut seen = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let field = format!("{field}[{at}]");
            if let Some(known) = known(item) {
                if seen.contains(&known) {
                    let message = format!("Duplicate value: {known}");
                    self.say(&field, "FieldValueDuplicate", message);
                }
                seen.push(known);
            }
            if schema["items"].is_object() {
                self.walk(&schema["items"], item, &field);
            }
        }
    }

    fn object(&mut self, schema: &Value, value: &Value, field: &str) {
        let inside = |name: &str| {
            if field.is_empty() {
                name.to_owned()
            } else {
                format!("{field}.{name}")
            }
        };
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if value.get(name).is_none() {
                self.say(&inside(name), "FieldValueRequired", "Required value".into());
            }
        }
        let fields = value.as_object().into_iter().flatten();
        let many = value.as_object().map_or(0, serde_json::Map::len) as u64;
        if let Some(least) = schema["minProperties"]
            .as_u64()
            .filter(|least| many < *least)
        {
            let what = format!("should have at least {least} properties");
            self.invalid(field, value, &what);
        }
        if let Some(most) = schema["maxProperties"].as_u64().filter(|most| many > *most) {
            let message = format!("Too many: {many}: must have at most {most} items");
            self.say(field, "FieldValueTooMany", message);
        }
        let mut fields: Vec<_> = fields.collect();
        fields.sort_by_key(|(name, _)| *name);
        for (name, value) in fields {
            let is_everywhere = field.is_empty() && name == "metadata";
            if let Some(schema) = below(schema, name).filter(|_| !is_everywhere)
                && schema.is_object()
            {
                self.walk(schema, value, &inside(name));
            }
        }
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`.
    fn combined(&mut self, schema: &Value, value: &Value, field: &str) {
        let fits = |schema: &Value| {
            let mut checker = Self::default();
            checker.walk(schema, value, field);
            checker.0.is_empty()
        };
        for schema in schema["allOf"].as_array().into_iter().flatten() {
            self.walk(schema, value, field);
        }
        // Of several that do not fit, what is wrong with the first is said too.
        let first = |all: &[Value]| {
            let mut checker = Self::default();
            checker.walk(&all[0], value, field);
            checker.0
        };
        if let Some(any) = schema["anyOf"].as_array().filter(|any| !any.is_empty())
            && !any.iter().any(fits)
        {
            self.unfit(field, "must validate at least one schema (anyOf)");
            self.0.extend(first(any));
        }
        if let Some(one) = schema["oneOf"].as_array().filter(|one| !one.is_empty()) {
            match one.iter().filter(|schema| fits(schema)).count() {
                0 => {
                    let what = "must validate one and only one schema (oneOf). Found none valid";
                    self.unfit(field, what);
                    self.0.extend(first(one));
                }
                1 => {}
                many => self.unfit(
                    field,
                    &format!(
                        "must validate one and only one schema (oneOf). Found {many} valid alternatives"
                    ),
                ),
            }
        }
        if schema["not"].is_object() && fits(&schema["not"]) {
            self.unfit(field, "must not validate the schema (not)");
        }
    }
}

fn is_of_type(schema: &Value, value: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_i64() || value.is_string();
    }
    match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => {
            value.is_i64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    }
}

fn wanted(schema: &Value) -> &str {
    match schema["type"].as_str() {
        Some(wanted) => wanted,
        None => "integer,string",
    }
}

/// What JSON schema calls a value's type.
fn called(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(schema: Value, value: Value) -> Vec<String> {
        let schema = json!({"type": "object", "properties": {"spec": schema}});
        let wrong = check(&schema, &json!({"spec": value}));
        let said = wrong.into_iter();
        said.map(|wrong| format!("{}: {}", wrong.field, wrong.message))
            .collect()
    }

    #[test]
    fn a_value_is_refused_in_the_api_server_s_words() {
        for (schema, value, wanted) in [
            (
                json!({"type": "integer"}),
                json!("x"),
                "spec: Invalid value: \"string\": spec in body must be of type integer: \"string\"",
            ),
            (
                json!({"type": "string", "enum": ["a", "b"]}),
                json!("c"),
                "spec: Unsupported value: \"c\": supported values: \"a\", \"b\"",
            ),
            (
                json!({"type": "string", "pattern": "^[a-z]+$"}),
                json!("A"),
                "spec: Invalid value: \"A\": spec in body should match '^[a-z]+$'",
            ),
            (
                json!({"type": "integer", "minimum": 1}),
                json!(0),
                "spec: Invalid value: 0: spec in body should be greater than or equal to 1",
            ),
            (
                json!({"type": "object", "required": ["size"]}),
                json!({}),
                "spec.size: Required value",
            ),
            (
                json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}),
                json!(["a", "b"]),
                "spec: Too many: 2: must have at most 1 items",
            ),
            (
                json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object"}}),
                json!([{"n": "a", "v": 1}, {"n": "a", "v": 2}]),
                "spec[1]: Duplicate value: {\"n\":\"a\"}",
            ),
            (
                json!({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
                json!({"a": 1, "b": 1}),
                "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
            ),
        ] {
            assert_eq!(said(schema, value), [wanted]);
        }
    }

    #[test]
    fn what_fits_is_taken() {
        let schema = json!({"type": "object", "properties": {
            "port": {"x-kubernetes-int-or-string": true}, "none": {"type": "string", "nullable": true},
            "map": {"type": "object", "additionalProperties": {"type": "integer", "maximum": 3}},
        }});
        let value = json!({"port": "http", "none": null, "map": {"a": 3}});
        assert_eq!(said(schema.clone(), value), [""; 0]);
        let over = said(schema, json!({"map": {"a": 4}}));
        let wanted =
            "spec.map.a: Invalid value: 4: spec.map.a in body should be less than or equal to 3";
        assert_eq!(over, [wanted]);
    }
}
