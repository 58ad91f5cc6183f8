//! Compares the block hashes that the set certified with those on which slots agreed on L1.
//!
//! Not for: executing, nor for what else a checkpoint says. Invariants: nothing is brought that the contract would not take, as
//! far as can be told here; both sides may come first, and what is not known yet is looked for again. Queues: `outputs`,
//! bounded, policy drop the oldest; the checkpoints (`points`).

use super::{ledger::Ledger, points::Points};
use alloy::consensus::Header as BlockHeader;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use eyre::{WrapErr, ensure, eyre};
use rota_l1::FinalOutput;
use rota_types::{
    ACCUSED_MANY, CommitCertificate, Decode, EXEC_LAG, Evidence, FalseBlock, Header, LagPoint,
    LightProof, Proof,
};
use std::{collections::VecDeque, path::Path};

/// Final outputs that wait for checkpoints.
const OUTPUTS: usize = 4_096;
/// Questions to the node about checkpoints at one look.
const ASKED: usize = 64;
/// Heights in one block that are looked through.
const HEIGHTS: u64 = 256;
/// Headers in one transaction that leads to an older block: about three million gas.
pub(super) const ANCESTORS: u64 = 128;

/// A lie that may need its block to be proven first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lie {
    /// The evidence, good if L1 has the hash of its block.
    pub(super) evidence: Evidence,
    /// A block above it that slots agreed on.
    pub(super) under: u64,
}

/// The comparison, and what it waits for.
#[derive(Debug)]
pub(super) struct Audit<N, F> {
    node: N,
    follower: F,
    points: Points,
    outputs: VecDeque<FinalOutput>,
    /// The block of the last output that was looked at.
    done: u64,
    /// The node has no checkpoints below this height.
    floor: u64,
}

impl<N: Ledger, F: Ledger> Audit<N, F> {
    /// Goes on with the checkpoints of an earlier run.
    pub(super) fn open((node, follower): (N, F), file: &Path) -> std::io::Result<Self> {
        let points = Points::open(file)?;
        Ok(Self { node, follower, points, outputs: VecDeque::new(), done: 0, floor: 0 })
    }

    /// An output became final on L1. What the council chose is no reason to take stake.
    pub(super) fn finalized(&mut self, output: FinalOutput) {
        let new = self.outputs.back().is_none_or(|last| last.output.step < output.output.step);
        if output.by_council || !new || output.output.l2_block <= self.done {
            return;
        }
        if self.outputs.len() >= OUTPUTS {
            self.outputs.pop_front();
        }
        self.outputs.push_back(output);
    }

    /// Asks for checkpoints, and compares what can be compared; what is found is added to `lies`, one for each step: a set that
    /// goes on with a wrong state certifies it again and again.
    pub(super) async fn look(&mut self, lies: &mut Vec<Lie>) -> eyre::Result<()> {
        self.collect().await?;
        while let Some(next) = self.outputs.front().copied() {
            if !self.ready(&next) {
                break;
            }
            lies.extend(self.compare(&next).await?);
            self.done = next.output.l2_block;
            self.outputs.pop_front();
        }
        Ok(())
    }

    /// Newest first: these are forgotten last, and what a node still has of the old ones comes then.
    async fn collect(&mut self) -> eyre::Result<()> {
        let Some(newest) = self.node.newest().await? else { return Ok(()) };
        let named = certified(&newest)?.height().saturating_sub(EXEC_LAG);
        for height in self.points.missing(named, self.floor, ASKED) {
            let header = height.saturating_add(EXEC_LAG);
            let proof = self.node.certified(header, header).await?;
            let point = proof.as_ref().map(point_of).transpose()?.flatten();
            let Some(point) = point else {
                self.floor = header;
                break;
            };
            self.points.note(point)?;
        }
        Ok(())
    }

    /// Whether the last checkpoint that can name the output's block or one below it is here, or will not come.
    fn ready(&self, next: &FinalOutput) -> bool {
        let after = next.output.height.saturating_add(1);
        let last = after.saturating_sub(after.checked_rem(EXEC_LAG).unwrap_or(0));
        last == 0 || self.points.has(last) || last < self.floor
    }

    /// The newest lie of a step: its block is the one that is proven with the fewest headers.
    async fn compare(&self, next: &FinalOutput) -> eyre::Result<Option<Lie>> {
        let top = next.output.l2_block;
        let found = self.follower.header(top).await?;
        let found = found.ok_or_else(|| {
            eyre!(
                "--follower-url has no block {top}: give an execution client led by a follower, which keeps old blocks, or \
                 wait until it is there"
            )
        })?;
        ensure!(
            keccak256(found) == next.output.l2_hash,
            "the follower does not have block {top} as it is proven"
        );
        for point in self.points.of_blocks(self.done.saturating_add(1)..=top).into_iter().rev() {
            let rlp = self.follower.header(point.block_number).await?;
            let rlp =
                rlp.ok_or_else(|| eyre!("the follower has no block {}", point.block_number))?;
            if keccak256(&rlp) == point.block_hash {
                continue;
            }
            if let Some(evidence) = self.accuse(point, rlp).await? {
                return Ok(Some(Lie { evidence, under: top }));
            }
            tracing::info!(
                height = point.height,
                block = point.block_number,
                "certified on a log that was not derived, or not shown by the node"
            );
        }
        Ok(None)
    }

    /// Evidence against who certified the checkpoint, if the block is of their log; `block` is the proven one.
    async fn accuse(&self, point: LagPoint, block: Bytes) -> eyre::Result<Option<Evidence>> {
        let proven = BlockHeader::decode(&mut block.as_ref()).wrap_err("a block header")?;
        let Ok(last) = B256::try_from(proven.extra_data.as_ref()) else { return Ok(None) };
        let named_by = point.height.saturating_add(EXEC_LAG);
        // The checkpoint's height is in the block after the one that it names.
        for back in 0..HEIGHTS.min(point.height) {
            let height = point.height.saturating_sub(back);
            let Some(proof) = self.node.certified(height, named_by).await? else { return Ok(None) };
            let below = proof.below.as_ref().ok_or_else(|| eyre!("no place of height {height}"))?;
            let next = Header::decode(&below.header)?;
            if next.env.timestamp_s <= proven.timestamp {
                return Ok(None);
            }
            if next.close.parent_id == last {
                let header = Header::decode(&proof.header)?;
                let certificate = CommitCertificate::decode(&proof.certificate)?;
                let (generation, epoch) = (header.close.generation, header.close.epoch);
                let below = (next, &below.history);
                let lie = FalseBlock::new((header, &certificate), point, below, block);
                let proof = Proof::FalseBlock(Box::new(lie));
                return Ok(Some(Evidence { generation, epoch, accused: ACCUSED_MANY, proof }));
            }
        }
        Ok(None)
    }

    /// Headers from `from` down to the one above `to`, as the oracle takes them.
    pub(super) async fn ancestors(&self, from: u64, to: u64) -> eyre::Result<Vec<Bytes>> {
        let mut out = Vec::new();
        for number in (to.saturating_add(1)..=from).rev() {
            let header = self.follower.header(number).await?;
            out.push(header.ok_or_else(|| eyre!("the follower has no block {number}"))?);
        }
        Ok(out)
    }
}

/// The height that a proof is about.
fn certified(proof: &LightProof) -> eyre::Result<Header> {
    let bytes = proof.below.as_ref().map_or(&proof.header, |below| &below.header);
    Ok(Header::decode(bytes)?)
}

/// The checkpoint of a height that names one, if its preimage is shown and is the right one.
fn point_of(proof: &LightProof) -> eyre::Result<Option<LagPoint>> {
    let Some(shown) = &proof.checkpoint else { return Ok(None) };
    let (point, close) = (LagPoint::decode(shown)?, certified(proof)?.close);
    let named = (close.exec_lag_height, close.exec_lag_root) == (point.height, point.root());
    Ok(named.then_some(point))
}

#[cfg(test)]
mod tests;
