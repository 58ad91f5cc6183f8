//! What users force in through L1, and what the Inbox does when the set is gone.
//!
//! Not for: deciding what follows from it (`derive`, `node`). Invariant: as with batches, every item names its block, and
//! lists are of one chain.

use crate::{L1Block, PostedBatch};
use alloy_primitives::{Address, B256, Bytes};
use rota_types::ForcedTx;

/// A transaction that the forced queue took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueued {
    /// The L1 block.
    pub block: L1Block,
    /// Position of the event in the block.
    pub log_index: u64,
    /// The L1 transaction.
    pub tx_hash: B256,
    /// Place in the queue, from 0.
    pub index: u64,
    /// Who paid for it.
    pub sender: Address,
    /// Gas paid for.
    pub gas: u64,
    /// Meant to be a signed transaction of the rollup.
    pub tx: Bytes,
}

impl Enqueued {
    /// As the rules take it.
    #[must_use]
    pub fn forced(&self) -> ForcedTx {
        ForcedTx {
            index: self.index,
            l1_number: self.block.number,
            gas: self.gas,
            tx: self.tx.clone(),
        }
    }
}

/// Something that the Inbox said besides certified batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The L1 block.
    pub block: L1Block,
    /// Position of the event in the block.
    pub log_index: u64,
    /// The L1 transaction.
    pub tx_hash: B256,
    /// What.
    pub what: TurnKind,
}

/// What the Inbox said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnKind {
    /// The set was given up: from here on the queue is executed by derivation.
    Fallback {
        /// The generation that began.
        generation: u32,
    },
    /// A new set is in force: sequencers of the new generation order again.
    EmergencySet {
        /// Its generation.
        generation: u32,
        /// Its epoch.
        epoch: u64,
        /// First L1 block that is not in the fallback any more.
        start: u64,
    },
    /// Heights without a certificate, which anyone may post in a fallback. The certificate in it is empty.
    Uncertified(Box<PostedBatch>),
}
