//! What the simulated world tells the checker besides messages: outputs, states, lives and the end.

use super::{Checker, Violation, live::Mirror};
use crate::sim::node::{SimNode, Unsynced};
use rota_consensus::{Fatal, Output, Replica};
use rota_types::Tx;
use std::sync::Arc;

impl Checker {
    pub(in crate::sim) fn output(&mut self, now_us: u64, node: u16, output: &Output) {
        self.now_us = now_us;
        if self.faulty.contains(&node) {
            return;
        }
        match output {
            Output::Accepted { frame, closed, .. } => {
                let caps = self.insured.accepted(frame, &self.sets);
                self.must("I-21", caps);
                self.convicts_fairly(frame);
                self.live.stats.insured_wei = self.insured.sum;
                let Some(header) = self.named_frame(&frame.signed.header) else { return };
                self.tree.add(&header, frame.hash);
                self.say(|| format!("{node} accepts g{} {:.8}", frame.g(), frame.hash));
                self.live.accepted(now_us, node, frame, header.leader);
                if let Some(id) = closed {
                    self.tree.add_close(*id, (frame.g(), frame.hash));
                    let known = self.closes.insert(frame.hash, *id);
                    if known.is_some_and(|other| other != *id) {
                        self.broke("I-9", format!("frame {} closes two values", frame.hash));
                    }
                }
            }
            Output::Rewound { g, reason } => {
                self.say(|| format!("{node} rewinds to g{g}: {}", reason.name()));
                self.live.rewound(node, *g);
            }
            Output::Acked { g, weight, .. } => {
                self.live.acked(node, *g, *weight);
                let shown = self.live.mirror(node).at(*g);
                let height = shown.and_then(|hash| self.tree.get(&hash)).map_or(1, |f| f.height);
                let roll = self.roll(height);
                let stored = shown.map(|hash| self.acks.stored(&self.tree, &roll, (*g, hash)));
                if let Some(stored) = stored.filter(|s| !roll.is_quorum(*s)) {
                    let what = format!("{node} calls g{g} acked: {stored} of {}", roll.total());
                    self.broke("I-2", what);
                }
            }
            Output::Round { height, round, leader } => {
                let epoch = self.epochs.get(height).copied().unwrap_or(u64::MAX);
                let Some(leader) = &self.sets.node(epoch, *leader) else {
                    self.broke("I-16", format!("{node} enters {height}, which has no set yet"));
                    return;
                };
                self.say(|| format!("{node} enters {height}/{round}, leader {leader}"));
                let there = *self.leaders.entry((*height, *round)).or_insert(*leader);
                if there != *leader {
                    let what = format!("{height}/{round}: {node} sees {leader}, another {there}");
                    self.broke("I-13", what);
                }
                self.live.round(now_us, node, *height, *round);
            }
            Output::Decided(d) => {
                let height = d.header.height();
                self.say(|| format!("{node} decides {height} in {}", d.certificate.round));
                self.tree.add_value(d.value_id, &d.header);
                self.switched(d);
                self.sentenced(d);
                let base = (d.header.last_g, d.header.last_frame_hash);
                self.carries.bases.entry(height + 1).or_insert(base);
                let voted = self.facts.prevoted(node, height, &d.value_id);
                self.live.stats.followed += usize::from(!voted);
                let slow = self.live.decided(now_us, node, d);
                self.must("I-5", slow);
            }
            Output::Fault { peer, what } => {
                let peer = peer.0;
                self.say(|| format!("{node} blames {peer}: {what}"));
                if !self.faulty.contains(&peer) {
                    self.broke("I-12", format!("{node} blames {peer}, who is correct: {what}"));
                }
            }
            Output::Evidence(evidence) => {
                let (epoch, kind) = (evidence.epoch, evidence.kind().name());
                let Some(who) = self.sets.node(epoch, evidence.accused) else { return };
                self.say(|| format!("{node} proves {kind} by {who}"));
                let set = self.sets.set(epoch);
                let proven = set.is_some_and(|s| evidence.verify(s, &self.rules.domain).is_ok());
                if !proven || !self.faulty.contains(&who) {
                    self.broke("I-6", format!("{node} accuses {who}: {evidence:?}"));
                }
            }
            Output::Misbehaved { epoch, validator, what } => {
                let Some(validator) = self.sets.node(*epoch, *validator) else { return };
                self.say(|| format!("{node} accuses {validator}: {what}"));
                if !self.faulty.contains(&validator) {
                    let what = format!("{node} accuses {validator}, who is correct: {what}");
                    self.broke("I-6", what);
                }
            }
            _ => {}
        }
    }

    /// After every input of a correct node: I-24 and I-26.
    pub(in crate::sim) fn stepped(&mut self, node: u16, replica: &Replica) {
        if self.faulty.contains(&node) {
            return;
        }
        let (base, tip) = (replica.chain().base().base, replica.chain().tip());
        let mirror = self.live.mirror(node);
        let checked = mirror.follow((base.g, base.hash), (tip.g, tip.hash));
        let fell = mirror.fallen(replica.place(), base.g);
        self.must("I-24", checked);
        if let Some((place, tip, weight, by)) = fell {
            self.acks.fell(place, tip, weight, by);
            self.reverts();
        }
        let bounded = Mirror::bounded(node, replica);
        self.must("I-26", bounded);
    }

    /// Writes reached a disk.
    pub(in crate::sim) fn durable(&mut self, now_us: u64, node: &SimNode) {
        self.now_us = now_us;
        if self.faulty.contains(&node.index) {
            return;
        }
        if let Some(what) = &node.contradiction {
            self.broke("I-7", what.clone());
        }
        match self.ledger.take(node) {
            Err((name, what)) => self.broke(name, what),
            Ok(true) => {
                self.acks.decided(&self.ledger.frames);
                self.reverts();
            }
            Ok(false) => {}
        }
    }

    pub(in crate::sim) fn crashed(&mut self, now_us: u64, node: u16, unsynced: Unsynced) {
        self.now_us = now_us;
        self.say(|| format!("{node} crashes, unsynced {unsynced:?}"));
        let leader = self.leaders.last_key_value().map(|(_, l)| *l);
        self.live.crashed(now_us, node, leader == Some(node));
        self.jail.forget(node);
    }

    pub(in crate::sim) fn booted(&mut self, now_us: u64, node: u16) {
        self.now_us = now_us;
        self.say(|| format!("{node} starts"));
        self.live.booted(node);
    }

    pub(in crate::sim) fn calm(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.say(|| "calm begins".to_owned());
        self.live.calm(now_us);
    }

    /// A replica that stops for good has lost its disk, or a rule is broken.
    pub(in crate::sim) fn fatal(&mut self, now_us: u64, node: u16, fatal: &Fatal) {
        self.now_us = now_us;
        self.say(|| format!("{node} stops: {fatal}"));
        self.live.stats.noticed += 1;
        if !self.faulty.contains(&node) {
            self.broke("fatal", format!("{node} stops: {fatal}"));
        }
    }

    pub(in crate::sim) fn undecided(&self, txs: &[Arc<Tx>]) -> Vec<Arc<Tx>> {
        txs.iter().filter(|t| !self.ledger.txs.contains(&t.hash)).cloned().collect()
    }

    pub(in crate::sim) fn frames(&self) -> usize {
        self.ledger.frames.len()
    }

    /// The end of a run.
    pub(in crate::sim) fn finish(
        &mut self,
        now_us: u64,
        nodes: &[SimNode],
        txs: &[Arc<Tx>],
    ) -> Result<(), Violation> {
        self.now_us = now_us;
        self.judge();
        self.nobody_jailed_led();
        self.live.settle(&self.ledger.frames);
        self.live.stats.reverted = self.acks.reverted.len();
        let left = self.undecided(txs).len();
        let correct = nodes.iter().filter(|n| !self.faulty.contains(&n.index));
        let heights: Vec<(u16, u64)> = correct
            .filter(|n| n.replica.is_some())
            .map(|n| (n.index, n.disk.decided.last_key_value().map_or(0, |(h, _)| *h)))
            .collect();
        let alive = self.live.finish(now_us, &heights, left);
        self.must("I-5", alive);
        self.verdict()
    }
}
