//! NOTIFY: who may have a zone is told that it has changed (RFC 1996).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::Rule;
use crate::message::{encode_notify, is_accepted};
use crate::name::{Name, Qname};
use crate::plugin::Chain;

/// How often zones are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How often somebody is told who does not answer, and how long an answer is waited for: CoreDNS's.
const TRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at the zones of a chain, as long as there is one, and tells of those that are new or have a new serial.
pub(super) fn watch(rules: Vec<Rule>, chain: &Chain) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if rules.iter().all(|rule| rule.to.is_empty()) {
        return;
    }
    let chain = Arc::downgrade(chain);
    runtime.spawn(async move {
        let mut told: BTreeMap<Name, u32> = BTreeMap::new();
        while let Some(chain) = chain.upgrade() {
            let zones = chain.iter().filter_map(|link| link.offers());
            let zones: Vec<_> = zones.flatten().collect();
            drop(chain);
            for zone in zones {
                let known = told.insert(zone.apex.clone(), zone.serial());
                if known != Some(zone.serial()) {
                    tell(&rules, &zone.apex);
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    });
}

/// Tells everybody of a zone.
fn tell(rules: &[Rule], apex: &Name) {
    let Some(rule) = Rule::of(rules, &Qname::from(apex)) else {
        return;
    };
    for to in &rule.to {
        let (to, source, apex) = (*to, rule.source, apex.clone());
        tokio::spawn(async move {
            match notify(&apex, to, source).await {
                Ok(()) => debug!(zone = %apex, %to, "told of the zone"),
                Err(error) => warn!(zone = %apex, %to, %error, "nobody could be told of the zone"),
            }
        });
    }
}

async fn notify(apex: &Name, to: SocketAddr, source: Option<IpAddr>) -> io::Result<()> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((source.unwrap_or(any), 0)).await?;
    socket.connect(to).await?;
    let id = rand::random();
    let message = encode_notify(id, apex);
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    let mut reply = [0; 512];
    for _ in 0..TRIES {
        socket.send(&message).await?;
        match timeout(PATIENCE, socket.recv(&mut reply)).await {
            Ok(Ok(size)) if is_accepted(&reply[..size], id) => return Ok(()),
            Ok(Ok(_)) => last = io::Error::other("the reply is no acceptance"),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
    }
    Err(last)
}
