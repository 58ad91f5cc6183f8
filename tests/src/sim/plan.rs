//! Plans from a seed: a stretch in which anything may go wrong, then calm.
//!
//! Invariant: what lies, or loses some of its disk, is less than a third of the stake; everything else comes back
//! when the calm begins, so that liveness can be judged.

use super::{Behaviour, Event, Phase, Plan, Point, Unsynced, dice::Dice};
use rota_p2p::LinkPlan;

/// Milliseconds of calm at the end: enough for every round that the chaos can have left open.
const CALM_MS: u64 = 8_000;
/// Before this, the set only begins.
const BEGIN_MS: u64 = 700;

/// Members in the order in which they may be given up, and the stake that is left to give up.
struct Budget {
    members: Vec<u16>,
    left: u64,
}

impl Budget {
    fn new(dice: &mut Dice, stakes: &[u64]) -> Self {
        let mut members: Vec<u16> = (0u16..).take(stakes.len()).collect();
        dice.shuffle(&mut members);
        // Strictly less than a third.
        Self { members, left: (stakes.iter().sum::<u64>() - 1) / 3 }
    }

    /// A member whose stake may still be lost.
    fn give_up(&mut self, stakes: &[u64]) -> Option<u16> {
        let i = self.members.iter().position(|m| stakes[usize::from(*m)] <= self.left)?;
        let member = self.members.remove(i);
        self.left -= stakes[usize::from(member)];
        Some(member)
    }
}

impl Plan {
    /// Nothing but deaths of leaders, one after the other, on quiet links: what a death costs.
    #[must_use]
    pub fn deaths(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let mut plan = Self::quiet(4, seed, 24_000);
        let mut at = 1_500;
        while at < 20_000 {
            plan.events.push((at, Event::KillLeader));
            plan.events.push((at + dice.between(500, 900), Event::StartAll));
            at += dice.between(1_400, 2_200);
        }
        plan
    }

    /// Members that lie or lost their disk in every run, in rough times and without a calm at the end: as much as
    /// possible that evidence could be about, in little time.
    #[must_use]
    pub fn adversarial(seed: u64) -> Self {
        let dice = &mut Dice::new(seed ^ 0xe71d);
        let n = dice.pick(&[4usize, 4, 4, 4, 7]);
        let chaos = dice.between(3_000, 6_000);
        let mut plan = Self::quiet(n, seed, BEGIN_MS + chaos);
        if dice.one_in(3) {
            plan.stakes = (0..n).map(|_| dice.between(10, 100)).collect();
        }
        plan.tx_rate = dice.pick(&[5, 20, 50]);
        plan.fsync_us = dice.pick(&[100, 400, 3_000, 12_000]);
        plan.reorder = dice.one_in(4);
        plan.link = link(dice);
        let budget = &mut Budget::new(dice, &plan.stakes.clone());
        for _ in 0..dice.between(1, 3) {
            let Some(member) = budget.give_up(&plan.stakes.clone()) else { break };
            if dice.one_in(6) {
                let at = BEGIN_MS + dice.below(chaos);
                plan.add(at.saturating_sub(dice.between(10, 2_000)), Event::Snapshot(member));
                plan.add(at, Event::RollBackAndStart(member));
            } else {
                plan.byzantine.push((member, dice.pick(&Behaviour::ALL)));
            }
        }
        for _ in 0..dice.between(0, 3) {
            let at = BEGIN_MS + dice.below(chaos);
            plan.mishap(dice, at, budget);
        }
        for _ in 0..dice.below(2) {
            plan.crashes.push(point(dice, n));
        }
        plan
    }

    /// The plan of a seed.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let n = dice.pick(&[4usize, 4, 4, 4, 7, 7, 10]);
        let chaos = dice.between(4_000, 9_000);
        let mut plan = Self::quiet(n, seed, BEGIN_MS + chaos + CALM_MS);
        plan.calm_ms = Some(BEGIN_MS + chaos);
        if dice.one_in(3) {
            plan.stakes = (0..n).map(|_| dice.between(10, 100)).collect();
        }
        plan.tx_rate = dice.pick(&[5, 20, 50]);
        plan.fsync_us = dice.pick(&[100, 400, 3_000, 12_000]);
        plan.reorder = dice.one_in(4);
        plan.link = link(dice);
        let budget = &mut Budget::new(dice, &plan.stakes.clone());
        plan.byzantine(dice, budget);
        for _ in 0..dice.between(1, 5) {
            let at = BEGIN_MS + dice.below(chaos);
            plan.mishap(dice, at, budget);
        }
        for _ in 0..dice.below(3) {
            plan.crashes.push(point(dice, n));
        }
        let sets = &mut Dice::new(seed ^ 0x5e75);
        if sets.one_in(3) {
            plan.l1_ms = sets.pick(&[300, 600, 1_000]);
            let first = 1_500 / plan.l1_ms;
            plan.change_sets(sets, (first, first + 4), 4);
        }
        let slow = &mut Dice::new(seed ^ 0x1a65);
        if slow.one_in(4) {
            plan.exec_late_ms = (0..n).map(|_| slow.pick(&[0, 0, 400, 1_500])).collect();
        }
        // Nothing goes wrong in the calm.
        let calm = BEGIN_MS + chaos;
        plan.events.retain(|(at, _)| *at < calm);
        plan
    }

    fn byzantine(&mut self, dice: &mut Dice, budget: &mut Budget) {
        let liars = dice.pick(&[0, 0, 1, 1, 2, 3]);
        for _ in 0..liars {
            let Some(member) = budget.give_up(&self.stakes.clone()) else { break };
            self.byzantine.push((member, dice.pick(&Behaviour::ALL)));
        }
    }

    fn mishap(&mut self, dice: &mut Dice, at: u64, budget: &mut Budget) {
        let n = self.stakes.len() as u64;
        let who = u16::try_from(dice.below(n)).unwrap_or(0);
        let later = at + dice.between(50, 3_000);
        match dice.below(16) {
            0..=3 => {
                self.add(at, Event::KillLeader);
                self.add(later, Event::StartAll);
            }
            4 | 5 => {
                self.add(at, Event::Crash(who, unsynced(dice)));
                self.add(later, Event::Start(who));
            }
            6 => {
                self.add(at, Event::CrashAll(unsynced(dice)));
                self.start_each(dice, at, n);
            }
            7 => self.all_but_one(dice, at, who),
            8 => self.roll(dice, at, n),
            9 | 10 => {
                self.add(at, Event::KillLeader);
                self.add(at + 1, Event::CrashAllInRound(unsynced(dice)));
                self.add(later + 2_000, Event::StartAll);
            }
            11..=13 => self.lose_disk(dice, at, budget),
            14 => self.part(dice, at, later),
            _ => {
                self.add(at, Event::Links(link(dice)));
                self.add(later, Event::Links(self.link));
            }
        }
    }

    fn add(&mut self, at: u64, event: Event) {
        self.events.push((at, event));
    }

    fn start_each(&mut self, dice: &mut Dice, at: u64, n: u64) {
        for node in 0..n {
            let up = at + dice.between(20, 1_500);
            self.add(up, Event::Start(u16::try_from(node).unwrap_or(0)));
        }
    }

    fn all_but_one(&mut self, dice: &mut Dice, at: u64, who: u16) {
        for node in (0u16..).take(self.stakes.len()).filter(|i| *i != who) {
            let down = at + dice.below(200);
            self.add(down, Event::Crash(node, unsynced(dice)));
            self.add(down + dice.between(20, 1_000), Event::Start(node));
        }
    }

    fn roll(&mut self, dice: &mut Dice, at: u64, n: u64) {
        let step = dice.between(100, 900);
        for node in 0..n {
            let who = u16::try_from(node).unwrap_or(0);
            self.add(at + node * step, Event::Crash(who, unsynced(dice)));
            self.add(at + node * step + dice.between(20, step * 2), Event::Start(who));
        }
    }

    /// Who lost a log may have to keep silent for the rest of the height, who lost the guard for two windows; who
    /// has an old disk and does not know is not correct any more. All count as stake that is given up.
    fn lose_disk(&mut self, dice: &mut Dice, at: u64, budget: &mut Budget) {
        let Some(who) = budget.give_up(&self.stakes.clone()) else { return };
        match dice.below(4) {
            0 => self.add(at, Event::LoseGuardAndStart(who)),
            1 => self.add(at, Event::LoseFramesAndStart(who)),
            2 => {
                self.add(at, Event::Crash(who, unsynced(dice)));
                self.add(at + dice.between(20, 2_000), Event::WipeAndStart(who));
            }
            _ => {
                self.add(at.saturating_sub(dice.between(10, 2_000)), Event::Snapshot(who));
                self.add(at, Event::RollBackAndStart(who));
            }
        }
    }

    fn part(&mut self, dice: &mut Dice, at: u64, later: u64) {
        let n = self.stakes.len();
        let mut all: Vec<u16> = (0u16..).take(n).collect();
        dice.shuffle(&mut all);
        if dice.one_in(2) {
            let cut = usize::try_from(dice.between(1, n as u64)).unwrap_or(1);
            let other = all.split_off(cut);
            self.add(at, Event::Partition(vec![all, other]));
        } else {
            let pairs = dice.between(1, (n * n / 2) as u64);
            let cut = (0..pairs).map(|_| (dice.pick(&all), dice.pick(&all))).collect();
            self.add(at, Event::Cut(cut));
        }
        self.add(later, Event::Heal);
    }
}

fn link(dice: &mut Dice) -> LinkPlan {
    LinkPlan {
        latency_us: dice.pick(&[500, 5_000, 20_000, 60_000]),
        jitter_us: dice.pick(&[0, 2_000, 20_000, 80_000]),
        loss_permille: dice.pick(&[0, 0, 0, 10, 50, 150]),
        duplicate_permille: dice.pick(&[0, 0, 20]),
    }
}

fn unsynced(dice: &mut Dice) -> Unsynced {
    match dice.below(3) {
        0 => Unsynced::Kept,
        1 => Unsynced::Lost,
        _ => Unsynced::Prefix(dice.next()),
    }
}

fn point(dice: &mut Dice, n: usize) -> Point {
    let phase = match dice.below(3) {
        0 => Phase::Written,
        1 => Phase::Within(dice.next()),
        _ => Phase::Synced,
    };
    Point {
        node: u16::try_from(dice.below(n as u64)).unwrap_or(0),
        sync: dice.below(400),
        phase,
        down_ms: dice.between(10, 1_500),
    }
}
