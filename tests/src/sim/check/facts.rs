//! What every key signed, by content, and what of it could be held against the key.
//!
//! Compares content, never signatures: two signatures of one message are no offence.
//! Invariant: an offence is found whatever the order in which the two messages are seen.

use super::tree::{Tip, Tree};
use alloy_primitives::B256;
use rota_types::{
    Ack, Flags, FrameHeader, OffenceClass, Proposal, Status, Term, TermInit, Vote, VoteKind,
};
use std::collections::BTreeMap;

/// Offences by their names in the protocol's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// Two frames for one place of a term.
    E1a,
    /// Two TermInits for one round.
    E1b,
    /// A frame after TERM_END.
    E1c,
    /// Two frames in a row of a term that do not name each other.
    E1d,
    /// A proposal that names another CLOSE than its proposer signed.
    E1e,
    /// Two acks of one round on two branches.
    E2,
    /// Two reports for one round.
    E2b,
    /// An ack and a prevote of the same or an earlier round that exclude each other.
    E3,
    /// A report that leaves out what was acked or prevoted.
    E4,
    /// Two prevotes in one round.
    E5,
    /// Two precommits in one round.
    E6,
    /// Two proposals in one round.
    Proposals,
}

impl Offence {
    /// What it costs.
    pub(super) const fn class(self) -> OffenceClass {
        if self.of_leader() { OffenceClass::Equivocation } else { OffenceClass::Correlated }
    }

    /// Whether it is a leader's: two histories.
    pub(super) const fn of_leader(self) -> bool {
        matches!(self, Self::E1a | Self::E1b | Self::E1c | Self::E1d | Self::E1e)
    }
}

/// One key and what it can be accused of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guilt {
    pub(super) who: u16,
    pub(super) what: Offence,
    pub(super) text: String,
}

#[derive(Debug, Default)]
struct Signed {
    votes: BTreeMap<(u64, u32, u8), B256>,
    proposals: BTreeMap<(u64, u32), B256>,
    statuses: BTreeMap<(u64, u32), Status>,
    /// Newest ack of each round.
    acks: BTreeMap<(u64, u32), Tip>,
    places: BTreeMap<(Term, u32), (B256, B256, B256)>,
    at: BTreeMap<(Term, u64), B256>,
    ends: BTreeMap<Term, u32>,
    inits: BTreeMap<(u64, u32), B256>,
}

#[derive(Debug, Default)]
pub(super) struct Facts {
    keys: BTreeMap<u16, Signed>,
    pub(super) guilt: Vec<Guilt>,
}

/// Puts a content in its place; gives the other one if the place was taken by it.
fn put<K: Ord, V: Copy + PartialEq>(map: &mut BTreeMap<K, V>, place: K, content: V) -> Option<V> {
    let there = *map.entry(place).or_insert(content);
    (there != content).then_some(there)
}

impl Facts {
    fn accuse(&mut self, who: u16, what: Offence, text: String) {
        if !self.guilt.iter().any(|g| g.who == who && g.what == what) {
            self.guilt.push(Guilt { who, what, text });
        }
    }

    fn key(&mut self, who: u16) -> &mut Signed {
        self.keys.entry(who).or_default()
    }

    /// Whether a key prevoted a value at a height.
    pub(super) fn prevoted(&self, who: u16, height: u64, id: &B256) -> bool {
        let votes = self.keys.get(&who).map(|k| k.votes.range((height, 0, 0)..(height + 1, 0, 0)));
        votes.is_some_and(|mut v| v.any(|((_, _, kind), v)| *kind == 1 && v == id))
    }

    pub(super) fn frame(&mut self, h: &FrameHeader, hash: B256) {
        let who = h.leader;
        let key = self.key(who);
        key.at.entry((h.term, h.g)).or_insert(hash);
        let content = (hash, h.prev_hash, h.init_hash);
        let double = put(&mut key.places, (h.term, h.seq), content);
        let before = h.seq.checked_sub(1).and_then(|s| key.places.get(&(h.term, s)).copied());
        let after = key.places.get(&(h.term, h.seq + 1)).copied();
        if h.flags.has(Flags::TERM_END) {
            key.ends.entry(h.term).or_insert(h.seq);
        }
        let ended = key.ends.get(&h.term).is_some_and(|end| *end < h.seq)
            || h.flags.has(Flags::TERM_END) && after.is_some();
        let gap = before.is_some_and(|b| b.0 != h.prev_hash && b.2 == h.init_hash)
            || after.is_some_and(|a| a.1 != hash && a.2 == h.init_hash);
        let text = format!("frame g {} seq {} of {:?}: {hash}", h.g, h.seq, h.term);
        for (found, what) in [
            (double.is_some(), Offence::E1a),
            (ended, Offence::E1c),
            (gap && double.is_none(), Offence::E1d),
        ] {
            if found {
                self.accuse(who, what, text.clone());
            }
        }
    }

    pub(super) fn init(&mut self, init: &TermInit, hash: B256) {
        if put(&mut self.key(init.leader).inits, (init.height, init.round), hash).is_some() {
            self.accuse(init.leader, Offence::E1b, format!("{init:?}"));
        }
    }

    pub(super) fn proposal(&mut self, p: &Proposal, digest: B256, header: &rota_types::Header) {
        let key = self.key(p.proposer);
        let double = put(&mut key.proposals, (p.height, p.round), digest).is_some();
        let own = key.at.get(&(header.close.term, header.last_g)).copied();
        let lie = header.close.closer == p.proposer
            && p.pol_round < 0
            && own.is_some_and(|hash| hash != header.last_frame_hash);
        if double {
            self.accuse(p.proposer, Offence::Proposals, format!("{p:?}"));
        }
        if lie {
            self.accuse(p.proposer, Offence::E1e, format!("{p:?}"));
        }
    }

    pub(super) fn ack(&mut self, tree: &Tree, ack: &Ack) {
        let tip = (ack.g, ack.frame_hash);
        let place = (ack.height, ack.round);
        let key = self.key(ack.signer);
        let newest = *key.acks.entry(place).or_insert(tip);
        if tip.0 > newest.0 {
            key.acks.insert(place, tip);
        }
        let forked = tree.compatible(newest, tip) == Some(false);
        let votes: Vec<B256> = key
            .votes
            .range((ack.height, 0, 0)..=(ack.height, ack.round, u8::MAX))
            .filter(|((_, _, kind), id)| *kind == VoteKind::Prevote as u8 && !id.is_zero())
            .map(|(_, id)| *id)
            .collect();
        let reports: Vec<Status> = key
            .statuses
            .range((ack.height, ack.round.saturating_add(1))..=(ack.height, u32::MAX))
            .map(|(_, s)| s.clone())
            .collect();
        if forked {
            self.accuse(ack.signer, Offence::E2, format!("{ack:?} and {newest:?}"));
        }
        for id in votes {
            if tree.value(&id).and_then(|v| tree.compatible(v.tip, tip)) == Some(false) {
                self.accuse(ack.signer, Offence::E3, format!("{ack:?} and a prevote for {id}"));
            }
        }
        for report in reports {
            self.omission(tree, &report, ack.round, tip);
        }
    }

    pub(super) fn vote(&mut self, tree: &Tree, signer: u16, vote: &Vote) {
        let key = self.key(signer);
        let place = (vote.height, vote.round, vote.kind as u8);
        let other = put(&mut key.votes, place, vote.value_id);
        let prevote = vote.kind == VoteKind::Prevote;
        if let Some(other) = other {
            let what = if prevote { Offence::E5 } else { Offence::E6 };
            self.accuse(signer, what, format!("{vote:?} and {other}"));
        }
        let Some(named) = tree.value(&vote.value_id).filter(|_| prevote).copied() else { return };
        let key = self.key(signer);
        let acks: Vec<Tip> = key
            .acks
            .range((vote.height, vote.round)..=(vote.height, u32::MAX))
            .map(|(_, tip)| *tip)
            .collect();
        let reports: Vec<Status> = key
            .statuses
            .range((vote.height, vote.round.saturating_add(1))..=(vote.height, u32::MAX))
            .map(|(_, s)| s.clone())
            .collect();
        for tip in acks {
            if tree.compatible(named.tip, tip) == Some(false) {
                self.accuse(signer, Offence::E3, format!("{vote:?} and an ack of {tip:?}"));
            }
        }
        for report in reports {
            self.omission(tree, &report, vote.round, named.tip);
        }
    }

    pub(super) fn status(&mut self, tree: &Tree, status: &Status) {
        let key = self.key(status.signer);
        let place = (status.height, status.round);
        let there = key.statuses.entry(place).or_insert_with(|| status.clone()).clone();
        let range = (status.height, 0)..(status.height, status.round);
        let mut said: Vec<(u32, Tip)> =
            key.acks.range(range).map(|((_, round), tip)| (*round, *tip)).collect();
        let votes = key.votes.range((status.height, 0, 0)..(status.height, status.round, 0));
        said.extend(
            votes
                .filter(|((_, _, kind), _)| *kind == VoteKind::Prevote as u8)
                .filter_map(|((_, round, _), id)| Some((*round, tree.value(id)?.tip))),
        );
        if there != *status {
            self.accuse(status.signer, Offence::E2b, format!("{status:?} and {there:?}"));
        }
        for (round, tip) in said {
            self.omission(tree, status, round, tip);
        }
    }

    /// Whether `report` leaves out a chain that its signer acked or prevoted in `round`.
    fn omission(&mut self, tree: &Tree, report: &Status, round: u32, tip: Tip) {
        let best = u32::try_from(report.best_round).unwrap_or(0);
        let left_out = best < round
            || best == round && tree.holds(tip, (report.best_g, report.best_hash)) == Some(false);
        if left_out {
            let text = format!("{report:?} although {tip:?} in round {round}");
            self.accuse(report.signer, Offence::E4, text);
        }
    }
}
