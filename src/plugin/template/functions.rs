//! Functions that templates call, where `gtmpl` has none of the name, or says something else than Go's.

use std::collections::BTreeMap;

use gtmpl::{Func, FuncError, Value};

/// All of them, by name.
pub(super) const ALL: [(&str, Func); 10] = [
    ("parseInt", parse_int),
    ("slice", slice),
    ("meta", meta),
    ("eq", eq),
    ("index", index),
    ("len", len),
    ("print", print),
    ("println", println),
    ("printf", printf),
    ("urlquery", urlquery),
];

fn error(what: &str) -> FuncError {
    FuncError::Generic(what.to_owned())
}

/// `parseInt TEXT BASE BITS` (Go's strconv.ParseInt).
fn parse_int(args: &[Value]) -> Result<Value, FuncError> {
    let error = || error("parseInt takes a text, a base and bits");
    let [text, base, bits] = args else {
        return Err(error());
    };
    let number = |value: &Value| value.to_string().parse::<u32>().map_err(|_| error());
    let (base, bits) = (number(base)?, number(bits)?);
    let text = text.to_string().to_lowercase();
    // Base 0 is that of the prefix, with `_` between digits.
    let (base, digits) = match (base, text.get(..2)) {
        (0, Some("0x")) => (16, text[2..].replace('_', "")),
        (0, Some("0b")) => (2, text[2..].replace('_', "")),
        (0, Some("0o")) => (8, text[2..].replace('_', "")),
        (0, _) if text.len() > 1 && text.starts_with('0') => (8, text[1..].replace('_', "")),
        (0, _) => (10, text.replace('_', "")),
        (base, _) => (base, text),
    };
    if !(2..=36).contains(&base) || bits > 64 || digits.starts_with('+') {
        return Err(error());
    }
    let parsed = u64::from_str_radix(&digits, base).map_err(|_| error())?;
    let most = if bits == 0 || bits == 64 {
        u64::MAX
    } else {
        (1 << bits) - 1
    };
    if parsed > most {
        return Err(error());
    }
    Ok(Value::from(parsed))
}

/// `meta METADATA LABEL`: nothing where there is no such value, as in CoreDNS.
fn meta(args: &[Value]) -> Result<Value, FuncError> {
    let [Value::Map(values), Value::String(label)] = args else {
        return Err(error("Meta takes a label"));
    };
    Ok(values.get(label).cloned().unwrap_or_else(|| "".into()))
}

/// `slice TEXT FROM TO`, in octets, as in Go.
fn slice(args: &[Value]) -> Result<Value, FuncError> {
    let error = || error("slice takes a text and places in it");
    let [text, places @ ..] = args else {
        return Err(error());
    };
    let place = |at: usize, default: usize| match places.get(at) {
        Some(value) => value.to_string().parse::<usize>().map_err(|_| error()),
        None => Ok(default),
    };
    if let Value::Array(items) = text {
        let part = items.get(place(0, 0)?..place(1, items.len())?);
        return part
            .map(|part| Value::Array(part.to_vec()))
            .ok_or_else(error);
    }
    let text = text.to_string();
    let part = text.get(place(0, 0)?..place(1, text.len())?);
    part.map(Value::from).ok_or_else(error)
}

/// `index VALUE KEY...`: an item of a list, a value of a map, an octet of a text.
fn index(args: &[Value]) -> Result<Value, FuncError> {
    let error = || error("index takes a list, a map or a text, and places that are in it");
    let (first, keys) = args.split_first().ok_or_else(error)?;
    keys.iter().try_fold(first.clone(), |value, key| {
        let at = || key.to_string().parse::<usize>().map_err(|_| error());
        match &value {
            Value::Array(items) => items.get(at()?).cloned().ok_or_else(error),
            Value::String(text) => {
                let octet = text.as_bytes().get(at()?).copied();
                octet.map(Value::from).ok_or_else(error)
            }
            Value::Map(fields) | Value::Object(fields) => {
                let found = fields.get(&key.to_string()).cloned();
                Ok(found.unwrap_or_else(|| "".into()))
            }
            Value::Number(_)
            | Value::Bool(_)
            | Value::Nil
            | Value::NoValue
            | Value::Function(_) => Err(error()),
        }
    })
}

/// `len VALUE`: octets of a text, items of a list or a map.
fn len(args: &[Value]) -> Result<Value, FuncError> {
    match args {
        [Value::String(text)] => Ok(Value::from(text.len())),
        [Value::Array(items)] => Ok(Value::from(items.len())),
        [Value::Map(fields) | Value::Object(fields)] => Ok(Value::from(fields.len())),
        _ => Err(error("len takes a text, a list or a map")),
    }
}

/// `print VALUE...`: with a blank between two that are no texts.
fn print(args: &[Value]) -> Result<Value, FuncError> {
    let is_text = |value: &Value| matches!(value, Value::String(_));
    let mut made = String::new();
    for (i, value) in args.iter().enumerate() {
        if i > 0 && !is_text(value) && !is_text(&args[i - 1]) {
            made.push(' ');
        }
        made += &shown(value);
    }
    Ok(Value::from(made))
}

/// `println VALUE...`: with a blank between each two, and the end of a line.
fn println(args: &[Value]) -> Result<Value, FuncError> {
    let all: Vec<_> = args.iter().map(shown).collect();
    Ok(Value::from(all.join(" ") + "\n"))
}

/// `urlquery VALUE...`: as a URI's query has it (Go's url.QueryEscape).
fn urlquery(args: &[Value]) -> Result<Value, FuncError> {
    let text = print(args)?.to_string();
    let each = text.bytes().map(|octet| match octet {
        b' ' => "+".to_owned(),
        b'-' | b'_' | b'.' | b'~' => char::from(octet).to_string(),
        octet if octet.is_ascii_alphanumeric() => char::from(octet).to_string(),
        octet => format!("%{octet:02X}"),
    });
    Ok(Value::from(each.collect::<String>()))
}

/// A value as Go's `%v` writes it.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Map(fields) | Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            let fields = sorted.into_iter();
            let fields: Vec<_> = fields.map(|(k, v)| format!("{k}:{}", shown(v))).collect();
            format!("map[{}]", fields.join(" "))
        }
        Value::Nil | Value::NoValue => "<nil>".to_owned(),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Function(_) => {
            value.to_string()
        }
    }
}

/// `eq VALUE OTHER...`: whether it is one of the others.
fn eq(args: &[Value]) -> Result<Value, FuncError> {
    let Some((first, others)) = args.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Err(error("eq takes two values or more"));
    };
    let kind = |value: &Value| {
        let is_fraction = matches!(value, Value::Number(_)) && value.to_string().contains('.');
        if is_fraction {
            "float64"
        } else {
            type_of(value)
        }
    };
    let is_nil = |value: &Value| matches!(value, Value::Nil | Value::NoValue);
    for other in others.iter().filter(|other| !is_nil(other)) {
        if !is_nil(first) && kind(first) != kind(other) {
            return Err(error("incompatible types for comparison"));
        }
    }
    Ok(Value::from(others.contains(first)))
}

/// `printf FORMAT VALUE...` (Go's fmt, for texts, numbers and truths).
fn printf(args: &[Value]) -> Result<Value, FuncError> {
    let Some((Value::String(format), values)) = args.split_first() else {
        return Err(error("printf takes a format"));
    };
    let (mut made, mut rest, mut values) = (String::new(), format.as_str(), values.iter());
    while let Some((before, after)) = rest.split_once('%') {
        made += before;
        let (verb, after) = Verb::read(after).ok_or_else(|| error("%!(NOVERB)"))?;
        rest = after;
        if verb.kind == '%' {
            made.push('%');
            continue;
        }
        made += &match values.next() {
            Some(value) => verb.write(value),
            None => format!("%!{}(MISSING)", verb.kind),
        };
    }
    made += rest;
    let left: Vec<String> = values
        .map(|value| format!("{}={value}", type_of(value)))
        .collect();
    if !left.is_empty() {
        made += &format!("%!(EXTRA {})", left.join(", "));
    }
    Ok(Value::from(made))
}

/// What stands behind a `%`.
struct Verb<'a> {
    flags: &'a str,
    width: usize,
    precision: Option<usize>,
    kind: char,
}

impl<'a> Verb<'a> {
    /// Reads one, and what follows it.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let end = |text: &str, of: fn(char) -> bool| text.find(|c| !of(c)).unwrap_or(text.len());
        let (flags, text) = text.split_at(end(text, |c| "-+# 0".contains(c)));
        let (width, text) = text.split_at(end(text, |c| c.is_ascii_digit()));
        let (precision, text) = match text.strip_prefix('.') {
            Some(text) => {
                let (precision, text) = text.split_at(end(text, |c| c.is_ascii_digit()));
                (Some(precision.parse().unwrap_or(0)), text)
            }
            None => (None, text),
        };
        let kind = text.chars().next()?;
        let verb = Self {
            flags,
            width: width.parse().unwrap_or(0),
            precision,
            kind,
        };
        Some((verb, &text[kind.len_utf8()..]))
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn write(&self, value: &Value) -> String {
        let cut = |text: String| match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        };
        let hex = |octets: &[u8], upper: bool| {
            let octets = octets.iter();
            let hex: String = octets.map(|octet| format!("{octet:02x}")).collect();
            if upper { hex.to_uppercase() } else { hex }
        };
        match (self.kind, value) {
            ('v', Value::Number(_)) | ('d', Value::Number(_)) => self.number(value, 10),
            ('x' | 'X', Value::Number(_)) => self.number(value, 16),
            ('o', Value::Number(_)) => self.number(value, 8),
            ('b', Value::Number(_)) => self.number(value, 2),
            ('s', Value::String(text)) => self.padded(&cut(text.clone())),
            ('v', Value::String(text)) => self.padded(text),
            ('q', Value::String(text)) => self.padded(&format!("{:?}", cut(text.clone()))),
            ('x' | 'X', Value::String(text)) => {
                self.padded(&hex(text.as_bytes(), self.kind == 'X'))
            }
            ('t' | 'v', Value::Bool(truth)) => self.padded(&truth.to_string()),
            ('T', value) => self.padded(type_of(value)),
            ('v', value) => self.padded(&shown(value)),
            (kind, value) => format!("%!{kind}({}={value})", type_of(value)),
        }
    }

    /// A whole number: zeros come behind its sign.
    fn number(&self, value: &Value, base: u32) -> String {
        let Ok(number) = value.to_string().parse::<i128>() else {
            return self.padded(&value.to_string());
        };
        let digits = match base {
            16 if self.kind == 'X' => format!("{:X}", number.unsigned_abs()),
            16 => format!("{:x}", number.unsigned_abs()),
            8 => format!("{:o}", number.unsigned_abs()),
            2 => format!("{:b}", number.unsigned_abs()),
            _ => number.unsigned_abs().to_string(),
        };
        let digits = format!("{digits:0>least$}", least = self.precision.unwrap_or(0));
        let sign = match (number < 0, self.has('+'), self.has(' ')) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        let prefix = match (self.has('#'), base) {
            (true, 16) if self.kind == 'X' => "0X",
            (true, 16) => "0x",
            (true, 8) => "0",
            _ => "",
        };
        let zeros = self.has('0') && !self.has('-') && self.precision.is_none();
        let taken = sign.len() + prefix.len() + digits.len();
        let fill = if zeros {
            self.width.saturating_sub(taken)
        } else {
            0
        };
        self.padded(&format!("{sign}{prefix}{}{digits}", "0".repeat(fill)))
    }

    fn padded(&self, text: &str) -> String {
        let width = self.width;
        if self.has('-') {
            format!("{text:<width$}")
        } else if self.has('0') {
            format!("{text:0>width$}")
        } else {
            format!("{text:>width$}")
        }
    }
}

/// What Go calls the type of a value.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Number(_) => "int",
        Value::Bool(_) => "bool",
        Value::Array(_) => "[]string",
        Value::Map(_) | Value::Object(_) => "map[string]string",
        Value::Nil | Value::NoValue => "<nil>",
        Value::Function(_) => "func",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(format: &str, values: &[Value]) -> String {
        let args: Vec<Value> = std::iter::once(Value::from(format))
            .chain(values.iter().cloned())
            .collect();
        printf(&args).unwrap().to_string()
    }

    #[test]
    fn printf_writes_as_go_s_does() {
        let (text, number) = (Value::from("ab"), |number: i64| Value::from(number));
        for (format, value, wanted) in [
            ("%02x%%", number(10), "0a%"),
            ("%03d", number(7), "007"),
            ("%+d|", number(7), "+7|"),
            ("%05d", number(-42), "-0042"),
            ("%-4d|", number(7), "7   |"),
            ("%#x %X", number(255), "0xff %!X(MISSING)"),
            ("%5s|", text.clone(), "   ab|"),
            ("%-5s|", text.clone(), "ab   |"),
            ("%.1s", text.clone(), "a"),
            ("%q", text.clone(), "\"ab\""),
            ("%x", text.clone(), "6162"),
            ("%d", text.clone(), "%!d(string=ab)"),
            ("%T %v", Value::from(true), "bool %!v(MISSING)"),
            ("x", text.clone(), "x%!(EXTRA string=ab)"),
        ] {
            assert_eq!(said(format, &[value]), wanted, "{format}");
        }
    }

    #[test]
    fn eq_is_true_for_any_of_the_others() {
        let is = |values: &[&str]| {
            let values: Vec<Value> = values.iter().map(|text| Value::from(*text)).collect();
            eq(&values).ok()
        };
        assert_eq!(is(&["TXT", "A", "TXT"]), Some(Value::from(true)));
        assert_eq!(is(&["TXT", "A"]), Some(Value::from(false)));
        assert_eq!(is(&["TXT"]), None);
        assert!(eq(&[Value::from(1), "1".into()]).is_err());
        assert_eq!(
            eq(&[Value::from(1), Value::Nil]).ok(),
            Some(Value::from(false))
        );
    }

    #[test]
    fn lists_and_texts_are_taken_apart_as_in_go() {
        let list = || Value::from(vec!["a", "b"]);
        let said = |value: Result<Value, FuncError>| value.ok().map(|value| shown(&value));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(said(slice(&[list(), Value::from(1)])), some("[b]"));
        assert_eq!(said(index(&["ab".into(), Value::from(1)])), some("98"));
        assert_eq!(said(index(&[list(), Value::from(2)])), None);
        assert_eq!(said(len(&["ab.".into()])), some("3"));
        assert_eq!(said(len(&[list()])), some("2"));
        assert_eq!(said(len(&[Value::from(1)])), None);
        let mixed = [Value::from(1), Value::from(2), "x".into(), list()];
        assert_eq!(said(print(&mixed)), some("1 2x[a b]"));
        assert_eq!(said(println(&mixed)), some("1 2 x [a b]\n"));
        assert_eq!(said(urlquery(&["a b&c~*".into()])), some("a+b%26c~%2A"));
        let number = |text: &str, base: u32| {
            said(parse_int(&[
                text.into(),
                Value::from(base),
                Value::from(64),
            ]))
        };
        assert_eq!(number("0x1f", 0), some("31"));
        assert_eq!(number("0b1_0", 0), some("2"));
        assert_eq!(number("017", 0), some("15"));
        assert_eq!(number("+5", 10), None);
    }
}
