//! Plans in which the set changes: members join, leave, change their stake or their keys, and something goes wrong just
//! then.
//!
//! Invariant: whatever is given up (members that lie, lose a disk or come late) is less than a third of the stake of
//! every set, so that liveness can be judged.

use super::{Behaviour, Event, Plan, Seat, SetPlan, Unsynced, dice::Dice};
use std::collections::BTreeSet;

/// Milliseconds of calm at the end.
const CALM_MS: u64 = 8_000;

impl Plan {
    /// Four, five, four, then seven members, on quiet links.
    #[must_use]
    pub fn growing(seed: u64) -> Self {
        let mut plan = Self::quiet(4, seed, 16_000);
        plan.l1_ms = 500;
        let set = |start, nodes: &[u16]| SetPlan {
            start,
            members: nodes.iter().map(|node| Seat { node: *node, stake: 100, keys: 0 }).collect(),
        };
        plan.sets = vec![
            set(5, &[0, 1, 2, 3, 4]),
            set(11, &[4, 2, 3, 1]),
            set(17, &[6, 4, 2, 5, 3, 1, 7]),
            set(23, &[6, 4, 2, 5, 3, 1, 7]),
        ];
        plan
    }

    /// Every key of the set is replaced at once, twice.
    #[must_use]
    pub fn rotating(seed: u64) -> Self {
        let mut plan = Self::quiet(4, seed, 14_000);
        plan.l1_ms = 500;
        plan.sets = [(6, 1), (14, 2)]
            .map(|(start, keys)| {
                let members =
                    (0..4u16).map(|node| Seat { node: (node + keys) % 4, stake: 100, keys });
                SetPlan { start, members: members.collect() }
            })
            .into();
        plan
    }

    /// Three sets pass while one member is down, and a new one starts from nothing after all of them.
    #[must_use]
    pub fn far_behind(seed: u64) -> Self {
        let mut plan = Self::growing(seed);
        plan.length_ms = 24_000;
        plan.later = vec![7];
        plan.events = vec![
            (2_000 + seed * 37 % 400, Event::Kill(2)),
            (10_500 + seed * 71 % 900, Event::Start(2)),
            (11_000, Event::Start(7)),
        ];
        plan.calm_ms = Some(14_000);
        plan
    }

    /// One change of the set, and something that goes wrong around it.
    #[must_use]
    pub fn set_change(seed: u64) -> Self {
        let dice = &mut Dice::new(seed ^ 0x5e7);
        let n = dice.pick(&[4usize, 4, 5, 7]);
        let mut plan = Self::quiet(n, seed, 3_500 + CALM_MS);
        plan.calm_ms = Some(4_000);
        plan.tx_rate = dice.pick(&[5, 20, 50]);
        plan.fsync_us = dice.pick(&[100, 400, 3_000]);
        plan.l1_ms = dice.pick(&[300, 400]);
        plan.link.jitter_us = dice.pick(&[0, 2_000, 20_000]);
        if dice.one_in(4) {
            let liar = u16::try_from(dice.below(n as u64)).unwrap_or(0);
            plan.byzantine.push((liar, dice.pick(&Behaviour::ALL)));
        }
        let first = 1_500 / plan.l1_ms;
        plan.change_sets(dice, (first, first + 2), 3);
        let at = plan.sets.first().map_or(2_000, |set| set.start * plan.l1_ms);
        for _ in 0..dice.between(1, 3) {
            let moment = (at + dice.below(900)).saturating_sub(250);
            plan.spoil(dice, moment);
        }
        plan
    }

    fn spoil(&mut self, dice: &mut Dice, at: u64) {
        let n = self.stakes.len() as u64;
        let who = u16::try_from(dice.below(n)).unwrap_or(0);
        let later = at + dice.between(50, 1_200);
        let unsynced = match dice.below(3) {
            0 => Unsynced::Kept,
            1 => Unsynced::Lost,
            _ => Unsynced::Prefix(dice.next()),
        };
        let nodes = u16::try_from(n).unwrap_or(0);
        let events = match dice.below(8) {
            0 | 1 => vec![(at, Event::KillLeader), (later, Event::StartAll)],
            2 => vec![(at, Event::Crash(who, unsynced)), (later, Event::Start(who))],
            3 => vec![(at, Event::CrashAll(unsynced)), (at + 100, Event::StartAll)],
            4 => vec![
                (at, Event::KillLeader),
                (at + 1, Event::CrashAllInRound(unsynced)),
                (later + 1_200, Event::StartAll),
            ],
            5 => {
                let rest = (0..nodes).filter(|i| *i != who).collect();
                vec![(at, Event::Partition(vec![vec![who], rest])), (later, Event::Heal)]
            }
            6 => {
                let half = dice.between(1, n.max(2));
                let parts = (0..nodes).partition(|i| u64::from(*i) < half);
                let (a, b): (Vec<u16>, Vec<u16>) = parts;
                vec![(at, Event::Partition(vec![a, b])), (later, Event::Heal)]
            }
            _ => {
                self.l1_late_ms = (0..n).map(|_| dice.pick(&[0, 0, 700, 1_500])).collect();
                Vec::new()
            }
        };
        self.events.extend(events);
    }

    /// Sets after the first, each made from the one before; the first starts at one of the L1 blocks `from`.
    pub(super) fn change_sets(&mut self, dice: &mut Dice, from: (u64, u64), most: u64) {
        let mut seats: Vec<Seat> = (0u16..)
            .zip(&self.stakes)
            .map(|(node, stake)| Seat { node, stake: *stake, keys: 0 })
            .collect();
        let mut start = dice.between(from.0, from.1 + 1);
        for _ in 0..dice.between(1, most + 1) {
            let (later, events) = (self.later.clone(), self.events.clone());
            let next = self.next_set(dice, &seats);
            if self.holds(&next) {
                seats = next;
            } else {
                (self.later, self.events) = (later, events);
            }
            self.sets.push(SetPlan { start, members: seats.clone() });
            start += dice.between(6, 12);
        }
    }

    fn next_set(&mut self, dice: &mut Dice, before: &[Seat]) -> Vec<Seat> {
        let mut seats = before.to_vec();
        if seats.len() > 4 && dice.one_in(2) {
            let leaves = usize::try_from(dice.below(seats.len() as u64)).unwrap_or(0);
            seats.remove(leaves);
        }
        if seats.len() < 10 && dice.one_in(2) {
            let all = self.sets.iter().flat_map(|set| &set.members).chain(before);
            let node = all.map(|seat| seat.node + 1).max().unwrap_or(0);
            let stake = seats.iter().map(|seat| seat.stake).min().unwrap_or(100);
            seats.push(Seat { node, stake, keys: 0 });
            if dice.one_in(3) {
                self.later.push(node);
                let at = 700 + dice.below(3_000);
                self.events.push((at, Event::Start(node)));
            }
        }
        let given_up = self.given_up();
        for seat in &mut seats {
            if dice.one_in(4) {
                seat.stake = seat.stake * dice.between(80, 130) / 100;
            }
            if dice.one_in(5) && !given_up.contains(&seat.node) {
                seat.keys += 1;
            }
        }
        if dice.one_in(2) {
            dice.shuffle(&mut seats);
        }
        seats
    }

    /// Members that may be silent for good, or for long.
    fn given_up(&self) -> BTreeSet<u16> {
        let lost = self.events.iter().filter_map(|(_, event)| match event {
            Event::LoseGuardAndStart(node)
            | Event::LoseFramesAndStart(node)
            | Event::WipeAndStart(node)
            | Event::RollBackAndStart(node) => Some(*node),
            _ => None,
        });
        let liars = self.byzantine.iter().map(|(node, _)| *node);
        liars.chain(lost).chain(self.later.iter().copied()).collect()
    }

    /// A new member that starts again just before its set begins may be silent for two windows, and plans are short.
    fn holds(&self, seats: &[Seat]) -> bool {
        let given_up = self.given_up();
        let new = |seat: &Seat| usize::from(seat.node) >= self.stakes.len();
        let total: u64 = seats.iter().map(|seat| seat.stake).sum();
        let lost = seats.iter().filter(|s| new(s) || given_up.contains(&s.node));
        lost.map(|seat| seat.stake).sum::<u64>() * 3 < total
    }
}
