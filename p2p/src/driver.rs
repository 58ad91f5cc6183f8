//! Runs the swarm: dials, bans, keeps the set, passes gossip and requests on.
//!
//! Not for: the messages between validators, which flow past it on their own streams. Invariant: it never
//! waits for the node; what the node does not take is dropped and counted, or told again later.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::transport::ListenerId,
    multiaddr::Protocol,
    request_response::ResponseChannel,
    swarm::{
        ConnectionId, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use libp2p_stream::Control;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    clock::spawn,
    connections::Connections,
    dialer::Dialer,
    directory::split_peer,
    error::{P2pError, RequestError},
    gossip::{GossipId, Judgement, Topic},
    hub::{ConnectedPeer, Hub},
    link::until_set,
    membership::Told,
    rate::Rate,
    request::Reply,
    resolve::{needs_resolution, resolve},
    server::{Answered, Server},
    swarm::{Behaviour, BehaviourEvent},
};

/// Dials, bans and late news are looked at this often.
const TICK: Duration = Duration::from_millis(50);

/// What the node asks of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    Publish {
        topic: Topic,
        data: Vec<u8>,
    },
    Judge {
        id: GossipId,
        judgement: Judgement,
    },
    Request {
        peer: PeerId,
        request: Vec<u8>,
        reply: Answered,
    },
    Respond {
        channel: ResponseChannel<Reply>,
        reply: Option<Reply>,
    },
    /// The addresses of a peer, resolved.
    Dial {
        peer: PeerId,
        addrs: Vec<Multiaddr>,
    },
}

/// The task that owns the swarm.
pub(crate) struct Driver {
    pub(crate) hub: Arc<Hub>,
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) server: Server,
    pub(crate) gossip_rates: BTreeMap<PeerId, Rate>,
    pub(crate) control: Control,
    pub(crate) dialer: Dialer,
    pub(crate) connections: Connections,
    pub(crate) bootnodes: Vec<(PeerId, Vec<Multiaddr>)>,
    pub(crate) told: BTreeMap<u16, Told>,
    pub(crate) blocked: Vec<PeerId>,
    weak: mpsc::WeakSender<Command>,
    /// Last, so that a closed channel means that the sockets are closed too.
    commands: mpsc::Receiver<Command>,
}

/// Bootnodes by identity, addresses merged.
fn by_identity(addrs: &[Multiaddr]) -> Result<Vec<(PeerId, Vec<Multiaddr>)>, P2pError> {
    let mut nodes: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
    for addr in addrs {
        let (plain, peer) = split_peer(addr);
        let peer = peer.ok_or_else(|| P2pError::BadSet(format!("{addr} names no peer")))?;
        nodes.entry(peer).or_default().push(plain);
    }
    Ok(nodes.into_iter().collect())
}

impl Driver {
    pub(crate) fn new(
        hub: Arc<Hub>,
        swarm: Swarm<Behaviour>,
        server: Server,
        bootnodes: &[Multiaddr],
        (weak, commands): (mpsc::WeakSender<Command>, mpsc::Receiver<Command>),
    ) -> Result<Self, P2pError> {
        Ok(Self {
            control: swarm.behaviour().streams.new_control(),
            dialer: Dialer::new(hub.limits.backoff),
            bootnodes: by_identity(bootnodes)?,
            hub,
            swarm,
            server,
            gossip_rates: BTreeMap::new(),
            connections: Connections::default(),
            told: BTreeMap::new(),
            blocked: Vec::new(),
            weak,
            commands,
        })
    }

    /// Binds every address and waits until each is bound.
    pub(crate) async fn listen(&mut self, addrs: &[Multiaddr]) -> Result<(), P2pError> {
        let mut open: Vec<(ListenerId, &Multiaddr)> = Vec::new();
        let failed = |addr: &Multiaddr, reason: String| P2pError::Listen {
            address: addr.to_string(),
            reason,
        };
        for addr in addrs {
            let id =
                self.swarm.listen_on(addr.clone()).map_err(|e| failed(addr, format!("{e:?}")))?;
            open.push((id, addr));
        }
        while let Some((_, addr)) = open.first() {
            let next = timeout(Duration::from_secs(5), self.swarm.select_next_some()).await;
            let event = next.map_err(|_| failed(addr, "no answer".to_owned()))?;
            match &event {
                SwarmEvent::NewListenAddr { listener_id, .. } => {
                    open.retain(|(id, _)| id != listener_id);
                }
                SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                    if let Some((_, addr)) = open.iter().find(|(id, _)| id == listener_id) {
                        return Err(failed(addr, format!("{reason:?}")));
                    }
                }
                _ => {}
            }
            self.on_event(event);
        }
        Ok(())
    }

    /// Runs until the network stops.
    pub(crate) async fn run(mut self) {
        let hub = Arc::clone(&self.hub);
        let mut stop = hub.stop.subscribe();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = until_set(&mut stop) => break,
                () = hub.attention.notified() => self.attend(),
                Some(command) = self.commands.recv() => self.on_command(command),
                event = self.swarm.select_next_some() => self.on_event(event),
                _ = tick.tick() => {
                    self.hub.execute();
                    self.attend();
                    self.dial();
                }
            }
        }
        self.told.values().for_each(|told| told.link.close());
    }

    fn attend(&mut self) {
        if let Some(entries) = self.hub.take_wanted_set() {
            // The handle checked the entries; a failure here would be a bug and leaves the old set.
            if let Err(error) = self.set_peers(&entries) {
                tracing::error!(%error, "failed replacing the set");
            }
        }
        self.enforce_bans();
        self.tell_news();
    }

    pub(crate) fn dial(&mut self) {
        let now_ms = self.hub.clock.now_ms();
        let hub = Arc::clone(&self.hub);
        for (peer, addrs) in self.dialer.due(now_ms, |peer| hub.is_shunned(peer)) {
            if !needs_resolution(&addrs) {
                self.dial_now(peer, addrs);
                continue;
            }
            if let Some(commands) = self.weak.upgrade() {
                spawn(async move {
                    let addrs = resolve(addrs).await;
                    // An error means that the network is shutting down.
                    commands.send(Command::Dial { peer, addrs }).await.unwrap_or_default();
                });
            }
        }
    }

    fn dial_now(&mut self, peer: PeerId, addrs: Vec<Multiaddr>) {
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addrs)
            // Both ends may dial at the same moment: from reused ports that would be a TCP simultaneous open.
            .allocate_new_port()
            .build();
        if let Err(error) = self.swarm.dial(options) {
            tracing::trace!(%peer, %error, "not dialled");
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { topic, data } => self.publish(topic, data),
            Command::Judge { id, judgement } => self.judge(&id, judgement),
            Command::Dial { peer, addrs } => self.dial_now(peer, addrs),
            Command::Respond { channel, reply } => {
                if let Some(reply) = reply {
                    let sent = self.swarm.behaviour_mut().requests.send_response(channel, reply);
                    if sent.is_err() {
                        tracing::debug!("the asker left before its answer");
                    }
                }
            }
            Command::Request { peer, request, reply } => {
                let refusal = if !self.swarm.is_connected(&peer) {
                    Some(RequestError::NotConnected("no connection".to_owned()))
                } else if !self.server.has_room() {
                    Some(RequestError::Busy)
                } else {
                    None
                };
                match refusal {
                    // The asker may have given up.
                    Some(error) => reply.send(Err(error)).unwrap_or_default(),
                    None => {
                        let requests = &mut self.swarm.behaviour_mut().requests;
                        self.server.wait_for(requests.send_request(&peer, request), reply);
                    }
                }
            }
        }
    }

    pub(crate) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr { address, .. } => {
                self.hub.add_listening(address.with(Protocol::P2p(self.hub.own)));
            }
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                num_established,
                ..
            } => {
                if self.hub.directory().index_of(&peer_id).is_some() {
                    let now = self.hub.clock.now_ms();
                    for old in self.connections.opened(now, peer_id, connection_id) {
                        tracing::debug!(%peer_id, "closing a connection that a newer one replaces");
                        self.close(old);
                    }
                }
                // Validators pass the limits of the swarm, but not this one.
                if num_established.get() > self.hub.limits.connections_per_peer {
                    self.close(connection_id);
                }
                let address = endpoint.get_remote_address().clone();
                self.on_connections(peer_id, num_established.get(), Some(address));
            }
            SwarmEvent::ConnectionClosed {
                peer_id, connection_id, num_established, cause, ..
            } => {
                self.connections.closed(&peer_id, connection_id);
                tracing::debug!(%peer_id, num_established, ?cause, "connection closed");
                self.on_connections(peer_id, num_established, None);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                tracing::debug!(?peer_id, %error, "failed dialling");
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "failed accepting a connection");
            }
            other => tracing::trace!(?other, "swarm event"),
        }
    }

    fn on_connections(&mut self, peer: PeerId, connections: u32, address: Option<Multiaddr>) {
        self.dialer.on_connections(self.hub.clock.now_ms(), &peer, connections);
        if let Some(link) = self.hub.directory().link_of(&peer) {
            link.set_connected(connections > 0);
        }
        if connections == 0 {
            self.server.forget(&peer);
            self.gossip_rates.remove(&peer);
        }
        let named = self.hub.peer(peer);
        self.hub.with_peers(|peers| {
            if connections == 0 {
                peers.remove(&peer);
                return;
            }
            let entry = peers.entry(peer).or_insert_with(|| ConnectedPeer {
                peer: named,
                address: address.unwrap_or_else(Multiaddr::empty),
                connections,
                rtt_us: None,
                points: 0,
            });
            entry.connections = connections;
        });
        if connections == 0 {
            self.hub.departed();
        }
    }

    pub(crate) fn close(&mut self, connection: ConnectionId) {
        self.swarm.close_connection(connection);
    }
}
