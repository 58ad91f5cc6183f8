//! Members that do not follow the rules. A Byzantine member is a real node with the real keys of its place in the
//! set; what leaves it is rewritten, dropped, delayed, repeated or invented, for each peer by itself.
//!
//! Not for: breaking signatures or the transport's identities, which no stake allows.

/// What a Byzantine member does. One member may have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    /// Two processes with one key and separate sign guards, each heard by a changing part of the set.
    Twins,
    /// As leader, signs two histories of frames and shows one to some, the other to the rest, with proposals.
    ForkFrames,
    /// As leader, signs two CLOSE frames on one history and proposes the one that the listener does not have.
    ForkClose,
    /// As leader of a round above 0, opens its term twice with different reports.
    ForkInit,
    /// Shows frames to some only and answers no request.
    Withhold,
    /// As successor, carries less than its reports select.
    DropTail,
    /// As successor, waits for all reports and uses those that carry least.
    CherryPick,
    /// As leader of a round above 0, proposes what it likes without a TermInit.
    Naked,
    /// Acks different frames towards different peers.
    SplitAcks,
    /// Reports the base although it accepted and acked more.
    OmitStatus,
    /// Reports a high round that nothing justifies.
    HighStatus,
    /// Reports a frame that does not exist.
    GhostStatus,
    /// Reports a frame of its own that breaks the rules of the chain.
    BrokenStatus,
    /// Votes nil and for the value, or for two values, in one round.
    VoteTwice,
    /// Votes for whatever is proposed, against its lock.
    Forget,
    /// Says nothing.
    Silent,
    /// Floods: garbage, far heights and rounds, terms and frames of the future.
    Flood,
    /// Repeats old messages, its own and those of others.
    Replay,
    /// Sends right messages under wrong names: index, epoch, key, network.
    Impostor,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Twins,
        Self::ForkFrames,
        Self::ForkClose,
        Self::ForkInit,
        Self::Withhold,
        Self::DropTail,
        Self::CherryPick,
        Self::Naked,
        Self::SplitAcks,
        Self::OmitStatus,
        Self::HighStatus,
        Self::GhostStatus,
        Self::BrokenStatus,
        Self::VoteTwice,
        Self::Forget,
        Self::Silent,
        Self::Flood,
        Self::Replay,
        Self::Impostor,
    ];
}
