//! Who leads when: exact shares by stake, an order nobody chose, and a cursor that skips the dead by
//! agreed data only (`docs/protocol.md`, "Leader schedule").
//!
//! Where the shares allow it no leader follows itself, so that who takes over is not who failed.
//! Invariant (I-13): every correct node computes the same leader for every height and round, also when
//! their commit certificates are of different rounds.

use crate::is_jailed;
use alloy_primitives::{B256, Keccak256};
use rota_types::{Close, Term, ValidatorSet};

const MAX_SLOTS: usize = 512;
const SLOTS_PER_VALIDATOR: usize = 8;

/// The window slots of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    slots: Vec<u16>,
    window: u16,
}

/// Position in the schedule, in force for one height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Slot, counted without end; the schedule is taken modulo its length.
    pub cursor: u64,
    /// Heights left in the window, this one included.
    pub window_left: u16,
    /// Who is jailed: bit i is index i of the set. Their slots are passed over.
    pub jailed: u64,
}

impl Schedule {
    /// Slots by largest remainder of stake (ties by index), shuffled by Fisher-Yates with a keccak
    /// stream from `seed`. `window` is the number of heights per window, at least 1.
    #[must_use]
    pub fn new(set: &ValidatorSet, seed: B256, window: u16) -> Self {
        let mut slots = shares(set);
        let mut random = Stream { seed, counter: 0 };
        for i in (1..slots.len()).rev() {
            let bound = u64::try_from(i).unwrap_or(u64::MAX).saturating_add(1);
            let j = usize::try_from(random.below(bound)).unwrap_or(0);
            slots.swap(i, j);
        }
        spread(&mut slots);
        Self { slots, window: window.max(1) }
    }

    /// Heights per window.
    #[must_use]
    pub const fn window(&self) -> u16 {
        self.window
    }

    /// Index of the leader of each slot, in order.
    #[must_use]
    pub fn slots(&self) -> &[u16] {
        &self.slots
    }

    /// The cursor of the first height of an epoch.
    #[must_use]
    pub const fn start(&self) -> Cursor {
        Cursor { cursor: 0, window_left: self.window, jailed: 0 }
    }

    /// The proposer of a round at a height with this cursor.
    #[must_use]
    pub fn leader(&self, cursor: Cursor, round: u32) -> u16 {
        self.holder(self.slot(cursor, round))
    }

    /// The cursor for the height after the one that `close` ends, which `before` were jailed at and `after` are from
    /// the next one on. A CLOSE in a term opened in a round above 0 of this very height forfeits the window to the
    /// closer; nothing else does. The window of a closer who is jailed ends.
    #[must_use]
    pub fn next(&self, close: &Close, before: u64, after: u64) -> Cursor {
        let forfeited = close.term.height == close.height && close.term.round >= 1;
        let (round, left) =
            if forfeited { (close.term.round, self.window) } else { (0, close.window_left) };
        let left = left.saturating_sub(1);
        let at = Cursor { cursor: close.cursor, window_left: left, jailed: before };
        let slot = self.slot(at, round);
        if left > 0 && !is_jailed(after & !before, close.closer) {
            return Cursor { cursor: slot, window_left: left, jailed: after };
        }
        let next = Cursor { cursor: slot.wrapping_add(1), window_left: self.window, jailed: after };
        Cursor { cursor: self.slot(next, 0), ..next }
    }

    fn len(&self) -> u64 {
        u64::try_from(self.slots.len()).unwrap_or(1).max(1)
    }

    /// Who has a slot.
    fn holder(&self, slot: u64) -> u16 {
        let at = slot.checked_rem(self.len()).unwrap_or(0);
        usize::try_from(at).ok().and_then(|i| self.slots.get(i)).copied().unwrap_or(0)
    }

    /// The slot that leads a round: of those from the cursor on whose holder is not jailed, the one with this number.
    /// If everyone who has a slot is jailed, nobody is passed over.
    fn slot(&self, cursor: Cursor, round: u32) -> u64 {
        let (from, round) = (cursor.cursor, u64::from(round));
        let free = |slot: &u64| !is_jailed(cursor.jailed, self.holder(*slot));
        let count = u64::try_from((0..self.len()).filter(free).count()).unwrap_or(0);
        let (Some(turns), Some(rest)) = (round.checked_div(count), round.checked_rem(count)) else {
            return from.wrapping_add(round);
        };
        let from = from.wrapping_add(turns.wrapping_mul(self.len()));
        let slots = (0..self.len()).map(|i| from.wrapping_add(i)).filter(free);
        slots.into_iter().nth(usize::try_from(rest).unwrap_or(0)).unwrap_or(from)
    }

    /// The term that is active in round 0 of `height`, given the term of the CLOSE before it.
    #[must_use]
    pub const fn active(&self, height: u64, cursor: Cursor, closed_in: Term) -> Term {
        if cursor.window_left < self.window && closed_in.height != 0 {
            closed_in
        } else {
            Term { height, round: 0 }
        }
    }
}

/// Moves slots so that, where the shares allow it, no leader follows itself: a leader that fails must not
/// be the one that takes over.
fn spread(slots: &mut [u16]) {
    let len = slots.len();
    for i in 1..len {
        let before = slots.get(i.saturating_sub(1)).copied();
        // The last slot has the first one as its neighbour too.
        let after = if i.saturating_add(1) == len { slots.first().copied() } else { None };
        let here = slots.get(i).copied();
        if here != before && (after.is_none() || here != after) {
            continue;
        }
        let later = (i.saturating_add(1)..len).find(|j| slots.get(*j).copied() != before);
        let earlier = || (1..i.saturating_sub(1)).find(|j| swap_fits(slots, *j, i));
        if let Some(j) = later.or_else(earlier) {
            slots.swap(i, j);
        }
    }
}

/// Whether exchanging slot `j` with slot `i` leaves neither next to its like.
fn swap_fits(slots: &[u16], j: usize, i: usize) -> bool {
    let at = |k: usize| slots.get(k.checked_rem(slots.len()).unwrap_or(0)).copied();
    let (here, there) = (at(i), at(j));
    let around = |k: usize, x: Option<u16>| {
        at(k.wrapping_add(slots.len()).saturating_sub(1)) != x && at(k.saturating_add(1)) != x
    };
    here != there && around(j, here) && around(i, there)
}

fn shares(set: &ValidatorSet) -> Vec<u16> {
    let total = u128::from(set.total()).max(1);
    let wanted = set.len().saturating_mul(SLOTS_PER_VALIDATOR).min(MAX_SLOTS);
    let slots = u128::try_from(wanted).unwrap_or(0);
    let exact = |power: u64| u128::from(power).saturating_mul(slots);
    let mut counts: Vec<(u16, u128, u128)> = set
        .iter()
        .map(|(i, v)| {
            let share = exact(v.power());
            (i, share.checked_div(total).unwrap_or(0), share.checked_rem(total).unwrap_or(0))
        })
        .collect();
    let given: u128 = counts.iter().map(|c| c.1).fold(0, u128::saturating_add);
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|i| counts.get(*i).map(|c| (std::cmp::Reverse(c.2), c.0)));
    let missing = usize::try_from(slots.saturating_sub(given)).unwrap_or(0);
    for i in order.into_iter().take(missing) {
        if let Some(c) = counts.get_mut(i) {
            c.1 = c.1.saturating_add(1);
        }
    }
    counts
        .into_iter()
        .flat_map(|(i, n, _)| std::iter::repeat_n(i, usize::try_from(n).unwrap_or(0)))
        .collect()
}

/// Uniform numbers from a hash in counter mode.
struct Stream {
    seed: B256,
    counter: u64,
}

impl Stream {
    /// A number below `bound` without bias: values in the incomplete last range are drawn again.
    fn below(&mut self, bound: u64) -> u64 {
        let limit = u64::MAX.checked_rem(bound).map_or(u64::MAX, |r| u64::MAX.saturating_sub(r));
        loop {
            let mut h = Keccak256::new();
            h.update(self.seed);
            h.update(self.counter.to_be_bytes());
            self.counter = self.counter.wrapping_add(1);
            let word = h.finalize();
            let value = word.first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b));
            if value < limit {
                return value.checked_rem(bound).unwrap_or(0);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;
    use alloy_primitives::{Address, U256};
    use proptest::prelude::*;
    use rota_types::Validator;

    fn set(stakes: &[u64]) -> ValidatorSet {
        let validators = stakes
            .iter()
            .zip(1u8..)
            .map(|(s, i)| Validator {
                owner: Address::repeat_byte(i),
                seq_key: [i; 32],
                vote_key: Address::repeat_byte(i),
                stake: U256::from(*s) * U256::from(1_000_000_000u64),
                fee_recipient: Address::ZERO,
                peer: String::new(),
            })
            .collect();
        ValidatorSet::new(0, validators)
    }

    proptest! {
        #[test]
        fn shares_are_exact_to_one_slot(stakes in proptest::collection::vec(1u64..1000, 1..40), seed: [u8; 32]) {
            let set = set(&stakes);
            let schedule = Schedule::new(&set, seed.into(), 24);
            let slots = schedule.slots.len() as u64;
            prop_assert_eq!(slots, (stakes.len() as u64 * 8).min(512));
            let total: u64 = stakes.iter().sum();
            for (i, stake) in stakes.iter().enumerate() {
                let got = schedule.slots.iter().filter(|s| usize::from(**s) == i).count() as u64;
                let floor = stake * slots / total;
                prop_assert!(got == floor || got == floor + 1);
            }
        }
    }

    proptest! {
        #[test]
        fn no_leader_follows_itself_where_shares_are_equal(n in 2u64..30, seed: [u8; 32]) {
            let schedule = Schedule::new(&set(&vec![7; usize::try_from(n).unwrap()]), seed.into(), 24);
            let slots = &schedule.slots;
            let repeats = (0..slots.len()).filter(|i| slots[*i] == slots[(i + 1) % slots.len()]).count();
            prop_assert!(repeats <= usize::from(n == 2), "{slots:?}");
        }
    }

    #[test]
    fn a_round_above_zero_forfeits_the_window_and_a_carried_close_does_not() {
        let schedule = Schedule::new(&set(&[1, 1, 1, 1]), B256::ZERO, 3);
        let close = |term: Term, window_left| Close {
            height: 10,
            term,
            cursor: 5,
            window_left,
            ..Close::default()
        };
        let at = |t: (u64, u32), w| {
            let next = schedule.next(&close(Term { height: t.0, round: t.1 }, w), 0, 0);
            (next.cursor, next.window_left)
        };
        assert_eq!(at((9, 0), 2), (5, 1));
        assert_eq!(at((9, 0), 1), (6, 3));
        assert_eq!(at((10, 2), 3), (7, 2));
        assert_eq!(at((9, 2), 3), (5, 2));
    }

    /// The slots in order, passed over by hand.
    fn by_hand(schedule: &Schedule, from: u64, jailed: u64, round: u32) -> u64 {
        let free = |slot: u64| jailed >> schedule.holder(slot) & 1 == 0;
        let nobody = (0..schedule.len()).all(|slot| !free(slot));
        let mut left = round;
        (from..)
            .find(|slot| {
                (nobody || free(*slot))
                    && (left == 0 || {
                        left -= 1;
                        false
                    })
            })
            .unwrap()
    }

    proptest! {
        #[test]
        fn jailed_members_are_passed_over_and_nobody_else(
            n in 1usize..9, jailed in 0u64..256, from in 0u64..1000, round in 0u32..200, seed: [u8; 32],
        ) {
            let schedule = Schedule::new(&set(&vec![3; n]), seed.into(), 3);
            let cursor = Cursor { cursor: from, window_left: 2, jailed };
            let slot = by_hand(&schedule, from, jailed, round);
            prop_assert_eq!(schedule.slot(cursor, round), slot);
            let leader = schedule.leader(cursor, round);
            prop_assert_eq!(leader, schedule.holder(slot));
            let all = (0..n).all(|i| jailed >> i & 1 == 1);
            prop_assert!(all || jailed >> leader & 1 == 0);
            // Whoever closes in a later round goes on in the next height, from the slot that it was given.
            let term = Term { height: 10, round: round + 1 };
            let closer = schedule.leader(cursor, round + 1);
            let close = Close { height: 10, term, closer, cursor: from, window_left: 2, ..Close::default() };
            let next = schedule.next(&close, jailed, jailed);
            prop_assert_eq!((schedule.leader(next, 0), next.window_left), (closer, 2));
        }
    }

    #[test]
    fn a_window_of_a_jailed_member_ends_and_those_of_others_go_on() {
        let schedule = Schedule::new(&set(&[1, 1, 1, 1]), B256::repeat_byte(7), 3);
        let start = schedule.start();
        let (present, next) = (schedule.leader(start, 0), schedule.leader(start, 1));
        let term = Term { height: 10, round: 0 };
        let close = Close { height: 10, term, closer: present, window_left: 3, ..Close::default() };
        let own = schedule.next(&close, 0, 1 << present);
        assert_eq!((own.cursor, own.window_left), (1, 3), "the window of the next begins");
        assert_eq!(schedule.leader(own, 0), next);
        let others = schedule.next(&close, 0, 1 << next);
        assert_eq!((others.cursor, others.window_left), (0, 2));
        let last = Close { window_left: 1, ..close };
        let after = schedule.next(&last, 1 << next, 1 << next);
        assert!(after.cursor > 1 && schedule.leader(after, 0) != next, "its slot is passed over");
        let again = Close { cursor: after.cursor, closer: schedule.leader(after, 0), ..last };
        assert!(schedule.next(&again, 1 << next, 1 << next).cursor > after.cursor);
    }
}
