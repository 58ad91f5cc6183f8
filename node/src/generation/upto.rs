//! L1 as it was when a block was its newest one.
//!
//! Invariant: the block is final, so everything that this says of L1 stays true.

use alloy_primitives::{Address, Bytes, U256};
use rota_l1::{
    At, BatchPost, Deposited, Enqueued, FrozenSets, L1, L1Block, L1Error, PostedBatch, Turn,
};
use rota_types::{Validator, ValidatorSet};
use std::pin::Pin;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// L1 up to a final block.
pub(super) struct Upto<'a> {
    pub(super) l1: &'a dyn L1,
    pub(super) last: L1Block,
}

impl L1 for Upto<'_> {
    fn block(&self, at: At) -> BoxFuture<'_, Result<Option<L1Block>, L1Error>> {
        match at {
            At::Number(number) if number <= self.last.number => self.l1.block(at),
            At::Number(_) => Box::pin(async { Ok(None) }),
            At::Latest | At::Finalized => Box::pin(async { Ok(Some(self.last)) }),
        }
    }
    fn operators(&self, block: u64) -> BoxFuture<'_, Result<Vec<Validator>, L1Error>> {
        self.l1.operators(block)
    }
    fn epoch_at(&self, l1_number: u64) -> BoxFuture<'_, Result<u64, L1Error>> {
        self.l1.epoch_at(l1_number)
    }
    fn frozen_sets(&self, block: u64) -> BoxFuture<'_, Result<FrozenSets, L1Error>> {
        self.l1.frozen_sets(block)
    }
    fn validator_set(
        &self,
        epoch: u64,
        block: u64,
    ) -> BoxFuture<'_, Result<Option<ValidatorSet>, L1Error>> {
        // A frozen set stays as it is, and few endpoints know the state of an old block.
        Box::pin(async move {
            let newest = self.l1.block(At::Finalized).await?.map_or(block, |b| b.number);
            self.l1.validator_set(epoch, block.max(newest)).await
        })
    }
    fn set_outdated(&self, block: u64) -> BoxFuture<'_, Result<bool, L1Error>> {
        self.l1.set_outdated(block)
    }
    fn batches(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<PostedBatch>, L1Error>> {
        self.l1.batches(from, to)
    }
    fn forced(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Enqueued>, L1Error>> {
        self.l1.forced(from, to)
    }
    fn deposits(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Deposited>, L1Error>> {
        self.l1.deposits(from, to)
    }
    fn turns(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Turn>, L1Error>> {
        self.l1.turns(from, to)
    }
    fn payload<'a>(&'a self, batch: &'a PostedBatch) -> BoxFuture<'a, Result<Bytes, L1Error>> {
        self.l1.payload(batch)
    }
    fn preflight<'a>(
        &'a self,
        post: &'a BatchPost,
        from: Address,
    ) -> BoxFuture<'a, Result<(), L1Error>> {
        self.l1.preflight(post, from)
    }
    fn balance(&self, account: Address) -> BoxFuture<'_, Result<U256, L1Error>> {
        self.l1.balance(account)
    }
}
