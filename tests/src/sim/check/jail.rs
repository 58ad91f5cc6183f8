//! The jail (I-39): who is convicted in the log leads nothing more in that epoch, what a correct leader knows goes into its next
//! CLOSE, and nobody correct is ever convicted.
//!
//! Told from the frames alone, by other code than that of the chain.

use super::Checker;
use crate::sim::world::EPOCH_MS;
use rota_consensus::Decided;
use rota_preconf::Frame;
use rota_types::{Decode, Evidence, SignedFrame, keccak256};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Jail {
    /// Nodes that are jailed at a height, and its epoch.
    at: BTreeMap<u64, (u64, BTreeSet<u16>)>,
    /// Whom a node that has run on knows to be guilty, by epoch, and since when, ms.
    charged: BTreeMap<u16, BTreeMap<(u64, u16), u64>>,
}

impl Jail {
    pub(super) fn forget(&mut self, node: u16) {
        self.charged.remove(&node);
    }
}

impl Checker {
    /// Evidence is shown to the replica of a correct node.
    pub(in crate::sim) fn charged(&mut self, node: u16, evidence: &Evidence) {
        let now = EPOCH_MS + self.now_us / 1000;
        let guilty = self.convicts(evidence);
        let charged = self.jail.charged.entry(node).or_default();
        for who in guilty {
            charged.entry((evidence.epoch, who)).or_insert(now);
        }
    }

    /// A correct leader lets a frame go: its CLOSE spares nobody it knew of when it was cut.
    pub(super) fn spares(&mut self, node: u16, frame: &SignedFrame) {
        let (height, epoch) = (frame.header.height, frame.header.epoch);
        let closes = frame.body.close.as_ref().is_some_and(|c| c.next_set_hash.is_zero());
        if !closes || self.sets.node(epoch, frame.header.leader) != Some(node) {
            return;
        }
        let mut jailed = self.jailed_at(height, epoch);
        jailed.extend(self.convicted_by(frame));
        let known = self.jail.charged.get(&node).into_iter().flatten();
        let spared: Vec<u16> = known
            .filter(|((e, who), since)| {
                *e == epoch && **since < frame.header.timestamp_ms && !jailed.contains(who)
            })
            .map(|((_, who), _)| *who)
            .collect();
        if !spared.is_empty() {
            self.broke("I-39", format!("{node} closes {height} and spares {spared:?}"));
        }
    }

    /// The height before may be decided in the very step in which this one is closed: then by the newest that is known.
    fn jailed_at(&self, height: u64, epoch: u64) -> BTreeSet<u16> {
        let there = self.jail.at.range(..=height).next_back().map(|(_, there)| there);
        let there = there.filter(|(e, _)| *e == epoch);
        there.map(|(_, jailed)| jailed.clone()).unwrap_or_default()
    }

    /// The nodes that evidence convicts, if it does.
    fn convicts(&self, evidence: &Evidence) -> BTreeSet<u16> {
        let set = self.sets.set(evidence.epoch);
        let verdict = set.and_then(|set| evidence.verify(set, &self.rules.domain).ok());
        let accused = verdict.into_iter().flat_map(|v| v.accused);
        accused.filter_map(|index| self.sets.node(evidence.epoch, index)).collect()
    }

    fn convicted_by(&self, frame: &SignedFrame) -> BTreeSet<u16> {
        let pieces = frame.body.evidence.iter().filter_map(|b| Evidence::decode(b).ok());
        pieces.flat_map(|evidence| self.convicts(&evidence)).collect()
    }

    /// A frame that a correct node accepted accuses nobody correct.
    pub(super) fn convicts_fairly(&mut self, frame: &Frame) {
        let pieces = &frame.signed.body.evidence;
        let guilty = self.convicted_by(&frame.signed);
        if guilty.len() < pieces.len() || guilty.iter().any(|who| !self.faulty.contains(who)) {
            self.broke("I-6", format!("frame {} convicts {guilty:?}", frame.hash));
        }
    }

    /// A height is decided: its header names who is jailed after it, and nobody is spared by a correct leader that knew.
    pub(super) fn sentenced(&mut self, decided: &Decided) {
        let close = &decided.header.close;
        let (height, epoch) = (close.height, close.epoch);
        let (frame, last) = (decided.frames.last(), !close.next_set_hash.is_zero());
        let Some(frame) = frame.filter(|_| !self.jail.at.contains_key(&(height + 1))) else {
            return;
        };
        let mut jailed = self.jailed_at(height, epoch);
        let (heights, late) = &mut self.live.stats.in_jail;
        *heights += usize::from(!jailed.is_empty());
        *late += usize::from(!jailed.is_empty() && decided.certificate.round > 0);
        jailed.extend(self.convicted_by(&frame.signed));
        self.live.stats.jailed = self.live.stats.jailed.max(jailed.len());
        let bit = |node: &u16| self.sets.seat(epoch, *node).map_or(0, |(index, _)| 1u64 << index);
        let bits: u64 = jailed.iter().map(bit).sum();
        let named =
            if last || bits == 0 { Default::default() } else { keccak256(bits.to_be_bytes()) };
        if close.jailed_bitmap_hash != named {
            self.broke("I-39", format!("height {height} does not name {jailed:?} as jailed"));
        }
        self.jail.at.insert(height + 1, (epoch, jailed));
    }

    /// At the end: nobody jailed was the leader of anything.
    pub(super) fn nobody_jailed_led(&mut self) {
        let led = self.leaders.iter().find(|((height, _), leader)| {
            let there = self.epochs.get(height);
            let jail = self.jail.at.get(height).filter(|(epoch, _)| Some(epoch) == there);
            // Where everyone is jailed, everyone leads.
            jail.is_some_and(|(epoch, jailed)| {
                jailed.contains(leader) && jailed.len() < self.sets.peers(*epoch).len()
            })
        });
        if let Some((place, leader)) = led {
            self.broke("I-39", format!("{leader} leads {place:?}, though it is jailed"));
        }
    }
}
