//! The answer call in the shape of hickory-server, for programs that have such a server already.

use std::sync::Arc;

use hickory_proto::op::{Header, HeaderCounts, Message};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tracing::debug;

use super::answer::respond;
use crate::message::question::Transport;
use crate::message::servfail;
use crate::plugin::Router;

/// Answers what a [`hickory_server::Server`] is asked. Of a zone transfer only the first message is sent.
pub struct Handler(Arc<Router>);

impl Handler {
    /// By what this router answers.
    #[must_use]
    pub fn new(router: Arc<Router>) -> Self {
        Self(router)
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let transport = if request.protocol() == Protocol::Udp {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let (packet, route) = (request.as_slice(), request.src().into());
        let wire = respond(&self.0, packet, transport, route).await;
        let wire = wire.into_iter().next();
        // A reply that hickory-proto cannot read cannot be sent by hickory-server.
        let servfail = || Message::from_vec(&servfail(request.as_slice()));
        let message = wire.and_then(|wire| Message::from_vec(&wire).or_else(|_| servfail()).ok());
        let Some(message) = message else {
            return ResponseInfo::from(Header {
                metadata: request.metadata,
                counts: HeaderCounts::default(),
            });
        };
        let builder = MessageResponseBuilder::new(&request.queries, message.edns.as_ref());
        let response = builder.build(
            message.metadata,
            &message.answers,
            &message.authorities,
            [],
            &message.additionals,
        );
        response_handle
            .send_response(response)
            .await
            .unwrap_or_else(|error| {
                debug!(%error, client = %request.src(), "send failed");
                ResponseInfo::from(Header {
                    metadata: message.metadata,
                    counts: HeaderCounts::default(),
                })
            })
    }
}
