//! Label selectors in the API's text form: `a=b,c!=d,e in (x, y),f notin (z),g,!h`.

use std::fmt;

use serde_json::Value;

use crate::object::MAX_LABEL_VALUE;

/// A selector: every requirement must hold; a selector without requirements selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Present,
}

/// Text that is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse requirement: found '{found}'{expected}")]
pub struct SelectorError {
    found: String,
    expected: &'static str,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// Where the text is none, with what was expected.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser {
            rest: text.trim_start(),
        };
        let mut requirements = Vec::new();
        if parser.rest.is_empty() {
            return Ok(Self(requirements));
        }
        let mut expected = ", expected: !, identifier, or 'end of string'";
        loop {
            requirements.push(parser.requirement(expected)?);
            if parser.rest.is_empty() {
                return Ok(Self(requirements));
            }
            parser.expect(",", ", expected: ',' or 'end of string'")?;
            expected = ", expected: identifier after ','";
        }
    }

    /// Each key equal to its value.
    pub fn equal<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let one = |(key, value): (&str, &str)| Requirement {
            key: key.into(),
            test: Test::In(vec![value.into()]),
        };
        Self(labels.into_iter().map(one).collect())
    }

    /// A `LabelSelector` of the API (`matchLabels`, `matchExpressions`); `None` where there is none or it cannot be read.
    #[must_use]
    pub fn of(selector: &Value) -> Option<Self> {
        let object = selector.as_object()?;
        let labels = object.get("matchLabels").and_then(Value::as_object);
        let pairs = labels
            .into_iter()
            .flatten()
            .filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)));
        let mut found = Self::equal(pairs);
        for expression in object
            .get("matchExpressions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let values = expression["values"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            found = found.and(
                expression["key"].as_str()?,
                expression["operator"].as_str()?,
                values.map(str::to_owned).collect(),
            )?;
        }
        Some(found)
    }

    /// Adds what a `matchExpressions` entry says; `None` where the operator is unknown.
    #[must_use]
    pub fn and(mut self, key: &str, operator: &str, values: Vec<String>) -> Option<Self> {
        let test = match operator {
            "In" => Test::In(values),
            "NotIn" => Test::NotIn(values),
            "Exists" => Test::Present,
            "DoesNotExist" => Test::Absent,
            _ => return None,
        };
        self.0.push(Requirement {
            key: key.into(),
            test,
        });
        Some(self)
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether labels, given as a look-up, are selected.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|r| match (&r.test, label(&r.key)) {
            (Test::Present, value) => value.is_some(),
            (Test::Absent, value) => value.is_none(),
            (Test::In(values), value) => value.is_some_and(|v| values.iter().any(|x| x == v)),
            // A label that is not there is not in the list either.
            (Test::NotIn(values), value) => !value.is_some_and(|v| values.iter().any(|x| x == v)),
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Requirement { key, test }) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match test {
                Test::Absent => write!(f, "!{key}")?,
                Test::Present => write!(f, "{key}")?,
                Test::In(values) if values.len() == 1 => write!(f, "{key}={}", values[0])?,
                Test::In(values) => write!(f, "{key} in ({})", values.join(","))?,
                Test::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", values[0])?,
                Test::NotIn(values) => write!(f, "{key} notin ({})", values.join(","))?,
            }
        }
        Ok(())
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn requirement(&mut self, expected: &'static str) -> Result<Requirement, SelectorError> {
        if self.take("!") {
            let key = self.word(", expected: identifier")?;
            return Ok(Requirement {
                key,
                test: Test::Absent,
            });
        }
        let key = self.word(expected)?;
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Ok(Requirement {
                key,
                test: Test::Present,
            });
        }
        let test = if self.take("!=") {
            Test::NotIn(vec![self.exact()?])
        } else if self.take("==") || self.take("=") {
            Test::In(vec![self.exact()?])
        } else {
            let here = self.error(", expected: in, notin, =, ==, !=, gt, lt");
            match self.span() {
                "in" => Test::In(self.list()?),
                "notin" => Test::NotIn(self.list()?),
                _ => return Err(here),
            }
        };
        Ok(Requirement { key, test })
    }

    fn list(&mut self) -> Result<Vec<String>, SelectorError> {
        self.expect("(", " expected: '('")?;
        let mut values = vec![self.value()?];
        while self.take(",") {
            values.push(self.value()?);
        }
        self.expect(")", ", expected: ',' or ')'")?;
        Ok(values)
    }

    /// The one value after an operator.
    fn exact(&mut self) -> Result<String, SelectorError> {
        let here = self.error(", expected: identifier");
        let value = self.value()?;
        let ends = self.rest.is_empty() || self.rest.starts_with(',');
        if value.is_empty() && !ends {
            return Err(here);
        }
        Ok(value)
    }

    /// A label value: may be empty, at most 63 characters.
    fn value(&mut self) -> Result<String, SelectorError> {
        let value = self.span();
        if value.len() > MAX_LABEL_VALUE {
            Err(self.error(", expected: a value of at most 63 characters"))
        } else {
            Ok(value.into())
        }
    }

    fn word(&mut self, expected: &'static str) -> Result<String, SelectorError> {
        match self.span() {
            "" => Err(self.error(expected)),
            word => Ok(word.into()),
        }
    }

    fn span(&mut self) -> &'t str {
        let inside = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let (span, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        span
    }

    fn take(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else {
            return false;
        };
        self.rest = rest.trim_start();
        true
    }

    fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), SelectorError> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.error(expected))
        }
    }

    fn error(&self, expected: &'static str) -> SelectorError {
        let symbol = |c: char| "=!<>(),".contains(c);
        let end = |c: char| c.is_whitespace() || symbol(c) != self.rest.starts_with(symbol);
        let found = self.rest.split(end).next().unwrap_or_default();
        SelectorError {
            expected,
            found: found.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector = Selector::parse(selector).unwrap();
        selector.matches(|key| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v))
    }

    #[test]
    fn each_operator_selects_as_the_api_says() {
        let web = [("app", "web"), ("tier", "front")];
        for yes in [
            "",
            "app",
            "!x",
            "app=web",
            "app==web",
            "app!=db",
            "x!=y",
            "app in (web, db)",
            "x notin (y)",
            "app=web,tier in (front)",
        ] {
            assert!(selects(yes, &web), "{yes}");
        }
        for no in [
            "x",
            "!app",
            "app=db",
            "app!=web",
            "app in (db)",
            "app notin (web)",
            "app=web,tier=back",
            "app=",
        ] {
            assert!(!selects(no, &web), "{no}");
        }
    }

    #[test]
    fn text_that_is_no_selector_says_what_was_expected() {
        for (text, expected) in [
            ("a in b", "found 'b' expected: '('"),
            ("a > 1", "found '>', expected: in, notin, =, ==, !=, gt, lt"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            (
                ",",
                "found ',', expected: !, identifier, or 'end of string'",
            ),
        ] {
            let error = Selector::parse(text).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }

    #[test]
    fn a_selector_is_written_as_it_is_read() {
        let text = "a=b,c!=d,e in (x,y),f notin (z,w),g,!h";
        assert_eq!(Selector::parse(text).unwrap().to_string(), text);
    }
}
