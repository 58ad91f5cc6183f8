//! What is missing here, and of whom it was asked.
//!
//! Whoever named a thing is asked first; each further time it is asked of another validator, so that one who
//! names what it will not give stops nobody.
//! Invariant (I-26): a bounded number of questions, each asked a bounded number of times.

use super::{Output, PeerNo, Replica};
use alloy_primitives::B256;
use rota_preconf::Need;
use rota_types::{Millis, wire::Request};
use std::collections::{BTreeMap, BTreeSet};

/// Time before the same thing is asked of another one.
const ASK_AGAIN_MS: Millis = 250;
/// Open questions that one validator gave cause for.
const MAX_OPEN: usize = 48;
/// Times around the set before a question is given up; who still needs it asks anew.
const TURNS: u8 = 4;

#[derive(Debug, Default)]
pub(super) struct Asks {
    open: BTreeMap<B256, Ask>,
}

#[derive(Debug)]
struct Ask {
    need: Need,
    /// Who named it first.
    by: PeerNo,
    at: Millis,
    tried: BTreeSet<PeerNo>,
    turns: u8,
}

impl Asks {
    /// Whether this was asked and is still open.
    pub(super) fn has(&self, name: &B256) -> bool {
        self.open.contains_key(name)
    }
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.open.values().map(|a| a.at.saturating_add(ASK_AGAIN_MS)).min()
    }

    /// Notes a need; says whether `from`, who should have it, is to be asked now.
    fn note(&mut self, now: Millis, need: Need, from: PeerNo) -> bool {
        let name = name(&need);
        let of_one = || self.open.values().filter(|ask| ask.by == from).count();
        if !self.open.contains_key(&name) && of_one() >= MAX_OPEN {
            return false;
        }
        let fresh = || Ask { need, by: from, at: now, tried: BTreeSet::new(), turns: 0 };
        let ask = self.open.entry(name).or_insert_with(fresh);
        let new = ask.turns == 0 && ask.tried.insert(from);
        if new {
            ask.at = now;
        }
        new
    }

    fn due(&self, now: Millis) -> Vec<Need> {
        let due = |a: &&Ask| now >= a.at.saturating_add(ASK_AGAIN_MS);
        self.open.values().filter(due).map(|a| a.need).collect()
    }

    /// The next of `others` to ask; `None` if all were asked often enough.
    fn next(&mut self, now: Millis, need: &Need, others: &[PeerNo]) -> Option<PeerNo> {
        let ask = self.open.get_mut(&name(need))?;
        ask.at = now;
        let mut free = others.iter().copied();
        if let Some(next) = free.clone().find(|i| !ask.tried.contains(i)) {
            ask.tried.insert(next);
            return Some(next);
        }
        ask.turns = ask.turns.saturating_add(1);
        ask.tried.clear();
        if ask.turns >= TURNS {
            return None;
        }
        let first = free.next()?;
        ask.tried.insert(first);
        Some(first)
    }
}

const fn name(need: &Need) -> B256 {
    match need {
        Need::Frame(hash) | Need::Justification(hash) => *hash,
        Need::Origin(_) | Need::Lag(_) => B256::ZERO,
    }
}

impl Replica {
    /// Asks `from`, who named it, for what is missing.
    pub(super) fn ask_for(&mut self, now: Millis, from: PeerNo, need: Need, out: &mut Vec<Output>) {
        // An L1 block comes from L1.
        let of_peers = !matches!(need, Need::Origin(_) | Need::Lag(_));
        if of_peers && from != self.seats.me() && self.open.asks.note(now, need, from) {
            self.put_question(from, need, out);
        }
    }

    /// Asks the validator with this index in the set in force.
    pub(super) fn ask_member(
        &mut self,
        now: Millis,
        index: u16,
        need: Need,
        out: &mut Vec<Output>,
    ) {
        if let Some(peer) = self.peer(index) {
            self.ask_for(now, peer, need, out);
        }
    }

    fn put_question(&self, to: PeerNo, need: Need, out: &mut Vec<Output>) {
        let request = match need {
            Need::Frame(tip) => {
                let from_g = self.chain.base().base.g.saturating_add(1);
                Request::Frames { from_g, tip }
            }
            Need::Justification(reference) => {
                Request::Justification { height: self.height, reference }
            }
            Need::Origin(_) | Need::Lag(_) => return,
        };
        out.push(Output::Ask { to, request });
    }

    /// Asks others for what did not come.
    pub(super) fn ask_others(&mut self, now: Millis, out: &mut Vec<Output>) {
        let others = self.seats.others(self.epoch.number());
        for need in self.open.asks.due(now) {
            let here = match &need {
                Need::Frame(hash) => self.pool.path(&self.chain.base().base.hash, hash).is_ok(),
                Need::Justification(reference) => self.open.archive.get(reference).is_some(),
                Need::Origin(_) | Need::Lag(_) => true,
            };
            let to = if here { None } else { self.open.asks.next(now, &need, &others) };
            match to {
                Some(to) => self.put_question(to, need, out),
                None => drop(self.open.asks.open.remove(&name(&need))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_named_it_is_asked_first_and_then_everybody_in_turn() {
        let mut asks = Asks::default();
        let need = Need::Frame(B256::repeat_byte(1));
        let others = [PeerNo(1), PeerNo(2), PeerNo(3)];
        assert!(asks.note(0, need, PeerNo(2)));
        assert!(!asks.note(10, need, PeerNo(2)), "not twice");
        assert!(asks.note(20, need, PeerNo(3)), "who names it too is asked at once");
        assert!(asks.due(100).is_empty());
        assert_eq!(asks.due(270), vec![need]);
        assert_eq!(asks.next(270, &need, &others), Some(PeerNo(1)));
        assert_eq!(asks.next(520, &need, &others), Some(PeerNo(1)), "a new turn");
        let asked: Vec<PeerNo> =
            std::iter::from_fn(|| asks.next(800, &need, &others)).take(100).collect();
        assert!(asked.contains(&PeerNo(2)) && asked.contains(&PeerNo(3)));
        assert!(asked.len() < 12, "given up in the end");
    }

    #[test]
    fn questions_are_bounded() {
        let mut asks = Asks::default();
        for i in 0..1_000u64 {
            let hash = alloy_primitives::keccak256(i.to_be_bytes());
            asks.note(0, Need::Frame(hash), PeerNo(1));
        }
        assert_eq!(asks.open.len(), MAX_OPEN);
        assert!(asks.note(0, Need::Frame(B256::repeat_byte(2)), PeerNo(2)), "another one is heard");
    }
}
