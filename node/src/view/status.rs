//! How far one transaction has come, with times.

use super::{
    Finalization, HeightRecord, Posting, ProvenStep,
    inner::{Inner, Place, TxRecord},
};
use alloy_primitives::B256;
use rota_types::{Millis, Stage};
use std::sync::Arc;

/// Stake that stored a prefix of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckInfo {
    /// Stake that acked, gwei.
    pub weight_gwei: u64,
    /// Stake of the set, gwei.
    pub total_gwei: u64,
    /// When it was a quorum.
    pub at_ms: Millis,
}

impl AckInfo {
    /// Strictly more than two thirds.
    #[must_use]
    pub fn is_quorum(&self) -> bool {
        u128::from(self.weight_gwei).saturating_mul(3)
            > u128::from(self.total_gwei).saturating_mul(2)
    }
}

/// The stages that a transaction has reached. Times are missing for what happened before a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The highest stage; `None` if it is not even waiting.
    pub stage: Option<Stage>,
    /// When this node got it.
    pub received_ms: Option<Millis>,
    /// When its frame was executed.
    pub preconfirmed_ms: Option<Millis>,
    /// Who stored it, and when that was a quorum.
    pub acked: Option<AckInfo>,
    /// Its height's decision.
    pub decided: Option<Arc<HeightRecord>>,
    /// The batch it is in.
    pub posted: Option<Posting>,
    /// The L1 block that made it final.
    pub finalized: Option<Finalization>,
    /// The step of the oracle that proves it.
    pub proven: Option<ProvenStep>,
}

impl Inner {
    pub(super) fn progress(&self, record: &TxRecord) -> Progress {
        let mut progress = Progress { received_ms: record.received_ms, ..Progress::default() };
        let Some(place) = &record.place else {
            progress.stage = record.problem.as_ref().map_or(Some(Stage::Received), |p| {
                matches!(p.kind, super::ProblemKind::Retracted | super::ProblemKind::Broken)
                    .then_some(Stage::Received)
            });
            return progress;
        };
        progress.stage = Some(Stage::Preconfirmed);
        let height = match &place.frame {
            Some((frame, _)) => {
                progress.preconfirmed_ms = Some(frame.at_ms);
                progress.acked = self.acks.range(frame.g()..).next().map(|(_, info)| *info);
                self.decided_height_of(frame.g())
            }
            None => self.blocks.get(&place.number).map(|b| b.span.last_height),
        };
        if progress.acked.is_some() {
            progress.stage = Some(Stage::Acked);
        }
        if let Some(height) = height.filter(|h| *h <= self.decided_height) {
            self.decided_progress((height, place.number), &mut progress);
        }
        progress
    }

    fn decided_progress(&self, (height, number): (u64, u64), progress: &mut Progress) {
        progress.stage = Some(Stage::Decided);
        progress.decided = self.heights.get(&height).cloned();
        progress.posted = self.postings.range(height..).next().map(|(_, p)| *p);
        if progress.posted.is_some() {
            progress.stage = Some(Stage::Posted);
        }
        progress.finalized = self.finals.range(height..).next().map(|(_, f)| *f);
        if progress.finalized.is_some() {
            progress.stage = Some(Stage::Finalized);
            progress.proven = self.proof_of(number);
        }
        if progress.proven.is_some() {
            progress.stage = Some(Stage::Proven);
        }
    }

    /// The decided height that holds a position of the log.
    pub(super) fn decided_height_of(&self, g: u64) -> Option<u64> {
        self.height_ends.range(g..).next().map(|(_, height)| *height)
    }

    /// Which of these have reached a stage.
    pub(super) fn reached_of(&self, hashes: &[B256], stage: Stage) -> Vec<B256> {
        let reached = |hash: &&B256| {
            self.txs.get(*hash).is_some_and(|r| self.progress(r).stage >= Some(stage))
        };
        hashes.iter().filter(reached).copied().collect()
    }

    /// The stage of a sealed block.
    pub(super) fn block_stage(&self, number: u64) -> Stage {
        if self.proof_of(number).is_some() {
            Stage::Proven
        } else if number <= self.finalized {
            Stage::Finalized
        } else if number <= self.safe {
            Stage::Posted
        } else if number <= self.latest {
            Stage::Decided
        } else {
            Stage::Preconfirmed
        }
    }

    pub(super) fn place_hash(&self, place: &Place) -> Option<(B256, u64, u64, bool)> {
        if let Some(block) = self.blocks.get(&place.number) {
            let fee = block.header.base_fee_per_gas.unwrap_or_default();
            return Some((block.hash, block.header.timestamp, fee, true));
        }
        let (frame, _) = place.frame.as_ref()?;
        Some((frame.hash, frame.block.timestamp_s, frame.block.base_fee, false))
    }
}
