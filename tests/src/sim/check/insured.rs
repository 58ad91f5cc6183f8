//! I-21: what correct nodes accept keeps both caps, counted again from the frames alone.

use crate::sim::sets::Sets;
use alloy_primitives::B256;
use rota_preconf::Frame;
use std::collections::{BTreeMap, BTreeSet};

const GWEI: u128 = 1_000_000_000;

/// An accepted frame, as far as insurance goes.
#[derive(Debug, Clone)]
struct Seen {
    prev: B256,
    epoch: u64,
    height: u64,
    leader: u16,
    added: u128,
    /// L1 block of the height, on its first frame.
    l1: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Insured {
    frames: BTreeMap<B256, Seen>,
    /// Total and L1 block of each height, by its CLOSE frame.
    ends: BTreeMap<B256, (u128, u64)>,
    /// Wei insured on frames that somebody accepted.
    pub(super) sum: u128,
}

impl Insured {
    /// Takes a frame that a correct node accepted.
    pub(super) fn accepted(&mut self, frame: &Frame, sets: &Sets) -> Result<(), String> {
        let h = &frame.signed.header;
        if self.frames.contains_key(&frame.hash) {
            return Ok(());
        }
        let body = &frame.signed.body;
        let added = body.insured.iter().sum();
        let seen = Seen {
            prev: h.prev_hash,
            epoch: h.epoch,
            height: h.height,
            leader: h.leader,
            added,
            l1: body.env.as_ref().map(|e| e.l1_number),
        };
        self.sum += added;
        self.frames.insert(frame.hash, seen);
        if added > 0 {
            self.leaders(frame, sets)?;
        }
        let total = self.total(frame, sets);
        if let (Some(close), Some((total, l1))) = (&body.close, total) {
            if close.insured_total != total {
                return Err(format!("g{} closes with {}, not {total}", h.g, close.insured_total));
            }
            self.ends.insert(frame.hash, (total, l1));
        }
        let cap = u128::from(sets.set(h.epoch).map_or(0, |s| s.total())) * GWEI * 8 / 10 / 6;
        match total {
            Some((total, _)) if added > 0 && total > cap => {
                Err(format!("the set has {total} of {cap} wei insured at g{}", h.g))
            }
            _ => Ok(()),
        }
    }

    /// The frames below this one, itself included.
    fn down(&self, from: B256) -> impl Iterator<Item = (B256, &Seen)> {
        std::iter::successors(self.frames.get(&from).map(|f| (from, f)), |(_, f)| {
            self.frames.get(&f.prev).map(|below| (f.prev, below))
        })
    }

    /// Whoever leads a frame that may be undecided covers all that is insured on those frames.
    fn leaders(&self, frame: &Frame, sets: &Sets) -> Result<(), String> {
        let h = &frame.signed.header;
        let near = |(_, f): &(B256, &Seen)| f.height + 1 >= h.height && f.epoch == h.epoch;
        let (mut sum, mut leaders) = (0, BTreeSet::new());
        for (_, seen) in self.down(frame.hash).take_while(near) {
            sum += seen.added;
            leaders.insert(seen.leader);
        }
        let stake = |i: &u16| sets.set(h.epoch).and_then(|s| s.get(*i)).map_or(0, |v| v.power());
        let least = leaders.iter().map(stake).min().unwrap_or(0);
        if sum > u128::from(least) * GWEI * 8 / 10 {
            return Err(format!("{sum} wei are insured up to g{} on {least} gwei", h.g));
        }
        Ok(())
    }

    /// The set's total after this frame, and the L1 block of its height; `None` without the height's first frame.
    fn total(&self, frame: &Frame, sets: &Sets) -> Option<(u128, u64)> {
        let h = &frame.signed.header;
        let mut sum = 0;
        let mut first = None;
        for (_, seen) in self.down(frame.hash).take_while(|(_, f)| f.height == h.height) {
            sum += seen.added;
            first = seen.l1.map(|l1| (l1, seen.prev));
        }
        let (l1, before) = first?;
        let cap = u128::from(sets.set(h.epoch)?.total()) * GWEI * 8 / 10 / 6;
        let (total, was) = match self.ends.get(&before) {
            Some(end) => *end,
            None if h.height == 1 => (0, l1),
            None => return None,
        };
        let released = cap * u128::from(l1 - was) / 96;
        Some((total.saturating_sub(released) + sum, l1))
    }
}
