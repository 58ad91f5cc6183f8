//! What a plan does to processes and links.

use super::{Due, EPOCH_MS, World};
use crate::sim::{Event, Phase, Point, Unsynced};
use rota_consensus::Fatal;
use rota_p2p::LinkPlan;
use rota_preconf::{Epochs, HeightContext, Rules};
use std::sync::Arc;

impl World {
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Kill(node) => self.kill(node),
            Event::KillLeader => {
                let up = self.nodes.iter().filter_map(|n| n.replica.as_ref());
                // Whoever is furthest knows who leads.
                let first = up.max_by_key(|r| r.place());
                let leader = first.and_then(|r| self.sets.node(r.epoch().number(), r.leader()));
                if let Some(leader) = leader {
                    self.kill(leader);
                }
            }
            Event::Crash(node, unsynced) => self.crash(node, unsynced),
            Event::CrashAll(unsynced) => self.crash_all(unsynced),
            Event::CrashAllInRound(unsynced) => self.watch(unsynced),
            Event::Snapshot(node) => {
                self.snapshots.insert(node, self.nodes[usize::from(node)].disk.clone());
            }
            Event::RollBackAndStart(node) => {
                self.kill(node);
                if let Some(disk) = self.snapshots.get(&node) {
                    self.nodes[usize::from(node)].disk = disk.clone();
                }
                self.boot(usize::from(node));
            }
            Event::Start(node) => self.boot(usize::from(node)),
            Event::StartAll => {
                for i in 0..self.nodes.len() {
                    self.boot(i);
                }
            }
            Event::LoseGuardAndStart(node) => {
                self.kill(node);
                let disk = &mut self.nodes[usize::from(node)].disk;
                disk.guards.fill_with(rota_store::Watermarks::default);
                disk.wal.clear();
                disk.frames.clear();
                self.boot(usize::from(node));
            }
            Event::WipeAndStart(node) => {
                let first = self.sets.first();
                let context = HeightContext::genesis(first, self.rules.domain.genesis_hash);
                let epochs = Epochs::new(Arc::clone(first));
                let disk = &mut self.nodes[usize::from(node)].disk;
                disk.context = context;
                disk.epochs = epochs;
                disk.wal.clear();
                disk.frames.clear();
                disk.decided.clear();
                self.boot(usize::from(node));
            }
            Event::LoseFramesAndStart(node) => {
                self.kill(node);
                self.nodes[usize::from(node)].disk.frames.clear();
                self.boot(usize::from(node));
            }
            Event::Partition(groups) => {
                let groups: Vec<&[u16]> = groups.iter().map(Vec::as_slice).collect();
                self.net.partition(&groups);
            }
            Event::Cut(pairs) => self.cuts.extend(pairs),
            Event::Heal => {
                self.net.heal();
                self.cuts.clear();
            }
            Event::Links(link) => self.net.set_plan(link),
        }
    }

    pub(super) fn kill(&mut self, node: u16) {
        self.crash(node, Unsynced::Lost);
    }

    fn crash_all(&mut self, unsynced: Unsynced) {
        for i in 0..self.nodes.len() {
            let unsynced = match unsynced {
                Unsynced::Prefix(_) => Unsynced::Prefix(self.dice.next()),
                all => all,
            };
            self.crash(self.nodes[i].index, unsynced);
        }
    }

    /// Crashes everyone as soon as somebody is in a round above 0.
    pub(super) fn watch(&mut self, unsynced: Unsynced) {
        if self.is_calm() {
            return;
        }
        let replicas = self.nodes.iter().filter_map(|n| n.replica.as_ref());
        if replicas.map(|r| r.place().1).max().unwrap_or(0) > 0 {
            self.crash_all(unsynced);
            for i in 0..self.nodes.len() {
                let after = 100 + self.dice.below(400);
                self.push(self.now_us + after * 1000, Due::Start(self.nodes[i].index));
            }
        } else {
            self.push(self.now_us + 1_000, Due::Watch(unsynced));
        }
    }

    pub(super) fn crash_in_sync(&mut self, point: Point) {
        let unsynced = match point.phase {
            Phase::Written => Unsynced::Lost,
            Phase::Within(n) => Unsynced::Prefix(n),
            Phase::Synced => {
                drop(self.nodes[usize::from(point.node)].synced());
                Unsynced::Lost
            }
        };
        // A point is for one sync: the next is another.
        self.nodes[usize::from(point.node)].syncs_done = point.sync + 1;
        self.crash(point.node, unsynced);
        self.push(self.now_us + point.down_ms * 1000, Due::Start(point.node));
    }

    /// From here on nothing gets in the way: good links, everyone up, and users ask again.
    pub(super) fn calm(&mut self) {
        self.event(Event::Heal);
        self.net.set_keep_order(true);
        self.net.set_plan(LinkPlan { latency_us: 5_000, jitter_us: 2_000, ..LinkPlan::default() });
        for i in 0..self.nodes.len() {
            if !self.plan.gone.contains(&self.nodes[i].index) {
                self.boot(i);
            }
        }
        self.ask_again();
        self.checker.calm(self.now_us);
    }

    /// Users send what is not decided to every node again, as nodes forward it in a real network.
    pub(super) fn ask_again(&mut self) {
        let undecided = self.checker.undecided(&self.txs);
        for i in 0..self.nodes.len() {
            undecided.iter().for_each(|tx| self.nodes[i].submit(tx));
            self.feed_txs(self.nodes[i].index);
        }
    }

    /// A replica that stops for good: only one that lost its disk may.
    pub(super) fn halted(&mut self, node: u16, fatal: &Fatal) {
        if !self.cast.has(node) {
            self.checker.fatal(self.now_us, node, fatal);
        }
        self.kill(node);
        if self.cast.has(node) {
            self.checker.say(|| format!("{node} behind its mask: {fatal}"));
            self.revive(node);
        }
    }

    fn crash(&mut self, node: u16, unsynced: Unsynced) {
        let i = usize::from(node);
        if self.nodes[i].replica.is_some() {
            self.checker.crashed(self.now_us, node, unsynced);
        }
        self.nodes[i].kill(unsynced);
        self.checker.durable(self.now_us, &self.nodes[i]);
        self.net.take_down(node);
        self.ticks.remove(&node);
    }

    pub(super) fn boot(&mut self, i: usize) {
        if self.nodes[i].replica.is_some() {
            return;
        }
        let node = self.nodes[i].index;
        self.net.bring_up(node);
        self.checker.booted(self.now_us, node);
        let mut out = Vec::new();
        let now = EPOCH_MS + self.now_us / 1000;
        let rules = Rules { lags: self.lags_of(node), ..self.rules_of(node) };
        if let Err(fatal) = self.nodes[i].boot(now, &self.sets, &rules, &mut out) {
            self.halted(node, &fatal);
            return;
        }
        self.absorb(node, out);
        self.read_l1(node);
    }
}
