//! What can go wrong, and whose fault it is.

use std::io;

use crate::hello::Ctx;

/// Starting or running the network failed.
#[derive(Debug, thiserror::Error)]
pub enum P2pError {
    /// Us: the secret is not a valid ed25519 key. Never contains the key.
    #[error("the libp2p secret key is not a valid ed25519 key")]
    BadKey,
    /// Us: a transport or a protocol behaviour could not be built.
    #[error("failed building the network: {0}")]
    Build(String),
    /// Us: the address is taken or not of this machine.
    #[error("failed listening on {address}: {reason}")]
    Listen {
        /// The configured address.
        address: String,
        /// What the transport said.
        reason: String,
    },
    /// Us: two entries of the set share an index or a peer id, or an address names another peer.
    #[error("the set of peers is contradictory: {0}")]
    BadSet(String),
    /// Us: a socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Us or the peer: the queue is full; try another peer or later. The user is told "busy".
    #[error("the queue is full")]
    Busy,
    /// Nobody: there is no stream to the peer at the moment.
    #[error("not connected")]
    NotConnected,
    /// Us: there is no validator with this index in the set, or it is this node.
    #[error("no peer has this index")]
    UnknownPeer,
    /// Us: the message is empty or longer than its lane or topic allows.
    #[error("a message of {length} bytes exceeds the bound of {bound}")]
    Oversized {
        /// Length of the encoded message.
        length: usize,
        /// Largest length its lane or topic allows.
        bound: usize,
    },
    /// Us: the network was shut down.
    #[error("the network is closed")]
    Closed,
}

/// A request got no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nobody: no connection, or it closed before the answer.
    #[error("not connected: {0}")]
    NotConnected(String),
    /// Peer (weakly) or the network: no answer within the deadline.
    #[error("no answer within the deadline")]
    Timeout,
    /// Nobody: the peer serves as many requests as it allows; ask another.
    #[error("the peer is busy")]
    PeerBusy,
    /// Us: too many requests are waiting here.
    #[error("too many requests are waiting")]
    Busy,
    /// Peer: the answer was longer than allowed.
    #[error("the answer exceeds its bound")]
    Oversized,
    /// Peer: the answer does not decode.
    #[error("the answer does not decode")]
    Garbage,
    /// Peer: it does not serve requests of this network.
    #[error("the peer does not serve this protocol")]
    Unsupported,
    /// Us: no such validator, or the request is longer than allowed.
    #[error("the request cannot be sent: {0}")]
    Invalid(SendError),
    /// Us: the network was shut down.
    #[error("the network is closed")]
    Closed,
}

/// Why a stream to or from a peer was refused. Sent to the log, metrics and the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Peer: another chain, or another generation of ours.
    #[error("peer {peer} is on another network: its context {theirs} ours {ours}")]
    WrongNetwork {
        /// The peer's id.
        peer: libp2p::PeerId,
        /// What it said.
        theirs: Ctx,
        /// What we are.
        ours: Ctx,
    },
    /// Peer or us: one of the two runs an older program.
    #[error("peer {peer} speaks version {theirs} of the protocol, ours is {ours}")]
    WrongVersion {
        /// The peer's id.
        peer: libp2p::PeerId,
        /// Its version.
        theirs: u16,
        /// Ours.
        ours: u16,
    },
    /// Peer or us: one of the two does not know the newest set yet.
    #[error("peer {peer} is not known as a validator")]
    NotInSet {
        /// The peer's id.
        peer: libp2p::PeerId,
    },
}
