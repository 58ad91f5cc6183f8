//! What goes into a replica and what comes out.

use super::PeerNo;
use alloy_primitives::B256;
use rota_preconf::{Epoch, Frame, HeightContext, Room};
use rota_store::Intent;
use rota_types::{
    AckCert, CommitCertificate, Env, Evidence, Header, Justification, Signed, Tx,
    wire::{Message, Request},
};
use std::sync::Arc;

/// Something that happened.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "passed on by value once; no allocation for each vote"
)]
pub enum Input {
    /// A verified frame, from a peer or from a request.
    Frame {
        /// The frame.
        frame: Arc<Frame>,
        /// Who sent it.
        from: PeerNo,
    },
    /// Any other message of a validator.
    Message {
        /// Who sent it.
        from: PeerNo,
        /// The message.
        message: Message,
    },
    /// Executed transactions for the next frame, as asked for by `Output::TakeTxs`.
    Txs(Vec<Arc<Tx>>),
    /// An L1 origin that may be used (final, or deep enough), after `L1Read` of its number.
    /// `timestamp_s` is ignored.
    Origin(Env),
    /// Everything that L1 says up to this block is known: what it forces on heights to the executor, and every set
    /// in force by `Set`. Heights of peers with later origins wait.
    L1Read(u64),
    /// What execution gave at a checkpoint height that is decided.
    Lag {
        /// The height.
        height: u64,
        /// `LagPoint::root`.
        root: B256,
    },
    /// A set that is frozen, and final on L1.
    Set {
        /// The set, and when it is in force.
        epoch: Arc<Epoch>,
        /// The peer of each member, by index.
        peers: Vec<PeerNo>,
    },
    /// Everything before the `Output::Durable` with this token is on disk.
    Durable(u64),
    /// What a Status rests on, as asked for.
    Justification {
        /// Who sent it.
        from: PeerNo,
        /// The justification, not verified yet.
        what: Box<Justification>,
    },
    /// What a peer has of this key, as asked for by `Request::SignedBy`; not verified yet.
    Signed {
        /// Who sent it.
        from: PeerNo,
        /// Nothing, if it has nothing.
        statements: Vec<Signed>,
    },
    /// Evidence against a member, found by this node or gossiped. It is judged again, and goes into the next own CLOSE.
    Evidence(Box<Evidence>),
    /// Decided heights from a peer, in order.
    Synced {
        /// Who sent them.
        from: PeerNo,
        /// The heights with their verified frames.
        heights: Vec<Synced>,
    },
    /// A deadline passed.
    Tick,
}

/// A decided height from a peer.
#[derive(Debug, Clone)]
pub struct Synced {
    /// The header.
    pub header: Header,
    /// Its certificate, not verified yet.
    pub certificate: CommitCertificate,
    /// Its frames, verified by themselves.
    pub frames: Vec<Arc<Frame>>,
}

/// Whom to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// One validator.
    One(PeerNo),
    /// All other validators.
    Others,
    /// All others, and this replica once it is durable.
    All,
}

/// A decided height, ready to be stored.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The header.
    pub header: Header,
    /// Its value id.
    pub value_id: B256,
    /// The certificate.
    pub certificate: CommitCertificate,
    /// The frames, in order.
    pub frames: Vec<Arc<Frame>>,
    /// What the next height starts from; stored, so that a restart can go on.
    pub next: HeightContext,
}

/// Why frames fell off the accepted chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retract {
    /// A later round carried a shorter chain.
    RoundChange,
    /// The set decided another branch.
    Decided,
    /// The leader of the frames signed two histories.
    Equivocation,
}

impl Retract {
    /// The word shown to users.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundChange => "round_change",
            Self::Decided => "leader_lost",
            Self::Equivocation => "equivocation",
        }
    }
}

/// Something to do. The order binds: what is to be persisted comes before the messages that rely on it.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "passed on by value once; no allocation for each vote"
)]
pub enum Output {
    /// Append to the write-ahead log.
    Wal(Vec<u8>),
    /// Empty the write-ahead log: a new height begins.
    WalReset,
    /// Append to the sign guard of the keys in force.
    Guard(Intent),
    /// From here on these of the own keys are in force, with their own guard.
    Keys(usize),
    /// Another set is in force from the next height on.
    Epoch {
        /// The set.
        epoch: Arc<Epoch>,
        /// Own index in it, if any.
        index: Option<u16>,
    },
    /// Append a frame to the frame log.
    Store(Arc<Frame>),
    /// Answer with `Input::Durable` when everything above is on disk.
    Durable(u64),
    /// Send a message.
    Send {
        /// To whom.
        to: To,
        /// What.
        message: Message,
        /// Whether everything above must be on disk first.
        durable: bool,
    },
    /// A frame joined the accepted chain.
    Accepted {
        /// The frame.
        frame: Arc<Frame>,
        /// Value id of the height that it closes.
        closed: Option<B256>,
        /// How much can be insured on top of the accepted chain.
        room: Room,
    },
    /// Frames above `g` fell off the accepted chain.
    Rewound {
        /// Position that is still there.
        g: u64,
        /// Why.
        reason: Retract,
    },
    /// More than two thirds stored the chain up to here.
    Acked {
        /// Position.
        g: u64,
        /// Stake, gwei.
        weight: u64,
        /// A certificate, if one position has enough acks by itself.
        certificate: Option<AckCert>,
    },
    /// A height is decided.
    Decided(Box<Decided>),
    /// Give executed transactions for the next frame as soon as there are some.
    TakeTxs,
    /// These were taken and will not be framed here: put them back.
    ReturnTxs(Vec<Arc<Tx>>),
    /// This replica began or ceased to lead.
    Leading(bool),
    /// Ask a peer.
    Ask {
        /// Whom.
        to: PeerNo,
        /// What.
        request: Request,
    },
    /// A round began.
    Round {
        /// Height.
        height: u64,
        /// Round.
        round: u32,
        /// Its leader.
        leader: u16,
    },
    /// A peer sent something wrong.
    Fault {
        /// Who.
        peer: PeerNo,
        /// What was wrong.
        what: String,
    },
    /// Proof that a validator signed things that exclude each other, which the contract accepts too.
    Evidence(Box<Evidence>),
    /// A validator signed two things that exclude each other.
    Misbehaved {
        /// Epoch of the set.
        epoch: u64,
        /// Who, by index in that set.
        validator: u16,
        /// What.
        what: &'static str,
    },
}
