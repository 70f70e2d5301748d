//! The one answer call: a packet in, a packet out, now or later.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;
use tracing::error;

use super::heard::Heard;
use super::limits::Limits;
use crate::answer::Messages;
use crate::message::question::{Route, Transport};
use crate::message::{self, Screened, screen};
use crate::plugin::Router;

/// What is behind the sockets of one address.
#[derive(Clone)]
pub(super) struct Behind {
    pub(super) router: Arc<Router>,
    pub(super) limits: Limits,
    pub(super) tasks: TaskTracker,
    pub(super) heard: Heard,
}

/// What becomes of a packet.
pub(super) enum Answered {
    /// No reply.
    Nothing,
    /// This reply.
    Now(Messages),
    /// A reply that waits for somebody else, an upstream mostly.
    Later(BoxFuture<'static, Messages>),
}

/// Answers a packet; what the zone knows is answered before this returns. A panic costs this reply only.
pub(super) async fn answer(
    router: &Arc<Router>,
    packet: &[u8],
    transport: Transport,
    route: Route,
) -> Answered {
    let screened = std::panic::catch_unwind(|| screen(packet, transport, route));
    let query = match screened.unwrap_or_else(|_| Screened::Error(message::servfail(packet))) {
        Screened::Ignore => return Answered::Nothing,
        Screened::Error(reply) => return Answered::Now(Messages::One(reply)),
        Screened::BadVersion(query) => {
            return Answered::Now(Messages::One(message::bad_version(&query)));
        }
        Screened::Query(query) => query,
    };
    let (router, bare) = (Arc::clone(router), message::servfail(packet));
    let reply = async move {
        let reply = async {
            let reply = router.answer(&query).await;
            reply.encode(&query).signed(&query)
        };
        let reply = AssertUnwindSafe(reply).catch_unwind().await;
        reply.unwrap_or_else(|_| {
            router.count_panic();
            error!(qname = %query.question.qname, qtype = %query.question.qtype, "panicked while answering");
            Messages::One(bare)
        })
    };
    let mut reply = reply.boxed();
    match futures::poll!(&mut reply) {
        std::task::Poll::Ready(Messages::Nothing) => Answered::Nothing,
        std::task::Poll::Ready(reply) => Answered::Now(reply),
        std::task::Poll::Pending => Answered::Later(reply),
    }
}

/// The messages that answer a packet, without a socket; none where there is no reply.
pub async fn respond(
    router: &Arc<Router>,
    packet: &[u8],
    transport: Transport,
    route: Route,
) -> Vec<Vec<u8>> {
    match answer(router, packet, transport, route).await {
        Answered::Nothing => Vec::new(),
        Answered::Now(wire) => wire.into_all(),
        Answered::Later(wire) => wire.await.into_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Reply;
    use crate::message::HEADER;
    use crate::message::question::Query;
    use crate::message::reply::ResponseCode;
    use crate::name::Name;
    use crate::plugin::{Handled, Next, Plugin};

    struct Breaks;

    impl Plugin for Breaks {
        fn handle<'a>(&'a self, query: &'a Query, _: Next<'a>) -> BoxFuture<'a, Handled> {
            assert_eq!(query.id, 0, "as told");
            std::future::ready(Ok(Reply::refusal(ResponseCode::Refused))).boxed()
        }
    }

    #[test]
    fn a_panic_costs_one_reply_which_is_servfail() {
        let chain = Arc::from([Arc::new(Breaks) as Arc<dyn Plugin>]);
        let router = Router::new(vec![(Name::root(), chain)], false);
        let client: std::net::SocketAddr = "127.0.0.1:53".parse().unwrap();
        let rcode = |id: u8| {
            let packet = [0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'x', 0, 0, 1, 0, 1];
            let reply = respond(&router, &packet, Transport::Udp, client.into());
            let reply = futures::executor::block_on(reply).remove(0);
            (reply[..HEADER].to_vec(), reply.len())
        };
        let servfail = [0, 7, 0x81, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(rcode(7), (servfail.to_vec(), HEADER));
        assert_eq!(rcode(0).0[3], 5, "the next is answered");
    }
}
