//! What is right for the oracle: the newest block that L1 up to a checkpoint completes, computed here.
//!
//! Not for: the contract (`rota_l1`), nor for deciding what to do about a wrong claim. Invariant: an answer is given for final L1
//! blocks only, all of which were derived and executed by this program; two honest followers give the same.

mod computed;

pub use computed::{Computed, Confirmed, Implementation, NoSlot};

use alloy_primitives::{B256, U64};
use parking_lot::Mutex;
use rota_derive::DerivedBlock;
use rota_l1::{L1Error, Output, Outputs};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// L1 blocks remembered, those that completed a block of the rollup. Policy when full: the oldest are forgotten, and outputs for
/// checkpoints before them are not known here.
const MOST: usize = 262_144;

/// The newest execution block that L1 up to some block completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockAt {
    /// Its number.
    pub block_number: U64,
    /// Its hash.
    pub block_hash: B256,
    /// Its last height.
    pub height: U64,
    /// The value id of that height.
    pub value_id: B256,
}

impl BlockAt {
    /// As the output of a step on top of another, whose hash is given.
    #[must_use]
    pub fn output(&self, step: u64, parent: B256) -> Output {
        Output {
            step,
            parent,
            l2_block: self.block_number.to(),
            l2_hash: self.block_hash,
            height: self.height.to(),
            value_id: self.value_id,
        }
    }
}

/// Which L1 block completed what.
#[derive(Debug)]
struct Book {
    blocks: BTreeMap<u64, BlockAt>,
    /// Everything up to this L1 block is final and derived.
    upto: Option<u64>,
}

/// What each L1 block completed, as a follower derives it. One writer, any number of readers.
#[derive(Debug, Clone)]
pub struct Completed(Arc<Mutex<Book>>);

impl Completed {
    /// Before the first batch; `genesis` is the hash of block 0.
    #[must_use]
    pub fn new(genesis: B256) -> Self {
        let (zero, value_id) = (U64::ZERO, B256::ZERO);
        let first = BlockAt { block_number: zero, block_hash: genesis, height: zero, value_id };
        Self(Arc::new(Mutex::new(Book { blocks: BTreeMap::from([(0, first)]), upto: None })))
    }

    /// A block was completed, after all those before it, and executing it gave this hash.
    pub fn note(&self, block: &DerivedBlock, hash: B256) {
        let at = BlockAt {
            block_number: U64::from(block.number),
            block_hash: hash,
            height: U64::from(block.last_height),
            value_id: block.extra_data,
        };
        self.insert(block.completed_by, at);
    }

    fn insert(&self, l1_block: u64, block: BlockAt) {
        let mut book = self.0.lock();
        book.blocks.insert(l1_block, block);
        if book.blocks.len() > MOST {
            book.blocks.pop_first();
        }
    }

    /// The same book for a derivation that begins anew: nothing but the first block is known in it.
    #[must_use]
    pub fn restart(&self) -> Self {
        self.roll_back(0);
        self.0.lock().upto = None;
        self.clone()
    }

    /// L1 blocks after this one are gone.
    pub fn roll_back(&self, to: u64) {
        let mut book = self.0.lock();
        book.blocks.split_off(&to.saturating_add(1));
        book.upto = book.upto.map(|upto| upto.min(to));
    }

    /// L1 blocks up to this one are final, and all that they give is noted.
    pub fn finalize(&self, l1_block: u64) {
        let mut book = self.0.lock();
        book.upto = book.upto.max(Some(l1_block));
    }

    /// The newest block that L1 up to this block completes; none while that L1 block is not final and derived here, or if it is
    /// too old.
    #[must_use]
    pub fn at(&self, l1_block: u64) -> Option<BlockAt> {
        let book = self.0.lock();
        let newest = book.blocks.range(..=l1_block).next_back().map(|(_, block)| *block);
        newest.filter(|_| book.upto.is_some_and(|upto| l1_block <= upto))
    }
}

/// Why an output cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// L1 could not be asked.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// No checkpoint was recorded for the step. The asker's fault.
    #[error("the oracle has no checkpoint {0} yet")]
    NoCheckpoint(u64),
    /// L1 up to the checkpoint is not derived here. Wait, or ask a follower from the start of the rollup.
    #[error("L1 block {l1_block}, up to which step {step} derives, is not final and derived there")]
    NotDerived {
        /// The step.
        step: u64,
        /// Its L1 block.
        l1_block: u64,
    },
}

/// The right output of a step and its hash: on top of what is final, or, for a step that is final, of the one before. `at` says
/// what a follower derived up to an L1 block.
///
/// # Errors
/// `E`, of `at` too.
pub async fn right_output<E: From<OutputError>>(
    l1: &Outputs,
    step: u64,
    at: impl AsyncFn(u64) -> Result<Option<BlockAt>, E>,
) -> Result<(Output, B256), E> {
    let failed = |e: L1Error| E::from(OutputError::L1(e));
    let known = l1.view().await.map_err(failed)?.tip.step.min(step.saturating_sub(1));
    let parent = l1.output_of(known).await.map_err(failed)?;
    let (found, why) = right_outputs(l1, (known, parent), step, at).await?;
    let missing = || E::from(why.unwrap_or(OutputError::NoCheckpoint(step)));
    found.into_iter().next_back().filter(|(o, _)| o.step == step).ok_or_else(missing)
}

/// The right outputs of the steps after a known one, with its hash, up to the last: those that can be computed, and why not the
/// next.
///
/// # Errors
/// `E`, of `at` too.
pub async fn right_outputs<E: From<OutputError>>(
    l1: &Outputs,
    (known, mut parent): (u64, B256),
    last: u64,
    at: impl AsyncFn(u64) -> Result<Option<BlockAt>, E>,
) -> Result<(Vec<(Output, B256)>, Option<OutputError>), E> {
    let failed = |e: L1Error| E::from(OutputError::L1(e));
    let domain = l1.domain().await.map_err(failed)?;
    let mut found = Vec::new();
    for step in known.saturating_add(1)..=last {
        let Some(point) = l1.checkpoint(step).await.map_err(failed)? else {
            return Ok((found, Some(OutputError::NoCheckpoint(step))));
        };
        let l1_block = point.l1_block;
        let Some(block) = at(l1_block).await? else {
            return Ok((found, Some(OutputError::NotDerived { step, l1_block })));
        };
        let output = block.output(step, parent);
        parent = output.hash(domain, &point);
        found.push((output, parent));
    }
    Ok((found, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(n: u64) -> BlockAt {
        let hash = B256::with_last_byte(u8::try_from(n).unwrap());
        BlockAt {
            block_number: U64::from(n),
            block_hash: hash,
            height: U64::from(n.saturating_mul(4)),
            value_id: hash,
        }
    }

    #[test]
    fn it_is_the_newest_block_that_final_l1_blocks_complete() {
        let book = Completed::new(B256::repeat_byte(1));
        assert_eq!(book.at(3), None);
        book.insert(10, block(1));
        book.insert(10, block(2));
        book.insert(12, block(3));
        book.finalize(11);
        assert_eq!(book.at(9).unwrap().block_hash, B256::repeat_byte(1));
        assert_eq!((book.at(10), book.at(11)), (Some(block(2)), Some(block(2))));
        assert_eq!(book.at(12), None, "not final yet");
        book.roll_back(11);
        book.finalize(20);
        assert_eq!(book.at(20), Some(block(2)));
    }
}
