//! What the network tells the node.
//!
//! Not for: buffering; the node's sink does that, with a bound of its own. Invariant: everything that is
//! told goes through one [`Sink`], in the order it happened on its lane.

use std::{fmt, sync::Arc};

use libp2p::PeerId;
use rota_types::wire::{Lane, Message};

use crate::{
    error::Refusal,
    gossip::{GossipId, Topic},
    hello::Role,
};

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Its authenticated identity.
    pub id: PeerId,
    /// Its index, if the current set lists it.
    pub index: Option<u16>,
}

/// Something that came in.
#[derive(Debug)]
pub enum Incoming {
    /// A message on a direct stream.
    Message {
        /// The authenticated sender.
        from: Peer,
        /// The decoded message; its content is not validated.
        message: Box<Message>,
    },
    /// Messages of this lane were lost here: ask for what is missing.
    Gap {
        /// The sender.
        from: Peer,
        /// The lane.
        lane: Lane,
    },
    /// A gossiped message. Report what it is worth by [`crate::Handle::judge`], or it is not forwarded.
    Gossip {
        /// Topic it was published on.
        topic: Topic,
        /// Content, not validated.
        data: Vec<u8>,
        /// The peer that forwarded it, which is not its author.
        from: Peer,
        /// What to give to [`crate::Handle::judge`].
        id: GossipId,
    },
    /// All streams to and from this validator are up.
    PeerUp {
        /// Its index.
        index: u16,
    },
    /// At least one stream to or from this validator is down.
    PeerDown {
        /// Its index.
        index: u16,
        /// For the log.
        reason: String,
    },
    /// A stream was refused, by us or by the peer.
    Refused {
        /// The peer.
        peer: Peer,
        /// Why.
        refusal: Refusal,
    },
    /// A peer is shut out for a while.
    Banned {
        /// The peer.
        peer: Peer,
    },
    /// The set was replaced and this node is now something else.
    RoleChanged {
        /// What it is now.
        role: Role,
    },
}

/// The sink takes nothing at the moment; it gives back what it did not take.
#[derive(Debug)]
pub struct Busy(pub Box<Incoming>);

/// Where everything that comes in goes. Called from the network's tasks: it must not block. `Err(Busy)` on a
/// direct stream stops the reading of that stream, and the call is repeated.
pub type Sink = Arc<dyn Fn(Incoming) -> Result<(), Busy> + Send + Sync>;

/// Hides the closure in `Debug`.
#[derive(Clone)]
pub(crate) struct SinkBox(pub(crate) Sink);

impl fmt::Debug for SinkBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}
