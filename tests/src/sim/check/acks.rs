//! Ack quorums and polkas, and whether what was acked is what comes of it (I-2, I-3, I-4).

use super::{
    facts::Guilt,
    tree::{Tip, Tree},
};
use crate::sim::sets::Roll;
use alloy_primitives::B256;
use rota_types::{Ack, Vote};
use std::collections::{BTreeMap, BTreeSet};

/// A prefix that more than two thirds acked at one height and round.
#[derive(Debug, Clone)]
pub(super) struct Quorum {
    height: u64,
    round: u32,
    tip: Tip,
    weight: u64,
    settled: bool,
}

/// An acked prefix that something decided, prevoted by a quorum or carried leaves out.
#[derive(Debug, Clone)]
pub(super) struct Reverted {
    quorum: Quorum,
    by: Tip,
    text: String,
}

#[derive(Debug, Default)]
pub(super) struct Acks {
    tips: BTreeMap<(u64, u32), BTreeMap<u16, Vec<Tip>>>,
    quorums: Vec<Quorum>,
    voters: BTreeMap<(u64, u32, B256), BTreeSet<u16>>,
    polkas: Vec<(u64, u32, B256, Tip)>,
    pub(super) reverted: Vec<Reverted>,
}

fn weight<'a>(set: &Roll, who: impl Iterator<Item = &'a u16>) -> u64 {
    who.map(|node| set.power(*node)).sum()
}

impl Acks {
    pub(super) fn ack(&mut self, tree: &Tree, set: &Roll, ack: &Ack) {
        let tip = (ack.g, ack.frame_hash);
        let place = self.tips.entry((ack.height, ack.round)).or_default();
        let own = place.entry(ack.signer).or_default();
        if own.contains(&tip) {
            return;
        }
        match own.last_mut() {
            Some(last) if tree.holds(*last, tip) == Some(true) => *last = tip,
            _ => own.push(tip),
        }
        let best = self.best(tree, set, (ack.height, ack.round));
        for (tip, weight) in best {
            self.quorum(tree, (ack.height, ack.round), tip, weight);
        }
    }

    /// Stake of all who acked this frame or one above it, at its height or, early or late, next to it.
    pub(super) fn stored(&self, tree: &Tree, set: &Roll, tip: Tip) -> u64 {
        let above = |tips: &&Vec<Tip>| tips.iter().any(|t| tree.holds(tip, *t) == Some(true));
        let height = tree.get(&tip.1).map_or(0, |f| f.height);
        let near = (height.saturating_sub(1), 0)..=(height.saturating_add(1), u32::MAX);
        let who: BTreeSet<u16> = self
            .tips
            .range(near)
            .flat_map(|(_, place)| {
                place.iter().filter(move |(_, tips)| above(tips)).map(|(i, _)| *i)
            })
            .collect();
        weight(set, who.iter())
    }

    /// The highest prefixes that more than two thirds acked at a height and round.
    fn best(&self, tree: &Tree, set: &Roll, place: (u64, u32)) -> Vec<(Tip, u64)> {
        let Some(place) = self.tips.get(&place) else { return Vec::new() };
        let mut candidates: Vec<Tip> = place.values().flatten().copied().collect();
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        candidates.dedup();
        let mut out: Vec<(Tip, u64)> = Vec::new();
        for tip in candidates {
            if out.iter().any(|(high, _)| tree.holds(tip, *high) == Some(true)) {
                continue;
            }
            let above = |tips: &&Vec<Tip>| tips.iter().any(|t| tree.holds(tip, *t) == Some(true));
            let who = place.iter().filter(|(_, tips)| above(tips)).map(|(i, _)| i);
            let weight = weight(set, who);
            if set.is_quorum(weight) {
                out.push((tip, weight));
            }
        }
        out
    }

    fn quorum(&mut self, tree: &Tree, (height, round): (u64, u32), tip: Tip, weight: u64) {
        let at = self.quorums.iter().rposition(|q| {
            (q.height, q.round) == (height, round) && tree.holds(q.tip, tip) == Some(true)
        });
        let quorum = Quorum { height, round, tip, weight, settled: false };
        match at {
            Some(i) if self.quorums[i].tip == tip => {
                self.quorums[i].weight = self.quorums[i].weight.max(weight);
                return;
            }
            Some(i) if !self.quorums[i].settled => self.quorums[i] = quorum.clone(),
            _ => self.quorums.push(quorum.clone()),
        }
        for (h, r, _, close) in self.polkas.clone() {
            if h == height && r >= round {
                self.compare(tree, &quorum, close, "a polka");
            }
        }
    }

    pub(super) fn prevote(&mut self, tree: &Tree, set: &Roll, signer: u16, vote: &Vote) {
        let place = (vote.height, vote.round, vote.value_id);
        let voters = self.voters.entry(place).or_default();
        let before = weight(set, voters.iter());
        voters.insert(signer);
        if set.is_quorum(before) || !set.is_quorum(weight(set, voters.iter())) {
            return;
        }
        let Some(named) = tree.value(&vote.value_id) else { return };
        let close = named.tip;
        self.polkas.push((vote.height, vote.round, vote.value_id, close));
        let quorums = self.quorums.clone();
        for q in quorums.iter().filter(|q| q.height == vote.height && q.round <= vote.round) {
            self.compare(tree, q, close, "a polka");
        }
    }

    pub(super) fn has_polka(&self, height: u64, round: u32, value: &B256) -> bool {
        self.polkas.iter().any(|(h, r, v, _)| (*h, *r, v) == (height, round, value))
    }

    /// A TermInit of a later round that correct nodes rely on.
    pub(super) fn carried(&mut self, tree: &Tree, (height, round): (u64, u32), carry: Tip) {
        let quorums = self.quorums.clone();
        for q in quorums.iter().filter(|q| q.height == height && q.round < round) {
            self.compare(tree, q, carry, "a carry");
            // A carry that stops below the acked tip, in the same height, leaves it out too.
            if carry.0 < q.tip.0 && !tree.get(&carry.1).is_some_and(|f| f.close) {
                self.revert(q, carry, "a shorter carry");
            }
        }
    }

    fn compare(&mut self, tree: &Tree, q: &Quorum, other: Tip, what: &str) {
        if tree.compatible(q.tip, other) == Some(false) {
            self.revert(q, other, what);
        }
    }

    fn revert(&mut self, q: &Quorum, by: Tip, what: &str) {
        if !self.reverted.iter().any(|r| r.quorum.tip == q.tip) {
            let text = format!("acked {:?} at {}/{}, {what}: {by:?}", q.tip, q.height, q.round);
            self.reverted.push(Reverted { quorum: q.clone(), by, text });
        }
    }

    /// A node that said "acked" and then lost the frame.
    pub(super) fn fell(&mut self, place: (u64, u32), tip: Tip, weight: u64, by: Tip) {
        let q = Quorum { height: place.0, round: place.1, tip, weight, settled: false };
        self.revert(&q, by, "a retreat");
    }

    /// Compares with what is decided up to position `top`.
    pub(super) fn decided(&mut self, frames: &BTreeMap<u64, B256>) {
        let Some((top, _)) = frames.last_key_value() else { return };
        let mut lost = Vec::new();
        for q in self.quorums.iter_mut().filter(|q| !q.settled && q.tip.0 <= *top) {
            q.settled = true;
            let there = frames.get(&q.tip.0).copied().unwrap_or_default();
            if there != q.tip.1 {
                lost.push((q.clone(), (q.tip.0, there)));
            }
        }
        lost.iter().for_each(|(q, by)| self.revert(q, *by, "the decision"));
    }

    /// I-2, I-3, I-4: what was reverted must be somebody's provable doing, and of enough stake. Gives the
    /// name of the broken invariant.
    pub(super) fn judge(
        &self,
        tree: &Tree,
        set: &dyn Fn(u64) -> Roll,
        guilt: &[Guilt],
        leaders: &BTreeMap<(u64, u32), u16>,
    ) -> Option<(&'static str, String)> {
        let roll = |r: &Reverted| set(r.quorum.height);
        self.reverted.iter().find_map(|r| judge_one(r, tree, &roll(r), guilt, leaders))
    }
}

fn judge_one(
    r: &Reverted,
    tree: &Tree,
    set: &Roll,
    guilt: &[Guilt],
    leaders: &BTreeMap<(u64, u32), u16>,
) -> Option<(&'static str, String)> {
    let q = &r.quorum;
    let mut accused: BTreeSet<u16> =
        leaders.get(&(q.height, q.round)).copied().into_iter().collect();
    accused.extend(tree.get(&q.tip.1).map(|f| f.leader));
    if let Some((ours, theirs)) = tree.fork(q.tip, r.by)
        && ours.term == theirs.term
    {
        accused.insert(ours.leader);
    }
    let proves = |g: &&Guilt| g.what.of_leader() && accused.contains(&g.who);
    let guilty: BTreeSet<u16> = guilt.iter().filter(proves).map(|g| g.who).collect();
    if guilty.is_empty() {
        let any = guilt.is_empty();
        let name = if any { "I-2" } else { "I-3" };
        return Some((name, format!("{}; nothing shows who did it", r.text)));
    }
    let all: BTreeSet<u16> = guilt.iter().map(|g| g.who).collect();
    let (total, slashable) = (set.total(), weight(set, all.iter()));
    // Whole gwei; two thirds rounded up never asks for more than the acks show.
    let above = q.weight.saturating_sub(total.saturating_mul(2).div_ceil(3));
    (slashable < above).then(|| ("I-4", format!("{}; {slashable} of {above} slashable", r.text)))
}
