//! Keeps the account of requests: own ones that wait, and peers' ones that are served.
//!
//! Not for: the protocol's bytes. Invariant: a peer is served at most `requests_served.0` requests at once and all
//! peers together `requests_served.1`; the rest is told "busy" without decoding it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::AtomicUsize},
};

use libp2p::{
    PeerId,
    request_response::{OutboundFailure, OutboundRequestId, ResponseChannel},
};
use rota_types::{
    Decode as _, Encode as _,
    wire::{Request, Response},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    driver::Command,
    error::RequestError,
    hub::{Counters, Hub},
    incoming::Peer,
    rate::{Place, Rate},
    request::{Reply, is_oversized},
    score::PeerFault,
};

/// Answers requests of peers. Runs on a blocking thread, so it may read the disk.
pub type RequestHandler = Arc<dyn Fn(Peer, Request) -> Response + Send + Sync>;

/// The encoded answer to an own request.
pub(crate) type Answered = oneshot::Sender<Result<Vec<u8>, RequestError>>;

#[derive(Debug)]
struct Client {
    rate: Rate,
    active: Arc<AtomicUsize>,
}

/// Requests in both directions.
pub(crate) struct Server {
    hub: Arc<Hub>,
    handler: RequestHandler,
    commands: mpsc::WeakSender<Command>,
    clients: BTreeMap<PeerId, Client>,
    active: Arc<AtomicUsize>,
    waiting: BTreeMap<OutboundRequestId, Answered>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Server {
    pub(crate) fn new(
        hub: Arc<Hub>,
        handler: RequestHandler,
        commands: mpsc::WeakSender<Command>,
    ) -> Self {
        Self {
            hub,
            handler,
            commands,
            clients: BTreeMap::new(),
            active: Arc::default(),
            waiting: BTreeMap::new(),
        }
    }

    /// Starts to serve a request. Gives the channel back if it is to be answered "busy" at once.
    pub(crate) fn serve(
        &mut self,
        peer: PeerId,
        request: Vec<u8>,
        channel: ResponseChannel<Reply>,
    ) -> Result<(), ResponseChannel<Reply>> {
        let places = self.admit(peer);
        let Some((commands, places)) = self.commands.upgrade().zip(places) else {
            Counters::add(&self.hub.counters.requests_refused);
            return Err(channel);
        };
        let (hub, handler) = (Arc::clone(&self.hub), Arc::clone(&self.handler));
        tokio::task::spawn_blocking(move || {
            let reply = answer(&hub, &handler, peer, &request);
            drop(places);
            // An error means that the network is shutting down.
            commands.blocking_send(Command::Respond { channel, reply }).unwrap_or_default();
        });
        Ok(())
    }

    fn admit(&mut self, peer: PeerId) -> Option<(Place, Place)> {
        let (limits, now_ms) = (&self.hub.limits, self.hub.clock.now_ms());
        let per_second = limits.requests_per_second;
        let client = self.clients.entry(peer).or_insert_with(|| Client {
            rate: Rate::new(now_ms, per_second, per_second),
            active: Arc::default(),
        });
        if let Err(too_fast) = client.rate.pass(now_ms) {
            if too_fast.score {
                self.hub.report(peer, PeerFault::Flood);
            }
            return None;
        }
        let (of_peer, of_all) = limits.requests_served;
        Place::take(&client.active, of_peer).zip(Place::take(&self.active, of_all))
    }

    /// Forgets the rate of a peer that left.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.clients.remove(peer);
    }

    /// Whether one more own request may wait.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < self.hub.limits.requests_waiting
    }

    pub(crate) fn wait_for(&mut self, id: OutboundRequestId, reply: Answered) {
        self.waiting.insert(id, reply);
    }

    pub(crate) fn on_reply(&mut self, id: OutboundRequestId, reply: Reply) {
        let result = match reply {
            Reply::Done(bytes) => Ok(bytes),
            Reply::Busy => Err(RequestError::PeerBusy),
        };
        self.finish(id, result);
    }

    pub(crate) fn on_failure(
        &mut self,
        peer: PeerId,
        id: OutboundRequestId,
        error: &OutboundFailure,
    ) {
        let (error, fault) = match error {
            OutboundFailure::Timeout => (RequestError::Timeout, Some(PeerFault::Timeout)),
            OutboundFailure::UnsupportedProtocols => (RequestError::Unsupported, None),
            OutboundFailure::Io(io) if is_oversized(io) => {
                (RequestError::Oversized, Some(PeerFault::Oversized))
            }
            other => (RequestError::NotConnected(other.to_string()), None),
        };
        if let Some(fault) = fault {
            self.hub.report(peer, fault);
        }
        self.finish(id, Err(error));
    }

    fn finish(&mut self, id: OutboundRequestId, result: Result<Vec<u8>, RequestError>) {
        if let Some(reply) = self.waiting.remove(&id) {
            // The asker may have given up.
            reply.send(result).unwrap_or_default();
        }
    }
}

/// Decodes, asks the node, encodes. `None` for garbage: the peer gets no answer.
fn answer(hub: &Hub, handler: &RequestHandler, peer: PeerId, request: &[u8]) -> Option<Reply> {
    let Ok(request) = Request::decode(request) else {
        hub.report(peer, PeerFault::Garbage);
        return None;
    };
    let response = handler(hub.peer(peer), request).encode();
    if response.len() > hub.limits.response_bytes {
        tracing::error!(bytes = response.len(), "dropped a response above its bound");
        return Some(Reply::Busy);
    }
    Some(Reply::Done(response))
}
