//! Walks by seed: one with its trace, or very many with their tally.

use super::checks::{Fault, FaultKind};
use super::rules::{Mutation, Rules};
use super::shape::MAX_SET;
use super::tree::Bits;
use super::world::{HEIGHTS, World, at, round_of};
use std::fmt;

/// What many walks came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Walks.
    pub walks: u64,
    /// Those in which a frame was acked by a quorum, also above round 0, also one height early.
    pub acked: [u64; 3],
    /// Those that decided height 1, and height 2.
    pub decided: [u64; 2],
    /// Those with a polka above round 0.
    pub later_polka: u64,
    /// Those in which a leader signed two histories.
    pub equivocated: u64,
    /// Acked prefixes that a decision excluded: named by two frames, by two TermInits.
    pub reverted: [u64; 2],
    /// Ends of walks with an undecided height, and the most rounds that one needed.
    pub undecided: (u64, u32),
    /// Walks that broke a rule.
    pub faults: u64,
    /// The first of them: seed and fault.
    pub first: Option<(u64, Fault)>,
}

impl Tally {
    /// Adds the tally of other walks.
    pub fn add(&mut self, other: &Self) {
        self.walks += other.walks;
        let pairs = [
            (&mut self.acked[..], &other.acked[..]),
            (&mut self.decided[..], &other.decided[..]),
            (&mut self.reverted[..], &other.reverted[..]),
        ];
        for (mine, more) in pairs {
            mine.iter_mut().zip(more).for_each(|(m, o)| *m += o);
        }
        self.later_polka += other.later_polka;
        self.equivocated += other.equivocated;
        self.undecided.0 += other.undecided.0;
        self.undecided.1 = self.undecided.1.max(other.undecided.1);
        self.faults += other.faults;
        let earlier = |a: &(u64, Fault), b: &(u64, Fault)| a.0 <= b.0;
        match (&self.first, &other.first) {
            (Some(mine), Some(o)) if earlier(mine, o) => {}
            (_, Some(o)) => self.first = Some(o.clone()),
            (_, None) => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [acked, later, early] = self.acked;
        writeln!(f, "walks                       {}", self.walks)?;
        writeln!(
            f,
            "  with an ack quorum        {acked} (above round 0: {later}, early: {early})"
        )?;
        writeln!(f, "  that decided height 1, 2  {}, {}", self.decided[0], self.decided[1])?;
        writeln!(f, "  with a polka above 0      {}", self.later_polka)?;
        writeln!(f, "  with a lying leader       {}", self.equivocated)?;
        let [frames, inits] = self.reverted;
        writeln!(
            f,
            "acked and reverted          {frames} by two frames, {inits} by two TermInits"
        )?;
        let (tried, most) = self.undecided;
        writeln!(f, "undecided ends              {tried}, decided after at most {most} rounds")?;
        write!(f, "walks that broke a rule     {}", self.faults)
    }
}

/// One walk, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What happened, in order.
    pub lines: Vec<String>,
    /// What was broken, if anything.
    pub fault: Option<Fault>,
}

/// Walks through one world after another.
#[derive(Debug)]
pub struct Walker {
    world: World,
}

impl Walker {
    /// A walker under these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { world: World::new(rules) }
    }

    /// The walk of a seed, added to a tally.
    pub fn walk(&mut self, seed: u64, tally: &mut Tally) {
        let rounds = self.run(seed);
        let w = &self.world;
        tally.walks += 1;
        let places = at(1, 0)..at(HEIGHTS + 1, 0);
        let later = |place: &u8| round_of(*place) > 0;
        let some = |sets: &[u64], place: u8| u64::from(sets[place as usize] != 0);
        let early = w.quorate[at(1, 0) as usize] & !w.up_to_height(1);
        tally.acked[0] += places.clone().map(|p| some(&w.quorate, p)).max().unwrap_or(0);
        tally.acked[1] +=
            places.clone().filter(later).map(|p| some(&w.quorate, p)).max().unwrap_or(0);
        tally.acked[2] += u64::from(early != 0);
        tally.decided[0] += some(&w.decided, 1);
        tally.decided[1] += some(&w.decided, 2);
        tally.later_polka += places.filter(later).map(|p| some(&w.polkas, p)).max().unwrap_or(0);
        tally.equivocated += u64::from(w.equivocated != 0);
        tally.reverted[0] += w.reverted.two_frames;
        tally.reverted[1] += w.reverted.two_inits;
        if let Some(rounds) = rounds {
            tally.undecided.0 += 1;
            tally.undecided.1 = tally.undecided.1.max(rounds);
        }
        if let Some(fault) = &w.fault {
            tally.faults += 1;
            if tally.first.is_none() {
                tally.first = Some((seed, fault.clone()));
            }
        }
    }

    /// The walk of a seed with everything that happened.
    pub fn trace(&mut self, seed: u64) -> Trace {
        self.world.log = Some(Vec::new());
        self.run(seed);
        let s = &self.world.shape;
        let head = format!(
            "rules {}; stakes {:?}, liars {:?}, order {:?}, windows of {} height",
            self.world.rules,
            &s.stakes[..s.n],
            Bits(u64::from(s.byzantine)).collect::<Vec<_>>(),
            &s.order[..s.n],
            if s.short_windows { "one" } else { "more than one" },
        );
        let mut lines = vec![head];
        lines.extend(self.world.log.take().unwrap_or_default());
        Trace { lines, fault: self.world.fault.clone() }
    }

    /// Walks until a rule breaks or the steps are used up; returns the rounds that were missing.
    fn run(&mut self, seed: u64) -> Option<u32> {
        let w = &mut self.world;
        w.reset(seed);
        let everybody = (1 << MAX_SET) - 1;
        let mut awake = everybody;
        let (patches, patch) = (w.shape.steps / 32, 32);
        for _ in 0..patches {
            // Now and then only some hear of anything for a while.
            if w.dice.one_in(2) {
                awake = if w.dice.one_in(3) { everybody } else { w.dice.next() as u16 };
            }
            for _ in 0..patch {
                w.step(awake);
                if w.fault.is_some() {
                    return None;
                }
            }
        }
        match w.rounds_to_decide() {
            Ok(rounds) => rounds,
            Err(_) if w.rules.has(Mutation::ExtendsAcks) && w.some_value_is_acceptable() => None,
            Err(what) => {
                w.fault = Some(Fault { kind: FaultKind::Stuck, what });
                None
            }
        }
    }
}

/// Many walks, on several threads.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The rules.
    pub rules: Rules,
    /// Seed of the first walk; the others follow.
    pub seed: u64,
    /// How many.
    pub walks: u64,
    /// Stop at the first fault.
    pub until_fault: bool,
}

impl Campaign {
    /// Walks on this thread.
    #[must_use]
    pub fn run(&self) -> Tally {
        self.part(0, 1)
    }

    /// Walks on `threads` threads; the tally does not depend on their number, unless a fault ends it.
    #[must_use]
    pub fn run_on(&self, threads: u64) -> Tally {
        let mut all = Tally::default();
        std::thread::scope(|scope| {
            let parts: Vec<_> =
                (0..threads).map(|i| scope.spawn(move || self.part(i, threads))).collect();
            for part in parts {
                all.add(&part.join().expect("a walk does not panic"));
            }
        });
        all
    }

    fn part(&self, first: u64, step: u64) -> Tally {
        let mut tally = Tally::default();
        let mut walker = Walker::new(self.rules);
        let mut at = first;
        while at < self.walks && !(self.until_fault && tally.faults > 0) {
            walker.walk(self.seed.wrapping_add(at), &mut tally);
            at += step;
        }
        tally
    }
}
