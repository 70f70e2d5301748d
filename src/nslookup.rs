//! `nslookup`, for containers that run: the words of busybox 1.28, which the Kubernetes documentation shows.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::message::question::{Query, Question, RecordType};
use crate::message::record::RData;
use crate::message::reply::Composed;
use crate::message::{Received, encode_query, receive};
use crate::name::{Name, SearchList};
use crate::output;
use crate::plugin::kit::ResolvConf;

/// How long a server may take, and how often it is asked (resolv.conf(5): `timeout`, `attempts`).
const TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 2;

/// Does its work where the program is called by this name.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let own = arguments.next()?;
    if Path::new(&own).file_name() != Some(OsStr::new("nslookup")) {
        return None;
    }
    let arguments: Vec<_> = arguments
        .map(|text| text.to_string_lossy().into_owned())
        .collect();
    let outcome = answer(&arguments);
    let (lines, code) = match &outcome {
        Ok(text) => (output::stdout(), (text, ExitCode::SUCCESS)),
        Err(text) => (output::stderr(false), (text, ExitCode::FAILURE)),
    };
    lines.push(code.0.clone().into_bytes());
    // Nobody is left to be told.
    let _gone = lines.finish();
    Some(code.1)
}

/// What is said of a name; an error: that it is not found.
fn answer(arguments: &[String]) -> Result<String, String> {
    let (host, server) = match arguments {
        [host] => (host, None),
        [host, server] => (host, Some(server)),
        _ => return Err("Usage: nslookup [HOST] [SERVER]\n".into()),
    };
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let resolver = Resolver::new(&text, server).map_err(|why| format!("nslookup: {why}\n"))?;
    let address = resolver.server.ip();
    let mut told = format!(
        "Server:    {address}\nAddress 1: {}\n",
        resolver.with_name(address)
    );
    let addresses = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => resolver.addresses(host),
    };
    if addresses.is_empty() {
        return Err(format!("{told}\nnslookup: can't resolve '{host}'\n"));
    }
    let _infallible = write!(told, "\nName:      {host}\n");
    for (at, address) in addresses.iter().enumerate() {
        let shown = resolver.with_name(*address);
        let _infallible = writeln!(told, "Address {}: {shown}", at + 1);
    }
    Ok(told)
}

/// Whom to ask, and where names are looked for.
struct Resolver {
    server: SocketAddr,
    search: SearchList,
}

impl Resolver {
    /// As the file says; `server` is asked instead of the file's.
    fn new(text: &str, server: Option<&String>) -> Result<Self, String> {
        let read = ResolvConf::read(text);
        let listed = read
            .nameservers
            .first()
            .map(|server| IpAddr::from(server.clone()));
        let server = match server {
            Some(named) => named
                .parse()
                .map_err(|_| format!("bad address '{named}'"))?,
            None => listed.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        };
        Ok(Self {
            server: SocketAddr::new(server, 53),
            search: read.search,
        })
    }

    /// The addresses of the first name that has some.
    fn addresses(&self, host: &str) -> Vec<IpAddr> {
        let names = self.search.names(host).unwrap_or_default().into_iter();
        let mut all = names.map(|name| {
            let kinds = [RecordType::A, RecordType::AAAA];
            let records = kinds.iter().flat_map(|kind| self.ask(&name, *kind));
            records
                .filter_map(|data| data.ip_addr())
                .collect::<Vec<_>>()
        });
        all.find(|addresses| !addresses.is_empty())
            .unwrap_or_default()
    }

    /// An address, with its name where it has one.
    fn with_name(&self, address: IpAddr) -> String {
        let records = self.ask(&Name::from(address), RecordType::PTR);
        let mut names = records.into_iter().filter_map(|data| {
            if let RData::PTR(name) = data {
                Some(name.to_string())
            } else {
                None
            }
        });
        match names.next() {
            Some(name) => format!("{address} {}", name.trim_end_matches('.')),
            None => address.to_string(),
        }
    }

    /// The records of a name; none too where nobody answers.
    fn ask(&self, name: &Name, kind: RecordType) -> Vec<RData> {
        let tries = (0..ATTEMPTS).filter_map(|_| self.exchange(name, kind).ok());
        tries.flatten().next().map_or_else(Vec::new, |reply| {
            reply.answer.into_iter().map(|record| record.data).collect()
        })
    }

    fn exchange(&self, name: &Name, kind: RecordType) -> io::Result<Option<Composed>> {
        let any: IpAddr = match self.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.connect(self.server)?;
        let question = Question::new(name.clone(), kind);
        let query = Query::plain(question.clone(), socket.local_addr()?);
        let id = rand::random();
        socket.send(&encode_query(id, &query))?;
        let mut reply = [0; 4096];
        loop {
            let size = socket.recv(&mut reply)?;
            if receive(&reply[..size], id, &question) == Received::Reply {
                return Ok(Composed::read(&reply[..size]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_to_ask_is_what_resolv_conf_says_or_an_argument() {
        let text = "search default.svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
        let asks = |server: Option<&str>| {
            let server = server.map(str::to_owned);
            let resolver = Resolver::new(text, server.as_ref()).unwrap();
            (resolver.server.to_string(), resolver.search.ndots)
        };
        assert_eq!(asks(None), ("10.96.0.10:53".into(), 5));
        assert_eq!(asks(Some("10.0.0.1")), ("10.0.0.1:53".into(), 5));
    }

    #[test]
    fn a_server_that_is_no_address_and_too_many_words_are_refused() {
        let asked =
            |words: &[&str]| answer(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            asked(&["a", "b"]),
            Err("nslookup: bad address 'b'\n".into())
        );
        assert_eq!(asked(&[]), Err("Usage: nslookup [HOST] [SERVER]\n".into()));
    }
}
