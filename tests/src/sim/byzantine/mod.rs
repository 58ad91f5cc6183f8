//! Members that do not follow the rules. A Byzantine member is a real node with the real keys of its place in the
//! set; what leaves it is rewritten, dropped, delayed, repeated or invented, for each peer by itself.
//!
//! Not for: breaking signatures or the transport's identities, which no stake allows.

mod cast;
mod craft;
mod flood;
mod forget;
mod fork;
mod impostor;
mod puppet;
mod replay;
mod split_acks;
mod status;
mod successor;
mod twins;
mod vote_twice;
mod withhold;

pub(super) use cast::{Cast, Errand, Scene};

use alloy_primitives::B256;
use cast::Cx;
use rota_consensus::Synced;
use rota_preconf::Frame;
use rota_types::wire::{Message, Request, Response};
use std::sync::Arc;

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
    /// Takes no newer L1 origin, as leader or from others, so that what L1 forces in would wait for ever.
    StallOrigin,
    /// Floods: garbage, far heights and rounds, terms and frames of the future.
    Flood,
    /// Repeats old messages, its own and those of others.
    Replay,
    /// Sends right messages under wrong names: index, epoch, key, network.
    Impostor,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Self; 20] = [
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
        Self::StallOrigin,
        Self::Flood,
        Self::Replay,
        Self::Impostor,
    ];

    fn mask(self) -> Box<dyn Mask> {
        match self {
            Self::Twins => Box::new(twins::Twins::default()),
            Self::ForkFrames => Box::new(fork::Fork::frames()),
            Self::ForkClose => Box::new(fork::Fork::close()),
            Self::ForkInit => Box::new(successor::Successor::new(successor::Way::Fork)),
            Self::DropTail => Box::new(successor::Successor::new(successor::Way::DropTail)),
            Self::CherryPick => Box::new(successor::Successor::new(successor::Way::Least)),
            Self::Naked => Box::new(successor::Successor::new(successor::Way::Naked)),
            Self::Withhold => Box::new(withhold::Withhold::default()),
            Self::Silent => Box::new(withhold::Silent),
            Self::StallOrigin => Box::new(withhold::StallOrigin),
            Self::SplitAcks => Box::new(split_acks::SplitAcks),
            Self::OmitStatus => Box::new(status::Lie::new(status::Way::Omit)),
            Self::HighStatus => Box::new(status::Lie::new(status::Way::High)),
            Self::GhostStatus => Box::new(status::Lie::new(status::Way::Ghost)),
            Self::BrokenStatus => Box::new(status::Lie::new(status::Way::Broken)),
            Self::VoteTwice => Box::new(vote_twice::VoteTwice::default()),
            Self::Forget => Box::new(forget::Forget),
            Self::Flood => Box::new(flood::Flood),
            Self::Replay => Box::new(replay::Replay::default()),
            Self::Impostor => Box::new(impostor::Impostor),
        }
    }
}

/// What becomes of one message to one peer.
#[expect(clippy::large_enum_variant, reason = "made and taken at once")]
enum Fate {
    Pass,
    Drop,
    Instead(Message),
}

/// How a request is answered.
enum Answer {
    /// As the real node would.
    Honest,
    /// Never.
    None,
    /// With this.
    This(Response),
}

/// Something that arrived.
enum Heard<'a> {
    Frame(&'a Arc<Frame>),
    Message(&'a Message),
}

/// One way of breaking the rules, around a real node.
trait Mask {
    /// Before a message of the real node goes out to its receivers one by one.
    fn prepare(&mut self, _: &mut Cx<'_>, _: &Message) {}
    /// What becomes of it towards one of them.
    fn send(&mut self, _: &mut Cx<'_>, _to: u16, _: &Message) -> Fate {
        Fate::Pass
    }
    /// Something arrived. Whether the real node gets it too.
    fn hear(&mut self, _: &mut Cx<'_>, _from: u16, _: &Heard<'_>) -> bool {
        true
    }
    /// How a request is answered.
    fn answer(&mut self, _: &mut Cx<'_>, _from: u16, _: &Request) -> Answer {
        Answer::Honest
    }
    /// A peer gave decided heights, their frames verified.
    fn told(&mut self, _: &mut Cx<'_>, _from: u16, _: &[Synced]) {}
    /// Every few milliseconds.
    fn act(&mut self, _: &mut Cx<'_>) {}
}

/// The frames from `from_g` to `tip` of some chain of frames.
fn part(frames: &[Arc<Frame>], from_g: u64, tip: &B256) -> Option<Response> {
    let end = frames.iter().position(|f| f.hash == *tip)?;
    let part = frames[..=end].iter().filter(|f| f.g() >= from_g);
    Some(Response::Frames(part.map(|f| (*f.signed).clone()).collect()))
}
