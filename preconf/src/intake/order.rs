//! The two orders of the queue: which goes first, and which gives way first.

use alloy_primitives::Address;
use std::cmp::Reverse;

/// Sorts the next transaction of each sender: highest tip first, then first come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) tip: Reverse<u128>,
    pub(super) order: u64,
    pub(super) sender: Address,
}

/// Sorts transactions behind a gap: lowest tip first, then the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cheapest {
    pub(super) tip: u128,
    pub(super) order: Reverse<u64>,
    pub(super) sender: Address,
    pub(super) nonce: u64,
}
