//! Progress and retreat: what each node showed its users (I-24), how fast heights are decided (I-5), and the
//! figures of a run.

use super::tree::Tip;
use alloy_primitives::B256;
use rota_consensus::{Decided, Replica};
use rota_preconf::Frame;
use rota_types::FrameHeader;
use std::collections::{BTreeMap, BTreeSet};

/// Frames that a replica may hold above the decided height (`preconf::FramePool`).
const MAX_POOLED: usize = 8192;
/// After the calm begins, heights under way may still pay for what was before.
const GRACE_US: u64 = 1_500_000;
/// Even an idle set decides a height in this time, milliseconds.
const SLOWEST_MS: u64 = 3_000;

/// Figures of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Heights that were decided in a round above 0.
    pub late_heights: usize,
    /// Crashes, and how many of them hit the leader.
    pub crashes: (usize, usize),
    /// For each crash of a leader, milliseconds until a frame of another one was accepted.
    pub gaps_ms: Vec<u64>,
    /// Frames of correct leaders that no correct node ever accepted, and that are not in the log.
    pub lost_unseen: usize,
    /// Frames of correct leaders that somebody accepted, and that are not in the log.
    pub lost_held: usize,
    /// Acked prefixes that were reverted; each was judged.
    pub reverted: usize,
    /// Times a node decided a value for which it had not prevoted (I-28).
    pub followed: usize,
    /// Replicas that stopped because the guard refused.
    pub noticed: usize,
    /// Insured on frames that a correct node accepted, wei.
    pub insured_wei: u128,
    /// Most members in the jail at once.
    pub jailed: usize,
    /// Heights with somebody in the jail, and how many of them were decided in a round above 0.
    pub in_jail: (usize, usize),
}

/// The chain that one process showed.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    frames: BTreeMap<u64, B256>,
    acked: Option<(u64, B256, u64)>,
    broken: Option<String>,
}

impl Mirror {
    fn accept(&mut self, frame: &Frame) {
        let (g, top) = (frame.g(), self.frames.last_key_value().map(|(g, _)| *g));
        if top.is_some_and(|top| top + 1 != g) {
            self.broken = Some(format!("frame {g} accepted on top of {top:?}"));
        }
        self.frames.insert(g, frame.hash);
    }

    pub(super) fn at(&self, g: u64) -> Option<B256> {
        self.frames.get(&g).copied()
    }

    /// The chain ends where what was put out says it ends.
    pub(super) fn follow(&mut self, base: Tip, tip: Tip) -> Result<(), String> {
        if let Some(what) = self.broken.take() {
            return Err(what);
        }
        let shown = self.frames.last_key_value().map_or(base, |(g, hash)| (*g, *hash));
        let shown = if shown.0 < base.0 { base } else { shown };
        if shown == tip {
            return Ok(());
        }
        Err(format!("the chain ends at {tip:?}, what was shown at {shown:?}"))
    }

    /// An acked frame that is not on the chain any more.
    pub(super) fn fallen(
        &mut self,
        place: (u64, u32),
        base_g: u64,
    ) -> Option<((u64, u32), Tip, u64, Tip)> {
        let (g, hash, weight) = self.acked.filter(|(g, _, _)| *g > base_g)?;
        if self.frames.get(&g) == Some(&hash) {
            return None;
        }
        self.acked = None;
        let by = self.frames.last_key_value().map_or((0, B256::ZERO), |(g, h)| (*g, *h));
        Some((place, (g, hash), weight, by))
    }

    /// I-26, as far as a replica shows its buffers.
    pub(super) fn bounded(node: u16, replica: &Replica) -> Result<(), String> {
        let pooled = replica.pooled();
        if pooled <= MAX_POOLED {
            return Ok(());
        }
        Err(format!("{node} holds {pooled} frames"))
    }
}

#[derive(Debug)]
struct Crash {
    at_us: u64,
    leader: u16,
    gap_ms: Option<u64>,
}

pub(in crate::sim) struct Live {
    n: usize,
    max_round: Option<u32>,
    mirrors: BTreeMap<u16, Mirror>,
    started: BTreeMap<u64, u64>,
    calm_us: Option<u64>,
    decided_before: u64,
    top: u64,
    late: BTreeSet<u64>,
    crashes: Vec<Crash>,
    signed: BTreeMap<B256, (u64, u16)>,
    held: BTreeSet<B256>,
    pub(in crate::sim) stats: Stats,
}

impl Live {
    pub(super) fn new(n: usize, max_round: Option<u32>) -> Self {
        Self {
            n,
            max_round,
            mirrors: BTreeMap::new(),
            started: BTreeMap::new(),
            calm_us: None,
            decided_before: 0,
            top: 0,
            late: BTreeSet::new(),
            crashes: Vec::new(),
            signed: BTreeMap::new(),
            held: BTreeSet::new(),
            stats: Stats::default(),
        }
    }

    pub(super) fn mirror(&mut self, node: u16) -> &mut Mirror {
        self.mirrors.entry(node).or_default()
    }

    pub(super) fn signed(&mut self, h: &FrameHeader, hash: B256) {
        self.signed.entry(hash).or_insert((h.g, h.leader));
    }

    pub(super) fn accepted(&mut self, now_us: u64, node: u16, frame: &Frame, leader: u16) {
        self.mirror(node).accept(frame);
        if leader != node {
            self.held.insert(frame.hash);
        }
        for crash in self.crashes.iter_mut().filter(|c| c.gap_ms.is_none() && c.leader != leader) {
            let new = self.signed.contains_key(&frame.hash) || leader == node;
            if new && now_us > crash.at_us && leader == node {
                crash.gap_ms = Some((now_us - crash.at_us) / 1000);
            }
        }
    }

    pub(super) fn rewound(&mut self, node: u16, g: u64) {
        self.mirror(node).frames.split_off(&(g + 1));
    }

    pub(super) fn acked(&mut self, node: u16, g: u64, weight: u64) {
        let mirror = self.mirror(node);
        if let Some(hash) = mirror.frames.get(&g) {
            mirror.acked = Some((g, *hash, weight));
        }
    }

    pub(super) fn round(&mut self, now_us: u64, _node: u16, height: u64, round: u32) {
        if round == 0 {
            self.started.entry(height).or_insert(now_us);
        }
    }

    /// I-5: a height that began in the calm is decided within n + 1 rounds.
    pub(super) fn decided(&mut self, now_us: u64, node: u16, d: &Decided) -> Result<(), String> {
        let (height, round) = (d.header.height(), d.certificate.round);
        let mirror = self.mirror(node);
        mirror.frames = mirror.frames.split_off(&(d.header.last_g + 1));
        self.top = self.top.max(height);
        if round > 0 && self.late.insert(height) {
            self.stats.late_heights += 1;
        }
        let began = self.started.get(&height).copied().unwrap_or(now_us);
        let calm = self.calm_us.is_some_and(|calm| began > calm + GRACE_US);
        let slow = self.max_round.is_some_and(|max| round > max);
        if slow || calm && round as usize > self.n + 1 {
            return Err(format!("height {height} took until round {round} of {} nodes", self.n));
        }
        Ok(())
    }

    pub(super) fn crashed(&mut self, now_us: u64, node: u16, leads: bool) {
        self.stats.crashes.0 += 1;
        self.mirrors.remove(&node);
        if leads {
            self.stats.crashes.1 += 1;
            self.crashes.push(Crash { at_us: now_us, leader: node, gap_ms: None });
        }
    }

    pub(super) fn booted(&mut self, node: u16) {
        self.mirrors.remove(&node);
    }

    pub(super) fn calm(&mut self, now_us: u64) {
        self.calm_us = Some(now_us);
        self.decided_before = self.top;
    }

    /// What became of the frames that correct leaders signed.
    pub(super) fn settle(&mut self, frames: &BTreeMap<u64, B256>) {
        for (hash, (g, _)) in &self.signed {
            if frames.get(g).is_some_and(|there| there != hash) {
                if self.held.contains(hash) {
                    self.stats.lost_held += 1;
                } else {
                    self.stats.lost_unseen += 1;
                }
            }
        }
        self.stats.gaps_ms = self.crashes.iter().filter_map(|c| c.gap_ms).collect();
    }

    /// I-5 at the end of a run that ends calm.
    pub(super) fn finish(
        &self,
        now_us: u64,
        heights: &[(u16, u64)],
        left: usize,
    ) -> Result<(), String> {
        let Some(calm_us) = self.calm_us else { return Ok(()) };
        let calm_ms = now_us.saturating_sub(calm_us) / 1000;
        let least = self.decided_before + calm_ms / SLOWEST_MS;
        let (low, high) =
            heights.iter().fold((u64::MAX, 0), |(low, high), (_, h)| (low.min(*h), high.max(*h)));
        if high < least || high - low > 2 {
            return Err(format!(
                "after {calm_ms} ms of calm: {heights:?}, at least {least} wanted"
            ));
        }
        if left > 0 {
            return Err(format!("{left} transactions are not decided: {heights:?}"));
        }
        Ok(())
    }
}
