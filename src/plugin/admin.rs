//! `admin`: what the server knows of names, over HTTP as JSON. Ours.

use std::net::SocketAddr;

use super::block::{AdminApi, Block};
use super::kit::{Directives, Registration, address};
use crate::corefile::{CorefileError, Token};

/// Nobody but this machine reaches it.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8054";

/// What the history may take where the file does not say, in octets.
const HISTORY: usize = 16 << 20;

pub(super) const PLUGIN: Registration = Registration {
    name: "admin",
    setup,
};

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    let mut api = AdminApi {
        address: address(directive, DEFAULT_ADDRESS)?,
        history: HISTORY,
        token: None,
        place: directive.name.clone(),
    };
    for property in &directive.body {
        match property.name.text.as_str() {
            "history" => api.history = size(property.one_arg("a size such as 16Mi")?)?,
            "token" => {
                let arg = property.one_arg("a file that holds the token")?;
                let path = block.path(arg).text;
                let text = directives.source.read("", &path).map_err(|error| {
                    arg.error(
                        format!("cannot read {path}: {error}"),
                        "a file that can be read",
                    )
                })?;
                let token = text.trim();
                if token.is_empty() {
                    return Err(arg.error(format!("{path} is empty"), "a token in it"));
                }
                api.token = Some(token.into());
            }
            _ => return Err(directive.unknown_property(property, "history or token")),
        }
    }
    let at: Option<SocketAddr> = api.address.parse().ok();
    if api.token.is_none() && !at.is_some_and(|at| at.ip().is_loopback()) {
        return Err(directive.name.error(
            format!("others reach {}, and it has no token", api.address),
            "an address of this machine alone, such as 127.0.0.1:8054, or `token FILE`",
        ));
    }
    block.admin = Some(api);
    Ok(())
}

/// A size in octets, as Kubernetes writes one.
fn size(arg: &Token) -> Result<usize, CorefileError> {
    let octets = headless_objects::quantity::parse(&arg.text).filter(|octets| *octets >= 0.0);
    // The floor of a number of octets: a cast of a float stops at the largest.
    octets.map(|octets| octets as usize).ok_or_else(|| {
        arg.error(
            format!("'{}' is no size", arg.text),
            "a size such as 16Mi, or 0",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::{block, error};

    #[test]
    fn the_address_is_this_machine_s_alone_unless_there_is_a_token() {
        let api = block("admin").admin.unwrap();
        assert_eq!(
            (api.address.as_str(), api.history),
            (DEFAULT_ADDRESS, HISTORY)
        );
        let api = block("admin [::1]:80 {\n history 1Mi\n}").admin.unwrap();
        assert_eq!((api.address.as_str(), api.history), ("[::1]:80", 1 << 20));
        // The one file that the tests have.
        let api = block("admin :8054 {\n token /etc/resolv.conf\n}")
            .admin
            .unwrap();
        assert!(api.token.unwrap().starts_with("search x\n"));
        for (directive, problem) in [
            ("admin :8054", "others reach :8054, and it has no token"),
            (
                "admin 10.0.0.1:8054",
                "others reach 10.0.0.1:8054, and it has no token",
            ),
            (
                "admin {\n token /none\n}",
                "cannot read /none: no such file",
            ),
            ("admin {\n history much\n}", "'much' is no size"),
            (
                "admin {\n histroy 1\n}",
                "unknown property 'histroy' of `admin`",
            ),
            ("admin\nadmin", "`admin` stands twice in this block"),
        ] {
            assert_eq!(error(directive), problem);
        }
    }
}
