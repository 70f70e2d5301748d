//! `bind`: the addresses a server block listens on; every address of every interface without it.

use std::net::IpAddr;

use super::registry::Setup;
use crate::corefile::{CorefileError, Token};

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
pub enum Place {
    /// An address.
    Address(IpAddr),
    /// An interface by name, and where it stands in the file.
    Interface(Token),
}

/// Reads the directive.
///
/// # Errors
/// Where it is wrong.
pub fn parse(setup: &Setup<'_>) -> Result<Spec, CorefileError> {
    let directive = setup.directive;
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
    token
        .text
        .parse()
        .map_or_else(|_| Place::Interface(token.clone()), Place::Address)
}

impl Spec {
    /// The addresses to listen on. `interfaces`: each interface's name with one of its addresses.
    ///
    /// # Errors
    /// An interface that is not there.
    pub fn addresses(&self, interfaces: &[(String, IpAddr)]) -> Result<Vec<IpAddr>, CorefileError> {
        let except = resolve(&self.except, interfaces)?;
        let on = resolve(&self.on, interfaces)?;
        Ok(on.into_iter().filter(|ip| !except.contains(ip)).collect())
    }
}

fn resolve(
    places: &[Place],
    interfaces: &[(String, IpAddr)],
) -> Result<Vec<IpAddr>, CorefileError> {
    let mut addresses = Vec::new();
    for place in places {
        match place {
            Place::Address(ip) => addresses.push(*ip),
            Place::Interface(token) => {
                let before = addresses.len();
                addresses.extend(
                    interfaces
                        .iter()
                        .filter(|(name, _)| *name == token.text)
                        .map(|(_, ip)| *ip),
                );
                if addresses.len() == before {
                    let known: Vec<_> = interfaces.iter().map(|(name, _)| name.as_str()).collect();
                    return Err(token.error(
                        format!("no interface {}", token.text),
                        format!("an address, or one of {}", known.join(", ")),
                    ));
                }
            }
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {

    use crate::plugin::Spec as Any;
    use crate::plugin::tests::{spec_error, specs};

    fn addresses(text: &str) -> Vec<String> {
        let interfaces = [
            ("lo", "127.0.0.1"),
            ("eth0", "10.0.0.5"),
            ("eth0", "fd00::5"),
        ];
        let interfaces = interfaces.map(|(name, ip)| (name.to_owned(), ip.parse().unwrap()));
        let Some(Any::Bind(spec)) = specs(text).pop() else {
            panic!("no bind")
        };
        spec.addresses(&interfaces)
            .unwrap()
            .iter()
            .map(ToString::to_string)
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
        assert_eq!(spec_error("bind"), "`bind` needs an argument");
    }
}
