//! `cookies`: who is what address its datagrams say (RFC 7873, RFC 9018). A client that has shown no cookie of ours gets
//! three times as much as it has sent, at the most; more it gets over TCP, or once it comes with the cookie.

mod jar;

use std::sync::Arc;
use std::time::SystemTime;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Token};
use crate::message::options::{self, COOKIE};
use crate::message::question::{Query, Transport};
use crate::message::reply::{Composed, Failure, ResponseCode};
use crate::message::skim;
use jar::{Renewal, SECRET, Secret, Shown};

pub(super) const PLUGIN: Registration = Registration {
    name: "cookies",
    setup,
};

/// How many times as much as was sent goes to a client that may be another.
const FACTOR: usize = 3;

/// What the option takes in a reply, in octets: its code and length, the client's cookie, and ours.
const OPTION: u16 = 28;

/// `cookies { secret HEX... }`.
#[derive(Debug)]
struct Spec(Vec<Secret>);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    const EXPECTED: &str = "secrets of 32 hexadecimal digits each";
    let directive = directives.only()?;
    directive.no_args()?;
    let mut secrets = Vec::new();
    for property in &directive.body {
        if property.name.text != "secret" {
            return Err(directive.unknown_property(property, "secret"));
        }
        for arg in property.some_args(EXPECTED)? {
            secrets.push(secret(arg).ok_or_else(|| arg.error("this is no secret", EXPECTED))?);
        }
    }
    block.links.push((PLUGIN.name, Box::new(Spec(secrets))));
    Ok(())
}

fn secret(arg: &Token) -> Option<Secret> {
    let digits = arg.text.as_bytes();
    if digits.len() != 2 * SECRET || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut secret = Secret::default();
    for (octet, at) in secret.iter_mut().zip((0..).step_by(2)) {
        *octet = u8::from_str_radix(&arg.text[at..at + 2], 16).ok()?;
    }
    Some(secret)
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let secrets = match &self.0[..] {
            // A reload keeps it, so that cookies stay good.
            [] => {
                let made = parts
                    .carried
                    .get("cookies".into(), || vec![rand::random::<Secret>()]);
                made.to_vec()
            }
            secrets => secrets.to_vec(),
        };
        Ok(Arc::new(Cookies(secrets)))
    }
}

/// The handler, with its secrets: the first makes cookies, the others are good too. At least one.
struct Cookies(Vec<Secret>);

impl Cookies {
    /// A reply to a client that may be another, as far as it may have it.
    fn limited(query: &Query, shown: &Shown, wire: Vec<u8>) -> Vec<u8> {
        let (rcode, truncated, added) = match shown {
            Shown::Nothing => (ResponseCode::NoError, true, 0),
            // It can come again at once, with the cookie that this reply has.
            Shown::Stranger(_) => (ResponseCode::BADCOOKIE, false, OPTION.into()),
            Shown::Known(..) | Shown::Malformed => return wire,
        };
        if query.transport == Transport::Tcp || wire.len() + added <= FACTOR * query.size {
            return wire;
        }
        let cut = Composed {
            truncated,
            ..Composed::empty(rcode)
        };
        let cut = Reply::from(cut).encode(query).into_first();
        skim::with_opt_for(query, cut.unwrap_or_default())
    }

    fn give(&self, query: &Query, shown: &Shown, now: u32, wire: &mut Vec<u8>) {
        let (own, renewal) = match shown {
            Shown::Stranger(own) => (own, Renewal::New),
            Shown::Known(own, renewal) => (own, *renewal),
            Shown::Nothing | Shown::Malformed => return,
        };
        let client = query.route.client.ip();
        let cookie = jar::option(own, renewal, client, (&self.0[0], now));
        skim::edit_options(wire, |options| {
            options.retain(|(code, _)| *code != COOKIE);
            options.push((COOKIE, cookie));
        });
    }
}

impl Plugin for Cookies {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        if !next.is_client_s() {
            return next.handle(query);
        }
        let now = unix_time();
        let mut cookies = options::each(&query.options).filter(|(code, _)| *code == COOKIE);
        let option = cookies.next().map(|(_, octets)| octets);
        let client = query.route.client.ip();
        let shown = jar::look(option, client, &self.0, now);
        if shown == Shown::Malformed {
            let failure = Failure {
                rcode: ResponseCode::FormErr,
                why: "plugin/cookies: a cookie has 8, or 16 to 40, octets".into(),
                is_live: false,
            };
            return futures::future::ready(Err(failure)).boxed();
        }
        async move {
            let own = Query {
                has_cookie: matches!(shown, Shown::Known(..)),
                // Cookies go from hop to hop: an upstream's are its own affair.
                options: options::without(&query.options, COOKIE),
                ..query.clone()
            };
            let mut inner = own.clone();
            if let Some(edns) = inner.edns.as_mut().filter(|_| option.is_some()) {
                edns.udp_size = edns.udp_size.saturating_sub(OPTION);
            }
            // What fails has a cookie too.
            let reply = next.handle(&inner).await;
            let reply = reply.unwrap_or_else(|failure| Reply::refusal(failure.rcode));
            if !reply.is_message() {
                return Ok(reply);
            }
            let wire = reply.encode(&inner).into_first().unwrap_or_default();
            let mut wire = Self::limited(&own, &shown, skim::with_opt_for(&own, wire));
            self.give(&own, &shown, now, &mut wire);
            Ok(Reply::Raw(wire))
        }
        .boxed()
    }
}

fn unix_time() -> u32 {
    #[expect(
        clippy::disallowed_methods,
        reason = "cookies have the time in them, for other servers of the same secret"
    )]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // Serial numbers: the lower 32 bits count.
    let seconds = since.unwrap_or_default().as_secs() & u64::from(u32::MAX);
    u32::try_from(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests;
