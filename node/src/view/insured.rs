//! What insurance needs of the view: the room under the caps, and where reverted frames left the log.
//!
//! Invariant: what is given as reverted is not on the decided log, and the proof of it verifies.

use super::{View, inner::Inner};
use alloy_primitives::B256;
use rota_l1::Warranted;
use rota_preconf::Room;
use rota_types::{CommitCertificate, Decode, Fork, FrameHeader, MAX_CHAIN, SeqSignature};
use std::collections::{BTreeMap, BTreeSet};

/// Headers of reverted frames that are kept. Policy when full: drop the lowest position.
const MAX_LOST: usize = 4_096;

/// What members of a set warrant, by index.
pub(super) type Warranties = BTreeMap<u16, Warranted>;

/// Why there is no proof that a frame was reverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoFork {
    /// User: this node never took such a frame back.
    #[error("this node never took a frame with that hash back")]
    Unknown,
    /// User: nothing is decided at its position yet.
    #[error("nothing is decided in its place yet: it may still come back")]
    Undecided,
    /// Us: too much came since, or too much was reverted at a time.
    #[error("this node does not keep what is needed to show where the frame left the log")]
    Pruned,
}

/// A reverted frame with all that shows where it left the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverted {
    /// Headers below the frame, downwards, to the first that is not on the log.
    pub below: Vec<FrameHeader>,
    /// What the log has in the place of the lowest of them, or of the frame itself.
    pub fork: Fork,
    /// Signed frames of the log, from that place up to that of the frame.
    pub log: Vec<(FrameHeader, SeqSignature)>,
}

/// Headers of frames that were taken back, by hash and by position.
#[derive(Debug, Default)]
pub(super) struct Lost {
    headers: BTreeMap<B256, FrameHeader>,
    positions: BTreeSet<(u64, B256)>,
}

impl Lost {
    pub(super) fn note(&mut self, hash: B256, header: FrameHeader) {
        self.positions.insert((header.g, hash));
        self.headers.insert(hash, header);
        while self.positions.len() > MAX_LOST {
            let Some((_, lowest)) = self.positions.pop_first() else { break };
            self.headers.remove(&lowest);
        }
    }
}

impl View {
    /// How much can be insured by who leads now; `None` while that is not known.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        *self.room.read()
    }

    /// Notes how much can be insured on top of the newest frame.
    pub fn set_room(&self, room: Option<Room>) {
        *self.room.write() = room;
    }

    /// Notes what the members of the set of an epoch warrant, by index.
    pub fn set_warranties(&self, epoch: u64, warranties: Warranties) {
        *self.warranties.write() = (epoch, warranties);
    }

    /// What a member of the set of an epoch warrants, as far as this node read it on L1.
    #[must_use]
    pub fn warranted(&self, epoch: u64, member: u16) -> Option<Warranted> {
        let known = self.warranties.read();
        known.1.get(&member).filter(|_| known.0 == epoch).copied()
    }

    /// Where a frame that was taken back left the log. `given` is its header, for a node that never had it.
    ///
    /// # Errors
    /// [`NoFork`] says whether to ask later, elsewhere, or not at all.
    pub fn reverted(&self, frame: &B256, given: Option<&FrameHeader>) -> Result<Reverted, NoFork> {
        let given = given.filter(|header| header.hash(&self.config.domain) == *frame);
        self.inner.read().reverted(frame, given)
    }
}

impl Inner {
    fn reverted(&self, frame: &B256, given: Option<&FrameHeader>) -> Result<Reverted, NoFork> {
        let mut first = self.lost.headers.get(frame).or(given).ok_or(NoFork::Unknown)?;
        let top = first.g;
        if self.frame_gs.contains_key(frame) {
            return Err(NoFork::Unknown);
        }
        let mut below = Vec::new();
        let there = loop {
            if first.g >= self.undecided_g {
                return Err(NoFork::Undecided);
            }
            let there = self.frames.get(&first.g).ok_or(NoFork::Pruned)?;
            if there.frame.header.prev_hash == first.prev_hash {
                break there;
            }
            let below_it = self.lost.headers.get(&first.prev_hash);
            // Who asks may have made the header up: what is answered goes down one position at a time.
            let next = below_it.filter(|f| f.g.checked_add(1) == Some(first.g));
            first = next.ok_or(NoFork::Pruned)?;
            below.push(first.clone());
            if below.len() > MAX_CHAIN {
                return Err(NoFork::Pruned);
            }
        };
        let (record, header, branch) =
            self.decided_place(first.g, &there.hash).ok_or(NoFork::Pruned)?;
        let commit = CommitCertificate::decode(&record.decision.certificate);
        let commit = commit.map_err(|_| NoFork::Pruned)?;
        let frame = there.frame.header.clone();
        let log = self.frames.range(first.g..=top).map(|(_, r)| &r.frame);
        let log = log.map(|f| (f.header.clone(), f.signature)).collect();
        Ok(Reverted { below, fork: Fork { frame, branch, header, commit }, log })
    }
}
