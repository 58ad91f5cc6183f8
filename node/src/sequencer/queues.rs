//! The bounded queues between the threads of a sequencer.
//!
//! Policies: `replica`, `disk`, `chain`, `archive` make their senders wait; `frames` and `bundles` make the
//! network wait, which stops reading from the peer. `evidence` drops what does
//! not fit: who gossips repeats it. The tape is a ring that drops its oldest.

use crate::{
    archive::ArchiveInput,
    chain::ChainInput,
    disk::DiskInput,
    engine::ReplicaInput,
    inbound::{self, Bundle, Doors, RawFrame},
    slash::{Shown, Tape, shown},
};
use crossbeam_channel::{Receiver, Sender, bounded};
use rota_store::Blocks;
use std::sync::Arc;

/// The sending ends: to the threads, and for gauges.
#[derive(Debug, Clone)]
pub struct Queues {
    pub(super) replica: Sender<ReplicaInput>,
    pub(super) disk: Sender<DiskInput>,
    pub(super) chain: Sender<ChainInput>,
    pub(super) archive: Sender<ArchiveInput>,
    pub(super) frames: Sender<RawFrame>,
    pub(super) bundles: Sender<Bundle>,
    pub(super) evidence: Sender<Shown>,
    pub(super) tape: Arc<Tape>,
}

/// The receiving ends, one per thread.
pub(super) struct Outflow {
    pub(super) replica: Receiver<ReplicaInput>,
    pub(super) disk: Receiver<DiskInput>,
    pub(super) chain: Receiver<ChainInput>,
    pub(super) archive: Receiver<ArchiveInput>,
    pub(super) frames: Receiver<RawFrame>,
    pub(super) bundles: Receiver<Bundle>,
    pub(super) evidence: Receiver<Shown>,
}

impl Queues {
    /// Where what this node said itself goes.
    pub(super) fn own(&self) -> (Sender<ReplicaInput>, Arc<Tape>) {
        (self.replica.clone(), Arc::clone(&self.tape))
    }

    pub(super) fn open() -> (Self, Outflow) {
        let (to_replica, replica) = bounded(16_384);
        let (to_disk, disk) = bounded(16_384);
        let (to_chain, chain) = bounded(16_384);
        let (to_archive, archive) = bounded(1024);
        let (to_frames, frames) = bounded(2048);
        let (to_bundles, bundles) = bounded(256);
        let (to_evidence, evidence) = shown();
        let queues = Self {
            replica: to_replica,
            disk: to_disk,
            chain: to_chain,
            archive: to_archive,
            frames: to_frames,
            bundles: to_bundles,
            evidence: to_evidence,
            tape: Arc::default(),
        };
        (queues, Outflow { replica, disk, chain, archive, frames, bundles, evidence })
    }

    /// Those that the network fills.
    pub(super) fn doors(&self) -> Doors {
        Doors {
            frames: self.frames.clone(),
            bundles: self.bundles.clone(),
            replica: self.replica.clone(),
            evidence: self.evidence.clone(),
            tape: Arc::clone(&self.tape),
        }
    }

    /// Takes evidence that was not found in what members say.
    #[must_use]
    pub fn evidence(&self) -> Sender<Shown> {
        self.evidence.clone()
    }

    /// Answers peers.
    pub(super) fn handler(&self, store: &Blocks) -> rota_p2p::RequestHandler {
        inbound::handler(self.replica.clone(), store.clone(), Arc::clone(&self.tape))
    }

    /// Name, depth and capacity of each.
    #[must_use]
    pub fn gauges(&self) -> Vec<(&'static str, usize, usize)> {
        fn one<T>(name: &'static str, q: &Sender<T>) -> (&'static str, usize, usize) {
            (name, q.len(), q.capacity().unwrap_or(0))
        }
        vec![
            one("replica", &self.replica),
            one("disk", &self.disk),
            one("chain", &self.chain),
            one("archive", &self.archive),
            one("frames", &self.frames),
            one("bundles", &self.bundles),
            one("evidence", &self.evidence),
        ]
    }
}
