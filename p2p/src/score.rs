//! How much a peer has misbehaved, and until when it is shut out.
//!
//! Not for: deciding what counts as a fault (readers and the application do) or closing connections
//! (the driver does). Invariant: sans-IO; the caller brings the time; at most
//! [`ScorePolicy::max_tracked`] peers are remembered, and a banned peer is forgotten last.

use std::collections::BTreeMap;

use libp2p::PeerId;

/// What a peer did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerFault {
    /// Bytes that do not decode, or a message on a lane it does not belong to.
    Garbage,
    /// A length above the bound of its lane, topic or protocol.
    Oversized,
    /// It runs another chain or another generation of ours.
    WrongNetwork,
    /// More messages, streams or requests than it is allowed.
    Flood,
    /// A signature that does not verify. Reported by the application.
    InvalidSignature,
    /// A frame that breaks the rules of the log. Reported by the application.
    BadFrame,
    /// A hello that no correct node sends.
    BadHandshake,
    /// A response that does not answer the request. Reported by the application.
    BadResponse,
    /// No answer within the deadline: weak evidence, it may be the network.
    Timeout,
}

impl PeerFault {
    /// Points added to the peer's score; [`ScorePolicy::threshold`] is 100 by default.
    #[must_use]
    pub const fn weight(self) -> u32 {
        match self {
            Self::WrongNetwork => 100,
            Self::InvalidSignature | Self::BadFrame => 50,
            Self::Garbage | Self::Oversized => 40,
            Self::BadHandshake | Self::BadResponse => 20,
            Self::Flood => 5,
            Self::Timeout => 2,
        }
    }
}

/// When a peer is banned and how fast it is forgiven.
#[derive(Debug, Clone)]
pub struct ScorePolicy {
    /// Points at which a peer is banned.
    pub threshold: u32,
    /// Points forgiven per second.
    pub decay_per_second: u32,
    /// Length of the first ban in milliseconds; each further ban doubles it, 64 times at most.
    pub ban_ms: u64,
    /// Peers remembered at most.
    pub max_tracked: usize,
}

impl Default for ScorePolicy {
    fn default() -> Self {
        Self { threshold: 100, decay_per_second: 1, ban_ms: 30_000, max_tracked: 4_096 }
    }
}

/// What a report led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The peer stays; its points after the report.
    Tolerated(u32),
    /// The peer is to be disconnected and refused until this time (milliseconds).
    Banned(u64),
}

#[derive(Debug, Clone, Copy, Default)]
struct Record {
    /// Thousandths of a point, so that slow decay is not rounded away.
    milli: u64,
    at_ms: u64,
    banned_until_ms: u64,
    bans: u32,
}

impl Record {
    fn decayed(&self, now_ms: u64, per_second: u32) -> u64 {
        // One point per second is one thousandth of a point per millisecond.
        let forgiven = now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(per_second));
        self.milli.saturating_sub(forgiven)
    }
}

/// The scores of all peers.
#[derive(Debug)]
pub struct ScoreBook {
    policy: ScorePolicy,
    records: BTreeMap<PeerId, Record>,
}

impl ScoreBook {
    /// An empty book.
    #[must_use]
    pub const fn new(policy: ScorePolicy) -> Self {
        Self { policy, records: BTreeMap::new() }
    }

    /// Adds `fault` to the account of `peer`.
    pub fn report(&mut self, now_ms: u64, peer: PeerId, fault: PeerFault) -> Verdict {
        if !self.records.contains_key(&peer) {
            self.make_room(now_ms);
        }
        let decay = self.policy.decay_per_second;
        let record = self.records.entry(peer).or_default();
        let added = u64::from(fault.weight()).saturating_mul(1_000);
        record.milli = record.decayed(now_ms, decay).saturating_add(added);
        record.at_ms = now_ms;
        if record.banned_until_ms > now_ms {
            return Verdict::Banned(record.banned_until_ms);
        }
        let points = u32::try_from(record.milli / 1_000).unwrap_or(u32::MAX);
        if points < self.policy.threshold {
            return Verdict::Tolerated(points);
        }
        let length = self.policy.ban_ms.saturating_mul(1_u64 << record.bans.min(6));
        record.bans = record.bans.saturating_add(1);
        record.banned_until_ms = now_ms.saturating_add(length);
        // Half of the threshold stays: a peer that returns unchanged is banned sooner and longer.
        record.milli = u64::from(self.policy.threshold).saturating_mul(500);
        record.at_ms = record.banned_until_ms;
        Verdict::Banned(record.banned_until_ms)
    }

    /// Whether `peer` is shut out at `now_ms`.
    #[must_use]
    pub fn is_banned(&self, now_ms: u64, peer: &PeerId) -> bool {
        self.records.get(peer).is_some_and(|r| r.banned_until_ms > now_ms)
    }

    /// The points of `peer` after decay; 0 for an unknown peer.
    #[must_use]
    pub fn points(&self, now_ms: u64, peer: &PeerId) -> u32 {
        self.records.get(peer).map_or(0, |r| {
            u32::try_from(r.decayed(now_ms, self.policy.decay_per_second) / 1_000)
                .unwrap_or(u32::MAX)
        })
    }

    /// All peers shut out at `now_ms`.
    #[must_use]
    pub fn banned(&self, now_ms: u64) -> Vec<PeerId> {
        let shut = self.records.iter().filter(|(_, r)| r.banned_until_ms > now_ms);
        shut.map(|(peer, _)| *peer).collect()
    }

    /// Forgets the forgiven, then the least guilty that is not banned, then anyone.
    fn make_room(&mut self, now_ms: u64) {
        if self.records.len() < self.policy.max_tracked {
            return;
        }
        let decay = self.policy.decay_per_second;
        self.records.retain(|_, r| r.banned_until_ms > now_ms || r.decayed(now_ms, decay) > 0);
        while self.records.len() >= self.policy.max_tracked.max(1) {
            let mildest = self
                .records
                .iter()
                .min_by_key(|(_, r)| (r.banned_until_ms > now_ms, r.decayed(now_ms, decay)))
                .map(|(peer, _)| *peer);
            let Some(peer) = mildest else { return };
            self.records.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(max_tracked: usize) -> ScoreBook {
        ScoreBook::new(ScorePolicy { max_tracked, ..ScorePolicy::default() })
    }

    #[test]
    fn points_add_up_to_a_ban_that_ends() {
        let (mut book, peer) = (book(8), PeerId::random());
        assert_eq!(book.report(0, peer, PeerFault::Garbage), Verdict::Tolerated(40));
        assert_eq!(book.report(0, peer, PeerFault::Garbage), Verdict::Tolerated(80));
        assert_eq!(book.report(0, peer, PeerFault::Garbage), Verdict::Banned(30_000));
        assert!(book.is_banned(29_999, &peer));
        assert!(!book.is_banned(30_000, &peer));
        assert_eq!(book.banned(1), vec![peer]);
    }

    #[test]
    fn time_forgives() {
        let (mut book, peer) = (book(8), PeerId::random());
        book.report(0, peer, PeerFault::Garbage);
        assert_eq!(book.points(500, &peer), 39, "decay is not rounded away");
        assert_eq!(book.points(10_000, &peer), 30);
        assert_eq!(book.points(40_000, &peer), 0);
        assert_eq!(book.report(40_000, peer, PeerFault::Garbage), Verdict::Tolerated(40));
    }

    #[test]
    fn a_second_ban_is_longer() {
        let (mut book, peer) = (book(8), PeerId::random());
        assert_eq!(book.report(0, peer, PeerFault::WrongNetwork), Verdict::Banned(30_000));
        assert_eq!(book.report(30_000, peer, PeerFault::WrongNetwork), Verdict::Banned(90_000));
    }

    #[test]
    fn reports_during_a_ban_do_not_extend_it() {
        let (mut book, peer) = (book(8), PeerId::random());
        book.report(0, peer, PeerFault::WrongNetwork);
        assert_eq!(book.report(10, peer, PeerFault::Garbage), Verdict::Banned(30_000));
    }

    #[test]
    fn the_book_is_bounded_and_keeps_the_banned() {
        let mut book = book(4);
        let banned = PeerId::random();
        book.report(0, banned, PeerFault::WrongNetwork);
        for _ in 0..50 {
            book.report(0, PeerId::random(), PeerFault::Timeout);
        }
        assert_eq!(book.records.len(), 4);
        assert!(book.is_banned(1, &banned));
    }
}
