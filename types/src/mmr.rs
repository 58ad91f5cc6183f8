//! A Merkle mountain range over the value ids of all heights, so that any certified header proves any
//! older one with a logarithmic number of hashes.
//!
//! Height `h` is leaf `h - 1`. The nodes of complete pairs never change, so who stores them as they come (`grow`) can prove
//! every leaf under every later root. Not for: storing them; `Mmr` itself keeps the peaks only.

use crate::{Decode, DecodeError, Encode, Reader, Writer, receipt::quantity};
use alloy_primitives::{B256, Keccak256};
use serde::{Deserialize, Serialize};

/// Most levels that a proof may have.
const MAX_LEVELS: u32 = 64;

/// The peaks of a growing list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mmr {
    count: u64,
    peaks: Vec<B256>,
}

impl Mmr {
    /// Appends a value id.
    pub fn push(&mut self, value_id: B256) {
        let mut hash = leaf(self.count, &value_id);
        let mut merged = self.count;
        while merged & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node(&left, &hash);
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
        bag(self.count, &self.peaks)
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

/// Place of a node over `2^level` leaves; `index` counts the nodes of that level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MmrPlace {
    /// 0 for leaves.
    pub level: u8,
    /// From the left, from 0.
    pub index: u64,
}

impl MmrPlace {
    /// 9 bytes, for keys.
    #[must_use]
    pub fn key(&self) -> [u8; 9] {
        let mut key = [0; 9];
        let (level, index) = key.split_at_mut(1);
        level.fill(self.level);
        index.copy_from_slice(&self.index.to_be_bytes());
        key
    }

    /// The nodes that the leaf with this index completes, the leaf first. `stored` gives earlier nodes; where one is missing
    /// the nodes above are left out.
    ///
    /// # Errors
    /// Those of `stored`.
    pub fn grow<E>(
        index: u64,
        value_id: &B256,
        mut stored: impl FnMut(Self) -> Result<Option<B256>, E>,
    ) -> Result<Vec<(Self, B256)>, E> {
        let mut at = Self { level: 0, index };
        let mut hash = leaf(index, value_id);
        let mut out = Vec::from([(at, hash)]);
        while at.index & 1 == 1 {
            let Some(left) = stored(Self { index: at.index ^ 1, ..at })? else { break };
            hash = node(&left, &hash);
            at = Self { level: at.level.saturating_add(1), index: at.index >> 1 };
            out.push((at, hash));
        }
        Ok(out)
    }
}

/// Proof of one leaf under the root over `count` leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MmrProof {
    /// The leaf.
    #[serde(with = "quantity")]
    pub index: u64,
    /// Leaves under the root.
    #[serde(with = "quantity")]
    pub count: u64,
    /// Sibling hashes inside its mountain, lowest first.
    pub siblings: Vec<B256>,
    /// The peaks, largest first, without that of its mountain.
    pub peaks: Vec<B256>,
}

impl MmrProof {
    /// The proof out of stored nodes; none if one is missing, or if there is no such leaf.
    ///
    /// # Errors
    /// Those of `stored`.
    pub fn of<E>(
        index: u64,
        count: u64,
        mut stored: impl FnMut(MmrPlace) -> Result<Option<B256>, E>,
    ) -> Result<Option<Self>, E> {
        let Some(mountain) = mountain(index, count) else { return Ok(None) };
        let mut out = Self { index, count, siblings: Vec::new(), peaks: Vec::new() };
        for level in 0..mountain {
            let place = MmrPlace { level, index: (index >> level) ^ 1 };
            let Some(hash) = stored(place)? else { return Ok(None) };
            out.siblings.push(hash);
        }
        for level in levels(count).filter(|level| *level != mountain) {
            // A mountain begins where the larger ones end.
            let first = count.checked_shr(u32::from(level)).unwrap_or(0).saturating_sub(1);
            let Some(hash) = stored(MmrPlace { level, index: first })? else { return Ok(None) };
            out.peaks.push(hash);
        }
        Ok(Some(out))
    }

    /// The proof out of its hashes: the siblings, then the peaks; none if there is no such leaf or the number is another.
    #[must_use]
    pub fn of_hashes(index: u64, count: u64, hashes: &[B256]) -> Option<Self> {
        let others = usize::try_from(count.count_ones().checked_sub(1)?).ok()?;
        let (siblings, peaks) = hashes.split_at_checked(mountain(index, count)?.into())?;
        let (siblings, peaks) = (siblings.to_vec(), peaks.to_vec());
        (peaks.len() == others).then_some(Self { index, count, siblings, peaks })
    }

    /// Whether the value id is that leaf under this root.
    #[must_use]
    pub fn verifies(&self, root: &B256, value_id: &B256) -> bool {
        let Some(mountain) = mountain(self.index, self.count) else { return false };
        let others = self.count.count_ones().saturating_sub(1);
        let fits = self.siblings.len() == usize::from(mountain)
            && u32::try_from(self.peaks.len()) == Ok(others);
        if !fits {
            return false;
        }
        let mut hash = leaf(self.index, value_id);
        let mut at = self.index;
        for sibling in &self.siblings {
            hash = if at & 1 == 1 { node(sibling, &hash) } else { node(&hash, sibling) };
            at >>= 1;
        }
        let mut others = self.peaks.iter();
        let peak = |level| if level == mountain { Some(hash) } else { others.next().copied() };
        let peaks: Option<Vec<B256>> = levels(self.count).map(peak).collect();
        peaks.is_some_and(|peaks| bag(self.count, &peaks) == *root)
    }
}

/// Levels of the mountains over so many leaves, largest first.
fn levels(count: u64) -> impl Iterator<Item = u8> {
    (0..64u8).rev().filter(move |level| (count >> level) & 1 == 1)
}

/// Level of the mountain that a leaf is in.
fn mountain(index: u64, count: u64) -> Option<u8> {
    // The highest bit in which they differ is that of the mountain: above it, both are in the larger ones.
    let differ = (index < count).then_some(index ^ count)?;
    u8::try_from(MAX_LEVELS.saturating_sub(1).saturating_sub(differ.leading_zeros())).ok()
}

fn leaf(index: u64, value_id: &B256) -> B256 {
    let mut h = Keccak256::new();
    h.update([0x00]);
    h.update(index.to_be_bytes());
    h.update(value_id);
    h.finalize()
}

fn node(left: &B256, right: &B256) -> B256 {
    let mut h = Keccak256::new();
    h.update([0x01]);
    h.update(left);
    h.update(right);
    h.finalize()
}

fn bag(count: u64, peaks: &[B256]) -> B256 {
    if count == 0 {
        return B256::ZERO;
    }
    let mut h = Keccak256::new();
    h.update([0x02]);
    h.update(count.to_be_bytes());
    for peak in peaks {
        h.update(peak);
    }
    h.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn id(i: u64) -> B256 {
        B256::left_padding_from(&i.saturating_add(1).to_be_bytes())
    }

    /// Every leaf is proven under every later root, and nothing else is.
    #[test]
    fn every_leaf_is_proven_under_every_later_root() {
        let mut nodes: BTreeMap<MmrPlace, B256> = BTreeMap::new();
        let mut range = Mmr::default();
        for count in 1..=70u64 {
            let get = |at: MmrPlace| Ok::<_, ()>(nodes.get(&at).copied());
            let grown = MmrPlace::grow(count - 1, &id(count - 1), get).unwrap();
            nodes.extend(grown);
            range.push(id(count - 1));
            let root = range.root();
            let get = |at: MmrPlace| Ok::<_, ()>(nodes.get(&at).copied());
            for index in 0..count {
                let proof = MmrProof::of(index, count, get).unwrap().unwrap();
                assert!(proof.verifies(&root, &id(index)), "{index} of {count}");
                assert!(!proof.verifies(&root, &id(index + 1)));
                assert!(!proof.verifies(&id(7), &id(index)));
                let mut moved = proof.clone();
                moved.index ^= 1;
                assert!(!moved.verifies(&root, &id(index)), "{index} of {count} moved");
                let mut cut = proof.clone();
                assert!(cut.peaks.pop().is_none() || !cut.verifies(&root, &id(index)));
            }
            assert_eq!(MmrProof::of(count, count, get), Ok(None));
        }
    }

    #[test]
    fn a_missing_node_gives_no_proof_and_no_parents() {
        let none = |_: MmrPlace| Ok::<_, ()>(None);
        assert_eq!(MmrPlace::grow(3, &id(3), none).unwrap().len(), 1);
        assert_eq!(MmrProof::of(0, 2, none), Ok(None));
    }

    #[test]
    fn places_at_the_edge_are_refused() {
        assert_eq!(mountain(0, 0), None);
        assert_eq!(mountain(u64::MAX, u64::MAX), None);
        assert_eq!(mountain(0, 1 << 63), Some(63));
        let proof = MmrProof { index: 0, count: u64::MAX, siblings: Vec::new(), peaks: Vec::new() };
        assert!(!proof.verifies(&B256::ZERO, &id(0)));
    }
}
