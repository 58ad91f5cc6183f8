//! What goes into blobs: the headers and transactions of a run of heights, without what can be
//! computed again.
//!
//! Invariant: `decode` gives back the very headers that were certified; `parent_id`, `history_root` and
//! `txs_root` are recomputed by the reader, so a wrong byte anywhere shows as a wrong value id.

use crate::{Decode, DecodeError, Encode, Header, MAX_TX_BYTES, Reader, Writer, tx_root};
use alloy_primitives::{B256, Bytes, keccak256};
use std::io::Read;

/// Most heights in one batch.
pub const MAX_BATCH_HEIGHTS: usize = 8192;
/// Largest batch before compression, bytes.
pub const MAX_BATCH_RAW: usize = 16 * 1024 * 1024;
const BATCH_VERSION: u8 = 1;

/// Largest window that a compressed batch may ask the reader to hold: `MAX_BATCH_RAW`.
const WINDOW_LOG: u32 = 24;

/// Why the data of a batch was refused. The poster is at fault; anyone can post it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes do not decode.
    #[error("batch does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// The compressed stream is broken or too long.
    #[error("batch does not decompress: {0}")]
    Zstd(String),
}

/// One height in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHeight {
    /// The certified header. `parent_id` and `history_root` are zero until `derive` fills them in.
    pub header: Header,
    /// Transactions in log order.
    pub txs: Vec<Bytes>,
}

/// A run of heights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// Heights in order.
    pub heights: Vec<BatchHeight>,
}

impl Batch {
    /// The bytes for the blobs. A batch above the bounds of `decompress` is refused.
    pub fn compress(&self) -> Result<Vec<u8>, BatchError> {
        bound("batch heights", self.heights.len(), MAX_BATCH_HEIGHTS)?;
        let mut w = Writer::default();
        w.u32(u32::try_from(self.heights.len()).unwrap_or(u32::MAX));
        for h in &self.heights {
            let mut header = h.header.clone();
            header.close.parent_id = B256::ZERO;
            header.close.history_root = B256::ZERO;
            header.txs_root = B256::ZERO;
            header.encode_to(&mut w);
            w.u32(u32::try_from(h.txs.len()).unwrap_or(u32::MAX));
            for tx in &h.txs {
                w.bytes(tx);
            }
        }
        let raw = w.finish();
        bound("batch", raw.len(), MAX_BATCH_RAW)?;
        let packed = zstd::bulk::compress(&raw, 6).map_err(|e| BatchError::Zstd(e.to_string()))?;
        let mut out = vec![BATCH_VERSION];
        out.extend_from_slice(&packed);
        Ok(out)
    }

    /// Reads the bytes of the blobs. At most `MAX_BATCH_RAW` bytes are ever unpacked.
    pub fn decompress(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some((&BATCH_VERSION, packed)) = bytes.split_first() else {
            return Err(DecodeError::Invalid("unknown batch version").into());
        };
        let limit = u64::try_from(MAX_BATCH_RAW).unwrap_or(u64::MAX);
        let mut raw = Vec::new();
        zstd::stream::read::Decoder::new(packed)
            .and_then(|mut d| d.window_log_max(WINDOW_LOG).map(|()| d))
            .and_then(|d| d.take(limit.saturating_add(1)).read_to_end(&mut raw))
            .map_err(|e| BatchError::Zstd(e.to_string()))?;
        bound("batch", raw.len(), MAX_BATCH_RAW)?;
        let mut r = Reader::new(&raw);
        let count = r.count("batch heights", MAX_BATCH_HEIGHTS)?;
        let mut heights = Vec::new();
        for _ in 0..count {
            heights.push(read_height(&mut r)?);
        }
        r.end()?;
        Ok(Self { heights })
    }
}

const fn bound(what: &'static str, got: usize, max: usize) -> Result<(), DecodeError> {
    if got > max { Err(DecodeError::Bound { what, max, got }) } else { Ok(()) }
}

fn read_height(r: &mut Reader<'_>) -> Result<BatchHeight, DecodeError> {
    let mut header = Header::decode_from(r)?;
    if !(header.close.parent_id.is_zero()
        && header.close.history_root.is_zero()
        && header.txs_root.is_zero())
    {
        return Err(DecodeError::Invalid("a computed field is not zero in the batch"));
    }
    let n = r.count("transactions of a height", MAX_BATCH_RAW / 64)?;
    let mut txs = Vec::new();
    for _ in 0..n {
        txs.push(r.bytes("transaction", MAX_TX_BYTES)?);
    }
    let hashes: Vec<B256> = txs.iter().map(|t: &Bytes| keccak256(t)).collect();
    header.txs_root = tx_root(&hashes, &[]);
    Ok(BatchHeight { header, txs })
}
