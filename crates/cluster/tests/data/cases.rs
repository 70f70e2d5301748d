//! Mistakes, as `mistakes.txt` has them: an object, what is changed in it, and what kube-apiserver says of that.

use serde_json::{Map, Value};

/// The file.
pub(crate) const TEXT: &str = include_str!("mistakes.txt");

/// A mistake.
pub(crate) struct Case {
    /// What it is made in: its line.
    pub(crate) base: Base,
    /// Its line: `post` or `put`, and the changes.
    pub(crate) line: &'static str,
    /// What is said of it: the code, and the message's first line.
    pub(crate) answer: &'static str,
}

/// An object that is right, and where objects of its kind are.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) path: &'static str,
    pub(crate) object: Value,
}

impl Base {
    /// The path of the object.
    pub(crate) fn one(&self) -> String {
        let name = self.object["metadata"]["name"].as_str();
        format!("{}/{}", self.path, name.unwrap_or_default())
    }
}

/// All cases of the file.
pub(crate) fn all() -> Vec<Case> {
    let mut lines = TEXT
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let (mut base, mut cases) = (None, Vec::new());
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("base ") {
            let mut words = rest.splitn(3, ' ').skip(1);
            let [path, object] = std::array::from_fn(|_| words.next().expect("path and object"));
            let object = serde_json::from_str(object).expect("a base is an object");
            base = Some(Base { path, object });
        } else {
            cases.push(Case {
                base: base.clone().expect("a base comes before its cases"),
                line,
                answer: lines.next().expect("a case has an answer").trim_start(),
            });
        }
    }
    cases
}

impl Case {
    /// Whether the object is replaced, and not made.
    pub(crate) fn replaces(&self) -> bool {
        self.line.starts_with("put ")
    }

    /// The object with the case's changes: each a JSON pointer (RFC 6901) and a value; `-` before it takes away.
    pub(crate) fn changed(&self, object: &Value) -> Value {
        let mut object = object.clone();
        let mut rest = self.line.split_once(' ').expect("a verb and changes").1;
        while !rest.is_empty() {
            let (pointer, after) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = after;
            let value = if pointer.starts_with('-') {
                None
            } else {
                let mut values = serde_json::Deserializer::from_str(rest).into_iter();
                let value = values.next().expect("a pointer has a value");
                rest = rest[values.byte_offset()..].trim_start();
                Some(value.expect("JSON"))
            };
            let steps: Vec<_> = pointer.trim_start_matches('-').split('/').skip(1).collect();
            change(&mut object, &steps, value);
        }
        object
    }
}

/// Sets the value at the end of the steps, or takes it away.
fn change(object: &mut Value, steps: &[&str], value: Option<Value>) {
    let (step, rest) = steps.split_first().expect("a pointer has steps");
    let step = step.replace("~1", "/").replace("~0", "~");
    if object.is_null() {
        *object = Map::new().into();
    }
    match (object, rest.is_empty(), value) {
        (Value::Array(items), true, Some(value)) if step == "-" => items.push(value),
        (Value::Array(items), false, value) => {
            let at: usize = step.parse().expect("an index");
            change(&mut items[at], rest, value);
        }
        (Value::Array(items), true, value) => {
            let at: usize = step.parse().expect("an index");
            items[at] = value.unwrap_or_default();
        }
        (Value::Object(fields), true, None) => {
            fields.remove(&step);
        }
        (object, true, Some(value)) => object[step] = value,
        (object, false, value) => change(&mut object[step], rest, value),
        (_, true, None) => {}
    }
}

/// An answer, as the file has it.
pub(crate) fn answer(code: u16, body: &Value) -> String {
    let said = body["message"].as_str().filter(|_| code >= 400);
    let line = said.and_then(|said| said.lines().next());
    without_uids(format!("{code} {}", line.unwrap_or_default()).trim_end())
}

/// A text without what is new each time.
fn without_uids(text: &str) -> String {
    let good = |(i, b): (usize, u8)| match b {
        b'-' => [8, 13, 18, 23].contains(&i),
        b => b.is_ascii_hexdigit() && ![8, 13, 18, 23].contains(&i),
    };
    let is_uid = |part: &str| part.bytes().enumerate().all(good);
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        if rest.get(..36).is_some_and(is_uid) {
            shown += "<uid>";
            rest = &rest[36..];
        } else {
            shown.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    shown
}
