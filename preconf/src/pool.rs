//! Verified frames above the last decided height that are not (or no longer) on the accepted chain:
//! early ones, forks, and those of an abandoned round.
//!
//! Invariant (I-26): bounded in frames and bytes for each leader of each epoch (the caller takes frames of two
//! epochs at most); when a leader's share is full, its frame farthest ahead goes first, so that nobody pushes out what others signed. What was accepted is not counted
//! and stays until it is decided.

use crate::Frame;
use alloy_primitives::B256;
use rota_types::Term;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Frames of one leader.
const MAX_FRAMES: usize = 4_096;
/// Body bytes of one leader's frames.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Frames by hash and by parent.
#[derive(Debug, Default)]
pub struct FramePool {
    frames: BTreeMap<B256, Arc<Frame>>,
    children: BTreeMap<B256, BTreeSet<B256>>,
    positions: BTreeSet<(u64, B256)>,
    signed: BTreeMap<(Leader, Term, u32), B256>,
    leaders: BTreeMap<Leader, Share>,
    /// Frames that were accepted: a flood of their leader does not push them out.
    pinned: BTreeSet<B256>,
}

/// Epoch and index: an index alone names another validator in another set.
type Leader = (u64, u16);

/// What is kept of one leader.
#[derive(Debug, Default)]
struct Share {
    positions: BTreeSet<(u64, B256)>,
    bytes: usize,
}

impl FramePool {
    /// Adds a frame. Returns the other frame if this leader signed two for one place of its term:
    /// the two together are evidence.
    pub fn insert(&mut self, frame: Arc<Frame>) -> Option<Arc<Frame>> {
        let h = &frame.signed.header;
        let leader = (h.epoch, h.leader);
        let place = (leader, h.term, h.seq);
        let other = self.signed.get(&place).filter(|o| **o != frame.hash).copied();
        let conflict = other.and_then(|hash| self.frames.get(&hash).cloned());
        self.signed.entry(place).or_insert(frame.hash);
        if self.frames.contains_key(&frame.hash) {
            return conflict;
        }
        let share = self.leaders.entry(leader).or_default();
        share.bytes = share.bytes.saturating_add(frame.signed.body.bytes());
        share.positions.insert((h.g, frame.hash));
        self.children.entry(h.prev_hash).or_default().insert(frame.hash);
        self.positions.insert((h.g, frame.hash));
        self.frames.insert(frame.hash, frame);
        while let Some(farthest) = self.leaders.get(&leader).and_then(Share::over) {
            self.remove(&farthest);
        }
        conflict
    }

    /// Keeps a frame until its position is decided, whatever else its leader signs.
    pub fn pin(&mut self, hash: B256) {
        if let Some(frame) = self.frames.get(&hash)
            && let Some(share) = self.leaders.get_mut(&leader_of(frame))
            && self.pinned.insert(hash)
        {
            share.positions.remove(&(frame.g(), hash));
            share.bytes = share.bytes.saturating_sub(frame.signed.body.bytes());
        }
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
        while let Some(&(g, hash)) = self.positions.first() {
            if g > decided_g {
                break;
            }
            self.remove(&hash);
        }
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
        let h = &frame.signed.header;
        self.positions.remove(&(h.g, *hash));
        let pinned = self.pinned.remove(hash);
        let leader = leader_of(&frame);
        let place = (leader, h.term, h.seq);
        if self.signed.get(&place) == Some(hash) {
            self.signed.remove(&place);
        }
        if let Some(share) = self.leaders.get_mut(&leader).filter(|_| !pinned) {
            share.positions.remove(&(h.g, *hash));
            share.bytes = share.bytes.saturating_sub(frame.signed.body.bytes());
            if share.positions.is_empty() {
                self.leaders.remove(&leader);
            }
        }
        if let Some(siblings) = self.children.get_mut(&frame.prev()) {
            siblings.remove(hash);
            if siblings.is_empty() {
                self.children.remove(&frame.prev());
            }
        }
    }
}

fn leader_of(frame: &Frame) -> Leader {
    (frame.signed.header.epoch, frame.signed.header.leader)
}

impl Share {
    /// The frame to give up, if there is too much.
    fn over(&self) -> Option<B256> {
        let full = self.positions.len() > MAX_FRAMES || self.bytes > MAX_BYTES;
        self.positions.last().filter(|_| full).map(|(_, hash)| *hash)
    }
}
