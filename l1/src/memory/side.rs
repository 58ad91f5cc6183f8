//! The forced queue and the fallback of the chain in memory, without accounts: a test says what happens.
//!
//! Not for: the rules of when the contracts allow it. Invariant: what is enqueued is in the next block, once; a
//! reorganisation takes it away with its block.

use super::{MemoryL1, Mined, State, ZERO_BLOCK, versioned_hashes};
use crate::{BatchPost, Enqueued, L1Block, L1Error, PostedBatch, Turn, TurnKind};
use alloy_primitives::{Address, B256, Bytes, keccak256};

/// What goes into the next block.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    forced: Vec<(u64, Bytes)>,
    turns: Vec<TurnKind>,
}

impl MemoryL1 {
    /// Enqueues bytes as a forced transaction with so much gas, in the next block.
    pub fn enqueue(&self, gas: u64, tx: Bytes) {
        self.0.lock().queue.forced.push((gas, tx));
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
            block: ZERO_BLOCK,
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
    pub(super) fn between(
        &self,
        from: u64,
        to: L1Block,
    ) -> Result<impl Iterator<Item = &Mined>, L1Error> {
        if self.at(to.number).map(|m| m.block) != Some(to) {
            return Err(L1Error::NotCanonical { number: to.number, hash: to.hash });
        }
        Ok(self.chain.iter().filter(move |m| (from..=to.number).contains(&m.block.number)))
    }

    /// Places what waits into a block.
    pub(super) fn take_waiting(&mut self, block: L1Block) -> (Vec<Enqueued>, Vec<Turn>) {
        let waiting = std::mem::take(&mut self.queue);
        let before = self.chain.iter().map(|m| m.forced.len()).fold(0, usize::saturating_add);
        let before = u64::try_from(before).unwrap_or(u64::MAX);
        let forced = (0u64..).zip(waiting.forced).map(|(at, (gas, tx))| Enqueued {
            block,
            log_index: LOGS_OF_QUEUE.saturating_add(at),
            tx_hash: keccak256(&tx),
            index: before.saturating_add(at),
            sender: Address::repeat_byte(0x0f),
            gas,
            tx,
        });
        let turns = (0u64..).zip(waiting.turns).map(|(at, what)| {
            let log_index = LOGS_OF_TURNS.saturating_add(at);
            let tx_hash = keccak256([block.number, log_index].map(u64::to_be_bytes).concat());
            let what = match what {
                TurnKind::Uncertified(batch) => TurnKind::Uncertified(Box::new(PostedBatch {
                    block,
                    log_index,
                    tx_hash,
                    ..*batch
                })),
                other => other,
            };
            Turn { block, log_index, tx_hash, what }
        });
        (forced.collect(), turns.collect())
    }
}

/// Batches of a block come first, then what the inbox says besides, then the queue.
const LOGS_OF_TURNS: u64 = 1_000;
const LOGS_OF_QUEUE: u64 = 2_000;
