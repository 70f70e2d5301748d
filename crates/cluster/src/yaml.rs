//! YAML as kubectl reads it: where YAML 1.1 and 1.2 differ in what people write, 1.1 counts. Whole numbers become
//! integers, as in kubectl's JSON.

use serde_json::{Number, Value};

use serde_saphyr::{DuplicateKeyPolicy, Error, Options, from_str_with_options};

/// A document.
pub(super) struct Yaml {
    pub(super) value: Value,
    /// The first key that stands twice: the last counts.
    pub(super) twice: Option<YamlError>,
}

/// What is wrong with a text, in the parser's words.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct YamlError {
    /// From 1; 0 where the parser does not say.
    pub(super) line: usize,
    problem: String,
}

impl From<Error> for YamlError {
    fn from(error: Error) -> Self {
        let line = error.location().map(|location| location.line());
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default();
        // The line is told by whoever names the file, and the advice is for programmers.
        let first = first
            .split(": ")
            .skip_while(|part| part.starts_with("error") || part.starts_with("line "));
        let first = first.collect::<Vec<_>>().join(": ");
        let problem = first
            .split(", set DuplicateKeyPolicy")
            .next()
            .unwrap_or_default();
        Self {
            line: line
                .and_then(|line| usize::try_from(line).ok())
                .unwrap_or_default(),
            problem: problem.to_owned(),
        }
    }
}

/// Reads one document.
///
/// # Errors
/// Text that is no YAML.
pub(super) fn read(text: &str) -> Result<Yaml, YamlError> {
    let parse = |duplicates| {
        let mut options = Options::default();
        // `defaultMode: 0644` is octal.
        options.legacy_octal_numbers = true;
        options.duplicate_keys = duplicates;
        from_str_with_options::<Value>(text, options)
    };
    let (mut value, twice) = match parse(DuplicateKeyPolicy::Error) {
        Ok(value) => (value, None),
        // Only where keys stand twice does it make a difference.
        Err(error) => (parse(DuplicateKeyPolicy::LastWins)?, Some(error.into())),
    };
    whole(&mut value);
    Ok(Yaml { value, twice })
}

/// Makes integers of the numbers that are whole: kubectl's JSON says 3 where the YAML said 3.0 or 3e0.
fn whole(value: &mut Value) {
    /// Up to here, every whole number is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or(f64::NAN);
            if float.fract() == 0.0 && float.abs() <= EXACT {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "it is whole, and small enough"
                )]
                let integer = float as i64;
                *number = Number::from(integer);
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(whole),
        Value::Array(items) => items.iter_mut().for_each(whole),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_what_kubectl_makes_of_them() {
        for (text, wanted) in [
            ("0644", json!(420)),
            ("'0644'", json!("0644")),
            ("3.0", json!(3)),
            ("1e1", json!(10)),
            ("080", json!(80)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1.5", json!(1.5)),
            ("-0.0", json!(0)),
            ("1_000", json!(1000)),
            ("9007199254740993", json!(9_007_199_254_740_993_u64)),
            ("yes", json!(true)),
            ("on", json!(true)),
            ("off", json!(false)),
            ("~", json!(null)),
            ("[3.0, {a: 0o10}]", json!([3, {"a": 8}])),
        ] {
            assert_eq!(read(text).unwrap().value, wanted, "{text}");
        }
    }
}
