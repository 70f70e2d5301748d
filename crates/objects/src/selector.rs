//! Label selectors in the API's text form: `a=b,c!=d,e in (x, y),f notin (z),g,!h,i>1,j<2`.

use std::fmt;

use serde_json::Value;

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
    /// The value is a number above this one, or below it.
    Greater(i64),
    Less(i64),
}

/// Text that is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Something else was expected between requirements.
    #[error("found '{0}'{1}")]
    Between(String, &'static str),
    /// Something else was expected in a requirement.
    #[error("unable to parse requirement: found '{0}'{1}")]
    Inside(String, &'static str),
    /// What is to be a number.
    #[error(
        "unable to parse requirement: values[0]: Invalid value: {0:?}: for 'Gt', 'Lt' operators, the value must be an integer"
    )]
    NoNumber(String),
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
            if !parser.rest.starts_with(|c| c == '!' || is_word(c)) {
                return Err(SelectorError::Between(parser.found(), expected));
            }
            requirements.push(parser.requirement()?);
            if parser.rest.is_empty() {
                return Ok(Self(requirements));
            }
            if !parser.take(",") {
                let expected = ", expected: ',' or 'end of string'";
                return Err(SelectorError::Between(parser.found(), expected));
            }
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

    /// The key of each requirement, and the labels' values that it names.
    pub fn named(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|one| match &one.test {
            Test::In(values) | Test::NotIn(values) => (one.key.as_str(), values.as_slice()),
            Test::Absent | Test::Present | Test::Greater(_) | Test::Less(_) => {
                (one.key.as_str(), &[][..])
            }
        })
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
            (Test::Greater(than), value) => number(value).is_some_and(|number| number > *than),
            (Test::Less(than), value) => number(value).is_some_and(|number| number < *than),
        })
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value?.parse().ok()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./".contains(c)
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
                Test::Greater(than) => write!(f, "{key}>{than}")?,
                Test::Less(than) => write!(f, "{key}<{than}")?,
            }
        }
        Ok(())
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        if self.take("!") {
            let key = self.word()?;
            return Ok(Requirement {
                key,
                test: Test::Absent,
            });
        }
        let key = self.word()?;
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
        } else if self.take(">") {
            Test::Greater(self.number()?)
        } else if self.take("<") {
            Test::Less(self.number()?)
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

    fn number(&mut self) -> Result<i64, SelectorError> {
        let value = self.exact()?;
        value.parse().map_err(|_| SelectorError::NoNumber(value))
    }

    fn list(&mut self) -> Result<Vec<String>, SelectorError> {
        self.expect("(", " expected: '('")?;
        let mut values = vec![self.span().to_owned()];
        while self.take(",") {
            values.push(self.span().to_owned());
        }
        self.expect(")", ", expected: ',' or ')'")?;
        Ok(values)
    }

    /// The one value after an operator.
    fn exact(&mut self) -> Result<String, SelectorError> {
        let here = self.error(", expected: identifier");
        let value = self.span();
        let ends = self.rest.is_empty() || self.rest.starts_with(',');
        if value.is_empty() && !ends {
            return Err(here);
        }
        Ok(value.to_owned())
    }

    fn word(&mut self) -> Result<String, SelectorError> {
        match self.span() {
            "" => Err(self.error(", expected: identifier")),
            word => Ok(word.into()),
        }
    }

    fn span(&mut self) -> &'t str {
        let end = self.rest.find(|c| !is_word(c));
        let end = end.unwrap_or(self.rest.len());
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
        SelectorError::Inside(self.found(), expected)
    }

    /// What stands here.
    fn found(&self) -> String {
        let symbol = |c: char| "=!<>(),".contains(c);
        let end = |c: char| c.is_whitespace() || symbol(c) != self.rest.starts_with(symbol);
        self.rest.split(end).next().unwrap_or_default().into()
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
        let web = [("app", "web"), ("tier", "front"), ("size", "7")];
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
            "size>6,size < 8",
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
            "size>7",
            "size<7",
            "app>1",
            "x<1",
        ] {
            assert!(!selects(no, &web), "{no}");
        }
    }

    #[test]
    fn text_that_is_no_selector_says_what_was_expected() {
        const INSIDE: &str = "unable to parse requirement: ";
        for (text, before, expected) in [
            ("a in b", INSIDE, "found 'b' expected: '('"),
            (
                "a ~ 1",
                INSIDE,
                "found '~', expected: in, notin, =, ==, !=, gt, lt",
            ),
            (
                "a > b",
                INSIDE,
                "values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
            ("!!a", INSIDE, "found '!', expected: identifier"),
            ("a=b c", "", "found 'c', expected: ',' or 'end of string'"),
            ("a,,b", "", "found ',', expected: identifier after ','"),
            (
                ",",
                "",
                "found ',', expected: !, identifier, or 'end of string'",
            ),
        ] {
            let error = Selector::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("{before}{expected}"), "{text}");
        }
    }

    #[test]
    fn a_selector_is_written_as_it_is_read() {
        let text = "a=b,c!=d,e in (x,y),f notin (z,w),g,!h,i>1,j<2";
        assert_eq!(Selector::parse(text).unwrap().to_string(), text);
    }
}
