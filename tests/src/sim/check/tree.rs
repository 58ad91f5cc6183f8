//! All frames and values that were ever seen, and which lies under which.

use alloy_primitives::B256;
use rota_types::{Flags, FrameHeader, Header, Term};
use std::collections::BTreeMap;

/// A place in the log: position and frame.
pub(super) type Tip = (u64, B256);

/// What the checks need of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    pub(super) g: u64,
    pub(super) prev: B256,
    pub(super) height: u64,
    pub(super) term: Term,
    pub(super) leader: u16,
    pub(super) close: bool,
}

/// What a value names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) tip: Tip,
}

#[derive(Debug, Default)]
pub(super) struct Tree {
    frames: BTreeMap<B256, Leaf>,
    values: BTreeMap<B256, Named>,
}

impl Tree {
    pub(super) fn add(&mut self, h: &FrameHeader, hash: B256) {
        self.frames.entry(hash).or_insert(Leaf {
            g: h.g,
            prev: h.prev_hash,
            height: h.height,
            term: h.term,
            leader: h.leader,
            close: h.flags.has(Flags::CLOSE),
        });
    }
    pub(super) fn add_value(&mut self, id: B256, header: &Header) {
        let tip = (header.last_g, header.last_frame_hash);
        self.values.entry(id).or_insert(Named { tip });
    }
    /// The value that a CLOSE frame gives.
    pub(super) fn add_close(&mut self, id: B256, tip: Tip) {
        self.values.entry(id).or_insert(Named { tip });
    }
    pub(super) fn get(&self, hash: &B256) -> Option<&Leaf> {
        self.frames.get(hash)
    }
    pub(super) fn value(&self, id: &B256) -> Option<&Named> {
        self.values.get(id)
    }

    /// The frame at `g` on the chain of `tip`; `None` if a frame between is not known.
    pub(super) fn at(&self, tip: Tip, g: u64) -> Option<B256> {
        let (mut at, mut hash) = tip;
        while at > g {
            let leaf = self.frames.get(&hash)?;
            if leaf.g != at {
                return None;
            }
            hash = leaf.prev;
            at -= 1;
        }
        (at == g).then_some(hash)
    }

    /// Whether `low` is on the chain of `high`.
    pub(super) fn holds(&self, low: Tip, high: Tip) -> Option<bool> {
        if low.0 > high.0 {
            return Some(false);
        }
        self.at(high, low.0).map(|hash| hash == low.1)
    }

    /// Whether one of the two is on the chain of the other.
    pub(super) fn compatible(&self, a: Tip, b: Tip) -> Option<bool> {
        if a.0 <= b.0 { self.holds(a, b) } else { self.holds(b, a) }
    }

    /// The leaders of the two frames that follow where `a` and `b` part, and their terms.
    pub(super) fn fork(&self, a: Tip, b: Tip) -> Option<(Leaf, Leaf)> {
        let g = a.0.min(b.0);
        let (mut x, mut y) = (self.at(a, g)?, self.at(b, g)?);
        if x == y {
            return None;
        }
        loop {
            let (l, r) = (*self.frames.get(&x)?, *self.frames.get(&y)?);
            if l.prev == r.prev {
                return Some((l, r));
            }
            (x, y) = (l.prev, r.prev);
        }
    }
}
