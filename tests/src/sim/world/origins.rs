//! What each node sees of L1: its blocks, late or of another branch, and the sets that are frozen in them.
//!
//! Invariant: which block a node sees at a number follows from the plan and the time alone; a set is the same on every
//! branch, since it was frozen long before.

use super::{Due, World};
use crate::sim::{Behaviour, check::Violation};
use alloy_primitives::keccak256;
use rota_consensus::{Input, PeerNo};
use rota_types::{ChainParams, Env};
use std::sync::Arc;

/// Blocks below the newest one that a node is given when it starts, or when its L1 took blocks back.
const BACKLOG: u64 = 64;

impl World {
    pub(super) fn new_origin(&mut self) {
        let number = self.origin.l1_number + 1;
        self.origin = l1_block(number, 0, &self.rules.params);
        for i in 0..self.nodes.len() {
            let node = self.nodes[i].index;
            match self.plan.l1_late_ms.get(i).copied().unwrap_or(0) {
                0 => self.see_l1(node, number),
                late => self.push(self.now_us + late * 1000, Due::Sees(node, number)),
            }
        }
        self.push(self.now_us + self.plan.l1_ms * 1000, Due::Origin);
    }

    /// Whether a member takes no newer origin.
    fn stalls(&self, node: u16) -> bool {
        self.plan.byzantine.contains(&(node, Behaviour::StallOrigin))
    }

    /// The block that a node sees at a number now.
    fn seen_by(&self, node: u16, number: u64) -> Env {
        let now_ms = self.now_us / 1000;
        let born_ms = number.saturating_sub(1) * self.plan.l1_ms;
        let on = self.plan.branches.iter().position(|branch| {
            let window = branch.from_ms..branch.until_ms;
            branch.nodes.contains(&node) && window.contains(&born_ms) && window.contains(&now_ms)
        });
        l1_block(number, on.map_or(0, |branch| branch as u64 + 1), &self.rules.params)
    }

    /// A node sees L1 up to a block: first the sets, which it writes down, then the block.
    pub(super) fn see_l1(&mut self, node: u16, number: u64) {
        if self.stalls(node) {
            return;
        }
        self.seen.insert(node, number);
        if self.nodes[usize::from(node)].replica.is_some() {
            self.show_sets(node, number);
            let block = self.seen_by(node, number);
            self.input(node, Input::Origin(block));
        }
    }

    fn show_sets(&mut self, node: u16, number: u64) {
        let sets = Arc::clone(&self.sets);
        for epoch in sets.frozen(number) {
            let book = &mut self.nodes[usize::from(node)].disk.epochs;
            if book.get(epoch.number()).is_none() && book.insert(Arc::clone(epoch)) {
                let peers = sets.peers(epoch.number()).into_iter().map(PeerNo).collect();
                self.input(node, Input::Set { epoch: Arc::clone(epoch), peers });
            }
        }
        self.nodes[usize::from(node)].disk.epochs.reach(number);
    }

    /// What a node reads of L1 when it starts, or anew after L1 took blocks back.
    pub(super) fn read_l1(&mut self, node: u16) {
        let newest = self.seen.get(&node).copied().unwrap_or(0);
        self.show_sets(node, newest);
        // As the origin feed does: from where the chain may be, in order.
        for number in newest.saturating_sub(BACKLOG)..=newest {
            let block = self.seen_by(node, number);
            self.input(node, Input::Origin(block));
        }
    }

    /// L1 gave a branch up: whoever was on it is given the other one's blocks.
    pub(super) fn give_up(&mut self, branch: usize) {
        for node in self.plan.branches[branch].nodes.clone() {
            if self.nodes[usize::from(node)].replica.is_some() {
                self.read_l1(node);
            }
        }
    }

    /// Decided heights whose origin is a block that L1 gave up.
    pub(super) fn off_l1(&self) -> Result<usize, Violation> {
        let decided = self.nodes.iter().flat_map(|n| &n.disk.decided);
        let all: std::collections::BTreeMap<_, _> =
            decided.map(|(height, d)| (*height, &d.header.env)).collect();
        let mut off = 0;
        for (height, env) in all {
            let is = |branch| l1_block(env.l1_number, branch, &self.rules.params).l1_hash;
            if env.l1_hash == is(0) {
                continue;
            }
            if !(1..=self.plan.branches.len() as u64).any(|branch| env.l1_hash == is(branch)) {
                let what = format!("height {height} has an origin that nobody ever saw: {env:?}");
                return Err(Violation { invariant: "I-15", at_ms: 0, what });
            }
            off += 1;
        }
        Ok(off)
    }
}

/// A block of the simulated L1; branch 0 is the one that stays.
pub(super) fn l1_block(number: u64, branch: u64, params: &ChainParams) -> Env {
    let l1_hash = match branch {
        0 => keccak256(number.to_be_bytes()),
        other => keccak256([other.to_be_bytes(), number.to_be_bytes()].concat()),
    };
    Env {
        timestamp_s: 0,
        l1_number: number,
        l1_hash,
        gas_limit: params.gas_limit,
        prev_randao: keccak256(l1_hash),
        fee_vault: params.fee_vault,
    }
}
