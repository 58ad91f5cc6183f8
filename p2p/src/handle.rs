//! The node's grip on the running network.
//!
//! Not for: anything that waits, except [`Handle::request`] and [`Handle::shutdown`]. Invariant: every other call
//! returns at once, from any thread, with or without a runtime.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use libp2p::{Multiaddr, PeerId};
use rota_types::{
    Decode as _, Encode as _,
    wire::{Message, Request, Response},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    acceptor::Acceptor,
    clock::spawn,
    config::{Config, PeerEntry},
    directory::Directory,
    driver::{Command, Driver},
    error::{P2pError, RequestError, SendError},
    gossip::{GossipId, Judgement, Topic},
    hello::Role,
    hub::{ConnectedPeer, Counters, Hub},
    incoming::{Sink, SinkBox},
    network::Network,
    score::PeerFault,
    server::{RequestHandler, Server},
    swarm,
    writer::protocol,
};

/// Whom to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A validator of the set.
    Validator(u16),
    /// Any connected peer.
    Peer(PeerId),
}

/// The state of one bounded queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    /// Which kind of queue.
    pub name: &'static str,
    /// Which of its kind: lane and index of the validator.
    pub label: String,
    /// What it holds.
    pub depth: usize,
    /// What it can hold; 0 for a pure count of drops.
    pub capacity: usize,
    /// What it dropped or refused since the start.
    pub dropped: u64,
}

/// The running network.
#[derive(Debug, Clone)]
pub struct Handle {
    hub: Arc<Hub>,
    commands: mpsc::Sender<Command>,
}

/// Starts the network on the present tokio runtime and returns when it listens.
///
/// # Errors
/// [`P2pError`] if an address cannot be bound or the set is contradictory.
pub async fn start(
    config: Config,
    sink: Sink,
    handler: RequestHandler,
) -> Result<Handle, P2pError> {
    let network = (config.ctx, config.version);
    let (own, limits) = (config.identity.peer_id(), config.limits.clone());
    let hub = Arc::new(Hub::new(own, network, limits, SinkBox(sink), Directory::empty()));
    let swarm = swarm::build(&config)?;
    let mut control = swarm.behaviour().streams.new_control();
    let mut inbound = Vec::new();
    for lane in rota_types::wire::Lane::ALL {
        let streams = control.accept(protocol(lane));
        inbound.push((lane, streams.map_err(|error| P2pError::Build(error.to_string()))?));
    }
    let (commands, receiver) = mpsc::channel(config.limits.commands.max(1));
    let weak = commands.downgrade();
    let server = Server::new(Arc::clone(&hub), handler, weak.clone());
    let mut driver =
        Driver::new(Arc::clone(&hub), swarm, server, &config.bootnodes, (weak, receiver))?;
    driver.listen(&config.listen).await?;
    driver.set_peers(&config.validators)?;
    spawn(Acceptor::new(Arc::clone(&hub)).run(inbound));
    spawn(driver.run());
    Ok(Handle { hub, commands })
}

impl Handle {
    /// This node's identity.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.hub.own
    }

    /// This node's place in the present set.
    #[must_use]
    pub fn role(&self) -> Role {
        self.hub.directory().me
    }

    /// The addresses this node listens on, each with its `/p2p/<id>`.
    #[must_use]
    pub fn listen_addrs(&self) -> Vec<Multiaddr> {
        self.hub.listening()
    }

    /// Validators whose streams are all up.
    #[must_use]
    pub fn validators_connected(&self) -> Vec<u16> {
        let directory = self.hub.directory();
        directory.links.values().filter(|link| link.is_up()).map(|link| link.index).collect()
    }

    /// Everyone this node is connected to, validators or not.
    #[must_use]
    pub fn peers(&self) -> Vec<ConnectedPeer> {
        let mut peers: Vec<_> = self.hub.with_peers(|peers| peers.values().cloned().collect());
        for entry in &mut peers {
            entry.peer = self.hub.peer(entry.peer.id);
            entry.points = self.hub.points(&entry.peer.id);
        }
        peers
    }

    /// Tells of a fault that only the application can see.
    pub fn report(&self, peer: PeerId, fault: PeerFault) {
        self.hub.report(peer, fault);
    }

    /// Whether `peer` is shut out at the moment.
    #[must_use]
    pub fn is_banned(&self, peer: &PeerId) -> bool {
        self.hub.is_banned(peer)
    }

    /// Replaces the set. Links to validators that stay are not interrupted.
    ///
    /// # Errors
    /// [`P2pError::BadSet`] if the entries contradict each other; the old set stays.
    pub fn set_peers(&self, entries: Vec<PeerEntry>) -> Result<(), P2pError> {
        Directory::build(self.hub.own, &entries, &self.hub.limits, &Directory::empty())?;
        self.hub.want_set(entries);
        Ok(())
    }

    /// Says what a gossip message is worth. A verdict that finds the command queue full is dropped and counted:
    /// the message is then not forwarded by this node.
    pub fn judge(&self, id: GossipId, judgement: Judgement) {
        if self.commands.try_send(Command::Judge { id, judgement }).is_err() {
            Counters::add(&self.hub.counters.commands_dropped);
        }
    }

    /// Asks one peer.
    ///
    /// # Errors
    /// [`RequestError`]; a peer at fault has been scored already.
    pub async fn request(&self, to: Target, request: &Request) -> Result<Response, RequestError> {
        let peer = match to {
            Target::Peer(peer) => peer,
            Target::Validator(index) => {
                let directory = self.hub.directory();
                let link = directory.links.get(&index);
                link.ok_or(RequestError::Invalid(SendError::UnknownPeer))?.peer
            }
        };
        let (request, bound) = (request.encode(), self.hub.limits.request_bytes);
        if request.len() > bound {
            let length = request.len();
            return Err(RequestError::Invalid(SendError::Oversized { length, bound }));
        }
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(Command::Request { peer, request, reply }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => RequestError::Busy,
            mpsc::error::TrySendError::Closed(_) => RequestError::Closed,
        })?;
        // The protocol has this deadline itself; twice as long covers a driver that is gone.
        let deadline = self.hub.limits.request_timeout.saturating_mul(2);
        let answer = timeout(deadline, answer).await.map_err(|_| RequestError::Timeout)?;
        let bytes = answer.map_err(|_| RequestError::Closed)??;
        Response::decode(&bytes).map_err(|_| {
            self.hub.report(peer, PeerFault::Garbage);
            RequestError::Garbage
        })
    }

    /// The state of every queue and drop counter.
    #[must_use]
    pub fn gauges(&self) -> Vec<Gauge> {
        let mut gauges = Vec::new();
        for link in self.hub.directory().links.values() {
            for lane in link.lanes {
                let (depth, capacity, dropped) = link.queue(*lane).gauge();
                let label = format!("{}:{}", lane.name(), link.index);
                gauges.push(Gauge { name: "p2p_lane_out", label, depth, capacity, dropped });
            }
        }
        let counters = &self.hub.counters;
        let capacity = self.commands.max_capacity();
        let depth = capacity.saturating_sub(self.commands.capacity());
        let mut add = |name, depth, capacity, counter: &std::sync::atomic::AtomicU64| {
            let dropped = counter.load(Ordering::Relaxed);
            gauges.push(Gauge { name, label: String::new(), depth, capacity, dropped });
        };
        add("p2p_commands", depth, capacity, &counters.commands_dropped);
        add("p2p_lane_in", 0, 0, &counters.inbound_dropped);
        add("p2p_gossip", 0, 0, &counters.gossip_dropped);
        add("p2p_events", 0, 0, &counters.events_dropped);
        let served = self.hub.limits.requests_served.1;
        add("p2p_requests", 0, served, &counters.requests_refused);
        gauges
    }

    /// Closes every connection and waits until the sockets are closed.
    pub async fn shutdown(self) {
        self.hub.stop.send_replace(true);
        self.commands.closed().await;
    }

    fn encode(&self, message: &Message) -> Result<Bytes, SendError> {
        let (bytes, bound) = (message.encode(), self.hub.limits.lane(message.lane()).message_bytes);
        if bytes.is_empty() || bytes.len() > bound {
            return Err(SendError::Oversized { length: bytes.len(), bound });
        }
        Ok(bytes.into())
    }
}

impl Network for Handle {
    fn send(&self, to: u16, message: &Message) -> Result<(), SendError> {
        let directory = self.hub.directory();
        let link = directory.links.get(&to).ok_or(SendError::UnknownPeer)?;
        if !link.lanes.contains(&message.lane()) {
            return Err(SendError::UnknownPeer);
        }
        link.queue(message.lane()).push(self.encode(message)?)
    }

    fn broadcast(&self, message: &Message) -> Result<usize, SendError> {
        let bytes = self.encode(message)?;
        let directory = self.hub.directory();
        let links = directory.links.values().filter(|link| link.lanes.contains(&message.lane()));
        Ok(links.filter(|l| l.queue(message.lane()).push(bytes.clone()).is_ok()).count())
    }

    fn publish(&self, topic: Topic, data: Vec<u8>) -> Result<(), SendError> {
        let (length, bound) = (data.len(), self.hub.limits.gossip_bytes);
        if length == 0 || length > bound {
            return Err(SendError::Oversized { length, bound });
        }
        self.commands.try_send(Command::Publish { topic, data }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Counters::add(&self.hub.counters.commands_dropped);
                SendError::Busy
            }
            mpsc::error::TrySendError::Closed(_) => SendError::Closed,
        })
    }
}
