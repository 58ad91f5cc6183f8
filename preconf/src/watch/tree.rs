//! Frame headers by hash and headers by value id, for the chains and branches of evidence.
//!
//! Not for: deciding which chain is right. The shares of leaders and proposers bound it.

use alloy_primitives::B256;
use rota_types::{FrameHeader, Header, MAX_CHAIN, MerkleProof, hash_list_root, tx_proof};
use std::collections::BTreeMap;

/// Most frames of one height that a branch is made from.
const MAX_HEIGHT_FRAMES: u64 = 65_536;

/// Why a chain does not lead to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuck {
    /// This frame is not here.
    Missing(B256),
    /// Longer than evidence may be, or the frames are not of the positions that they are said to be of.
    Never,
}

#[derive(Debug, Default)]
pub(super) struct Tree {
    frames: BTreeMap<B256, FrameHeader>,
    values: BTreeMap<B256, Header>,
}

impl Tree {
    pub(super) fn add(&mut self, hash: B256, frame: &FrameHeader) -> bool {
        self.frames.insert(hash, frame.clone()).is_none()
    }
    pub(super) fn remove(&mut self, hash: &B256) {
        self.frames.remove(hash);
    }
    pub(super) fn has(&self, hash: &B256) -> bool {
        self.frames.contains_key(hash)
    }
    pub(super) fn add_value(&mut self, header: &Header, id: B256) -> bool {
        self.values.insert(id, header.clone()).is_none()
    }
    pub(super) fn value(&self, id: &B256) -> Option<&Header> {
        self.values.get(id)
    }
    pub(super) fn len(&self) -> usize {
        self.frames.len().saturating_add(self.values.len())
    }
    pub(super) fn forget(&mut self, low: u64) {
        self.frames.retain(|_, f| f.height >= low);
        self.values.retain(|_, h| h.height() >= low);
    }

    /// The hash at position `to` of the chain that ends with `tip`, if evidence can show it.
    pub(super) fn shown_at(&self, tip: (u64, B256), to: u64) -> Result<B256, Stuck> {
        let longest = u64::try_from(MAX_CHAIN).unwrap_or(0);
        let length = tip.0.checked_sub(to).filter(|n| *n <= longest).ok_or(Stuck::Never)?;
        self.walk(tip, length, |_| {})
    }

    /// The headers that show it.
    pub(super) fn chain(&self, tip: (u64, B256), to: u64) -> Vec<FrameHeader> {
        let mut out = Vec::new();
        let length = tip.0.saturating_sub(to);
        let _ = self.walk(tip, length, |frame| out.push(frame.clone()));
        out
    }

    /// The hash that a header has at a position of its height.
    pub(super) fn cut_at(&self, header: &Header, g: u64) -> Result<B256, Stuck> {
        let tip = (header.last_g, header.last_frame_hash);
        let length = tip.0.checked_sub(g).filter(|n| *n < MAX_HEIGHT_FRAMES).ok_or(Stuck::Never)?;
        self.walk(tip, length, |_| {})
    }

    /// The hashes that a header has from position `g` of its height on.
    pub(super) fn cut_from(&self, header: &Header, g: u64) -> Result<Vec<B256>, Stuck> {
        let tip = (header.last_g, header.last_frame_hash);
        let length = tip.0.checked_sub(g).filter(|n| *n < MAX_HEIGHT_FRAMES).ok_or(Stuck::Never)?;
        let mut hashes = vec![header.last_frame_hash];
        self.walk(tip, length, |frame| hashes.push(frame.prev_hash))?;
        hashes.reverse();
        Ok(hashes)
    }

    /// The branch that shows it. `Never` if the header's root is not over these frames.
    pub(super) fn branch(&self, header: &Header, g: u64) -> Result<MerkleProof, Stuck> {
        prove(&self.cut_from(header, header.first_g)?, header, g)
    }

    /// The branch of the header's last frame, if that follows the frame `prev`.
    pub(super) fn branch_after(&self, header: &Header, prev: B256) -> Result<MerkleProof, Stuck> {
        let length = header.last_g.checked_sub(header.first_g).ok_or(Stuck::Never)?;
        let mut hashes = vec![header.last_frame_hash];
        if length > 0 {
            let tip = (header.last_g.saturating_sub(1), prev);
            hashes.push(prev);
            self.walk(tip, length.saturating_sub(1).min(MAX_HEIGHT_FRAMES), |frame| {
                hashes.push(frame.prev_hash);
            })?;
        }
        hashes.reverse();
        prove(&hashes, header, header.last_g)
    }

    /// Goes down `length` frames.
    fn walk(
        &self,
        (g, hash): (u64, B256),
        length: u64,
        mut each: impl FnMut(&FrameHeader),
    ) -> Result<B256, Stuck> {
        let mut at = hash;
        for down in 0..length {
            let frame = self.frames.get(&at).ok_or(Stuck::Missing(at))?;
            if frame.g != g.saturating_sub(down) {
                return Err(Stuck::Never);
            }
            each(frame);
            at = frame.prev_hash;
        }
        Ok(at)
    }
}

fn prove(hashes: &[B256], header: &Header, g: u64) -> Result<MerkleProof, Stuck> {
    if hash_list_root(hashes) != header.frames_root {
        return Err(Stuck::Never);
    }
    let index = g.checked_sub(header.first_g).and_then(|i| u32::try_from(i).ok());
    index.and_then(|i| tx_proof(hashes, &[], i)).ok_or(Stuck::Never)
}
