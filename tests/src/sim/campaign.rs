//! Many seeds in one process, on all cores, and one summary.
//!
//! Invariant: a seed that fails is named by the one command that replays it.

use super::{Plan, Report, World};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

/// Failures after which a campaign ends.
const ENOUGH: usize = 20;

/// What a campaign gave.
#[derive(Debug, Default)]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// Runs that were made twice, with equal traces.
    pub twice: u64,
    /// Heights decided.
    pub heights: u64,
    /// Of these, in a round above 0.
    pub late: u64,
    /// Changes of the set.
    pub epochs: u64,
    /// Transactions decided.
    pub txs: u64,
    /// Crashes, and those of leaders.
    pub crashes: (u64, u64),
    /// Milliseconds without a leader, for each crash of one; sorted.
    pub gaps_ms: Vec<u64>,
    /// Frames signed by correct leaders that are not in the log: accepted by nobody, by somebody.
    pub lost: (u64, u64),
    /// Acked prefixes reverted, each with proof against its leader.
    pub reverted: u64,
    /// Runs with members that lie or lost their disk.
    pub faulty: u64,
    /// Replicas that stopped because their guard refused.
    pub noticed: u64,
    /// Values decided by nodes that had withheld them (I-28).
    pub followed: u64,
    /// Offences proven before the contracts, by kind.
    pub proven: BTreeMap<&'static str, u64>,
    /// Runs in which somebody was convicted.
    pub convicting: u64,
    /// Pieces of evidence, damaged ones too, that contract and nodes judged alike.
    pub judged: u64,
    /// Claims for lost frames: refunded, refused off the log, refused on the log; alike here and on L1.
    pub claimed: [u64; 3],
    /// Heights decided on an L1 block that L1 gave up later.
    pub off_l1: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// Real seconds.
    pub seconds: f64,
    /// What failed, by seed.
    pub failures: BTreeMap<u64, String>,
}

/// Runs one plan; a panic is a failure like any other.
pub fn attempt(plan: Plan) -> Result<Report, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| World::run(plan)));
    match outcome {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(violation)) => Err(violation.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the speed of a campaign is measured in real time")]
fn now() -> Instant {
    Instant::now()
}

/// Runs what `plan` gives for all seeds. Every `again`-th runs twice, and both traces must be equal.
pub fn campaign(
    seeds: RangeInclusive<u64>,
    plan: fn(u64) -> Plan,
    again: u64,
    progress: impl Fn(&Summary) + Sync,
) -> Summary {
    let (next, stop) = (AtomicU64::new(*seeds.start()), AtomicBool::new(false));
    let summary = Mutex::new(Summary::default());
    let begin = now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > *seeds.end() {
                break;
            }
            let plan = plan(seed);
            let twice = again > 0 && seed.is_multiple_of(again);
            let mut result = attempt(plan.clone());
            if twice && result.is_ok() && attempt(plan.clone()) != result {
                result = Err("two runs of one plan differ (I-29)".to_owned());
            }
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.add(&plan, twice, result);
            summary.seconds = begin.elapsed().as_secs_f64();
            stop.fetch_or(summary.failures.len() >= ENOUGH, Ordering::Relaxed);
            progress(&summary);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.gaps_ms.sort_unstable();
    summary
}

impl Summary {
    fn add(&mut self, plan: &Plan, twice: bool, result: Result<Report, String>) {
        self.runs += 1;
        self.twice += u64::from(twice);
        self.faulty += u64::from(!plan.faulty().is_empty());
        self.virtual_ms += plan.length_ms;
        match result {
            Err(why) => {
                self.failures.insert(plan.seed, why);
            }
            Ok(report) => {
                let e = report.evidence;
                self.convicting += u64::from(!e.convicted.is_empty());
                self.judged += e.judged;
                self.off_l1 += report.off_l1 as u64;
                let c = e.claimed;
                for (sum, more) in
                    self.claimed.iter_mut().zip([c.refunded, c.not_lost, c.canonical])
                {
                    *sum += more;
                }
                for (kind, count) in e.kinds {
                    *self.proven.entry(kind).or_default() += count;
                }
                let s = report.stats;
                self.heights += report.heights.1;
                self.late += s.late_heights as u64;
                self.epochs += report.epoch;
                self.txs += report.txs.0 as u64;
                self.crashes.0 += s.crashes.0 as u64;
                self.crashes.1 += s.crashes.1 as u64;
                self.gaps_ms.extend(s.gaps_ms);
                self.lost.0 += s.lost_unseen as u64;
                self.lost.1 += s.lost_held as u64;
                self.reverted += s.reverted as u64;
                self.noticed += s.noticed as u64;
                self.followed += s.followed as u64;
            }
        }
    }

    /// Runs that ended because something acked was lost and nobody, or too little stake, is to blame for it.
    #[must_use]
    pub fn unproven(&self) -> usize {
        let of_acks = |why: &&String| ["I-2 ", "I-3 ", "I-4 "].iter().any(|i| why.starts_with(i));
        self.failures.values().filter(of_acks).count()
    }

    fn gap(&self, percent: usize) -> u64 {
        let at = (self.gaps_ms.len() * percent / 100).min(self.gaps_ms.len().saturating_sub(1));
        self.gaps_ms.get(at).copied().unwrap_or(0)
    }

    /// Several lines for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let per_second = |x: u64| x as f64 / self.seconds.max(0.001);
        let _ = writeln!(
            out,
            "{} runs ({} with members that lie or lost their disk, {} run twice), {} heights, {} of them \
             in a round above 0, {} transactions, {} changes of the set",
            self.runs, self.faulty, self.twice, self.heights, self.late, self.txs, self.epochs
        );
        let _ = writeln!(
            out,
            "{} crashes, {} of a leader: next frame after p50 {} ms, p99 {} ms, max {} ms",
            self.crashes.0,
            self.crashes.1,
            self.gap(50),
            self.gap(99),
            self.gap(100)
        );
        let _ = writeln!(
            out,
            "acked and lost without proof: {}; acked and reverted with proof against the leader: {}",
            self.unproven(),
            self.reverted
        );
        let _ = writeln!(
            out,
            "frames of correct leaders that are not in the log: {} reached nobody, {} were held by too few",
            self.lost.0, self.lost.1
        );
        let _ = writeln!(
            out,
            "{} times a node followed a value that it had withheld; {} replicas stopped on an old disk",
            self.followed, self.noticed
        );
        let _ = writeln!(
            out,
            "somebody convicted in {} runs, nobody correct in any; {} pieces of evidence judged alike here and on L1",
            self.convicting, self.judged
        );
        let [refunded, not_lost, canonical] = self.claimed;
        let _ = writeln!(
            out,
            "claims judged alike here and on L1: {refunded} lost frames refunded; refused {not_lost} off the log, {canonical} on it"
        );
        let _ = writeln!(out, "offences proven: {:?}", self.proven);
        if self.off_l1 > 0 {
            let _ = writeln!(out, "{} heights on L1 blocks that were given up later", self.off_l1);
        }
        let _ = write!(
            out,
            "{:.0} s: {:.1} runs/s, {:.0} heights/s, virtual/real time {:.0}",
            self.seconds,
            per_second(self.runs),
            per_second(self.heights),
            per_second(self.virtual_ms) / 1000.0
        );
        for (seed, why) in &self.failures {
            let _ = write!(out, "\nFAILED  make sim SEED={seed}  # {why:.400}");
        }
        out
    }
}
