//! Where the insured amounts of a chain stand, and how much the next frame may add (`docs/insurance.md`, "Caps").
//!
//! Not for: the arithmetic of the caps (`rota_types`), and not for the price.
//! Invariant (I-21): a pure function of the frames and their set, so every node gives the same; only a frame that
//! adds an amount can be too much, so the caps never stop the log.

use rota_types::{drained, leader_cap, set_cap};

/// What a height inherits from the heights before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insured {
    /// The set's insured total after the height before, wei.
    pub total: u128,
    /// Insured in the height before, wei: it may be undecided still.
    pub before: u128,
    /// Least stake among those who led frames of the height before, gwei; `u64::MAX` for nobody.
    pub least_gwei: u64,
}

impl Default for Insured {
    fn default() -> Self {
        Self { total: 0, before: 0, least_gwei: u64::MAX }
    }
}

impl Insured {
    /// The set's total `l1_blocks` later.
    #[must_use]
    pub const fn drained(&self, set_gwei: u64, l1_blocks: u64) -> u128 {
        drained(self.total, set_cap(set_gwei), l1_blocks)
    }
}

/// How much one leader can still insure, wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Epoch of the leader's set.
    pub epoch: u64,
    /// Index of the leader.
    pub leader: u16,
    /// What the least stake among the leaders of the frames that may be undecided covers.
    pub leader_cap: u128,
    /// Insured on those frames.
    pub leader_used: u128,
    /// What the set may have insured.
    pub set_cap: u128,
    /// The set's insured total.
    pub set_used: u128,
}

impl Room {
    /// The room under stakes of `least_gwei` and `set_gwei`, with these amounts insured.
    #[must_use]
    pub const fn new(place: (u64, u16), least: (u64, u128), set: (u64, u128)) -> Self {
        Self {
            epoch: place.0,
            leader: place.1,
            leader_cap: leader_cap(least.0),
            leader_used: least.1,
            set_cap: set_cap(set.0),
            set_used: set.1,
        }
    }
    /// What the leader's cap leaves.
    #[must_use]
    pub const fn leader_free(&self) -> u128 {
        self.leader_cap.saturating_sub(self.leader_used)
    }
    /// What the set's cap leaves.
    #[must_use]
    pub const fn set_free(&self) -> u128 {
        self.set_cap.saturating_sub(self.set_used)
    }
    /// What both leave.
    #[must_use]
    pub fn free(&self) -> u128 {
        self.leader_free().min(self.set_free())
    }
}
