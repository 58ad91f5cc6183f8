//! What the node tells the network at start, and the bounds of every queue.
//!
//! Not for: reading files. Invariant: every bound the crate applies to a peer is a field here.

use std::{fmt, time::Duration};

use libp2p::{Multiaddr, PeerId, identity::Keypair};
use rota_types::wire::{Lane, MAX_RESPONSE};

use crate::{
    error::P2pError,
    gossip::Topic,
    hello::Ctx,
    queue::{Overflow, QueueLimits},
    score::ScorePolicy,
};

/// The libp2p identity of this node.
#[derive(Clone)]
pub struct Identity(Keypair);

impl Identity {
    /// From the 32 secret bytes of an ed25519 key. The caller's copy is wiped.
    ///
    /// # Errors
    /// [`P2pError::BadKey`], which does not contain the key.
    pub fn from_secret(secret: &mut [u8; 32]) -> Result<Self, P2pError> {
        Keypair::ed25519_from_bytes(secret).map(Self).map_err(|_| P2pError::BadKey)
    }

    /// The peer id, as registered on L1 in the peer's address.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.0.public().to_peer_id()
    }

    pub(crate) const fn keypair(&self) -> &Keypair {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.peer_id()).finish()
    }
}

/// One member of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEntry {
    /// Index in the set.
    pub index: u16,
    /// The only identity that is accepted for this index.
    pub peer: PeerId,
    /// Where to reach it; empty: it has to dial us.
    pub addrs: Vec<Multiaddr>,
}

/// Everything the network needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The key of this node.
    pub identity: Identity,
    /// Chain, genesis and generation: peers with another context are refused by name.
    pub ctx: Ctx,
    /// Version of the protocol; must be equal on both sides.
    pub version: u16,
    /// Addresses to listen on, for example `/ip4/0.0.0.0/tcp/9000` and `/ip4/0.0.0.0/udp/9000/quic-v1`.
    pub listen: Vec<Multiaddr>,
    /// The set. This node is a validator if its own identity is listed, otherwise an observer.
    pub validators: Vec<PeerEntry>,
    /// Nodes outside of the set to stay connected to; each ends in `/p2p/<id>`.
    pub bootnodes: Vec<Multiaddr>,
    /// Topics to receive. Publishing needs no subscription.
    pub topics: Vec<Topic>,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of one lane.
#[derive(Debug, Clone, Copy)]
pub struct LaneLimits {
    /// Longest message in bytes.
    pub message_bytes: usize,
    /// The queue in front of each outbound stream.
    pub queue: QueueLimits,
    /// Messages per second that one peer may send; above it its stream is read more slowly.
    pub messages_per_second: u64,
    /// Messages that may come at once.
    pub burst: u64,
    /// How long a reader waits for a busy sink before it drops a message; `None`: as long as it takes.
    pub patience: Option<Duration>,
}

/// Every bound of the crate.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Votes, proposals, certificates, Status, TermInit.
    pub consensus: LaneLimits,
    /// Frames.
    pub frames: LaneLimits,
    /// Acks and their certificates.
    pub acks: LaneLimits,
    /// Forwarded transactions and heads.
    pub bulk: LaneLimits,
    /// Deadline of opening a stream and of its hello.
    pub handshake: Duration,
    /// A stream that takes no byte for this long is reset.
    pub stall: Duration,
    /// First and longest pause between two attempts to dial a peer or open a stream.
    pub backoff: (Duration, Duration),
    /// Connections at most, validators not counted.
    pub connections: u32,
    /// Connections per peer.
    pub connections_per_peer: u32,
    /// Observers that may hold a bulk stream.
    pub observers: usize,
    /// Inbound streams whose hello is awaited: of one peer, of all.
    pub handshakes: (usize, usize),
    /// Largest gossip message in bytes.
    pub gossip_bytes: usize,
    /// Gossip messages per second and peer.
    pub gossip_per_second: u64,
    /// Largest request in bytes.
    pub request_bytes: usize,
    /// Largest response in bytes.
    pub response_bytes: usize,
    /// Deadline of a request.
    pub request_timeout: Duration,
    /// Requests served at the same time for one peer, and for all.
    pub requests_served: (usize, usize),
    /// Requests per second and peer.
    pub requests_per_second: u64,
    /// Own requests waiting for an answer.
    pub requests_waiting: usize,
    /// Calls from the node to the network waiting at most.
    pub commands: usize,
    /// Forgiveness and bans.
    pub score: ScorePolicy,
}

impl Limits {
    /// The bounds of `lane`.
    #[must_use]
    pub const fn lane(&self, lane: Lane) -> &LaneLimits {
        match lane {
            Lane::Consensus => &self.consensus,
            Lane::Frames => &self.frames,
            Lane::Acks => &self.acks,
            Lane::Bulk => &self.bulk,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let lane = |lane: Lane, messages, bytes, overflow, rate| LaneLimits {
            message_bytes: lane.max(),
            queue: QueueLimits { messages, bytes, overflow },
            messages_per_second: rate,
            burst: rate,
            patience: None,
        };
        let patience = Some(Duration::from_secs(1));
        let consensus = lane(Lane::Consensus, 1_024, 8 << 20, Overflow::DropOldest, 2_000);
        let acks = lane(Lane::Acks, 1_024, 4 << 20, Overflow::DropOldest, 4_000);
        Self {
            consensus: LaneLimits { patience, ..consensus },
            frames: lane(Lane::Frames, 512, 16 << 20, Overflow::DropNewest, 2_000),
            acks: LaneLimits { patience, ..acks },
            bulk: lane(Lane::Bulk, 256, 8 << 20, Overflow::Refuse, 2_000),
            handshake: Duration::from_secs(2),
            stall: Duration::from_secs(20),
            backoff: (Duration::from_millis(50), Duration::from_secs(5)),
            connections: 256,
            connections_per_peer: 4,
            observers: 64,
            handshakes: (8, 128),
            gossip_bytes: 1 << 20,
            gossip_per_second: 1_000,
            request_bytes: 4 << 10,
            response_bytes: MAX_RESPONSE,
            request_timeout: Duration::from_secs(5),
            requests_served: (8, 64),
            requests_per_second: 200,
            requests_waiting: 256,
            commands: 1_024,
            score: ScorePolicy::default(),
        }
    }
}
