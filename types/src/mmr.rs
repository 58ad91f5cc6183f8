//! A Merkle mountain range over the value ids of all heights, so that any certified header proves any
//! older one with a logarithmic number of hashes.
//!
//! Not for: making proofs (that needs the stored leaves); this keeps the peaks only.

use crate::{Decode, DecodeError, Encode, Reader, Writer};
use alloy_primitives::{B256, Keccak256};

/// The peaks of a growing list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mmr {
    count: u64,
    peaks: Vec<B256>,
}

impl Mmr {
    /// Appends a value id.
    pub fn push(&mut self, value_id: B256) {
        let mut h = Keccak256::new();
        h.update([0x00]);
        h.update(self.count.to_be_bytes());
        h.update(value_id);
        let mut hash = h.finalize();
        let mut merged = self.count;
        while merged & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            let mut n = Keccak256::new();
            n.update([0x01]);
            n.update(left);
            n.update(hash);
            hash = n.finalize();
            merged >>= 1;
        }
        self.peaks.push(hash);
        self.count = self.count.saturating_add(1);
    }
    /// Leaves so far.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
    /// keccak(0x02 || count:u64 || peaks, largest first); zero when empty.
    #[must_use]
    pub fn root(&self) -> B256 {
        if self.count == 0 {
            return B256::ZERO;
        }
        let mut h = Keccak256::new();
        h.update([0x02]);
        h.update(self.count.to_be_bytes());
        for peak in &self.peaks {
            h.update(peak);
        }
        h.finalize()
    }
}

impl Encode for Mmr {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.count).list(&self.peaks);
    }
}

impl Decode for Mmr {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (count, peaks) = (r.u64("mmr count")?, r.list("mmr peaks", 64)?);
        if u32::try_from(peaks.len()).ok() != Some(count.count_ones()) {
            return Err(DecodeError::Invalid("peaks do not fit the count"));
        }
        Ok(Self { count, peaks })
    }
}
