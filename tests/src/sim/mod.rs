//! A whole set in one thread: real replicas, real signatures, a virtual clock, a seeded network, disks
//! that lose what was not synced.
//!
//! Invariant: the run is a pure function of its plan; `Report::trace` is equal for equal plans.

mod branches;
mod byzantine;
mod campaign;
mod changes;
mod check;
mod detect;
mod dice;
mod directed;
mod faults;
mod l1;
mod losses;
mod node;
mod plan;
mod sets;
mod world;

pub use branches::Branch;
pub use byzantine::Behaviour;
pub use campaign::{Summary, attempt, campaign};
pub use check::{Offence, Stats, Violation};
pub use detect::Found;
pub use faults::{Fate, Letter, Phase, Point, Script};
pub use losses::Claimed;
pub use node::Unsynced;
pub use sets::{Seat, SetPlan};
pub use world::{Report, World};

use rota_p2p::LinkPlan;
use rota_preconf::Mutation;
use std::collections::BTreeSet;

/// Something that happens to the set, at a virtual time in milliseconds.
#[derive(Debug, Clone)]
pub enum Event {
    /// kill -9: what was not synced is lost.
    Kill(u16),
    /// Start again from disk.
    Start(u16),
    /// Kill whoever leads then.
    KillLeader,
    /// The process ends, and this is left of what it had not synced.
    Crash(u16, Unsynced),
    /// All processes end at once.
    CrashAll(Unsynced),
    /// All processes end at once as soon as one of them is in a round above 0.
    CrashAllInRound(Unsynced),
    /// Remember the whole disk of a node as it is now.
    Snapshot(u16),
    /// Put a remembered disk back, the sign guard too, and start.
    RollBackAndStart(u16),
    /// Start every node that is down.
    StartAll,
    /// Wipe database and log, but not the sign guard, of a node that is down, then start it.
    WipeAndStart(u16),
    /// Lose the frame log, but not the consensus log, of a node, killing it if it is up; then start it.
    LoseFramesAndStart(u16),
    /// Kill a node and lose its sign guard and logs, but not its database, then start it in the same height.
    LoseGuardAndStart(u16),
    /// Groups that do not reach each other.
    Partition(Vec<Vec<u16>>),
    /// Nothing gets from the first to the second of each pair.
    Cut(Vec<(u16, u16)>),
    /// End of all partitions and cuts.
    Heal,
    /// Every link is like this from now on.
    Links(LinkPlan),
}

/// One simulated run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything random comes from here.
    pub seed: u64,
    /// Stake of each validator of the first set, whole ether; node i has index i there.
    pub stakes: Vec<u64>,
    /// The sets after it.
    pub sets: Vec<SetPlan>,
    /// Time between two L1 blocks, milliseconds.
    pub l1_ms: u64,
    /// Milliseconds by which nodes see L1 late, by node.
    pub l1_late_ms: Vec<u64>,
    /// Branches of L1 that are given up again, and who takes them for final until then.
    pub branches: Vec<Branch>,
    /// Milliseconds by which the execution of nodes is slower than that of others, by node.
    pub exec_late_ms: Vec<u64>,
    /// Nodes that are not started at the beginning.
    pub later: Vec<u16>,
    /// Every link.
    pub link: LinkPlan,
    /// Time of a disk sync, microseconds.
    pub fsync_us: u64,
    /// Transactions per second, spread over time and entry nodes.
    pub tx_rate: u64,
    /// Virtual length, milliseconds.
    pub length_ms: u64,
    /// What happens when.
    pub events: Vec<(u64, Event)>,
    /// Whether messages of one lane may overtake each other.
    pub reorder: bool,
    /// Crashes at places in the life of a disk.
    pub crashes: Vec<Point>,
    /// What becomes of single messages.
    pub script: Script,
    /// From then on all links are good and everyone who comes back is up: liveness is judged.
    pub calm_ms: Option<u64>,
    /// No height may take more rounds, where a plan knows (I-5).
    pub max_round: Option<u32>,
    /// Who stays down when the calm begins.
    pub gone: Vec<u16>,
    /// The rule that is switched off.
    pub mutation: Option<Mutation>,
    /// The one node for which it is; none for all of them.
    pub mutant: Option<u16>,
    /// Print what happens.
    pub verbose: bool,
    /// Members that break the rules, each with one way of it; less than a third of the stake.
    pub byzantine: Vec<(u16, Behaviour)>,
}

impl Plan {
    /// Members that do not count as correct: those that lie, and those that lose their disk with the guard on it
    /// and do not know.
    pub fn faulty(&self) -> BTreeSet<u16> {
        let lost = self.events.iter().filter_map(|(_, event)| match event {
            Event::RollBackAndStart(node) => Some(*node),
            _ => None,
        });
        self.byzantine.iter().map(|(node, _)| *node).chain(lost).collect()
    }

    /// `n` equal validators on quiet links for `length_ms`.
    pub fn quiet(n: usize, seed: u64, length_ms: u64) -> Self {
        Self {
            seed,
            stakes: vec![100; n],
            sets: Vec::new(),
            l1_ms: 2_000,
            l1_late_ms: Vec::new(),
            branches: Vec::new(),
            exec_late_ms: Vec::new(),
            later: Vec::new(),
            link: LinkPlan { latency_us: 5_000, jitter_us: 2_000, ..LinkPlan::default() },
            fsync_us: 400,
            tx_rate: 50,
            length_ms,
            events: Vec::new(),
            reorder: false,
            crashes: Vec::new(),
            script: Script::default(),
            calm_ms: None,
            max_round: None,
            gone: Vec::new(),
            mutation: None,
            mutant: None,
            verbose: false,
            byzantine: Vec::new(),
        }
    }
}
