//! One input into one replica, and what follows from its outputs.

use super::{Due, EPOCH_MS, World};
use crate::{
    make,
    sim::{
        faults::{Fate, Letter},
        node::{Leave, SimNode},
    },
};
use alloy_primitives::B256;
use rota_consensus::{Input, Output, To};
use rota_types::wire::{Head, Message, Request};
use std::sync::Arc;

impl World {
    pub(super) fn submit(&mut self) {
        let n = self.txs.len() as u64;
        // One account per entry: order between accounts is free, nonces of one account are not shared.
        // Every third user wants an amount insured, some more than fits at a time.
        let insured = if n.is_multiple_of(3) { u128::from(n % 31) * make::ETH / 4 } else { 0 };
        self.txs.push(make::transfer(n, 0).insuring(insured));
        let tx = Arc::clone(&self.txs[self.txs.len() - 1]);
        self.known.insert(tx.hash, Arc::clone(&tx));
        for i in 0..self.nodes.len() {
            let index = self.nodes[i].index;
            if self.nodes[i].replica.is_some() {
                self.nodes[i].submit(&tx);
                self.feed_txs(index);
            }
        }
        let at = self.now_us + 1_000_000 / self.plan.tx_rate;
        // The last seconds are left to settle.
        if at < self.plan.length_ms.saturating_sub(3_000) * 1000 {
            self.push(at, Due::Submit);
        } else {
            self.nodes.iter_mut().for_each(SimNode::insure_no_more);
            self.ask_again();
        }
    }

    pub(super) fn feed_txs(&mut self, node: u16) {
        if let Some(txs) = self.nodes[usize::from(node)].hand_over() {
            self.input(node, Input::Txs(txs));
        }
    }

    pub(super) fn input(&mut self, node: u16, input: Input) {
        let now = EPOCH_MS + self.now_us / 1000;
        let Some(replica) = self.nodes[usize::from(node)].replica.as_mut() else { return };
        let mut out = Vec::new();
        let stepped = replica.step(now, input, &mut out);
        if let Err(fatal) = stepped.and_then(|()| replica.flush(now, &mut out)) {
            self.halted(node, &fatal);
            return;
        }
        self.absorb(node, out);
        self.feed_txs(node);
    }

    pub(super) fn absorb(&mut self, node: u16, out: Vec<Output>) {
        for output in &out {
            self.observe(node, output);
            self.checker.output(self.now_us, node, output);
        }
        if let Some(replica) = &self.nodes[usize::from(node)].replica {
            self.checker.stepped(node, replica);
        }
        let mut asks = Vec::new();
        let (leaves, sync) = self.nodes[usize::from(node)].absorb(out, &mut asks);
        if sync {
            let life = self.nodes[usize::from(node)].restarts;
            self.push(self.now_us + self.plan.fsync_us, Due::Sync(node, life));
        }
        for (to, request) in asks {
            self.ask(node, to.0, request);
        }
        self.leave(node, leaves);
        self.schedule(node);
    }

    pub(super) fn ask(&mut self, node: u16, to: u16, request: Request) {
        let letter = Letter { now_ms: self.now_us / 1000, from: node, to, message: None };
        if self.plan.script.judge(&letter) == Fate::Pass && !self.cuts.contains(&(node, to)) {
            let at = self.now_us + self.plan.link.latency_us;
            self.push(at, Due::Asked { to, from: node, request });
        }
    }

    pub(super) fn schedule(&mut self, node: u16) {
        let now = EPOCH_MS + self.now_us / 1000;
        let Some(replica) = &self.nodes[usize::from(node)].replica else { return };
        let Some(due) = replica.next_deadline(now) else { return };
        let at = (due.max(now + 1) - EPOCH_MS) * 1000;
        if self.ticks.get(&node).is_none_or(|old| at < *old) {
            self.ticks.insert(node, at);
            self.push(at, Due::Tick(node));
        }
    }

    pub(super) fn observe(&mut self, node: u16, output: &Output) {
        let mark = match output {
            Output::Decided(d) => {
                self.executes(node, d);
                self.detect.decided(self.now_us, node, &d.header, &d.certificate);
                let message = Message::Head(Head {
                    height: d.header.height(),
                    value_id: d.value_id,
                    oldest: 1,
                });
                self.leave(node, vec![Leave::Send(To::Others, message)]);
                d.value_id
            }
            Output::Round { height, round, leader } => {
                self.report.top_round = self.report.top_round.max(*round);
                let mut bytes = height.to_be_bytes().to_vec();
                bytes.extend_from_slice(&round.to_be_bytes());
                bytes.extend_from_slice(&leader.to_be_bytes());
                alloy_primitives::keccak256(bytes)
            }
            Output::Accepted { frame, .. } => {
                let gap = self.now_us.saturating_sub(self.last_frame_us) / 1000;
                self.report.longest_gap_ms = self.report.longest_gap_ms.max(gap);
                self.last_frame_us = self.now_us;
                frame.hash
            }
            Output::Misbehaved { epoch, validator, .. } if !self.cast.has(node) => {
                self.report.accused.extend(self.sets.node(*epoch, *validator));
                B256::with_last_byte(1)
            }
            Output::Rewound { g, .. } => {
                self.report.rewinds += 1;
                B256::with_last_byte(u8::try_from(*g & 0xff).unwrap())
            }
            _ => return,
        };
        self.trace.update(node.to_be_bytes());
        self.trace.update(self.now_us.to_be_bytes());
        self.trace.update(mark);
    }
}
