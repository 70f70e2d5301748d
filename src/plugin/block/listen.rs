//! Where a block listens, and with which certificate.

use std::net::IpAddr;
use std::time::Duration;

use crate::corefile::{CorefileError, Token};

/// `bind ADDRESS|INTERFACE... { except ADDRESS|INTERFACE... }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bind {
    /// What to listen on.
    pub on: Vec<Place>,
    /// What of it to leave out.
    pub except: Vec<Place>,
}

/// An address, or all addresses of an interface.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The address; `None`: the token is the name of an interface.
    pub address: Option<IpAddr>,
    /// Where it stands in the file.
    pub token: Token,
}

/// `tls CERT KEY [CA] { client_auth KIND; keylog FILE }`. Two are equal that say the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The file of the certificate and its chain, PEM.
    pub certificate: Token,
    /// The file of its key, PEM.
    pub key: Token,
    /// The file of the authorities that clients are trusted by, PEM; without it those of this machine.
    pub authority: Option<Token>,
    /// What is asked of clients.
    pub clients: ClientAuth,
    /// Where the secrets of connections are written to.
    pub key_log: Option<Token>,
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        let said = |certificate: &Self| {
            let Self {
                certificate,
                key,
                authority,
                clients,
                key_log,
            } = certificate.clone();
            let text = |token: Token| token.text;
            let files = (text(certificate), text(key), authority.map(text));
            (files, clients, key_log.map(text))
        };
        said(self) == said(other)
    }
}

/// What is asked of the clients of an encrypted transport: Go's `tls.ClientAuthType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    NoCert,
    /// A certificate, which may be missing, and is not verified.
    Request,
    /// A certificate, which is not verified.
    Require,
    /// A certificate, which may be missing.
    VerifyIfGiven,
    /// A certificate.
    RequireAndVerify,
}

impl Bind {
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

/// What connections may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// How long one may say nothing; CoreDNS's 10 s where this is not said.
    pub idle: Option<Duration>,
    /// How many questions one may ask; any number where this is not said.
    pub queries: Option<u32>,
}
