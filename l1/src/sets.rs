//! Which set is in force where.
//!
//! Not for: the members (`L1::validator_set`). Invariant: a set is frozen before its epoch starts, so the answer for an L1 block
//! is the same on every later block.

/// The epochs that have a set of their own, as of an L1 block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrozenSets {
    /// L1 block in which set 0 was frozen; none before.
    pub base: Option<u64>,
    /// L1 blocks of an epoch.
    pub epoch_blocks: u64,
    /// The frozen epochs, ascending.
    pub epochs: Vec<u64>,
}

impl FrozenSets {
    /// First L1 block of an epoch: 0 for epoch 0, none before set 0 is frozen.
    #[must_use]
    pub fn start(&self, epoch: u64) -> Option<u64> {
        let base = self.base?;
        let after = epoch.saturating_mul(self.epoch_blocks);
        Some(if epoch == 0 { 0 } else { base.saturating_add(after) })
    }

    /// The epoch that an L1 block lies in, whether it has a set of its own or not.
    #[must_use]
    pub fn current(&self, l1_number: u64) -> u64 {
        let Some(base) = self.base else { return 0 };
        l1_number.saturating_sub(base).checked_div(self.epoch_blocks).unwrap_or(0)
    }

    /// The frozen epoch in force at an L1 block: the greatest that starts at or before it.
    #[must_use]
    pub fn epoch_at(&self, l1_number: u64) -> u64 {
        let begun = |e: &&u64| self.start(**e).is_some_and(|s| s <= l1_number);
        self.epochs.iter().rev().find(begun).copied().unwrap_or(0)
    }

    /// L1 blocks `start..end` in which the set of a frozen epoch is in force; no end if no later one is frozen. None if the
    /// epoch is not frozen.
    #[must_use]
    pub fn in_force(&self, epoch: u64) -> Option<(u64, Option<u64>)> {
        let place = self.epochs.binary_search(&epoch).ok()?;
        let next = self.epochs.get(place.saturating_add(1));
        Some((self.start(epoch)?, next.and_then(|e| self.start(*e))))
    }

    /// Last epoch in which the set of a frozen epoch is or was in force, as of an L1 block; its own if it is not yet.
    #[must_use]
    pub fn last_use(&self, epoch: u64, l1_number: u64) -> Option<u64> {
        let place = self.epochs.binary_search(&epoch).ok()?;
        let current = self.current(l1_number);
        let next = self.epochs.get(place.saturating_add(1)).filter(|e| **e <= current);
        Some(next.map_or_else(|| current.max(epoch), |e| e.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_without_a_set_go_on_with_the_one_before() {
        let sets = FrozenSets { base: Some(1_000), epoch_blocks: 100, epochs: vec![0, 2, 5] };
        let at = |n| sets.epoch_at(n);
        assert_eq!([at(0), at(999), at(1_199), at(1_200), at(1_499)], [0, 0, 0, 2, 2]);
        assert_eq!([at(1_500), at(9_999)], [5, 5]);
        assert_eq!(sets.in_force(2), Some((1_200, Some(1_500))));
        assert_eq!(sets.in_force(5), Some((1_500, None)));
        assert_eq!(sets.in_force(3), None);
        assert_eq!([sets.last_use(0, 1_250), sets.last_use(0, 1_150)], [Some(1), Some(1)]);
        assert_eq!([sets.last_use(2, 1_450), sets.last_use(2, 1_800)], [Some(4), Some(4)]);
        assert_eq!([sets.last_use(5, 1_450), sets.last_use(5, 1_800)], [Some(5), Some(8)]);
        assert_eq!(FrozenSets::default().epoch_at(7), 0);
        assert_eq!(FrozenSets::default().start(0), None);
    }
}
