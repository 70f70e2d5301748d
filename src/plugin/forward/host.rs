//! Upstreams that the file names by hostname: who they are is asked once, at start.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::peer::{Peer, Way};
use super::pool::Limits;
use super::{Over, Target};
use crate::corefile::{CorefileError, Token};
use crate::message::question::{Query, Question, RecordType};
use crate::message::reply::Composed;
use crate::name::Name;

/// An upstream by its hostname, which is absolute: no search list applies.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Its name.
    pub name: Name,
    /// The port at every address that it has.
    pub port: u16,
    /// Over what it is asked.
    pub over: Over,
    /// Where the file says so.
    pub token: Token,
}

impl Host {
    /// A target for each address, IPv4 first. `resolvers`: who is asked, one after the other until one has an address;
    /// none: the machine's own resolver.
    ///
    /// # Errors
    /// At the token, why there is no address.
    pub(super) async fn resolve(
        &self,
        resolvers: &[SocketAddr],
        limits: Limits,
    ) -> Result<Vec<Target>, CorefileError> {
        let found = if resolvers.is_empty() {
            self.of_the_machine().await
        } else {
            self.of_resolvers(resolvers, limits).await
        };
        let problem = |why: String| {
            let problem = format!("no address of {} can be found: {why}", self.name);
            self.token.error(problem, "a host that has one")
        };
        let found = found.map_err(|error| problem(error.to_string()))?;
        if found.is_empty() {
            return Err(problem("it has none".to_owned()));
        }
        let target = |address| Target {
            address,
            over: self.over.clone(),
            token: self.token.clone(),
        };
        Ok(found.into_iter().map(target).collect())
    }

    async fn of_the_machine(&self) -> io::Result<Vec<SocketAddr>> {
        let mut all: Vec<_> = tokio::net::lookup_host((self.name.to_string(), self.port))
            .await?
            .collect();
        all.sort_by_key(SocketAddr::is_ipv6);
        Ok(all)
    }

    async fn of_resolvers(
        &self,
        resolvers: &[SocketAddr],
        limits: Limits,
    ) -> io::Result<Vec<SocketAddr>> {
        let mut outcome = Ok(Vec::new());
        for resolver in resolvers {
            let peer = Peer::new(*resolver, None, limits, &Arc::default());
            let v4 = self.ask(&peer, RecordType::A).await;
            let v6 = self.ask(&peer, RecordType::AAAA).await;
            outcome = match (v4, v6) {
                (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
                (Ok(some), Err(_)) | (Err(_), Ok(some)) if !some.is_empty() => Ok(some),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            if outcome.as_ref().is_ok_and(|found| !found.is_empty()) {
                break;
            }
        }
        outcome
    }

    async fn ask(&self, peer: &Peer, qtype: RecordType) -> io::Result<Vec<SocketAddr>> {
        let query = Query::plain(Question::new(self.name.clone(), qtype), peer.address);
        let reply = peer.ask(&query, rand::random(), Way::UdpThenTcp).await?;
        let unreadable = || io::Error::other("the reply cannot be read");
        let reply = Composed::read(&reply).ok_or_else(unreadable)?;
        let of_type = |record: &&crate::message::record::Record| record.record_type() == qtype;
        let answer = reply.answer.iter().filter(of_type);
        let addresses = answer.filter_map(|record| record.data.ip_addr());
        Ok(addresses.map(|ip| SocketAddr::new(ip, self.port)).collect())
    }
}
