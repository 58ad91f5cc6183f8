//! Which blocks are kept: every one that a step of the oracle may end with.
//!
//! A step ends with the newest block that the batches up to an L1 block complete: the last whole block of a batch, or the one
//! before it, where the next height could still have joined the last. Queue: `waiting`, blocks that are not final, bounded,
//! policy drop the oldest; a later step shows the same withdrawals.

use super::Exits;
use crate::{
    settle::{Pace, Throttle},
    view::{At, BlockView, View},
};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::U256;
use rota_execution::MESSAGE_PASSER;
use rota_store::StoreError;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Between two looks: much less than an L1 block.
const EVERY: Duration = Duration::from_millis(500);
/// Blocks that wait to become final, with their states.
const WAITING: usize = 1_024;

/// What was seen, and what waits. No clock.
#[derive(Debug)]
pub struct ExitWatch {
    exits: Exits,
    known: BTreeSet<U256>,
    /// The newest height on L1 that was looked at.
    height: u64,
    waiting: BTreeMap<u64, Arc<BlockView>>,
}

impl ExitWatch {
    /// Goes on with what is on disk.
    ///
    /// # Errors
    /// The disk.
    pub fn open(exits: Exits) -> Result<Self, StoreError> {
        let known = exits.slots()?;
        Ok(Self { exits, known, height: 0, waiting: BTreeMap::new() })
    }

    /// Takes up what was posted, and keeps what became final.
    ///
    /// # Errors
    /// The disk; calling again goes on.
    pub fn step(&mut self, view: &View) -> Result<(), StoreError> {
        let (newest, blocks) = view.brought(self.height);
        self.height = newest;
        for block in blocks.into_iter().filter(|b| b.number() > 0 && b.state.is_some()) {
            self.waiting.insert(block.number(), block);
        }
        while self.waiting.len() > WAITING {
            self.waiting.pop_first();
        }
        let finalized = view.heads().finalized.number;
        while let Some((number, block)) = self.waiting.first_key_value()
            && *number <= finalized
        {
            let at = At::Number(BlockNumberOrTag::Number(*number));
            if view.block(at).is_some_and(|b| b.hash == block.hash) {
                self.keep_first(view)?;
            }
            self.waiting.pop_first();
        }
        Ok(())
    }

    fn keep_first(&mut self, view: &View) -> Result<(), StoreError> {
        let Some((number, block)) = self.waiting.first_key_value() else { return Ok(()) };
        let Some(state) = &block.state else { return Ok(()) };
        let mut new = Vec::new();
        if state.storage(&MESSAGE_PASSER, &super::COUNT) != U256::from(self.known.len()) {
            let others = state.slots(&MESSAGE_PASSER).filter(|slot| *slot != super::COUNT);
            new.extend(others.filter(|slot| !self.known.contains(slot)));
        }
        self.exits.keep((*number, state), &new, view.newest_proven())?;
        self.known.extend(new);
        Ok(())
    }
}

/// Watches until the node stops.
pub async fn follow_exits(view: Arc<View>, exits: Exits, pace: Pace) {
    let (mut watch, mut complaints) = (None, Throttle::default());
    while pace.wait(EVERY).await {
        let looked = match &mut watch {
            Some(watch) => ExitWatch::step(watch, &view),
            None => ExitWatch::open(exits.clone()).map(|opened| watch = Some(opened)),
        };
        if let Err(error) = looked
            && complaints.due(pace.now())
        {
            tracing::error!(%error, "what shows withdrawals on L1 is not kept");
        }
    }
}
