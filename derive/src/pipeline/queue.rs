//! Forced transactions and deposits as L1 tells them, and the blocks that they are in.
//!
//! Invariant (I-15, I-42): the queue is a function of the L1 chain read so far; a block takes from it what lies between its
//! origin and that of the block before, whoever made the block and however it was posted. Nothing is left out.

use super::Pipeline;
use crate::{DeriveError, DerivedBlock, L1Origin, L1Ref, Part, Span};
use alloy_primitives::Bytes;
use rayon::prelude::*;
use rota_types::{Deposit, ForcedTx, LedBy, Tx, due_deposits, follow_on, forced_txs};
use std::{collections::BTreeMap, sync::Arc};

/// What one L1 block brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The L1 block.
    pub block: L1Origin,
    /// All that the forced queue took in it, by index.
    pub forced: Vec<ForcedTx>,
    /// All that the portal took in it, by index.
    pub deposits: Vec<Deposit>,
}

/// By L1 block, as far back as a rollback may need it.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    blocks: BTreeMap<u64, Brought>,
    /// After these L1 blocks: index of the next forced transaction, and of the next deposit; none where that is not known.
    next: BTreeMap<u64, (Option<u64>, Option<u64>)>,
}

impl Queue {
    /// Of a rollup from its genesis on: nothing was brought in before.
    pub(super) fn from_genesis() -> Self {
        Self { next: BTreeMap::from([(0, (Some(0), Some(0)))]), ..Self::default() }
    }

    pub(super) fn rollback(&mut self, l1_number: u64) {
        self.blocks.retain(|number, _| *number <= l1_number);
        self.next.retain(|number, _| *number <= l1_number);
    }

    /// Forgets what every block from now on has behind it.
    pub(super) fn forget(&mut self, origin: u64) {
        while self.blocks.first_key_value().is_some_and(|(number, _)| *number <= origin) {
            self.blocks.pop_first();
        }
        // The newest of them is what the next one is compared with.
        while self.next.keys().nth(1).is_some_and(|number| *number <= origin) {
            self.next.pop_first();
        }
    }

    /// The first L1 block above `after`, up to `upto`, that brings something in.
    pub(super) fn next(&self, after: u64, upto: u64) -> Option<&Brought> {
        self.range(after, upto).next()
    }

    fn range(&self, after: u64, upto: u64) -> impl Iterator<Item = &Brought> + Clone {
        let first = after.checked_add(1).filter(|first| *first <= upto);
        first.into_iter().flat_map(move |first| self.blocks.range(first..=upto).map(|(_, b)| b))
    }

    fn between(&self, after: u64, upto: u64, chain_id: u64) -> (Vec<Tx>, Vec<Deposit>) {
        let found = self.range(after, upto);
        let forced = found.clone().flat_map(|b| &b.forced);
        let forced = forced_txs(forced, after, upto, chain_id);
        (forced, due_deposits(found.flat_map(|b| &b.deposits), after, upto))
    }

    /// Takes a block in, if its items go on where those before ended.
    fn insert(&mut self, brought: Brought) -> Result<(), DeriveError> {
        let at = brought.block.number;
        let (forced, deposits) = self.next.range(..at).next_back().map_or((None, None), |n| *n.1);
        let follow = |what, next: Option<u64>, indices: Vec<u64>| {
            let Some(next) = next.or_else(|| indices.first().copied()) else { return Ok(None) };
            let missing =
                |(expected, got)| DeriveError::Missing { l1_number: at, what, expected, got };
            follow_on(next, indices).map(Some).map_err(missing)
        };
        let next = (
            follow("forced transaction", forced, brought.forced.iter().map(|f| f.index).collect())?,
            follow("deposit", deposits, brought.deposits.iter().map(|d| d.index).collect())?,
        );
        self.next.insert(at, next);
        self.blocks.insert(at, brought);
        Ok(())
    }
}

impl Pipeline {
    /// Gives what an L1 block brings in, all of it, before anything of a later block.
    pub fn enqueue(&mut self, brought: Brought) -> Result<(), DeriveError> {
        let (got, seen) = (brought.block.number, self.passed.saturating_add(1).max(self.seen.0));
        if got < seen {
            return Err(DeriveError::Order { got, seen });
        }
        self.queue.insert(brought)
    }

    /// The block of a span: deposits, what is forced in, then the transactions of its heights.
    pub(super) fn block(
        &self,
        span: Span,
        heights: &[(LedBy, Arc<Vec<Bytes>>)],
        (l1_block, completed_by): (L1Ref, u64),
    ) -> DerivedBlock {
        let chain_id = self.state.domain.l2_chain_id;
        let (after, upto) = (span.previous_origin, span.env.l1_number);
        let (mut valid, deposits) = self.queue.between(after, upto, chain_id);
        let (forced, mut invalid) = (valid.len(), 0usize);
        let epoch = heights.first().map_or(0, |(led, _)| led.epoch);
        let mut parts = vec![Part { led: LedBy { epoch, leader: None }, txs: forced }];
        for (led, txs) in heights {
            let before = valid.len();
            // Recovering the senders is nearly all that derivation costs, and each is a fact of its own.
            let decoded: Vec<_> = txs.par_iter().map(|tx| Tx::decode(tx, chain_id)).collect();
            valid.extend(decoded.into_iter().flatten());
            let taken = valid.len().saturating_sub(before);
            invalid = invalid.saturating_add(txs.len().saturating_sub(taken));
            parts.push(Part { led: *led, txs: taken });
        }
        DerivedBlock {
            number: span.number,
            timestamp_s: span.env.timestamp_s,
            env: span.env,
            extra_data: span.last_id,
            deposits,
            txs: valid,
            forced,
            parts,
            invalid,
            first_height: span.first_height,
            last_height: span.last_height,
            previous_origin: span.previous_origin,
            l1_block,
            completed_by,
        }
    }
}
