//! The one answer call: a packet in, a packet out, now or later.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::error;

use crate::message::{self, Screened, screen};
use crate::plugin::Router;
use crate::question::{Query, Transport};
use crate::reply::{Composed, Reply, ResponseCode};

/// What becomes of a packet.
pub(super) enum Answered {
    /// No reply.
    Nothing,
    /// This reply.
    Now(Vec<u8>),
    /// A reply that waits for somebody else, an upstream mostly.
    Later(BoxFuture<'static, Vec<u8>>),
}

/// Answers a packet; what the zone knows is answered before this returns.
pub(super) async fn answer(
    router: &Arc<Router>,
    packet: &[u8],
    transport: Transport,
    client: SocketAddr,
) -> Answered {
    let query = match screen(packet, transport, client) {
        Screened::Ignore => return Answered::Nothing,
        Screened::Error(reply) => return Answered::Now(reply),
        Screened::BadVersion(query) => {
            return Answered::Now(message::bad_version(&query).unwrap_or_default());
        }
        Screened::Query(query) => query,
    };
    let router = Arc::clone(router);
    let mut reply = async move {
        // A panic costs this reply, not the listener.
        let reply = AssertUnwindSafe(router.answer(&query)).catch_unwind().await.unwrap_or_else(|_| {
            error!(qname = %query.question.qname, qtype = %query.question.qtype, "panicked while answering");
            Reply::refusal(ResponseCode::ServFail)
        });
        encode(&query, reply)
    }
    .boxed();
    match futures::poll!(&mut reply) {
        std::task::Poll::Ready(reply) => Answered::Now(reply),
        std::task::Poll::Pending => Answered::Later(reply),
    }
}

fn encode(query: &Query, reply: Reply) -> Vec<u8> {
    let composed = match reply {
        Reply::Raw(wire) => return wire,
        Reply::Composed(composed) => composed,
    };
    message::encode(query, &composed)
        .or_else(|why| {
            error!(qname = %query.question.qname, qtype = %query.question.qtype, error = %why, "the reply cannot be encoded");
            message::encode(query, &Composed::empty(ResponseCode::ServFail))
        })
        .unwrap_or_default()
}
