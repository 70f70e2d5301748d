//! JSON, read with the names of fields that stand twice: the last one counts, as for Go.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a JSON document; with it the paths of fields that stand more than once.
///
/// # Errors
/// Text that is no JSON.
pub(crate) fn object(text: &[u8]) -> serde_json::Result<(Value, Vec<String>)> {
    let mut twice = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let seed = Reader {
        path: String::new(),
        twice: &mut twice,
    };
    let value = seed.deserialize(&mut reader)?;
    reader.end()?;
    Ok((value, twice))
}

struct Reader<'a> {
    path: String,
    twice: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let item = Reader {
                path: format!("{}[{}]", self.path, list.len()),
                twice: self.twice,
            };
            match items.next_element_seed(item)? {
                Some(item) => list.push(item),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let path = if self.path.is_empty() {
                name.clone()
            } else {
                format!("{}.{name}", self.path)
            };
            if fields.contains_key(&name) && !self.twice.contains(&path) {
                self.twice.push(path.clone());
            }
            let field = Reader {
                path,
                twice: self.twice,
            };
            let value = entries.next_value_seed(field)?;
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_of_fields_that_stand_twice_counts_and_each_is_named() {
        let (value, twice) =
            object(br#"{"a": 1, "b": [{"c": 1, "c": 2, "c": 3}], "a": {"d": null}}"#).unwrap();
        assert_eq!(value, json!({"a": {"d": null}, "b": [{"c": 3}]}));
        assert_eq!(twice, ["b[0].c", "a"]);
        assert!(object(b"{} x").is_err());
    }
}
