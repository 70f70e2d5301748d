//! What several directives have in common, read in one place (CoreDNS: `plugin/pkg`).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use regex::Regex;
use resolv_conf::{Config, ScopedIp};

use super::block::Block;
use crate::answer::{Messages, Reply};
use crate::corefile::{
    CorefileError, Directive, Key, Source, Token, cidr, go_duration, origins_of,
};
use crate::message::question::{Query, RecordType, Transport};
use crate::message::wire::limit;
use crate::message::{skim, type_called};
use crate::name::{Name, Origins, SearchList, absolute};

/// A plugin's row: each brings its own.
#[derive(Clone, Copy)]
pub(super) struct Registration {
    /// The directive's name, which is CoreDNS's.
    pub(super) name: &'static str,
    /// Reads every directive of the plugin in a server block, and sets in the block what they say.
    pub(super) setup: Setup,
}

/// Reads directives into a block; the error is the first that is wrong.
pub(super) type Setup = fn(&Directives<'_>, &mut Block) -> Result<(), CorefileError>;

/// Every directive of one plugin in one server block.
pub struct Directives<'a> {
    /// The first.
    pub first: &'a Directive,
    /// The others, in the order of the file.
    more: Vec<&'a Directive>,
    /// What the block serves: the origins of a directive that names none.
    keys: &'a [Key],
    /// Files and environment.
    pub source: &'a dyn Source,
}

impl<'a> Directives<'a> {
    /// Those of `directives` that are called `name`; `None` where there are none.
    pub(super) fn named(
        name: &str,
        directives: &'a [Directive],
        keys: &'a [Key],
        source: &'a dyn Source,
    ) -> Option<Self> {
        let mut named = directives.iter().filter(|d| d.name.text == name);
        Some(Self {
            first: named.next()?,
            more: named.collect(),
            keys,
            source,
        })
    }

    /// One of them, as if it were the only one.
    pub(super) fn alone(&self, directive: &'a Directive) -> Self {
        Self {
            first: directive,
            more: Vec::new(),
            keys: self.keys,
            source: self.source,
        }
    }

    /// What the block serves.
    pub(super) fn keys(&self) -> &'a [Key] {
        self.keys
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &'a Directive> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    /// The only one.
    ///
    /// # Errors
    /// Where there is another.
    pub fn only(&self) -> Result<&'a Directive, CorefileError> {
        self.more.first().map_or(Ok(self.first), |second| {
            let problem = format!("`{}` stands twice in this block", second.name.text);
            Err(second.name.error(problem, "it once"))
        })
    }

    /// The last of them, which counts; each has neither arguments nor braces.
    ///
    /// # Errors
    /// Where one has.
    pub fn all_bare(&self) -> Result<&'a Directive, CorefileError> {
        self.iter().try_for_each(Directive::bare)?;
        Ok(self.last())
    }

    /// The last of them.
    #[must_use]
    pub fn last(&self) -> &'a Directive {
        self.more.last().copied().unwrap_or(self.first)
    }

    /// The only one, which has neither arguments nor properties.
    ///
    /// # Errors
    /// Where there is another, or more of it.
    pub fn only_bare(&self) -> Result<&'a Directive, CorefileError> {
        let directive = self.only()?;
        directive.bare()?;
        Ok(directive)
    }

    /// The origins that arguments name; those of the block where there are none.
    ///
    /// # Errors
    /// An argument that is no zone.
    pub fn origins(&self, args: &[Token]) -> Result<Vec<Name>, CorefileError> {
        if args.is_empty() {
            return Ok(self.keys.iter().map(|key| key.zone.clone()).collect());
        }
        origins(args)
    }
}

/// The origins that arguments name; a CIDR is several.
///
/// # Errors
/// An argument that is no zone.
pub fn origins(args: &[Token]) -> Result<Vec<Name>, CorefileError> {
    let mut named = Vec::new();
    for arg in args {
        let error = |problem| arg.error(problem, "a zone such as `cluster.local`, or a CIDR");
        named.extend(origins_of(&arg.text).map_err(error)?);
    }
    Ok(named)
}

/// `fallthrough [ZONES...]`: of these names, those that do not exist go to the next plugin.
///
/// # Errors
/// An argument that is no zone.
pub fn fallthrough(property: &Directive) -> Result<Origins, CorefileError> {
    if property.args.is_empty() {
        return Ok(vec![Name::root()].into());
    }
    origins(&property.args).map(Origins::from)
}

/// The longest TTL that a directive takes, in seconds: CoreDNS's.
const MAX_TTL: u32 = 3600;

/// A property that only has to be there: true.
///
/// # Errors
/// An argument.
pub fn flag(property: &Directive) -> Result<bool, CorefileError> {
    property.no_args()?;
    Ok(true)
}

/// A type, in capitals as CoreDNS wants it.
///
/// # Errors
/// Another word, with what was expected.
pub fn qtype(arg: &Token, expected: &str) -> Result<RecordType, CorefileError> {
    type_called(&arg.text).ok_or_else(|| arg.error(format!("'{}' is no type", arg.text), expected))
}

/// `ttl SECONDS`.
///
/// # Errors
/// Where it is none, or longer than an hour.
pub fn ttl(property: &Directive) -> Result<u32, CorefileError> {
    let arg = &property.some_args("seconds")?[0];
    let ttl = arg.text.parse().ok().filter(|ttl| *ttl <= MAX_TTL);
    ttl.ok_or_else(|| {
        let problem = format!("'{}' is no TTL", arg.text);
        arg.error(problem, "seconds from 0 to 3600")
    })
}

/// A duration as Go writes it.
///
/// # Errors
/// Where it is none.
pub fn duration(arg: &Token) -> Result<Duration, CorefileError> {
    go_duration(&arg.text).ok_or_else(|| {
        let problem = format!("'{}' is no duration", arg.text);
        arg.error(problem, "a duration such as `5s`")
    })
}

/// A regular expression.
///
/// # Errors
/// Where it is none.
pub fn expression(arg: &Token, expected: &str) -> Result<Regex, CorefileError> {
    Regex::new(&unquoted(&arg.text)).map_err(|error| {
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default();
        arg.error(format!("'{}' is no expression: {why}", arg.text), expected)
    })
}

/// An expression without RE2's `\\Q...\\E`, what stands between which is text.
fn unquoted(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        let (before, escaped) = rest.split_at(at);
        plain += before;
        if let Some(quoted) = escaped.strip_prefix(r"\Q") {
            let (inner, behind) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            plain += &regex::escape(inner);
            rest = behind;
            continue;
        }
        let length = 1 + escaped[1..].chars().next().map_or(0, char::len_utf8);
        plain += &escaped[..length];
        rest = &escaped[length..];
    }
    plain + rest
}

/// The property's argument: a whole number, 0 or more.
///
/// # Errors
/// Where it is none.
pub fn number(property: &Directive) -> Result<u32, CorefileError> {
    const EXPECTED: &str = "a number, 0 or more";
    let arg = property.one_arg(EXPECTED)?;
    let error = |_| arg.error(format!("'{}' is no number", arg.text), EXPECTED);
    arg.text.parse().map_err(error)
}

/// The argument of a probe: `host:port`, where an empty host is every address.
///
/// # Errors
/// Where it has no port.
pub fn address(directive: &Directive, default: &str) -> Result<String, CorefileError> {
    if directive.args.is_empty() {
        return Ok(default.into());
    }
    let arg = directive.one_arg("an address such as `:8080`")?;
    let port = arg
        .text
        .rsplit_once(':')
        .map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(arg.text.clone()),
        Some(Err(_)) | None => Err(arg.error(
            format!("{} ends in no port", arg.text),
            "an address such as `:8080` or `127.0.0.1:8080`",
        )),
    }
}

/// The address of a DNS server, with a port or without.
///
/// # Errors
/// Where it is none.
pub fn server(arg: &Token, expected: &str) -> Result<SocketAddr, CorefileError> {
    /// Of DNS (RFC 1035 section 4.2).
    const PORT: u16 = 53;
    let bare = || arg.text.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT));
    let address = arg.text.parse().or_else(|_| bare());
    address.map_err(|_| arg.error(format!("{} is no address", arg.text), expected))
}

/// A reply whose size is known.
pub(super) struct Sized {
    /// The reply.
    pub(super) reply: Reply,
    /// Its octets; those of the first message of a transfer.
    pub(super) first: Vec<u8>,
    /// Octets as CoreDNS counts them: names written out, before anything is cut for the client, and without the OPT
    /// record that is not an upstream's.
    pub(super) size: usize,
}

/// Writes a reply whole, which tells its size. It is passed on as octets where the client takes them all; a longer one
/// stays what it was, and is cut as it is where nobody asks for sizes.
pub(super) fn sized(reply: Reply, query: &Query) -> Sized {
    let is_upstreams = matches!(reply, Reply::Raw(_));
    let whole = Query {
        transport: Transport::Tcp,
        ..query.clone()
    };
    let size = |wire: &[u8]| {
        let size = skim::size_without_compression(wire, is_upstreams);
        size.unwrap_or(wire.len())
    };
    match reply.clone().encode(&whole) {
        Messages::One(wire) => {
            let fits = wire.len() <= usize::from(limit(query.transport, query.edns));
            Sized {
                size: size(&wire),
                first: wire.clone(),
                reply: if fits { Reply::Raw(wire) } else { reply },
            }
        }
        Messages::Nothing => Sized {
            size: 0,
            first: Vec::new(),
            reply: Reply::Nothing,
        },
        Messages::Many(all) => Sized {
            size: all.clone().map(|wire| size(&wire)).sum(),
            first: all.clone().next().unwrap_or_default(),
            reply: Reply::Transfer(all),
        },
    }
}

/// A network: an address and the length of its prefix, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpAddr, u8);

impl Network {
    /// A network as `ADDRESS/BITS`; `None` where it is none.
    #[must_use]
    pub fn cidr(word: &str) -> Option<Self> {
        cidr(word).map(|(address, bits)| Self(address, bits))
    }

    /// The same, or the network of one address.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        let one = |address: IpAddr| Self(address, if address.is_ipv4() { 32 } else { 128 });
        Self::cidr(word).or_else(|| word.parse().ok().map(one))
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn has(self, address: IpAddr) -> bool {
        let Self(network, bits) = self;
        match (network, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let differ = a.to_bits() ^ b.to_bits();
                differ.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let differ = a.to_bits() ^ b.to_bits();
                differ.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// The number of an interface, by its name or that number.
#[must_use]
pub fn interface_index(name: &str) -> Option<u32> {
    let named = nix::net::if_::if_nametoindex(name).ok();
    named.or_else(|| name.parse().ok())
}

/// This host's name; `localhost` where it has none that is text.
#[must_use]
pub fn host_name() -> String {
    let name = nix::unistd::gethostname().ok();
    name.and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".into())
}

/// What resolv.conf(5) says that is used here. A line that cannot be read counts for nothing, as with every resolver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// `nameserver`, each once.
    pub nameservers: Vec<ScopedIp>,
    /// `search`, or `domain`: the last one counts, in lower case; and `options ndots:N`.
    pub search: SearchList,
}

impl ResolvConf {
    /// Reads a file's text.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let (config, _unreadable) = Config::parse_with_errors(text.as_bytes());
        let domains = config.get_last_search_or_domain();
        let name = |name: &String| Some(absolute(name).ok()?.to_lowercase());
        Self {
            search: SearchList {
                domains: domains.filter_map(name).collect(),
                ndots: usize::try_from(config.ndots).unwrap_or(usize::MAX),
            },
            nameservers: config.nameservers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_of_its_prefix_and_of_its_family() {
        for (network, address, wanted) in [
            ("10.1.0.77/16", "10.1.9.9", true),
            ("10.1.0.77/16", "10.2.0.1", false),
            ("10.1.0.7", "10.1.0.7", true),
            ("10.1.0.7", "10.1.0.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::5", "fd00::6", false),
        ] {
            let has = Network::read(network)
                .unwrap()
                .has(address.parse().unwrap());
            assert_eq!(has, wanted, "{network} {address}");
        }
        for word in ["10.0.0.0/33", "::/129", "example.org", "10.0.0", ""] {
            assert_eq!(Network::read(word), None, "{word}");
        }
        assert_eq!(Network::cidr("10.0.0.1"), None);
    }

    #[test]
    fn what_stands_between_q_and_e_is_text() {
        for (text, plain) in [
            (r"\Qdb.\E(.*)", r"db\.(.*)"),
            (r"a\.\Q[b", r"a\.\[b"),
            (r"\\Q\E", r"\\Q\E"),
            (r"a\", r"a\"),
            ("plain.*", "plain.*"),
        ] {
            assert_eq!(unquoted(text), plain, "{text}");
        }
    }

    #[test]
    fn the_last_search_line_counts_and_a_line_that_nobody_knows_counts_for_nothing() {
        let text = "search a.example b.example\nnonsense\nnameserver 192.0.2.1\n# no\n\
            nameserver 2001:db8::1 # yes\noptions ndots:5 edns0 trust-ad unheard-of\nsearch C.example\n";
        let read = ResolvConf::read(text);
        let servers: Vec<_> = read.nameservers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1", "2001:db8::1"]);
        let domains = vec![absolute("c.example").unwrap()];
        assert_eq!(read.search, SearchList { domains, ndots: 5 });
        assert_eq!(ResolvConf::read("").search, SearchList::default());
    }
}
