//! The forced queue and the fallback of the chain in memory, without accounts: a test says what happens.
//!
//! Not for: the rules of when the contracts allow it; turns made here change nothing in the inbox. Invariant: what is enqueued is in the next block, once; a
//! reorganisation takes it away with its block.

use super::contracts::{Effect, Now, World};
use super::state::{Events, State};
use super::{MemoryL1, versioned_hashes};
use crate::forced::NOWHERE;
use crate::{BatchPost, PostedBatch, TurnKind};
use alloy_primitives::{Address, B256, Bytes, keccak256};

/// What goes into the next block.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    forced: Vec<(u64, Bytes)>,
    deposits: Vec<(Address, u64)>,
    turns: Vec<TurnKind>,
}

impl MemoryL1 {
    /// Enqueues bytes as a forced transaction with so much gas, in the next block.
    pub fn enqueue(&self, gas: u64, tx: Bytes) {
        self.0.lock().queue.forced.push((gas, tx));
    }

    /// Deposits so many gwei for an account, in the next block.
    pub fn deposit(&self, to: Address, amount_gwei: u64) {
        self.0.lock().queue.deposits.push((to, amount_gwei));
    }

    /// Raises the generation in the next block.
    pub fn fall_back(&self, generation: u32) {
        self.0.lock().queue.turns.push(TurnKind::Fallback { generation });
    }

    /// Forms a new set in the next block, in force from L1 block `start` on.
    pub fn emergency_set(&self, generation: u32, epoch: u64, start: u64) {
        self.0.lock().queue.turns.push(TurnKind::EmergencySet { generation, epoch, start });
    }

    /// Posts heights in the next block; their certificate is not looked at.
    pub fn post_uncertified(&self, post: &BatchPost) {
        let mut state = self.0.lock();
        let blob_hashes = versioned_hashes(&post.payload);
        if let Some(first) = blob_hashes.first() {
            state.payloads.insert(*first, post.payload.clone());
        }
        let batch = PostedBatch {
            block: NOWHERE,
            log_index: 0,
            tx_hash: B256::ZERO,
            from_height: post.from_height,
            to_height: post.header.height(),
            repost: post.repost,
            header: post.header.clone(),
            certificate: post.certificate.clone(),
            blob_hashes,
        };
        state.queue.turns.push(TurnKind::Uncertified(Box::new(batch)));
    }
}

impl State {
    /// Places what waits into the block that is being made.
    pub(super) fn take_waiting(&mut self, world: &mut World, now: Now, events: &mut Events) {
        let waiting = std::mem::take(&mut self.queue);
        for (gas, tx) in waiting.forced {
            let hash = keccak256(&tx);
            events.add(hash, world.enqueue(now, gas, tx));
        }
        for (to, amount_gwei) in waiting.deposits {
            let hash = keccak256([to.as_slice(), &amount_gwei.to_be_bytes()].concat());
            events.add(hash, world.deposit(now, to, amount_gwei));
        }
        for (at, what) in (0u64..).zip(waiting.turns) {
            let hash = keccak256([now.block, at].map(u64::to_be_bytes).concat());
            events.add(hash, Effect::Turn(what));
        }
    }
}
