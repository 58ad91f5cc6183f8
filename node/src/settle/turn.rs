//! Whose turn it is to post. No IO, no clock.
//!
//! Anyone may post and the first accepted wins; the turn only saves the others their gas. Invariant: a batch
//! of garbage does not give its poster another head start: only a usable one starts the waiting anew.

use super::inbox::InboxState;
use rota_types::Millis;

/// How the validators take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// This validator's index in the set; none outside of it.
    pub index: Option<u64>,
    /// Size of the set.
    pub validators: u64,
    /// L1 blocks between batches.
    pub every_blocks: u64,
    /// Further L1 blocks that each next validator waits for the ones before.
    pub stagger_blocks: u64,
    /// If L1 blocks are slow: time between batches, and for each next validator as much again.
    pub max_wait_ms: Millis,
}

impl Turn {
    /// Every two L1 blocks, or 30 s.
    #[must_use]
    pub const fn new(index: u64, validators: u64) -> Self {
        Self::of(Some(index), validators)
    }

    /// After every validator of a set.
    #[must_use]
    pub const fn last(validators: u64) -> Self {
        Self::of(None, validators)
    }

    const fn of(index: Option<u64>, validators: u64) -> Self {
        Self { index, validators, every_blocks: 2, stagger_blocks: 2, max_wait_ms: 30_000 }
    }

    /// 0 for the validator whose turn it is, 1 for the next one, and so on.
    #[must_use]
    pub fn rank(&self, batches: u64) -> u64 {
        let n = self.validators.max(1);
        let turn = batches.checked_rem(n).unwrap_or(0);
        let Some(index) = self.index.and_then(|i| i.checked_rem(n)) else { return n };
        index.saturating_add(n).saturating_sub(turn).checked_rem(n).unwrap_or(0)
    }
}

/// Since when heights wait to be posted on top of a derivable tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    usable: u64,
    block: u64,
    since_ms: Millis,
}

impl Waiting {
    /// Looks at the inbox; `before` is what this gave last time. None while there is nothing to post.
    #[must_use]
    pub fn look(
        before: Option<Self>,
        seen: &InboxState,
        decided: u64,
        now: Millis,
    ) -> Option<Self> {
        let head = seen.head.as_ref()?.number;
        if decided <= seen.usable {
            return None;
        }
        let same = before.filter(|w| w.usable == seen.usable && w.block <= head);
        Some(same.unwrap_or(Self { usable: seen.usable, block: head, since_ms: now }))
    }

    /// Whether this validator should post now.
    #[must_use]
    pub fn is_due(&self, turn: &Turn, seen: &InboxState, now: Millis) -> bool {
        let Some(head) = &seen.head else { return false };
        let rank = turn.rank(seen.batches);
        let blocks = turn.every_blocks.saturating_add(rank.saturating_mul(turn.stagger_blocks));
        let time = turn.max_wait_ms.saturating_mul(rank.saturating_add(1));
        head.number >= self.block.saturating_add(blocks)
            || now >= self.since_ms.saturating_add(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use rota_l1::L1Block;

    fn seen(number: u64, usable: u64, batches: u64) -> InboxState {
        let block = L1Block {
            number,
            hash: B256::ZERO,
            parent_hash: B256::ZERO,
            timestamp: 0,
            prev_randao: B256::ZERO,
        };
        InboxState { head: Some(block), usable, accepted: usable, batches, ..Default::default() }
    }

    #[test]
    fn each_batch_makes_it_the_next_ones_turn() {
        let ranks = |batches| (0..4).map(|i| Turn::new(i, 4).rank(batches)).collect::<Vec<_>>();
        assert_eq!(ranks(0), [0, 1, 2, 3]);
        assert_eq!(ranks(1), [3, 0, 1, 2]);
        assert_eq!(ranks(7), [1, 2, 3, 0]);
        assert_eq!(Turn::new(0, 0).rank(3), 0);
        assert_eq!(Turn::last(4).rank(3), 4, "who is in no set lets all others go first");
    }

    #[test]
    fn others_wait_two_blocks_each_and_slow_blocks_are_not_waited_for() {
        let waiting = Waiting::look(None, &seen(10, 5, 0), 6, 0).unwrap();
        let due_at = |index| {
            let turn = Turn::new(index, 4);
            (10..40).find(|n| waiting.is_due(&turn, &seen(*n, 5, 0), 0)).unwrap()
        };
        assert_eq!([due_at(0), due_at(1), due_at(3)], [12, 14, 18]);
        let late = |index, now| waiting.is_due(&Turn::new(index, 4), &seen(10, 5, 0), now);
        assert!(!late(0, 29_999) && late(0, 30_000) && !late(1, 30_000) && late(1, 60_000));
    }

    #[test]
    fn only_a_usable_batch_starts_the_waiting_anew() {
        let waiting = Waiting::look(None, &seen(10, 5, 0), 6, 0);
        let garbage = InboxState { accepted: 6, ..seen(12, 5, 0) };
        assert_eq!(Waiting::look(waiting, &garbage, 9, 50), waiting);
        assert_ne!(Waiting::look(waiting, &seen(12, 6, 1), 9, 50), waiting);
        assert_eq!(Waiting::look(waiting, &seen(12, 9, 1), 9, 50), None);
        assert_eq!(Waiting::look(None, &InboxState::default(), 9, 0), None);
    }
}
