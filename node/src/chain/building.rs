//! One execution block while frames still join it, and what it is when it is sealed.
//!
//! Invariant (I-10): a pure function of its parent, of what L1 forces in and of the frames in it.

use super::{
    rewards::{SetSource, paid, points, share},
    stack::StackError,
};
use alloy_primitives::B256;
use rota_execution::{Checkpoint, ExecutedBlock, Fees, Head, OpenBlock, Outcome, State};
use rota_preconf::Frame;
use rota_types::{Env, LagPoint, LedBy, RewardsBook, Tx};
use std::sync::Arc;

/// A sealed block with its place in the log.
#[derive(Debug)]
pub struct Sealed {
    /// The block.
    pub block: ExecutedBlock,
    /// First and last log position.
    pub g: (u64, u64),
    /// First and last height.
    pub heights: (u64, u64),
    /// L1 origin.
    pub origin: u64,
    /// Rewards as of the block before.
    pub rewards_before: Arc<RewardsBook>,
    /// Rewards as of this block.
    pub rewards: Arc<RewardsBook>,
    /// The checkpoints of the heights in it.
    pub points: Vec<LagPoint>,
}

/// A block that frames join.
pub(super) struct Building {
    pub(super) parent: Head,
    /// As of the parent.
    pub(super) rewards: Arc<RewardsBook>,
    pub(super) env: Env,
    /// What L1 forced in: executed before the first frame.
    pub(super) forced: Vec<Arc<Tx>>,
    pub(super) forced_fees: Fees,
    pub(super) frames: Vec<Framed>,
    pub(super) open: OpenBlock,
    pub(super) sealed: Option<Arc<Sealed>>,
}

/// A frame, the value id of the height that it closes, and what its transactions paid.
pub(super) struct Framed {
    pub(super) frame: Arc<Frame>,
    pub(super) closed: Option<B256>,
    pub(super) fees: Fees,
}

/// Transactions executed on top of the newest frame, not framed yet.
pub(super) struct Tentative {
    pub(super) before: Checkpoint,
    pub(super) state: State,
    pub(super) outcomes: Vec<(Arc<Tx>, Outcome)>,
}

impl Building {
    /// Executes what L1 forces in, first of all. What cannot be included is skipped (I-15).
    pub(super) fn force(&mut self) -> Result<Vec<(Arc<Tx>, Outcome)>, StackError> {
        let mut run = self.open.run();
        let mut outcomes = Vec::with_capacity(self.forced.len());
        for tx in &self.forced {
            outcomes.push((Arc::clone(tx), run.apply(&tx.envelope, tx.sender)?));
        }
        drop(run);
        self.forced_fees = paid(&outcomes, self.open.context().base_fee);
        Ok(outcomes)
    }

    /// Executes a frame's transactions, or takes the results of the draft that it was made from. A draft
    /// that this frame leaves alone stays for the next one.
    pub(super) fn run(
        &mut self,
        frame: &Frame,
        tentative: Option<Tentative>,
        keep: &mut Option<Tentative>,
    ) -> Result<Vec<(Arc<Tx>, Outcome)>, StackError> {
        if let Some(t) = tentative {
            let same = t.outcomes.len() == frame.txs.len()
                && t.outcomes.iter().zip(&frame.txs).all(|((a, _), b)| a.hash == b.hash);
            if frame.txs.is_empty() {
                *keep = Some(t);
                return Ok(Vec::new());
            }
            if same {
                return Ok(t.outcomes);
            }
            self.open.restore(&t.before)?;
        }
        let mut run = self.open.run();
        let mut outcomes = Vec::with_capacity(frame.txs.len());
        for tx in &frame.txs {
            let outcome = run.apply(&tx.envelope, tx.sender)?;
            outcomes.push((Arc::clone(tx), outcome));
        }
        Ok(outcomes)
    }

    pub(super) fn seal(&mut self, sets: &SetSource) -> Result<Arc<Sealed>, StackError> {
        let (Some(first), Some(last)) = (self.frames.first(), self.frames.last()) else {
            return Err(StackError::Order { g: 0, what: "a block without frames" });
        };
        let (first, last) = (&first.frame, &last.frame);
        let id = self.frames.iter().rev().find_map(|f| f.closed);
        let id = id.ok_or(StackError::Order { g: last.g(), what: "a block without a height" })?;
        let heights = (first.height(), last.height());
        let base_fee = self.open.context().base_fee;
        let rewards = share(&self.rewards, base_fee, self.parts(), |epoch| sets(epoch));
        let sealed = Arc::new(Sealed {
            g: (first.g(), last.g()),
            heights,
            origin: self.env.l1_number,
            rewards_before: Arc::clone(&self.rewards),
            rewards: Arc::new(rewards.map_err(StackError::Set)?),
            points: points(heights, &self.parent, &self.rewards).collect(),
            block: self.open.clone().seal(id)?,
        });
        self.sealed = Some(Arc::clone(&sealed));
        Ok(sealed)
    }

    /// Whose transactions paid what: those that L1 forced in, then each height.
    fn parts(&self) -> Vec<(LedBy, Fees)> {
        let epoch = self.frames.first().map_or(0, |f| f.frame.signed.header.epoch);
        let mut parts = vec![(LedBy { epoch, leader: None }, self.forced_fees)];
        let mut height = Fees::default();
        for Framed { frame, fees, .. } in &self.frames {
            height = height.and(*fees);
            if let Some(close) = &frame.signed.body.close {
                let led = LedBy { epoch: close.epoch, leader: Some(close.closer) };
                parts.push((led, std::mem::take(&mut height)));
            }
        }
        parts
    }
}
