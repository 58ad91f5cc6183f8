//! Evidence in the chain: who a CLOSE frame convicts, and what waits to be put into one.
//!
//! A convicted member leads nothing more in its epoch. It still acks and votes, and its weight counts: sets change
//! only on L1. Not for: finding evidence (`Watch`), and not for who leads instead (`Schedule`).
//! Invariant: a bitmap of jailed members is a pure function of the frames; what is in it was judged by the rules of L1.

use crate::Chain;
use alloy_primitives::{B256, Bytes, keccak256};
use rota_types::{
    Decode, DecodeError, Domain, Encode, Evidence, EvidenceError, MAX_EVIDENCE_BYTES,
    MAX_FRAME_EVIDENCE, ValidatorSet, hash_list_root,
};
use std::collections::BTreeMap;

/// Evidence that was judged, with whom it convicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conviction {
    bytes: Bytes,
    accused: u16,
    members: u64,
}

/// Why evidence does not convict. Whoever gave it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEvidence {
    /// It does not decode.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// It shows nothing.
    #[error("{0}")]
    Judged(#[from] EvidenceError),
    /// An index that no bitmap has.
    #[error("member {0} has no bit")]
    Member(u16),
}

impl Conviction {
    /// Decodes evidence and judges it by the set of its epoch.
    pub fn decode(bytes: &Bytes, set: &ValidatorSet, domain: &Domain) -> Result<Self, BadEvidence> {
        Self::judge(&Evidence::decode(bytes)?, set, domain)
    }

    /// Judges evidence by the set of its epoch.
    pub fn judge(
        evidence: &Evidence,
        set: &ValidatorSet,
        domain: &Domain,
    ) -> Result<Self, BadEvidence> {
        let mut members = 0u64;
        for index in evidence.verify(set, domain)?.accused {
            members |= bit(index).ok_or(BadEvidence::Member(index))?;
        }
        Ok(Self { bytes: evidence.encode().into(), accused: evidence.accused, members })
    }

    /// The evidence.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// Whom it convicts: bit i is index i of the set.
    #[must_use]
    pub const fn members(&self) -> u64 {
        self.members
    }
}

/// Whether the member with an index is in a bitmap.
#[must_use]
pub fn is_jailed(jailed: u64, index: u16) -> bool {
    bit(index).is_some_and(|bit| jailed & bit != 0)
}

fn bit(index: u16) -> Option<u64> {
    1u64.checked_shl(u32::from(index))
}

/// Who is jailed after a CLOSE with these: they rise by the accused in the evidence, and each convicts somebody whom
/// nothing before it did. `None` if not.
pub(crate) fn sentence(convictions: &[Conviction], jailed: u64) -> Option<u64> {
    let rise =
        convictions.iter().zip(convictions.iter().skip(1)).all(|(a, b)| a.accused < b.accused);
    let add =
        |jailed: u64, c: &Conviction| (c.members & !jailed != 0).then_some(jailed | c.members);
    convictions.iter().try_fold(jailed, add).filter(|_| rise)
}

/// `evidence_root` of a CLOSE with these.
pub(crate) fn evidence_root(convictions: &[Conviction]) -> B256 {
    let hashes: Vec<B256> = convictions.iter().map(|c| keccak256(&c.bytes)).collect();
    hash_list_root(&hashes)
}

/// Evidence that waits for the next CLOSE of this node. Bounded: the first piece against each accused stays, others
/// are refused.
#[derive(Debug, Clone, Default)]
pub struct Docket(BTreeMap<u16, Conviction>);

impl Docket {
    /// Whether evidence against this accused would be taken.
    #[must_use]
    pub fn wants(&self, accused: u16) -> bool {
        !self.0.contains_key(&accused)
    }
    /// Takes a conviction.
    pub fn insert(&mut self, conviction: Conviction) {
        self.0.entry(conviction.accused).or_insert(conviction);
    }
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Drops what convicts nobody who is not jailed already.
    pub fn settle(&mut self, jailed: u64) {
        self.0.retain(|_, c| c.members & !jailed != 0);
    }
    /// Drops all: another set is in force.
    pub fn clear(&mut self) {
        self.0.clear();
    }
    /// What the CLOSE of the open height takes.
    #[must_use]
    pub fn next(&self, chain: &Chain) -> Vec<Conviction> {
        self.against(chain.context().cursor.jailed)
    }

    fn against(&self, mut jailed: u64) -> Vec<Conviction> {
        let mut taken: Vec<Conviction> = Vec::new();
        let mut left = MAX_EVIDENCE_BYTES;
        for conviction in self.0.values() {
            let fits = conviction.bytes.len() <= left && taken.len() < MAX_FRAME_EVIDENCE;
            if fits && conviction.members & !jailed != 0 {
                left = left.saturating_sub(conviction.bytes.len());
                jailed |= conviction.members;
                taken.push(conviction.clone());
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conviction(accused: u16, members: u64, len: usize) -> Conviction {
        Conviction { bytes: vec![1; len].into(), accused, members }
    }

    #[test]
    fn each_piece_convicts_somebody_new_in_one_order() {
        let (a, b) = (conviction(1, 2, 9), conviction(3, 8, 9));
        let both = conviction(u16::MAX, 2 | 8, 9);
        assert_eq!(sentence(&[], 5), Some(5));
        assert_eq!(sentence(&[a.clone(), b.clone()], 1), Some(11));
        assert_eq!(sentence(&[b.clone(), a.clone()], 1), None, "another order");
        assert_eq!(sentence(&[a.clone(), a.clone()], 0), None, "twice");
        assert_eq!(sentence(std::slice::from_ref(&a), 2), None, "jailed already");
        assert_eq!(sentence(&[a.clone(), both.clone()], 0), Some(10), "one more");
        assert_eq!(sentence(&[a, b, both], 0), None, "nobody more");
    }

    #[test]
    fn the_docket_gives_what_a_close_may_have_and_keeps_one_for_each() {
        let mut docket = Docket::default();
        for i in 0..7u16 {
            docket.insert(conviction(i, 1 << i, 10));
        }
        docket.insert(conviction(2, 4, 20_000));
        assert_eq!(docket.len(), 7);
        let names = |docket: &Docket, jailed| -> Vec<u16> {
            let next = docket.against(jailed);
            assert!(sentence(&next, jailed).is_some());
            next.iter().map(|c| c.accused).collect()
        };
        assert_eq!(names(&docket, 0), [0, 1, 2, 3]);
        assert_eq!(names(&docket, 0b10_0011), [2, 3, 4, 6]);
        docket.settle(0b11_1111);
        assert_eq!((docket.len(), docket.wants(5), docket.wants(6)), (1, true, false));
        for i in 10..13 {
            docket.insert(conviction(i, 1 << i, 30_000));
        }
        assert_eq!(names(&docket, 0), [6, 10, 11], "64 KiB");
    }

    #[test]
    fn an_index_above_the_bitmap_is_never_jailed() {
        assert_eq!(bit(63), Some(1 << 63));
        assert_eq!(bit(64), None);
        assert!(is_jailed(1 << 63, 63) && !is_jailed(u64::MAX, 64));
    }
}
