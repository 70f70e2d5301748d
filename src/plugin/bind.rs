//! `bind`: the addresses a server block listens on; every address of every interface without it.

use std::net::IpAddr;

use super::block::Block;
use super::kit::Directives;
use super::registry::Registration;
use crate::corefile::{CorefileError, Directive, Token};

/// `bind ADDRESS|INTERFACE... { except ADDRESS|INTERFACE... }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// What to listen on.
    pub on: Vec<Place>,
    /// What of it to leave out.
    pub except: Vec<Place>,
}

/// An address, or all addresses of an interface.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The address; `None`: the token is the name of an interface.
    address: Option<IpAddr>,
    /// Where it stands in the file.
    token: Token,
}

pub(super) const PLUGIN: Registration = Registration {
    name: "bind",
    setup,
};

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    for directive in directives.iter() {
        block.bind.push(parse(directive)?);
    }
    Ok(())
}

fn parse(directive: &Directive) -> Result<Spec, CorefileError> {
    let places = |args: &[Token]| args.iter().map(place).collect::<Vec<_>>();
    let on = places(directive.some_args("an address or the name of an interface")?);
    let mut except = Vec::new();
    for property in &directive.body {
        match property.name.text.as_str() {
            "except" => except.extend(places(
                property.some_args("an address or the name of an interface")?,
            )),
            _ => return Err(directive.unknown_property(property, "except")),
        }
    }
    Ok(Spec { on, except })
}

fn place(token: &Token) -> Place {
    Place {
        address: token.text.parse().ok(),
        token: token.clone(),
    }
}

impl Spec {
    /// The addresses to listen on, each with its place in the file. `interfaces`: each interface's name with one of its
    /// addresses.
    ///
    /// # Errors
    /// An interface that is not there.
    pub fn addresses(
        &self,
        interfaces: &[(String, IpAddr)],
    ) -> Result<Vec<(IpAddr, Token)>, CorefileError> {
        let except = resolve(&self.except, interfaces)?;
        let mut on = resolve(&self.on, interfaces)?;
        on.retain(|(ip, _)| !except.iter().any(|(left_out, _)| left_out == ip));
        Ok(on)
    }
}

fn resolve(
    places: &[Place],
    interfaces: &[(String, IpAddr)],
) -> Result<Vec<(IpAddr, Token)>, CorefileError> {
    let mut addresses = Vec::new();
    for Place { address, token } in places {
        let before = addresses.len();
        let named = interfaces.iter().filter(|(name, _)| *name == token.text);
        let of_interface = named.map(|(_, ip)| *ip).filter(|_| address.is_none());
        let all = address.iter().copied().chain(of_interface);
        addresses.extend(all.map(|ip| (ip, token.clone())));
        if addresses.len() == before {
            let mut known: Vec<_> = interfaces.iter().map(|(name, _)| name.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(token.error(
                format!("no interface {}", token.text),
                format!("an address, or one of {}", known.join(", ")),
            ));
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {

    use crate::plugin::tests::{block, error};

    fn addresses(text: &str) -> Vec<String> {
        let interfaces = [
            ("lo", "127.0.0.1"),
            ("eth0", "10.0.0.5"),
            ("eth0", "fd00::5"),
        ];
        let interfaces = interfaces.map(|(name, ip)| (name.to_owned(), ip.parse().unwrap()));
        block(text).bind[0]
            .addresses(&interfaces)
            .unwrap()
            .iter()
            .map(|(ip, _)| ip.to_string())
            .collect()
    }

    #[test]
    fn addresses_and_interfaces_are_bound_but_for_exceptions() {
        assert_eq!(
            addresses("bind 127.0.0.1 eth0"),
            ["127.0.0.1", "10.0.0.5", "fd00::5"]
        );
        assert_eq!(addresses("bind eth0 {\n except fd00::5\n}"), ["10.0.0.5"]);
    }

    #[test]
    fn a_bind_without_address_is_refused() {
        assert_eq!(error("bind"), "`bind` needs an argument");
    }
}
