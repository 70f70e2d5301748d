//! The commands: a file each, with its arguments and what it does.

pub(crate) mod apiserver;
mod asked;
pub(crate) mod check;
pub(crate) mod describe;
pub(crate) mod etcd;
mod file;
mod flags;
pub(crate) mod history;
mod lifetime;
mod names;
pub(crate) mod reconcile;
pub(crate) mod sandbox;
pub(crate) mod serve;
mod shell;
pub(crate) mod top;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod why;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use headless_objects::go_duration;

use crate::apiserver::ApiServer;
use crate::message::question::RecordType;
use crate::message::type_named;
use crate::name::{Name, absolute};
use crate::output::Lines;

/// How something is said.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Form {
    /// For a person.
    #[default]
    Text,
    /// For a program.
    Json,
}

/// The API server that a kubeconfig names, or the one there is.
fn server(kubeconfig: Option<PathBuf>) -> ApiServer {
    kubeconfig.map_or(ApiServer::Ambient, |file| ApiServer::Kubeconfig {
        file,
        context: None,
    })
}

/// Names of namespaces as they are compared.
fn lower(names: &[String]) -> Vec<Box<str>> {
    let names = names.iter();
    names.map(|name| name.to_ascii_lowercase().into()).collect()
}

/// Lines for a person, on standard output.
fn print<L: AsRef<str>>(out: &Lines, lines: impl IntoIterator<Item = L>) {
    for line in lines {
        out.push(format!("{}\n", shown(line.as_ref())).into_bytes());
    }
}

/// A line that a terminal shows as it is: what names and servers' words may have in them that would command the terminal, or
/// turn the line around, is written as an escape of JSON, whose strings have the same.
fn shown(line: &str) -> Cow<'_, str> {
    let commands = |c: char| {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || c.is_control() && c != '\n' && c != '\t'
    };
    if !line.contains(commands) {
        return Cow::Borrowed(line);
    }
    let letters = line.chars().map(|c| match commands(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    });
    Cow::Owned(letters.collect())
}

/// A DNS server's address; its port is 53 where none is said.
fn server_address(text: &str) -> Result<SocketAddr, String> {
    let ip = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    let address = text.parse().or_else(|_| ip());
    address.map_err(|_| "an address was expected, such as 10.96.0.10 or [::1]:1053".to_owned())
}

/// The address of an `admin`; people have it from a browser's line mostly.
fn admin_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("http://").unwrap_or(text);
    let address = address.strip_suffix('/').unwrap_or(address);
    let expected = "an address and a port were expected, such as 127.0.0.1:8054";
    address.parse().map_err(|_| expected.to_owned())
}

/// A duration as Go writes it.
fn duration(text: &str) -> Result<Duration, String> {
    go_duration(text).ok_or_else(|| "a duration such as 5s or 300ms was expected".into())
}

/// A type of record by its name.
fn qtype(text: &str) -> Result<RecordType, String> {
    let named = type_named(&text.to_ascii_uppercase());
    named.ok_or_else(|| "a type such as A, AAAA, SRV or PTR was expected".to_owned())
}

/// A domain, in lower case.
fn domain_name(text: &str) -> Result<Name, String> {
    let name = absolute(text).map_err(|error| error.to_string())?;
    Ok(name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_would_command_a_terminal_is_shown_as_an_escape() {
        let said = "x\u{1b}]0;y\u{7} \u{9b}2J \u{202e}z\u{7f}";
        assert_eq!(shown(said), r"x\u001b]0;y\u0007 \u009b2J \u202ez\u007f");
        assert_eq!(shown("a → ü\n\tb"), "a → ü\n\tb");
    }
}
