//! Rules about EDNS options of the request.

use std::net::IpAddr;

use super::response::Response;
use crate::corefile::{CorefileError, Token};
use crate::message::options::{self, NSID};
use crate::message::question::{Edns, Query, Transport};

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// It is replaced, or added.
    Set,
    /// It is added, also where there is one.
    Append,
    /// It is replaced where there is one.
    Replace,
    /// It is removed.
    Unset,
}

/// What an option holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Data {
    Octets(Vec<u8>),
    Qname,
    Qtype,
    ClientIp,
    ClientPort,
    ServerIp,
    ServerPort,
    Protocol,
    /// What another plugin says of the query, by its label.
    Metadata(String),
    /// The client's network: so many bits, of IPv4 and of IPv6 (RFC 7871).
    Subnet(u8, u8),
}

/// `edns0 local|nsid|subnet ACTION ...`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    action: Action,
    code: u16,
    data: Data,
    /// The client sees nothing of it in the reply.
    reverts: bool,
}

/// The size of a request to which an OPT record is added: CoreDNS's.
const SIZE: u16 = 4096;

const EXPECTED: &str = "`local|nsid|subnet`, `set|append|replace|unset`, and what belongs to that";

impl Rule {
    pub(super) fn read(name: &Token, args: &[Token]) -> Result<Self, CorefileError> {
        let [kind, action, rest @ ..] = args else {
            return Err(name.error("the rule is not whole", EXPECTED));
        };
        let (rest, reverts) = match rest.split_last() {
            Some((last, before)) if last.text == "revert" => (before, true),
            _ => (rest, false),
        };
        let act = match action.text.to_lowercase().as_str() {
            "set" => Action::Set,
            "append" => Action::Append,
            "replace" => Action::Replace,
            "unset" => Action::Unset,
            other => return Err(action.error(format!("'{other}' is no action"), EXPECTED)),
        };
        let (code, data) = match (kind.text.to_lowercase().as_str(), rest) {
            ("local", [code]) if act == Action::Unset => (number(code)?, Data::Octets(Vec::new())),
            ("local", [code, data]) if act != Action::Unset => (number(code)?, value(data)?),
            ("nsid", []) => (NSID, Data::Octets(Vec::new())),
            ("subnet", []) if act == Action::Unset => {
                (options::CLIENT_SUBNET, Data::Octets(Vec::new()))
            }
            ("subnet", [v4, v6]) if act != Action::Unset => (
                options::CLIENT_SUBNET,
                Data::Subnet(bits(v4, 32)?, bits(v6, 128)?),
            ),
            ("local" | "nsid" | "subnet", _) => {
                return Err(action.error("the rule has another number of arguments", EXPECTED));
            }
            (other, _) => return Err(kind.error(format!("'{other}' is no option"), EXPECTED)),
        };
        Ok(Self {
            action: act,
            code,
            data,
            reverts,
        })
    }

    /// Changes the options of a request; what that is to the reply, where it is something. `None`: there is nothing to
    /// change, or a value that nobody knows.
    pub(super) fn apply(&self, query: &mut Query) -> Option<Option<Response>> {
        let data = self.octets(query)?;
        query.edns.get_or_insert(Edns {
            udp_size: SIZE,
            dnssec_ok: false,
        });
        let all = options::each(&query.options);
        let mut options: Vec<_> = all.map(|(code, data)| (code, data.to_vec())).collect();
        let there = options.iter().position(|(code, _)| *code == self.code);
        let mut before = None;
        match (self.action, there) {
            (Action::Unset, _) => options.retain(|(code, _)| *code != self.code),
            (Action::Set | Action::Replace, Some(at)) => {
                before = Some(std::mem::replace(&mut options[at].1, data));
            }
            // As in CoreDNS there is one network of a client, and one value of a variable.
            (Action::Append, Some(_)) if self.is_single() => return None,
            (Action::Replace, None) => return None,
            (Action::Set, None) | (Action::Append, _) => {
                options.push((self.code, data));
            }
        }
        let written = |(code, data): &(u16, Vec<u8>)| options::written(*code, data);
        query.options = options.iter().filter_map(written).flatten().collect();
        let back = || Response::Option(self.code, before);
        Some((self.reverts && self.action != Action::Unset).then(back))
    }

    /// Whether there may be no second one.
    fn is_single(&self) -> bool {
        !matches!(self.data, Data::Octets(_))
    }

    fn octets(&self, query: &Query) -> Option<Vec<u8>> {
        let (question, route) = (&query.question, &query.route);
        let client = route.client.ip();
        Some(match &self.data {
            Data::Octets(octets) => octets.clone(),
            Data::Qname => question.qname.to_string().into_bytes(),
            Data::Qtype => u16::from(question.qtype).to_be_bytes().to_vec(),
            Data::ClientIp => address(client),
            Data::ClientPort => route.client.port().to_be_bytes().to_vec(),
            Data::ServerIp => address(route.server?.ip()),
            Data::ServerPort => route.server?.port().to_be_bytes().to_vec(),
            Data::Metadata(label) => {
                let value = query.metadata.as_ref()?.get(label)?;
                Some(value).filter(|value| !value.is_empty())?.into_bytes()
            }
            Data::Protocol => match query.transport {
                Transport::Udp => b"udp".to_vec(),
                Transport::Tcp => b"tcp".to_vec(),
            },
            Data::Subnet(v4, v6) => match client {
                IpAddr::V4(_) => subnet(1, *v4, &address(client)),
                IpAddr::V6(_) => subnet(2, *v6, &address(client)),
            },
        })
    }
}

fn address(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Family, length of the prefix, no scope, and the octets of the prefix (RFC 7871 section 6).
fn subnet(family: u8, bits: u8, address: &[u8]) -> Vec<u8> {
    let length = usize::from(bits).div_ceil(8);
    let mut prefix = address[..length].to_vec();
    if let Some(last) = prefix.last_mut()
        && !bits.is_multiple_of(8)
    {
        *last &= u8::MAX << (8 - bits % 8);
    }
    [&[0, family, bits, 0], &prefix[..]].concat()
}

fn number(token: &Token) -> Result<u16, CorefileError> {
    let text = token.text.trim_start_matches("0x");
    let hex = token
        .text
        .starts_with("0x")
        .then(|| u16::from_str_radix(text, 16).ok());
    let code = hex.unwrap_or_else(|| token.text.parse().ok());
    code.ok_or_else(|| {
        let problem = format!("'{}' is no option's code", token.text);
        token.error(problem, "a number such as 0xffee")
    })
}

fn bits(token: &Token, most: u8) -> Result<u8, CorefileError> {
    let bits = token.text.parse().ok().filter(|bits| *bits <= most);
    bits.ok_or_else(|| {
        let problem = format!("'{}' is no length of a prefix", token.text);
        token.error(problem, format!("bits from 0 to {most}"))
    })
}

fn value(token: &Token) -> Result<Data, CorefileError> {
    const VALUES: &str = "text, octets such as 0x0102, or {qname}, {qtype}, {client_ip}, {client_port}, \
        {server_ip}, {server_port}, {protocol}, or a plugin's metadata such as {forward/upstream}";
    let text = token.text.as_str();
    if let Some(hex) = text.strip_prefix("0x") {
        let problem = || token.error(format!("'{text}' is no octets"), VALUES);
        return octets(hex).map(Data::Octets).ok_or_else(problem);
    }
    if !(text.starts_with('{') && text.ends_with('}')) {
        return Ok(Data::Octets(text.as_bytes().to_vec()));
    }
    match text {
        "{qname}" => Ok(Data::Qname),
        "{qtype}" => Ok(Data::Qtype),
        "{client_ip}" => Ok(Data::ClientIp),
        "{client_port}" => Ok(Data::ClientPort),
        "{server_ip}" => Ok(Data::ServerIp),
        "{server_port}" => Ok(Data::ServerPort),
        "{protocol}" => Ok(Data::Protocol),
        label if is_label(label.trim_matches(['{', '}'])) => {
            Ok(Data::Metadata(label.trim_matches(['{', '}']).to_owned()))
        }
        other => Err(token.error(format!("{other} is not known here"), VALUES)),
    }
}

/// Whether it is a plugin's name, a slash, and something.
fn is_label(text: &str) -> bool {
    let parts = text.split_once('/');
    parts.is_some_and(|(plugin, rest)| !plugin.is_empty() && !rest.is_empty())
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).ok();
    (0..hex.len()).step_by(2).map(pair).collect()
}
