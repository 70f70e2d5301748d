//! `tsig`: requests that are signed, and replies to them (RFC 8945).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::debug;

use super::block::Block;
use super::kit::{Directives, Registration, qtype};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Directive, Source, Token};
use crate::message::question::{OpCode, Query, RecordType};
use crate::message::reply::ResponseCode;
use crate::message::tsig::Signed;
use crate::name::{Name, Origins, absolute};

pub(super) const PLUGIN: Registration = Registration {
    name: "tsig",
    setup,
};

/// What a list of types is made of.
const TYPES: &str = "all, none, or types such as `AXFR`";

type Secrets = BTreeMap<Name, Vec<u8>>;

/// What has to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Required<T> {
    All,
    These(Vec<T>),
}

impl<T: PartialEq> Required<T> {
    fn has(&self, one: &T) -> bool {
        match self {
            Self::All => true,
            Self::These(some) => some.contains(one),
        }
    }
}

/// `tsig [ZONES...] { secret NAME KEY; secrets FILE; require QTYPE...; require_opcode OPCODE... }`.
#[derive(Clone, Debug)]
struct Tsig {
    origins: Origins,
    secrets: Arc<Secrets>,
    types: Required<RecordType>,
    opcodes: Required<OpCode>,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let tsig = parse(directives)?;
    block.links.push((PLUGIN.name, Box::new(tsig)));
    Ok(())
}

fn parse(directives: &Directives<'_>) -> Result<Tsig, CorefileError> {
    let directive = directives.only()?;
    let mut secrets = Secrets::new();
    let (mut types, mut opcodes) = (Required::These(Vec::new()), Required::These(Vec::new()));
    for property in &directive.body {
        match property.name.text.as_str() {
            "secret" => {
                let [name, key] = &property.args[..] else {
                    let problem = "`secret` takes two arguments";
                    return Err(property.name.error(problem, "a name, and a key in base64"));
                };
                add(&mut secrets, name, (&name.text, &key.text))?;
            }
            "secrets" => {
                let file = property.one_arg("a file of keys")?;
                for (name, key) in read(file, directives.source)? {
                    add(&mut secrets, file, (&name, &key))?;
                }
            }
            "require" => types = required(property, |arg| qtype(arg, TYPES))?,
            "require_opcode" => opcodes = required(property, opcode)?,
            _ => {
                let known = "secret, secrets, require or require_opcode";
                return Err(directive.unknown_property(property, known));
            }
        }
    }
    Ok(Tsig {
        origins: directives.origins(&directive.args)?.into(),
        secrets: secrets.into(),
        types,
        opcodes,
    })
}

/// Adds a key; `token`: where the file says so.
fn add(
    secrets: &mut Secrets,
    token: &Token,
    (name, key): (&str, &str),
) -> Result<(), CorefileError> {
    const EXPECTED: &str = "a name once, and its key in base64";
    let wrong = |problem: String| token.error(problem, EXPECTED);
    let named = absolute(name).map_err(|error| wrong(format!("'{name}' is no name: {error}")))?;
    let key = BASE64_STANDARD.decode(key);
    let key = key.map_err(|_| wrong(format!("the key of {name} is no base64")))?;
    match secrets.insert(named.to_lowercase(), key) {
        Some(_) => Err(wrong(format!("{name} has a key already"))),
        None => Ok(()),
    }
}

/// The keys of a file like those that BIND reads.
fn read(file: &Token, source: &dyn Source) -> Result<Vec<(String, String)>, CorefileError> {
    const EXPECTED: &str =
        "a file of keys, each in lines: `key \"a.\" {`, `secret \"a2V5\";`, `};`";
    let wrong = |why: String| file.error(format!("{}: {why}", file.text), EXPECTED);
    let text = source.read("", &file.text);
    let text = text.map_err(|error| wrong(error.to_string()))?;
    keys(&text).map_err(wrong)
}

/// As in CoreDNS, line by line: `key NAME {`, then lines that begin with `algorithm` or `secret`, up to `}` or `};`.
fn keys(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut lines = text.lines().map(str::split_whitespace);
    let mut keys = Vec::new();
    while let Some(mut words) = lines.next() {
        match words.next() {
            None => continue,
            Some("key") => {}
            Some(other) => return Err(format!("'{other}' stands where a line begins with `key`")),
        }
        let name = words.next().unwrap_or_default().trim_matches(['"', '{']);
        if name.is_empty() {
            return Err("a name is missing behind `key`".into());
        }
        let secret = secret(&mut lines)?;
        let secret = secret.ok_or_else(|| format!("the key {name} has no line with its secret"))?;
        keys.push((name.to_owned(), secret));
    }
    Ok(keys)
}

/// The secret in the lines of one key.
fn secret<'t>(
    lines: &mut impl Iterator<Item = std::str::SplitWhitespace<'t>>,
) -> Result<Option<String>, String> {
    let mut secret = None;
    for mut words in lines {
        match words.next() {
            // Each request says its own.
            None | Some("algorithm") => {}
            Some("secret") => {
                let value = words.next().unwrap_or_default().trim_matches(['"', ';']);
                if value.is_empty() {
                    return Err("nothing stands behind `secret`".into());
                }
                secret = Some(value.to_owned());
            }
            Some("}" | "};") => break,
            Some(other) => {
                return Err(format!(
                    "a line begins with '{other}', and not with algorithm, secret or `}};`"
                ));
            }
        }
    }
    Ok(secret)
}

fn required<T>(
    property: &Directive,
    read: fn(&Token) -> Result<T, CorefileError>,
) -> Result<Required<T>, CorefileError> {
    let args = property.some_args("all, none, or a list")?;
    match args[0].text.as_str() {
        "all" => Ok(Required::All),
        "none" => Ok(Required::These(Vec::new())),
        _ => {
            let listed = args.iter().map(read).collect::<Result<_, _>>()?;
            Ok(Required::These(listed))
        }
    }
}

fn opcode(arg: &Token) -> Result<OpCode, CorefileError> {
    match arg.text.as_str() {
        "QUERY" => Ok(OpCode::Query),
        "STATUS" => Ok(OpCode::Status),
        "NOTIFY" => Ok(OpCode::Notify),
        "UPDATE" => Ok(OpCode::Update),
        // RFC 3425.
        "IQUERY" => Ok(OpCode::from_u8(1)),
        other => {
            let problem = format!("'{other}' is no operation");
            let expected = "all, none, QUERY, IQUERY, STATUS, NOTIFY or UPDATE";
            Err(arg.error(problem, expected))
        }
    }
}

impl Tsig {
    fn is_required(&self, query: &Query) -> bool {
        self.types.has(&query.question.qtype) || self.opcodes.has(&query.opcode)
    }

    /// Whether a request is signed with a key that is known.
    fn is_good(&self, signed: &Signed) -> bool {
        #[expect(
            clippy::disallowed_methods,
            reason = "the client's clock says when it has signed"
        )]
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = since.unwrap_or_default().as_secs();
        let secret = self.secrets.get(&signed.key);
        match signed.verify(secret.map(Vec::as_slice), now) {
            Ok(()) => true,
            Err(fault) => {
                debug!(key = %signed.key, ?fault, "a request is not signed as it says");
                false
            }
        }
    }
}

impl Plugin for Tsig {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let is_concerned = query.tsig.is_some() || self.is_required(query);
        if !is_concerned || !next.is_client_s() || !self.origins.cover(&query.question.qname) {
            return next.handle(query);
        }
        let denied = match &query.tsig {
            None => ResponseCode::Refused,
            Some(signed) if self.is_good(signed) => return next.handle(query),
            Some(_) => ResponseCode::NotAuth,
        };
        futures::future::ready(Ok(Reply::refusal(denied))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::{error, query, read};

    #[test]
    fn what_has_to_be_signed_is_listed_by_type_or_by_operation() {
        for (lines, types) in [
            ("", [false, false]),
            ("require none", [false, false]),
            ("require all", [true, true]),
            ("require AXFR IXFR", [false, true]),
            ("require_opcode QUERY", [true, true]),
            ("require_opcode NOTIFY", [false, false]),
            ("require A\nrequire AXFR", [false, true]),
        ] {
            let tsig = read(&format!("tsig {{\n{lines}\n}}"), parse).unwrap();
            let asked = [RecordType::A, RecordType::AXFR].map(|qtype| query("a.test", qtype));
            let required = asked.map(|query| tsig.is_required(&query));
            assert_eq!(required, types, "{lines}");
        }
    }

    #[test]
    fn keys_are_read_as_bind_writes_them() {
        let text = "key \"a.\" {\n algorithm hmac-sha256;\n secret \"a2V5\";\n};\n\nkey b {\n secret b25l;\n}\n";
        let pair = |name: &str, key: &str| (name.to_owned(), key.to_owned());
        assert_eq!(keys(text), Ok(vec![pair("a.", "a2V5"), pair("b", "b25l")]));
        for (text, why) in [
            ("key", "a name is missing behind `key`"),
            ("key {", "a name is missing behind `key`"),
            ("key a {\n};", "the key a has no line with its secret"),
            (
                "key a { secret b25l; };",
                "the key a has no line with its secret",
            ),
            ("key a {\n secret ;\n};", "nothing stands behind `secret`"),
            (
                "secret x;",
                "'secret' stands where a line begins with `key`",
            ),
            (
                "key a {\n sekret x;\n};",
                "a line begins with 'sekret', and not with algorithm, secret or `};`",
            ),
        ] {
            assert_eq!(keys(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said() {
        for (lines, problem) in [
            ("secret a", "`secret` takes two arguments"),
            ("secret a *", "the key of a is no base64"),
            ("secret a a2V5\nsecret A. a2V5", "A. has a key already"),
            ("secret a..b a2V5", "'a..b' is no name: a label is empty"),
            ("secrets nowhere", "nowhere: no such file"),
            ("require BOGUS", "'BOGUS' is no type"),
            ("require", "`require` needs an argument"),
            ("require_opcode BOGUS", "'BOGUS' is no operation"),
            ("key a", "unknown property 'key' of `tsig`"),
        ] {
            assert_eq!(error(&format!("tsig {{\n{lines}\n}}")), problem);
        }
    }
}
