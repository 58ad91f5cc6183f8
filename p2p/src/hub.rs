//! What all tasks of the network share.
//!
//! Not for: deciding; it holds the score book, the directory and the counters and gives the time to the
//! sans-IO parts. Invariant: no lock is held across an await or a call into the node.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use libp2p::{Multiaddr, PeerId};
use tokio::sync::{Notify, watch};

use crate::{
    clock::Clock,
    config::{Limits, PeerEntry},
    directory::Directory,
    error::Refusal,
    hello::{Answer, Ctx, Hello, HelloAck, Role},
    incoming::{Busy, Incoming, Peer, SinkBox},
    link::Link,
    score::{PeerFault, ScoreBook, Verdict},
};

/// How long a peer of another network keeps its connection, to learn why it loses it.
const GRACE_MS: u64 = 500;

/// Things that were lost by policy, counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Consensus and ack messages dropped because the sink stayed busy.
    pub(crate) inbound_dropped: AtomicU64,
    /// Gossip messages dropped because the sink was busy or the peer too fast.
    pub(crate) gossip_dropped: AtomicU64,
    /// Events about peers dropped because the sink was busy.
    pub(crate) events_dropped: AtomicU64,
    /// Calls dropped because the command queue was full.
    pub(crate) commands_dropped: AtomicU64,
    /// Requests refused because too many were served.
    pub(crate) requests_refused: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connected peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedPeer {
    /// Identity and index.
    pub peer: Peer,
    /// Address of its first connection.
    pub address: Multiaddr,
    /// Connections to it.
    pub connections: u32,
    /// Last measured round trip in microseconds.
    pub rtt_us: Option<u64>,
    /// Its present score.
    pub points: u32,
}

/// The shared state.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) own: PeerId,
    pub(crate) ctx: Ctx,
    pub(crate) version: u16,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    /// Wakes the driver: a link changed or a peer was banned.
    pub(crate) attention: Notify,
    pub(crate) stop: watch::Sender<bool>,
    /// Counts lost peers, so that whoever waits for a peer looks whether it is still there.
    departures: watch::Sender<u64>,
    sink: SinkBox,
    directory: RwLock<Arc<Directory>>,
    scores: Mutex<ScoreBook>,
    /// Peers of other networks, and when they are banned.
    condemned: Mutex<BTreeMap<PeerId, u64>>,
    peers: Mutex<BTreeMap<PeerId, ConnectedPeer>>,
    wanted_set: Mutex<Option<Vec<PeerEntry>>>,
    listening: Mutex<Vec<Multiaddr>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub(crate) fn new(
        own: PeerId,
        network: (Ctx, u16),
        limits: Limits,
        sink: SinkBox,
        directory: Directory,
    ) -> Self {
        Self {
            own,
            ctx: network.0,
            version: network.1,
            clock: Clock::start(),
            counters: Counters::default(),
            attention: Notify::new(),
            stop: watch::Sender::new(false),
            departures: watch::Sender::new(0),
            sink,
            directory: RwLock::new(Arc::new(directory)),
            scores: Mutex::new(ScoreBook::new(limits.score.clone())),
            condemned: Mutex::default(),
            peers: Mutex::default(),
            wanted_set: Mutex::default(),
            listening: Mutex::default(),
            limits,
        }
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace_directory(&self, directory: Directory) -> Arc<Directory> {
        let mut held = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, Arc::new(directory))
    }

    pub(crate) fn peer(&self, id: PeerId) -> Peer {
        Peer { id, index: self.directory().index_of(&id) }
    }

    /// Gives something to the node.
    pub(crate) fn tell(&self, incoming: Incoming) -> Result<(), Busy> {
        (self.sink.0)(incoming)
    }

    /// Gives an event to the node that is counted and forgotten when the node is busy.
    pub(crate) fn tell_or_drop(&self, incoming: Incoming) {
        if self.tell(incoming).is_err() {
            Counters::add(&self.counters.events_dropped);
        }
    }

    /// Adds a fault to the peer's account and has it disconnected if that was too much.
    pub(crate) fn report(&self, peer: PeerId, fault: PeerFault) {
        let now_ms = self.clock.now_ms();
        let (was_banned, verdict) = {
            let mut scores = lock(&self.scores);
            (scores.is_banned(now_ms, &peer), scores.report(now_ms, peer, fault))
        };
        tracing::debug!(%peer, ?fault, ?verdict, "scored peer");
        if !was_banned && matches!(verdict, Verdict::Banned(_)) {
            tracing::warn!(%peer, ?fault, "banned peer");
            self.tell_or_drop(Incoming::Banned { peer: self.peer(peer) });
            self.attention.notify_one();
        }
    }

    pub(crate) fn is_banned(&self, peer: &PeerId) -> bool {
        lock(&self.scores).is_banned(self.clock.now_ms(), peer)
    }

    pub(crate) fn banned(&self) -> Vec<PeerId> {
        lock(&self.scores).banned(self.clock.now_ms())
    }

    pub(crate) fn points(&self, peer: &PeerId) -> u32 {
        lock(&self.scores).points(self.clock.now_ms(), peer)
    }

    /// Names a peer of another network to the node, and condemns it: it is banned a moment later, so that
    /// it has read our context too before the connection is cut.
    pub(crate) fn wrong_network(&self, peer: PeerId, theirs: Ctx) {
        let due_ms = self.clock.now_ms().saturating_add(GRACE_MS);
        let known = self.is_banned(&peer) || {
            let mut condemned = lock(&self.condemned);
            let known = condemned.contains_key(&peer);
            condemned.entry(peer).or_insert(due_ms);
            known
        };
        if !known {
            self.refused(peer, Refusal::WrongNetwork { peer, theirs, ours: self.ctx });
        }
    }

    /// Bans the condemned whose moment has come.
    pub(crate) fn execute(&self) {
        let now_ms = self.clock.now_ms();
        let due: Vec<PeerId> = {
            let mut condemned = lock(&self.condemned);
            let due = condemned.iter().filter(|(_, at)| **at <= now_ms).map(|(p, _)| *p).collect();
            condemned.retain(|_, at| *at > now_ms);
            due
        };
        due.into_iter().for_each(|peer| self.report(peer, PeerFault::WrongNetwork));
    }

    /// Whether nothing is to be sent to or asked of `peer`.
    pub(crate) fn is_shunned(&self, peer: &PeerId) -> bool {
        self.is_banned(peer) || lock(&self.condemned).contains_key(peer)
    }

    pub(crate) fn refused(&self, peer: PeerId, refusal: Refusal) {
        tracing::warn!(%refusal, "refused stream");
        self.tell_or_drop(Incoming::Refused { peer: self.peer(peer), refusal });
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello { version: self.version, ctx: self.ctx, role: self.directory().me }
    }

    pub(crate) const fn ack(&self, answer: Answer) -> HelloAck {
        HelloAck { version: self.version, ctx: self.ctx, answer }
    }

    /// What to answer to `hello` of the authenticated `peer`, and the link it belongs to.
    pub(crate) fn judge_hello(&self, peer: &PeerId, hello: &Hello) -> (Answer, Option<Arc<Link>>) {
        if hello.ctx != self.ctx {
            return (Answer::WrongContext, None);
        }
        if hello.version != self.version {
            return (Answer::WrongVersion, None);
        }
        match hello.role {
            Role::Observer => (Answer::Accepted, None),
            Role::Validator => match self.directory().link_of(peer) {
                Some(link) => (Answer::Accepted, Some(Arc::clone(link))),
                None => (Answer::NotInSet, None),
            },
        }
    }

    /// Changes the table of connected peers.
    pub(crate) fn with_peers<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<PeerId, ConnectedPeer>) -> T,
    ) -> T {
        change(&mut lock(&self.peers))
    }

    /// Asks the driver to replace the set. The newest wish wins.
    pub(crate) fn want_set(&self, entries: Vec<PeerEntry>) {
        *lock(&self.wanted_set) = Some(entries);
        self.attention.notify_one();
    }

    pub(crate) fn take_wanted_set(&self) -> Option<Vec<PeerEntry>> {
        lock(&self.wanted_set).take()
    }

    /// The last connection to a peer closed.
    pub(crate) fn departed(&self) {
        self.departures.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits until `peer` has no connection.
    pub(crate) async fn until_departed(&self, peer: &PeerId) {
        let mut departures = self.departures.subscribe();
        // The sender lives as long as the hub.
        while departures.changed().await.is_ok() {
            if !self.with_peers(|peers| peers.contains_key(peer)) {
                return;
            }
        }
    }

    pub(crate) fn add_listening(&self, addr: Multiaddr) {
        lock(&self.listening).push(addr);
    }

    pub(crate) fn listening(&self) -> Vec<Multiaddr> {
        lock(&self.listening).clone()
    }
}
