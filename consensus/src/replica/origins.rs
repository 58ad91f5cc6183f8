//! Which L1 blocks this node may build on, and how far it knows what they force in.
//!
//! Not for: reading L1. Invariant: what is not known here only delays; a frame that is valid for one node is valid for all.

use super::Replica;
use alloy_primitives::B256;
use rota_preconf::{Frame, HeightContext};
use rota_types::{Env, Header, MAX_ORIGIN_STEP};
use std::{collections::BTreeMap, sync::Arc};

/// Origins kept. Policy when full: drop the oldest.
const KEEP: usize = 4_096;

/// The origins given.
#[derive(Debug, Default)]
pub(super) struct Origins {
    known: BTreeMap<u64, Env>,
    /// Everything up to this L1 block is known to the executor.
    read: u64,
}

impl Origins {
    pub(super) fn insert(&mut self, env: Env) {
        self.read = self.read.max(env.l1_number);
        self.known.insert(env.l1_number, env);
        while self.known.len() > KEEP {
            self.known.pop_first();
        }
    }

    pub(super) fn read_to(&mut self, number: u64) {
        self.read = self.read.max(number);
    }

    /// The newest one that the height may step to, or the one before it again; none before the first of a generation.
    pub(super) fn next(&self, context: &HeightContext) -> Option<Env> {
        let Some(parent) = &context.parent_env else {
            return self.known.last_key_value().map(|(_, env)| env.clone());
        };
        let first = parent.l1_number.saturating_add(1);
        let last = parent.l1_number.saturating_add(MAX_ORIGIN_STEP);
        let newer = self.known.range(first..=last).next_back();
        let again = Some(parent).filter(|_| !context.resumed);
        newer.map(|(_, env)| env).or(again).cloned()
    }

    fn has(&self, env: &Env) -> bool {
        let key = |e: &Env| -> (B256, B256) { (e.l1_hash, e.prev_randao) };
        self.known.get(&env.l1_number).is_some_and(|known| key(known) == key(env))
    }
}

impl Replica {
    /// Whether the frame's L1 origin is one that this node has seen final; else it waits.
    pub(super) fn origin_fits(&self, frame: &Frame) -> bool {
        let Some(env) = &frame.signed.body.env else { return true };
        let context = self.chain.context();
        let before = context.parent_env.as_ref().filter(|_| !context.resumed);
        before.is_some_and(|p| p.l1_number == env.l1_number && p.l1_hash == env.l1_hash)
            || self.origins.has(env)
    }

    /// Whether everything that L1 forces into these frames, which `tip` ends, is known here; else they wait. Frames
    /// that were accepted before fit.
    pub(super) fn carried_fits(&self, tip: &B256) -> bool {
        let base = self.chain.base();
        let path = self.pool.path(&base.base.hash, tip).unwrap_or_default();
        path.iter().all(|f| self.is_read(f))
    }

    fn is_read(&self, frame: &Arc<Frame>) -> bool {
        let parent = self.chain.base().parent_env.as_ref().map_or(0, |p| p.l1_number);
        let env = frame.signed.body.env.as_ref();
        env.is_none_or(|e| e.l1_number <= self.origins.read.max(parent))
            || self.chain.contains(frame.g(), &frame.hash)
    }

    /// The same for a decided height of a peer.
    pub(super) fn height_fits(&self, header: &Header) -> bool {
        let parent = self.chain.base().parent_env.as_ref().map_or(0, |p| p.l1_number);
        header.env.l1_number <= self.origins.read.max(parent)
    }
}
