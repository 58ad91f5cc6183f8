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
use rota_types::wire::Lane;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    clock::spawn,
    config::PeerEntry,
    dialer::Dialer,
    directory::{Directory, split_peer},
    error::{P2pError, RequestError},
    gossip::{GossipId, Judgement, Topic},
    hub::{ConnectedPeer, Hub},
    incoming::Incoming,
    link::{Link, until_set},
    rate::Rate,
    request::Reply,
    resolve::{needs_resolution, resolve},
    server::{Answered, Server},
    swarm::{Behaviour, BehaviourEvent},
    writer::Writer,
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

/// A link and whether the node was told that it is up.
#[derive(Debug)]
struct Told {
    link: Arc<Link>,
    up: bool,
}

/// The task that owns the swarm.
pub(crate) struct Driver {
    pub(crate) hub: Arc<Hub>,
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) server: Server,
    pub(crate) gossip_rates: BTreeMap<PeerId, Rate>,
    control: Control,
    dialer: Dialer,
    bootnodes: Vec<(PeerId, Vec<Multiaddr>)>,
    told: BTreeMap<u16, Told>,
    blocked: Vec<PeerId>,
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

    /// Replaces the set: new links get their writers, old ones end.
    pub(crate) fn set_peers(&mut self, entries: &[PeerEntry]) -> Result<(), P2pError> {
        let old = self.hub.directory();
        let new = Directory::build(self.hub.own, entries, &self.hub.limits, &old)?;
        let (was, is) = (old.me, new.me);
        let links = new.links.clone();
        self.hub.replace_directory(new);
        self.told.retain(|index, told| {
            let kept = links.get(index).is_some_and(|link| Arc::ptr_eq(link, &told.link));
            if !kept {
                told.link.close();
                self.swarm.behaviour_mut().limits.remove_peer_id(&told.link.peer);
                if told.up {
                    let reason = "no longer in the set".to_owned();
                    self.hub.tell_or_drop(Incoming::PeerDown { index: *index, reason });
                }
            }
            kept
        });
        for (index, link) in links {
            if !self.told.contains_key(&index) {
                self.start_link(link);
            }
        }
        let validators = entries.iter().filter(|e| e.peer != self.hub.own);
        let plain = |addrs: &[Multiaddr]| addrs.iter().map(|addr| split_peer(addr).0).collect();
        let mut wanted: Vec<_> = validators.map(|e| (e.peer, plain(&e.addrs))).collect();
        wanted.extend(self.bootnodes.iter().filter(|(peer, _)| *peer != self.hub.own).cloned());
        self.dialer.set_targets(wanted);
        if was != is {
            self.hub.tell_or_drop(Incoming::RoleChanged { role: is });
        }
        self.dial();
        Ok(())
    }

    fn start_link(&mut self, link: Arc<Link>) {
        self.swarm.behaviour_mut().limits.bypass_peer_id(&link.peer);
        link.set_connected(self.swarm.is_connected(&link.peer));
        for lane in Lane::ALL.into_iter().filter(|lane| link.lanes.contains(lane)) {
            let writer = Writer {
                hub: Arc::clone(&self.hub),
                link: Arc::clone(&link),
                lane,
                control: self.control.clone(),
            };
            spawn(writer.run());
        }
        self.told.insert(link.index, Told { link, up: false });
    }

    fn enforce_bans(&mut self) {
        let banned = self.hub.banned();
        let blocked = &mut self.swarm.behaviour_mut().blocked;
        for peer in self.blocked.iter().filter(|peer| !banned.contains(peer)) {
            blocked.unblock_peer(*peer);
        }
        for peer in banned.iter().filter(|peer| !self.blocked.contains(peer)) {
            blocked.block_peer(*peer);
        }
        self.blocked = banned;
    }

    /// Tells which links came up or went down. What a busy node does not take is told at the next tick.
    fn tell_news(&mut self) {
        for (index, told) in &mut self.told {
            let (index, up) = (*index, told.link.is_up());
            if up == told.up {
                continue;
            }
            let news = if up {
                Incoming::PeerUp { index }
            } else {
                Incoming::PeerDown { index, reason: told.link.down_reason() }
            };
            if self.hub.tell(news).is_ok() {
                told.up = up;
            }
        }
    }

    fn dial(&mut self) {
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
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, num_established, .. } => {
                let address = endpoint.get_remote_address().clone();
                self.on_connections(peer_id, num_established.get(), Some(address));
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established, cause, .. } => {
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
