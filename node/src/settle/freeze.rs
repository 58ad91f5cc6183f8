//! When to freeze the set of the next epoch. No IO, no clock.
//!
//! Anyone may, and the first counts; members take turns so that the others save their gas. Without it the set in force
//! goes on. Invariant: only the epoch after the present one, once, and early enough to be final before it begins.

use rota_l1::FrozenSets;

/// L1 blocks that each next member waits for the ones before.
const STAGGER: u64 = 2;

/// The epoch to freeze at this L1 head by the member with this rank, if it is time.
#[must_use]
pub(super) fn due(frozen: &FrozenSets, head: u64, rank: u64) -> Option<u64> {
    let present = frozen.current(head);
    let next = present.checked_add(1)?;
    let began = frozen.base?.checked_add(present.checked_mul(frozen.epoch_blocks)?)?;
    // What is asked for in an epoch counts two later: there is nothing to wait for but the block before.
    let wait = frozen.epoch_blocks / 16;
    let turn = rank.saturating_mul(STAGGER).min(frozen.epoch_blocks / 4);
    let time = head >= began.saturating_add(wait).saturating_add(turn);
    (time && !frozen.epochs.contains(&next)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_epoch_is_frozen_once_by_one_after_the_other() {
        let mut frozen = FrozenSets { base: Some(1_000), epoch_blocks: 100, epochs: vec![0] };
        let first =
            |frozen: &FrozenSets, rank| (0..3_000).find(|n| due(frozen, *n, rank).is_some());
        assert_eq!(
            [0, 1, 5, 63].map(|rank| first(&frozen, rank)),
            [1_006, 1_008, 1_016, 1_031].map(Some)
        );
        assert_eq!(due(&frozen, 1_099, 0), Some(1));
        // Nobody did: the next one is for the epoch after.
        assert_eq!((due(&frozen, 1_100, 0), due(&frozen, 1_125, 0)), (None, Some(2)));
        frozen.epochs.push(2);
        assert_eq!((due(&frozen, 1_130, 0), due(&frozen, 1_206, 0)), (None, Some(3)));
        assert_eq!(due(&FrozenSets::default(), 1_000, 0), None, "set 0 is nobody's turn");
    }
}
