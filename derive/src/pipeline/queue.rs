//! The forced queue as L1 tells it, and the blocks that its transactions come first in.
//!
//! Invariant (I-15): the queue is a function of the L1 chain read so far; a block takes from it what lies between its
//! origin and that of the block before, whoever made the block and however it was posted.

use super::Pipeline;
use crate::{DeriveError, DerivedBlock, L1Origin, L1Ref, Part, Span};
use alloy_primitives::Bytes;
use rota_types::{ForcedTx, LedBy, Tx, forced_txs};
use std::{collections::BTreeMap, sync::Arc};

/// Entries by L1 block, as far back as a rollback may need them.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(BTreeMap<u64, (L1Origin, Vec<ForcedTx>)>);

impl Queue {
    pub(super) fn rollback(&mut self, l1_number: u64) {
        self.0.retain(|number, _| *number <= l1_number);
    }

    /// Forgets what every block from now on has behind it.
    pub(super) fn forget(&mut self, origin: u64) {
        while self.0.first_key_value().is_some_and(|(number, _)| *number <= origin) {
            self.0.pop_first();
        }
    }

    /// The first L1 block above `after`, up to `upto`, that forces something in.
    pub(super) fn next(&self, after: u64, upto: u64) -> Option<&(L1Origin, Vec<ForcedTx>)> {
        let first = after.checked_add(1)?;
        (first <= upto).then(|| self.0.range(first..=upto).next().map(|(_, e)| e)).flatten()
    }

    fn between(&self, after: u64, upto: u64, chain_id: u64) -> Vec<Tx> {
        let Some(first) = after.checked_add(1).filter(|first| *first <= upto) else {
            return Vec::new();
        };
        let entries = self.0.range(first..=upto).flat_map(|(_, (_, entries))| entries);
        forced_txs(entries, after, upto, chain_id)
    }
}

impl Pipeline {
    /// Gives the entries that the forced queue got in an L1 block, all of them, before anything of a later block.
    pub fn enqueue(&mut self, block: L1Origin, entries: Vec<ForcedTx>) -> Result<(), DeriveError> {
        let (got, seen) = (block.number, self.passed.saturating_add(1).max(self.seen.0));
        if got < seen {
            return Err(DeriveError::Order { got, seen });
        }
        self.queue.0.insert(got, (block, entries));
        Ok(())
    }

    /// The block of a span: what is forced in, then the transactions of its heights.
    pub(super) fn block(
        &self,
        span: Span,
        heights: &[(LedBy, Arc<Vec<Bytes>>)],
        (l1_block, completed_by): (L1Ref, u64),
    ) -> DerivedBlock {
        let chain_id = self.state.domain.l2_chain_id;
        let mut valid = self.queue.between(span.previous_origin, span.env.l1_number, chain_id);
        let (forced, mut invalid) = (valid.len(), 0usize);
        let epoch = heights.first().map_or(0, |(led, _)| led.epoch);
        let mut parts = vec![Part { led: LedBy { epoch, leader: None }, txs: forced }];
        for (led, txs) in heights {
            let before = valid.len();
            for tx in txs.iter() {
                match Tx::decode(tx, chain_id) {
                    Ok(tx) => valid.push(tx),
                    Err(_) => invalid = invalid.saturating_add(1),
                }
            }
            parts.push(Part { led: *led, txs: valid.len().saturating_sub(before) });
        }
        DerivedBlock {
            number: span.number,
            timestamp_s: span.env.timestamp_s,
            env: span.env,
            extra_data: span.last_id,
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
