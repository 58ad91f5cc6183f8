//! Decided heights become one batch that fits one transaction.
//!
//! Invariant: the batch holds consecutive heights from the first one wanted, at least one, and its data is at
//! most what the blobs of one transaction hold.

use rota_l1::{BatchPost, MAX_PAYLOAD};
use rota_store::Blocks;
use rota_types::{
    Batch, BatchError, BatchHeight, CommitCertificate, MAX_BATCH_HEIGHTS, MAX_BATCH_RAW,
    wire::DecidedHeight,
};

/// Heights read from the store at once.
const CHUNK: usize = 64;
/// Bytes collected before compression: more rarely fits, whatever the data.
const RAW_TARGET: usize = 8 * MAX_PAYLOAD;

/// A batch that is ready, with its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// First height.
    pub from: u64,
    /// Last height.
    pub to: u64,
    /// What to send.
    pub post: BatchPost,
}

/// The largest batch of decided heights from `from` on that fits `max_payload`. `accepted` is the contract's
/// tip: a range that ends at or below it must say that it is posted again. None: nothing is decided there.
pub fn build_post(
    store: &Blocks,
    from: u64,
    accepted: u64,
    max_payload: usize,
) -> eyre::Result<Option<Posting>> {
    let (mut heights, certificates) = collect(store, from)?;
    while !heights.is_empty() {
        let batch = Batch { heights };
        let data = match batch.compress() {
            Ok(data) if data.len() <= max_payload => data,
            Ok(data) if batch.heights.len() > 1 => {
                heights = batch.heights;
                heights.truncate(fewer(heights.len(), data.len(), max_payload));
                continue;
            }
            Err(BatchError::Decode(_)) if batch.heights.len() > 1 => {
                heights = batch.heights;
                heights.truncate(heights.len() / 2);
                continue;
            }
            Ok(data) => eyre::bail!(
                "height {from} alone takes {} bytes, one transaction holds {max_payload}",
                data.len()
            ),
            Err(why) => return Err(why.into()),
        };
        let last = batch.heights.len().saturating_sub(1);
        let (header, certificate) = certificates
            .get(last)
            .cloned()
            .ok_or_else(|| eyre::eyre!("no certificate for the last height"))?;
        let to = header.height();
        let repost = to <= accepted;
        let post =
            BatchPost { from_height: from, repost, header, certificate, payload: data.into() };
        return Ok(Some(Posting { from, to, post }));
    }
    Ok(None)
}

type Certified = (rota_types::Header, CommitCertificate);

/// Consecutive heights up to a bound on their size.
fn collect(store: &Blocks, from: u64) -> eyre::Result<(Vec<BatchHeight>, Vec<Certified>)> {
    let (mut heights, mut certificates) = (Vec::new(), Vec::new());
    let (mut next, mut raw) = (from, 0usize);
    loop {
        let chunk = store.heights(next, CHUNK)?;
        if chunk.is_empty() {
            return Ok((heights, certificates));
        }
        for decided in chunk {
            if decided.header.height() != next {
                return Ok((heights, certificates));
            }
            next = next.saturating_add(1);
            let (height, certified) = split(decided);
            let txs = height.txs.iter().map(|t| t.len().saturating_add(4));
            raw = raw.saturating_add(txs.fold(600, usize::saturating_add));
            let full = raw > RAW_TARGET.min(MAX_BATCH_RAW) || heights.len() >= MAX_BATCH_HEIGHTS;
            if full && !heights.is_empty() {
                return Ok((heights, certificates));
            }
            heights.push(height);
            certificates.push(certified);
        }
    }
}

fn split(decided: DecidedHeight) -> (BatchHeight, Certified) {
    let txs = decided.frames.into_iter().flat_map(|f| f.body.txs).collect();
    let height = BatchHeight { header: decided.header.clone(), txs };
    (height, (decided.header, decided.certificate))
}

/// A smaller number of heights that probably fits.
fn fewer(count: usize, size: usize, max: usize) -> usize {
    let fits = count.saturating_mul(max).checked_div(size.max(1)).unwrap_or(1);
    let careful = fits.saturating_mul(15) / 16;
    careful.clamp(1, count.saturating_sub(1).max(1))
}
