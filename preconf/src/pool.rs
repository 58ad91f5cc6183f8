//! Verified frames above the last decided height that are not (or no longer) on the accepted chain:
//! early ones, forks, and those of an abandoned round.
//!
//! Invariant (I-26): bounded in frames and bytes; when full, the frame farthest ahead goes first.

use crate::Frame;
use alloy_primitives::B256;
use rota_types::Term;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const MAX_FRAMES: usize = 8192;
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Frames by hash and by parent.
#[derive(Debug, Default)]
pub struct FramePool {
    frames: BTreeMap<B256, Arc<Frame>>,
    children: BTreeMap<B256, BTreeSet<B256>>,
    positions: BTreeMap<(u64, B256), ()>,
    signed: BTreeMap<(Term, u16, u32), B256>,
    bytes: usize,
}

impl FramePool {
    /// Adds a frame. Returns the other frame if this leader signed two for one place of its term:
    /// the two together are evidence.
    pub fn insert(&mut self, frame: Arc<Frame>) -> Option<Arc<Frame>> {
        let h = &frame.signed.header;
        let place = (h.term, h.leader, h.seq);
        let other = self.signed.get(&place).filter(|o| **o != frame.hash).copied();
        let conflict = other.and_then(|hash| self.frames.get(&hash).cloned());
        self.signed.entry(place).or_insert(frame.hash);
        if self.frames.contains_key(&frame.hash) {
            return conflict;
        }
        self.bytes = self.bytes.saturating_add(frame.signed.body.bytes());
        self.children.entry(h.prev_hash).or_default().insert(frame.hash);
        self.positions.insert((h.g, frame.hash), ());
        self.frames.insert(frame.hash, frame);
        while self.frames.len() > MAX_FRAMES || self.bytes > MAX_BYTES {
            let Some((&(_, last), ())) = self.positions.last_key_value() else { break };
            self.remove(&last);
        }
        conflict
    }

    /// The frame with this hash.
    #[must_use]
    pub fn get(&self, hash: &B256) -> Option<&Arc<Frame>> {
        self.frames.get(hash)
    }

    /// Frames that name `hash` as their parent, by ascending hash.
    pub fn children(&self, hash: &B256) -> impl Iterator<Item = &Arc<Frame>> {
        self.children.get(hash).into_iter().flatten().filter_map(|c| self.frames.get(c))
    }

    /// The frames from just above `base` to `tip`, or the first hash that is missing.
    pub fn path(&self, base: &B256, tip: &B256) -> Result<Vec<Arc<Frame>>, B256> {
        let mut out = Vec::new();
        let mut at = *tip;
        while at != *base {
            let frame = self.frames.get(&at).ok_or(at)?;
            at = frame.prev();
            out.push(Arc::clone(frame));
        }
        out.reverse();
        Ok(out)
    }

    /// Forgets everything up to a decided position.
    pub fn prune(&mut self, decided_g: u64) {
        while let Some((&(g, hash), ())) = self.positions.first_key_value() {
            if g > decided_g {
                break;
            }
            self.remove(&hash);
        }
        let frames = &self.frames;
        self.signed.retain(|_, hash| frames.contains_key(hash));
    }

    /// How many frames are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }
    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn remove(&mut self, hash: &B256) {
        let Some(frame) = self.frames.remove(hash) else { return };
        self.positions.remove(&(frame.g(), *hash));
        self.bytes = self.bytes.saturating_sub(frame.signed.body.bytes());
        if let Some(siblings) = self.children.get_mut(&frame.prev()) {
            siblings.remove(hash);
            if siblings.is_empty() {
                self.children.remove(&frame.prev());
            }
        }
    }
}
