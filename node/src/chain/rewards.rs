//! Rewards as of each execution block, and the checkpoints of execution that the set certifies later.
//!
//! Not for: the shares themselves (`RewardsBook`). Invariant: the book after a block is a function of the book before
//! it, of the block's heights and of the sets, so a sequencer and a follower have the same one.

use super::building::Sealed;
use eyre::{WrapErr, ensure};
use rota_execution::{Fees, Head, Included, Outcome};
use rota_preconf::Lags;
use rota_store::{BlockBatch, Blocks, Scan, StoreError, Tree};
use rota_types::{
    Decode, EXEC_LAG, Encode, HeightFees, LagPoint, LedBy, Reader, RewardsBook, Tx, ValidatorSet,
    Writer,
};
use std::sync::Arc;

/// Key of the book as of the newest settled block.
const BOOK: &[u8] = b"rewards/book";
/// Under it, by checkpoint height: the checkpoint and its book.
const POINT: &[u8] = b"rewards/point/";
/// Checkpoints kept for claims: more than four hours of heights.
const KEPT: u64 = 1_024;
/// Of these the replica knows so many again after a start; it needs one.
const LOADED: usize = 64;

/// The set of an epoch.
pub type SetSource = Arc<dyn Fn(u64) -> Option<Arc<ValidatorSet>> + Send + Sync>;

/// The book after a block with this base fee, of which these parts paid these fees.
///
/// # Errors
/// The number of an epoch whose set is not known here.
pub fn share(
    book: &RewardsBook,
    base_fee: u64,
    parts: impl IntoIterator<Item = (LedBy, Fees)>,
    set: impl Fn(u64) -> Option<Arc<ValidatorSet>>,
) -> Result<RewardsBook, u64> {
    let mut book = book.clone();
    for (led, fees) in parts {
        let wei = fees.wei(base_fee);
        if wei > 0 {
            let set = set(led.epoch).ok_or(led.epoch)?;
            book.share(HeightFees { set: &set, leader: led.leader, wei });
        }
    }
    Ok(book)
}

/// What transactions with these outcomes paid.
pub(super) fn paid(outcomes: &[(Arc<Tx>, Outcome)], base_fee: u64) -> Fees {
    let mut fees = Fees::default();
    let included = |(_, outcome): &(Arc<Tx>, Outcome)| -> Option<Arc<Included>> {
        match outcome {
            Outcome::Included(tx) => Some(Arc::clone(tx)),
            Outcome::Skipped(_) => None,
        }
    };
    outcomes.iter().filter_map(included).for_each(|tx| fees.add(&tx, base_fee));
    fees
}

/// What execution gave for a checkpoint height in a block on top of `before`.
pub(super) fn point(height: u64, before: &Head, rewards: &RewardsBook) -> LagPoint {
    LagPoint {
        height,
        block_number: before.header.number,
        block_hash: before.hash,
        rewards_root: rewards.root(),
    }
}

/// The checkpoints of a block with these heights on top of `before`, with the rewards as of that.
pub fn points(
    (first, last): (u64, u64),
    before: &Head,
    rewards: &RewardsBook,
) -> impl Iterator<Item = LagPoint> {
    let first = first.max(EXEC_LAG).next_multiple_of(EXEC_LAG);
    let heights = (first..=last).step_by(usize::try_from(EXEC_LAG).unwrap_or(usize::MAX));
    heights.map(move |height| point(height, before, rewards))
}

/// Adds the rewards of a settled block to its batch.
pub(super) fn write(batch: &mut BlockBatch, sealed: &Sealed) {
    batch.put(Tree::Meta, BOOK, sealed.rewards.encode());
    for point in &sealed.points {
        let mut w = Writer::default();
        point.encode_to(&mut w);
        sealed.rewards_before.encode_to(&mut w);
        batch.put(Tree::Meta, key(point.height), w.finish());
        if let Some(old) = point.height.checked_sub(KEPT.saturating_mul(EXEC_LAG)) {
            batch.delete(Tree::Meta, key(old));
        }
    }
}

/// The book as of the newest settled block; empty if there is none.
pub(super) fn load(store: &Blocks) -> eyre::Result<RewardsBook> {
    let Some(bytes) = store.get(Tree::Meta, BOOK)? else {
        ensure!(store.executed_head()?.is_none_or(|h| h.number == 0), "the rewards are missing");
        return Ok(RewardsBook::default());
    };
    RewardsBook::decode(&bytes).wrap_err("the stored rewards are damaged")
}

/// The newest checkpoint at or below a height, with the rewards as of its block.
///
/// # Errors
/// Us: the database.
pub fn load_point(
    store: &Blocks,
    upto: u64,
) -> Result<Option<(LagPoint, RewardsBook)>, StoreError> {
    let scan = Scan::range(POINT, &key(upto.saturating_add(1)), 1).descending();
    let newest = store.kv().scan(Tree::Meta, &scan)?.pop();
    Ok(newest.and_then(|(_, bytes)| {
        let mut r = Reader::new(&bytes);
        let point = LagPoint::decode_from(&mut r).ok()?;
        Some((point, RewardsBook::decode_from(&mut r).ok()?))
    }))
}

/// The newest checkpoints, as the replica starts with them.
///
/// # Errors
/// Us: the database, or two checkpoints of one height.
pub fn load_lags(store: &Blocks) -> eyre::Result<Lags> {
    let mut lags = Lags::default();
    let scan = Scan::prefix(POINT, LOADED).descending();
    for (_, bytes) in store.kv().scan(Tree::Meta, &scan)? {
        let point = LagPoint::decode_from(&mut Reader::new(&bytes))?;
        lags.executed(point.height, point.root())?;
    }
    Ok(lags)
}

fn key(height: u64) -> Vec<u8> {
    let mut w = Writer::with_capacity(POINT.len().saturating_add(8));
    w.raw(POINT).u64(height);
    w.finish()
}
