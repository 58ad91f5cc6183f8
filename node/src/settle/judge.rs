//! Whether anyone can derive the heights that a batch claims: its data against this node's decided heights.
//!
//! The contract checks the certificate and not the data, so a batch of garbage with a good certificate is
//! accepted; then the same heights must be posted again. Invariant: what is found usable here is what
//! `rota_derive` takes, since a certified value id has one preimage.

use rota_l1::PostedBatch;
use rota_store::{Blocks, StoreError};
use rota_types::{Batch, BatchHeight};

/// What a batch is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It brings the derivable tip to its last height.
    Usable,
    /// Others posted these heights before.
    Old,
    /// Nobody can derive from it.
    Unusable(String),
    /// This node has not decided those heights yet.
    Wait,
}

/// Whether the data is needed, and is worth fetching, to judge.
pub(super) fn at_a_glance(
    store: &Blocks,
    usable: u64,
    batch: &PostedBatch,
) -> Result<Option<Verdict>, StoreError> {
    let (from, to) = (batch.from_height, batch.to_height);
    if to <= usable {
        return Ok(Some(Verdict::Old));
    }
    if from > usable.saturating_add(1) {
        let why = format!("it begins at height {from}, derivable is only up to {usable}");
        return Ok(Some(Verdict::Unusable(why)));
    }
    let decided = store.decided_head()?.map_or(0, |h| h.height);
    Ok((decided < to).then_some(Verdict::Wait))
}

/// Compares the data with the decided heights.
pub(super) fn judge(
    store: &Blocks,
    batch: &PostedBatch,
    data: &[u8],
) -> Result<Verdict, StoreError> {
    let no = |why: String| Ok(Verdict::Unusable(why));
    let heights = match Batch::decompress(data) {
        Ok(batch) => batch.heights,
        Err(why) => return no(why.to_string()),
    };
    let (from, to) = (batch.from_height, batch.to_height);
    if !heights.iter().map(|h| h.header.height()).eq(from..=to) {
        return no(format!("the data is not of heights {from} to {to}"));
    }
    for posted in heights {
        let height = posted.header.height();
        if !is_decided(store, posted)? {
            return no(format!("height {height} in the data is not the decided one"));
        }
    }
    Ok(Verdict::Usable)
}

fn is_decided(store: &Blocks, mut posted: BatchHeight) -> Result<bool, StoreError> {
    let Some(decided) = store.height(posted.header.height())? else { return Ok(false) };
    // Left out of the data, computed by whoever derives.
    posted.header.close.parent_id = decided.header.close.parent_id;
    posted.header.close.history_root = decided.header.close.history_root;
    Ok(posted.header == decided.header)
}
