//! `bind`: the addresses a server block listens on; every address of every interface without it.

use super::block::{Bind, Block, Place};
use super::kit::{Directives, Registration};
use crate::corefile::{CorefileError, Directive, Token};

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

fn parse(directive: &Directive) -> Result<Bind, CorefileError> {
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
    Ok(Bind { on, except })
}

fn place(token: &Token) -> Place {
    Place {
        address: token.text.parse().ok(),
        token: token.clone(),
    }
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
