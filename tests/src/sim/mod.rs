//! A whole set in one thread: real replicas, real signatures, a virtual clock, a seeded network, disks
//! that lose what was not synced.
//!
//! Invariant: the run is a pure function of its plan; `Report::trace` is equal for equal plans.

mod byzantine;
mod check;
mod l1;
mod node;
mod world;

pub use byzantine::Behaviour;
pub use check::Violation;
pub use world::{Report, World};

use rota_p2p::LinkPlan;

/// Something that happens to the set, at a virtual time in milliseconds.
#[derive(Debug, Clone)]
pub enum Event {
    /// kill -9: what was not synced is lost.
    Kill(u16),
    /// Start again from disk.
    Start(u16),
    /// Kill whoever leads then.
    KillLeader,
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
    /// End of the partition.
    Heal,
}

/// One simulated run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything random comes from here.
    pub seed: u64,
    /// Stake of each validator, whole ether.
    pub stakes: Vec<u64>,
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
    /// Members that break the rules, each with one way of it; less than a third of the stake.
    pub byzantine: Vec<(u16, Behaviour)>,
}

impl Plan {
    /// `n` equal validators on quiet links for `length_ms`.
    pub fn quiet(n: usize, seed: u64, length_ms: u64) -> Self {
        Self {
            seed,
            stakes: vec![100; n],
            link: LinkPlan { latency_us: 5_000, jitter_us: 2_000, ..LinkPlan::default() },
            fsync_us: 400,
            tx_rate: 50,
            length_ms,
            events: Vec::new(),
            byzantine: Vec::new(),
        }
    }
}
