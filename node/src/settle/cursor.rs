//! What is remembered of the inbox over a restart: everything up to a final L1 block.

use alloy_primitives::B256;
use rota_store::{BlockBatch, Blocks, StoreError, Tree};
use rota_types::{Decode, DecodeError, Encode, Reader, Writer};

const KEY: &[u8] = b"inbox";

/// The inbox as of a final L1 block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cursor {
    /// Everything up to this L1 block is counted in.
    pub(super) l1_number: u64,
    /// Last height that can be derived.
    pub(super) usable: u64,
    /// Last height that the contract has accepted.
    pub(super) accepted: u64,
    /// Batches that could be used.
    pub(super) batches: u64,
    /// Transaction of the last of them.
    pub(super) tx: B256,
    /// Its L1 block.
    pub(super) block: u64,
    /// Last height that could be derived when this was kept, final or not: shown after a start until L1 is read.
    pub(super) seen: u64,
    /// Transaction and L1 block of its batch.
    pub(super) seen_at: (B256, u64),
}

impl Cursor {
    /// The one kept, if there is one.
    pub(super) fn load(store: &Blocks) -> Result<Option<Self>, StoreError> {
        let bytes = store.get(Tree::L1, KEY)?;
        // Not readable is as good as not there: L1 is read again from the start.
        Ok(bytes.and_then(|b| Self::decode(&b).ok()))
    }

    /// Keeps it.
    pub(super) fn save(&self, store: &Blocks) -> Result<(), StoreError> {
        let mut batch = BlockBatch::default();
        batch.put(Tree::L1, KEY, self.encode());
        store.commit(batch)
    }
}

/// Lets the inbox be read from above an L1 block on, up to which everything up to a height is final. `posted` is where that
/// height was posted: transaction and L1 block.
pub(crate) fn start_inbox(
    batch: &mut BlockBatch,
    l1_number: u64,
    height: u64,
    posted: (B256, u64),
) {
    let (tx, block) = posted;
    let at = Cursor {
        l1_number,
        usable: height,
        accepted: height,
        batches: 0,
        tx,
        block,
        seen: height,
        seen_at: posted,
    };
    batch.put(Tree::L1, KEY, at.encode());
}

/// Last height of which a database knows that it can be derived from final L1 blocks.
pub(crate) fn posted_upto(store: &Blocks) -> Result<u64, StoreError> {
    Ok(Cursor::load(store)?.map_or(0, |c| c.usable))
}

impl Encode for Cursor {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.l1_number).u64(self.usable).u64(self.accepted).u64(self.batches);
        w.hash(&self.tx).u64(self.block).u64(self.seen);
        w.hash(&self.seen_at.0).u64(self.seen_at.1);
    }
}

impl Decode for Cursor {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            l1_number: r.u64("l1_number")?,
            usable: r.u64("usable")?,
            accepted: r.u64("accepted")?,
            batches: r.u64("batches")?,
            tx: r.hash("tx")?,
            block: r.u64("block")?,
            seen: r.u64("seen")?,
            seen_at: (r.hash("seen tx")?, r.u64("seen block")?),
        })
    }
}
