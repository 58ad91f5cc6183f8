//! What the chain of a later generation stands on, in its database.
//!
//! Not for: deriving it (`generation`). Invariant: a database of a generation above 0 without it is not whole.

use alloy_primitives::B256;
use rota_derive::{Mode, Start};
use rota_preconf::{Epoch, HeightContext, Resumption};
use rota_store::{BlockBatch, Blocks, Tree};
use rota_types::{Decode, DecodeError, Encode, Env, Reader, Writer};
use std::sync::Arc;

/// Key of it. Written last: what it stands on is all there.
const BASE: &[u8] = b"base";

/// The newest height that L1 alone gave, and the block after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Height and block; `l1_number` is the first L1 block that is not in the fallback any more.
    pub start: Start,
    /// L1 origin of the block.
    pub origin: u64,
}

impl Base {
    /// The one in a database, if it is of a generation above 0 and whole.
    ///
    /// # Errors
    /// Us: the database cannot be read, or is damaged.
    pub fn load(store: &Blocks) -> eyre::Result<Option<Self>> {
        let bytes = store.get(Tree::Meta, BASE)?;
        Ok(bytes.map(|b| Self::decode(&b)).transpose()?)
    }

    /// Puts it down.
    pub fn put(&self, batch: &mut BlockBatch) {
        batch.put(Tree::Meta, BASE, self.encode());
    }

    /// Last L1 block of the fallback.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        match self.start.mode {
            Mode::Resumed(floor) => floor,
            Mode::Certified | Mode::Fallback { .. } => self.start.l1_number.saturating_sub(1),
        }
    }

    /// The context of the first height of the emergency set. `floor` is the environment of the fallback's last L1
    /// block, in which the second is set here.
    #[must_use]
    pub fn context(&self, epoch: &Arc<Epoch>, floor: Env, genesis: B256) -> HeightContext {
        let head = &self.start.head;
        let on = Resumption {
            height: head.height,
            value_id: head.value_id,
            base_hash: if head.height == 0 { genesis } else { head.value_id },
            history: head.history.clone(),
            last_g: head.last_g,
            env: Env { timestamp_s: head.timestamp_s, ..floor },
        };
        HeightContext::resumption(epoch, on)
    }
}

impl Encode for Base {
    fn encode_to(&self, w: &mut Writer) {
        self.start.encode_to(w);
        w.u64(self.origin);
    }
}

impl Decode for Base {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { start: Start::decode_from(r)?, origin: r.u64("origin")? })
    }
}
