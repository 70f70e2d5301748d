//! The names, columns and subresources of a CustomResourceDefinition, as `ValidateCustomResourceDefinition` looks at them.

use headless_objects::object::array;
use serde_json::Value;

use super::text;
use crate::field::Errors;
use crate::validate::letter_label;

/// Says what is wrong with a definition's names.
pub(super) fn names(names: &Value, errors: &mut Errors) {
    let path = "spec.names";
    for field in ["plural", "singular", "kind", "listKind"] {
        let name = text(names, field);
        if name.is_empty() {
            errors.required(format!("{path}.{field}"), "");
            continue;
        }
        let is_kind = field.to_lowercase().ends_with("kind");
        let wrong = if is_kind {
            let mixed = "may have mixed case, but should otherwise match: ";
            let wrong = letter_label(&name.to_lowercase()).into_iter();
            wrong.map(|what| format!("{mixed}{what}")).collect()
        } else {
            letter_label(name)
        };
        said(errors, &format!("{path}.{field}"), name, &wrong);
    }
    each(errors, names, "shortNames");
    if !text(names, "kind").is_empty() && names["kind"] == names["listKind"] {
        let what = "kind and listKind may not be the same";
        errors.invalid(format!("{path}.listKind"), &names["listKind"], what);
    }
    each(errors, names, "categories");
}

fn each(errors: &mut Errors, names: &Value, field: &str) {
    for (i, name) in array(&names[field]).enumerate() {
        let name = name.as_str().unwrap_or_default();
        let path = format!("spec.names.{field}[{i}]");
        said(errors, &path, name, &letter_label(name));
    }
}

fn said(errors: &mut Errors, path: &str, name: &str, wrong: &[String]) {
    for what in wrong {
        errors.invalid(path, &name.into(), what);
    }
}

/// Says what is wrong with the name of a version, and with what it says of its end.
pub(super) fn version(version: &Value, at: usize, errors: &mut Errors) {
    let (path, name) = (format!("spec.versions[{at}]"), text(version, "name"));
    if name.is_empty() {
        errors.required(format!("{path}.name"), "");
    } else {
        let wrong = letter_label(name);
        said(errors, &format!("{path}.name"), name, &wrong);
        if at == 0 {
            said(errors, "spec.version", name, &wrong);
        }
    }
    let warning = &version["deprecationWarning"];
    if !warning.is_null() && version["deprecated"] != true {
        let what = "can only be set for deprecated versions";
        errors.invalid(format!("{path}.deprecationWarning"), warning, what);
    }
}

/// Says what is wrong with what is shown of objects, and where their replicas stand. `path`: `spec`, or a version's.
pub(super) fn shown(version: &Value, path: &str, errors: &mut Errors) {
    for (i, column) in array(&version["additionalPrinterColumns"]).enumerate() {
        let path = format!("{path}.additionalPrinterColumns[{i}]");
        self::column(column, &path, errors);
    }
    let scale = &version["subresources"]["scale"];
    if scale.is_object() {
        let path = format!("{path}.subresources.scale");
        for (field, below, needed) in [
            ("specReplicasPath", &[".spec."][..], true),
            ("statusReplicasPath", &[".status."], true),
            ("labelSelectorPath", &[".spec.", ".status."], false),
        ] {
            replicas((scale, field), (&path, needed), below, errors);
        }
    }
}

fn column(column: &Value, path: &str, errors: &mut Errors) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = [
        "byte",
        "date",
        "date-time",
        "double",
        "float",
        "int32",
        "int64",
        "password",
    ];
    if text(column, "name").is_empty() {
        errors.required(format!("{path}.name"), "");
    }
    let kind = text(column, "type");
    if kind.is_empty() {
        let types = TYPES.join(",");
        errors.required(format!("{path}.type"), &format!("must be one of {types}"));
    } else if !TYPES.contains(&kind) {
        let what = format!("must be one of {}", TYPES.join(","));
        errors.invalid(format!("{path}.type"), &column["type"], &what);
    }
    let format = text(column, "format");
    if !format.is_empty() && !FORMATS.contains(&format) {
        let what = format!("must be one of {}", FORMATS.join(","));
        errors.invalid(format!("{path}.format"), &column["format"], &what);
    }
    let json_path = text(column, "jsonPath");
    if json_path.is_empty() {
        errors.required(format!("{path}.JSONPath"), "");
    } else if !json_path.starts_with('.') {
        let what = "must be a simple json path starting with .";
        errors.invalid(format!("{path}.JSONPath"), &column["jsonPath"], what);
    }
}

fn replicas(
    (scale, field): (&Value, &str),
    (path, needed): (&str, bool),
    below: &[&str],
    errors: &mut Errors,
) {
    let (path, given) = (format!("{path}.{field}"), text(scale, field));
    if given.is_empty() {
        if needed {
            errors.required(path, "");
        }
        return;
    }
    let is_simple = given.starts_with('.') && !given.contains(['{', '*']);
    if !is_simple {
        let what = "must be a simple json path starting with .";
        errors.invalid(path, &scale[field], what);
    } else if !below.iter().any(|prefix| given.starts_with(prefix)) {
        let what = match below {
            [".spec."] => "should be a json path under .spec",
            [".status."] => "should be a json path under .status",
            _ => "should be a json path under either .spec or .status",
        };
        errors.invalid(path, &scale[field], what);
    }
}
