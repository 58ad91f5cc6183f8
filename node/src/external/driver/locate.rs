//! The newest block that the client's chain and ours have in common.
//!
//! Invariant: two chains with the same first block are equal up to one number and different above it, so halving finds
//! it; the client's head is tried first, which is enough after every ordinary restart.

use super::Chain;
use crate::external::Mark;
use alloy_primitives::B256;

#[derive(Debug)]
pub(super) struct Locate {
    /// The client's first block, until it was compared.
    genesis: Option<B256>,
    /// Equal here.
    low: u64,
    /// Different, or beyond the client's head, here.
    high: u64,
    /// The last answer.
    told: Option<(u64, Option<B256>)>,
}

pub(super) enum Step {
    Ask(u64),
    Found(Mark),
    /// Not even the first block is the same.
    Other(B256),
}

impl Locate {
    pub(super) const fn new(genesis: B256, latest: u64) -> Self {
        Self { genesis: Some(genesis), low: 0, high: latest.saturating_add(1), told: None }
    }

    /// Of a client whose first block is ours: at most this number.
    pub(super) const fn below(number: u64) -> Self {
        Self { genesis: None, low: 0, high: number.saturating_add(1), told: None }
    }

    pub(super) const fn answer(&mut self, number: u64, hash: Option<B256>) {
        self.told = Some((number, hash));
    }

    pub(super) fn next(&mut self, chain: &dyn Chain) -> Step {
        if let Some(theirs) = self.genesis.take()
            && theirs != chain.genesis()
        {
            return Step::Other(theirs);
        }
        let first = self.told.is_none();
        if let Some((number, theirs)) = self.told {
            match chain.hash(number) {
                Some(ours) if theirs == Some(ours) => self.low = self.low.max(number),
                _ => self.high = self.high.min(number),
            }
        }
        // What lies above our own head is not known to be different: it is not asked for.
        self.high = self.high.min(chain.target().head.number.saturating_add(1));
        // A chain that has become shorter meanwhile.
        self.low = self.low.min(self.high.saturating_sub(1));
        let (low, newest) = (self.low, self.high.saturating_sub(1));
        if low >= newest {
            let hash = chain.hash(low).unwrap_or_else(|| chain.genesis());
            return Step::Found(Mark { number: low, hash });
        }
        Step::Ask(if first {
            newest
        } else {
            low.saturating_add(newest.saturating_sub(low).div_ceil(2))
        })
    }
}
