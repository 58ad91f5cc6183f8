//! The watch of a sequencer: it looks for contradictions in everything that its node sees, without being asked.
//!
//! One thread, one loop. Queue: `evidence`, bounded, policy drop (who gossips repeats, and everybody finds it on its own too).
//! Invariants: what is found is on disk before it is told to anyone; an own key in evidence ends the process, and nothing
//! is signed by it any more.

use super::{Found, Heard, Tape, Watcher, keep, local_name};
use alloy_primitives::{Address, B256};
use crossbeam_channel::{Receiver, Sender, bounded};
use rota_p2p::{GossipId, Handle, Judgement, Network, Topic};
use rota_types::{Decode, Domain, Encode, Evidence, wire::MAX_WITNESSED};
use std::{collections::BTreeSet, io, path::PathBuf, sync::Arc, time::Duration};

/// Gossiped evidence that waits.
const WAITING: usize = 64;
/// Without statements, gossip is looked at this often.
const PATIENCE: Duration = Duration::from_millis(200);

/// Why a sequencer's watch ends its node.
#[derive(Debug, thiserror::Error)]
pub enum SentryError {
    /// A key of this node is in evidence: another machine signs with it, or its disk went back in time. The operator's fault.
    #[error(
        "a key of this node signed a contradiction: {kind} at height {height}, round {round}; the evidence is in {}",
        file.display()
    )]
    Own {
        /// Kind of the evidence.
        kind: &'static str,
        /// Where.
        height: u64,
        /// Where.
        round: u32,
        /// The file.
        file: PathBuf,
    },
    /// Evidence cannot be written. The disk's fault.
    #[error("writing evidence: {0}")]
    Disk(#[from] io::Error),
}

/// Gossiped evidence, as it came.
pub type Shown = (Vec<u8>, GossipId);

/// The queue of gossiped evidence.
#[must_use]
pub fn shown() -> (Sender<Shown>, Receiver<Shown>) {
    bounded(WAITING)
}

/// The watch.
pub struct Sentry {
    /// What this node sees.
    pub tape: Arc<Tape>,
    /// The detector.
    pub watcher: Watcher,
    /// Evidence from others.
    pub shown: Receiver<Shown>,
    /// The network.
    pub p2p: Handle,
    /// Where evidence is kept.
    pub dir: PathBuf,
    /// The rollup.
    pub domain: Domain,
    /// Addresses of the vote keys of this node.
    pub own: BTreeSet<Address>,
    /// Takes what was found, for the replica.
    pub found: Box<dyn FnMut(&Found) -> bool + Send>,
}

impl std::fmt::Debug for Sentry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sentry").field("watcher", &self.watcher).finish_non_exhaustive()
    }
}

impl Sentry {
    /// Runs until the node stops.
    ///
    /// # Errors
    /// An own key in evidence, or the disk.
    pub fn run(mut self) -> Result<(), SentryError> {
        let (mut at, mut told) = (0, BTreeSet::new());
        loop {
            let (first, statements) = self.tape.wait(at, MAX_WITNESSED, PATIENCE);
            let missed = first.saturating_sub(at);
            if missed > 0 {
                tracing::warn!(missed, "the watch is too slow: statements were not looked at");
            }
            at = first.saturating_add(u64::try_from(statements.len()).unwrap_or(u64::MAX));
            let mut found = self.watcher.hear(&Heard { from: u16::MAX, statements, missed });
            while let Ok((data, id)) = self.shown.try_recv() {
                found.extend(self.judge(&data, id));
            }
            for one in found {
                if !self.tell(&one, &mut told)? {
                    return Ok(());
                }
            }
        }
    }

    fn judge(&mut self, data: &[u8], id: GossipId) -> Option<Found> {
        let judged = Evidence::decode(data)
            .map_err(|e| e.to_string())
            .and_then(|evidence| self.watcher.review(evidence));
        match judged {
            Ok(found) => {
                self.p2p.judge(id, Judgement::Accept);
                Some(found)
            }
            Err(why) => {
                tracing::warn!(why, "a peer gossiped evidence that shows nothing");
                self.p2p.judge(id, Judgement::Reject);
                None
            }
        }
    }

    /// Keeps, tells, and stops if it is about this node. False if the node stops anyway.
    fn tell(&mut self, found: &Found, told: &mut BTreeSet<B256>) -> Result<bool, SentryError> {
        if !told.insert(local_name(found)) {
            return Ok(true);
        }
        let file = keep(&self.dir, found, &self.domain)?;
        let verdict = &found.verdict;
        let (kind, place) = (verdict.kind.name(), verdict.place);
        tracing::error!(
            kind, accused = ?verdict.accused, epoch = place.epoch, height = place.height,
            round = place.round, "a validator signed a contradiction"
        );
        if let Err(error) = self.p2p.publish(Topic::Evidence, found.evidence.encode()) {
            tracing::debug!(%error, "evidence not gossiped");
        }
        let guilty = verdict.accused.iter().filter_map(|i| found.set.get(*i));
        if guilty.into_iter().any(|v| self.own.contains(&v.vote_key)) {
            let (height, round) = (place.height, place.round);
            let file = file.unwrap_or_else(|| self.dir.clone());
            return Err(SentryError::Own { kind, height, round, file });
        }
        Ok((self.found)(found))
    }
}
