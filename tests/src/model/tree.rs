//! The tree of all frames that anybody signed, and the choice of the branch to carry.
//!
//! Not for: which frames a rule lets follow (`leaders`, `actions`).
//! Invariant: a frame's id is greater than its parent's, so the lowest bit of a difference of two chains
//! is where they part.

/// Index of a frame; 0 is the CLOSE of the height before the first.
pub type Id = u8;
/// A set of frames, one bit each.
pub type Set = u64;
/// No TermInit: the stream was opened in round 0.
pub(super) const NO_INIT: u8 = u8::MAX;

/// One signed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The frame it names as its parent.
    pub parent: Id,
    /// Its term: `height * 4 + round`.
    pub term: u8,
    /// The TermInit it names, or 255.
    pub init: u8,
    /// The height it belongs to.
    pub height: u8,
    /// Whether it closes that height.
    pub close: bool,
    /// Stands for its hash where two branches weigh the same: the smaller wins.
    pub hash: u32,
}

/// All frames with their ancestors and descendants.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    frames: Vec<Frame>,
    up: Vec<Set>,
    down: Vec<Set>,
    kids: Vec<Set>,
}

impl Tree {
    /// Frames that fit into a set.
    pub const CAPACITY: usize = 64;

    /// Forgets everything but the root.
    pub fn reset(&mut self) {
        for list in [&mut self.up, &mut self.down, &mut self.kids] {
            list.clear();
        }
        self.frames.clear();
        let root = Frame { parent: 0, term: 0, init: NO_INIT, height: 0, close: true, hash: 0 };
        self.frames.push(root);
        self.up.push(1);
        self.down.push(1);
        self.kids.push(0);
    }

    /// Adds a frame above its parent.
    pub fn add(&mut self, frame: Frame) -> Id {
        let id = self.frames.len() as Id;
        assert!(usize::from(id) < Self::CAPACITY, "the tree is full");
        let bit = 1 << id;
        let up = self.up[frame.parent as usize] | bit;
        self.kids[frame.parent as usize] |= bit;
        self.frames.push(frame);
        self.up.push(up);
        self.down.push(0);
        self.kids.push(0);
        for above in Bits(up) {
            self.down[above as usize] |= bit;
        }
        id
    }

    /// The frame itself.
    #[inline]
    #[must_use]
    pub fn get(&self, id: Id) -> &Frame {
        &self.frames[id as usize]
    }
    /// How many frames there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }
    /// Never: the root is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
    /// The chain of a frame: itself and all frames before it.
    #[inline]
    #[must_use]
    pub fn up(&self, id: Id) -> Set {
        self.up[id as usize]
    }
    /// A frame and all frames built on it.
    #[inline]
    #[must_use]
    pub fn down(&self, id: Id) -> Set {
        self.down[id as usize]
    }
    /// The frames that name it as their parent.
    #[inline]
    #[must_use]
    pub fn kids(&self, id: Id) -> Set {
        self.kids[id as usize]
    }
    /// Whether `a` is on the chain of `b`.
    #[inline]
    #[must_use]
    pub fn leads_to(&self, a: Id, b: Id) -> bool {
        self.up(b) >> a & 1 == 1
    }
    /// All frames that are neither before nor after this one.
    #[inline]
    #[must_use]
    pub fn against(&self, id: Id) -> Set {
        !(self.up(id) | self.down(id))
    }
    /// Whether one is on the chain of the other.
    #[inline]
    #[must_use]
    pub fn compatible(&self, a: Id, b: Id) -> bool {
        self.against(a) >> b & 1 == 0
    }
    /// The first frames in which two incompatible chains differ.
    #[must_use]
    pub fn parting(&self, a: Id, b: Id) -> (Id, Id) {
        let common = self.up(a) & self.up(b);
        let first = |id| (self.up(id) & !common).trailing_zeros() as Id;
        (first(a), first(b))
    }
    /// The frame on the chain of `tip` that closes `height`.
    #[must_use]
    pub fn close_of(&self, tip: Id, height: u8) -> Option<Id> {
        let mut at = tip;
        while at != 0 && self.get(at).height >= height {
            if self.get(at).height == height {
                return self.get(at).close.then_some(at);
            }
            at = self.get(at).parent;
        }
        None
    }

    /// The chain that reports select (protocol, section 13): of those of the highest round, from `base`
    /// always the child below which most stake reports, until none has any or `height` is closed.
    #[must_use]
    pub fn select(&self, base: Id, height: u8, reports: &[(u8, Id, u64)]) -> Id {
        let newest = reports.iter().map(|r| r.0).max().unwrap_or(0);
        let mut at = base;
        while !(self.get(at).close && self.get(at).height == height) {
            let mut best: Option<(u64, Id)> = None;
            for kid in Bits(self.kids(at)) {
                let below = self.down(kid);
                let counted = reports.iter().filter(|r| r.0 == newest && below >> r.1 & 1 == 1);
                let weight: u64 = counted.map(|r| r.2).sum();
                let wins = best.is_none_or(|(most, other)| {
                    weight > most || (weight == most && self.get(kid).hash < self.get(other).hash)
                });
                if weight > 0 && wins {
                    best = Some((weight, kid));
                }
            }
            let Some((_, kid)) = best else { break };
            at = kid;
        }
        at
    }
}

/// The members of a set, lowest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits(pub(super) u64);

impl Iterator for Bits {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as u8;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(tree: &mut Tree, parent: Id, height: u8, close: bool) -> Id {
        let hash = 100 - tree.len() as u32;
        tree.add(Frame { parent, term: 4, init: NO_INIT, height, close, hash })
    }

    #[test]
    fn chains_part_at_the_first_frame_that_differs() {
        let mut tree = Tree::default();
        tree.reset();
        let a = add(&mut tree, 0, 1, false);
        let (b, c) = (add(&mut tree, a, 1, false), add(&mut tree, a, 1, true));
        let d = add(&mut tree, b, 1, true);
        assert_eq!(tree.parting(d, c), (b, c));
        assert!(tree.compatible(a, d) && !tree.compatible(d, c));
        assert_eq!((tree.close_of(d, 1), tree.close_of(b, 1)), (Some(d), None));
        assert_eq!((tree.close_of(d, 2), tree.close_of(a, 0)), (None, None));
    }

    #[test]
    fn the_heaviest_branch_of_the_highest_round_is_carried() {
        let mut tree = Tree::default();
        tree.reset();
        let a = add(&mut tree, 0, 1, false);
        let (b, c) = (add(&mut tree, a, 1, false), add(&mut tree, a, 1, false));
        let d = add(&mut tree, b, 1, true);
        let beyond = add(&mut tree, d, 2, false);
        assert_eq!(tree.select(0, 1, &[(0, c, 2), (0, d, 1), (0, b, 2)]), d);
        assert_eq!(tree.select(0, 1, &[(0, c, 9), (1, b, 1)]), b);
        assert_eq!(tree.select(0, 1, &[(0, b, 1), (0, c, 1)]), c, "ties: the smaller hash");
        assert_eq!(tree.select(0, 1, &[(0, beyond, 1)]), d, "not beyond the CLOSE");
        assert_eq!(tree.select(0, 1, &[(0, 0, 3)]), 0);
    }
}
