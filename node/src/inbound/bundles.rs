//! Transactions between peers: what was sent here goes on to the leader, with what its sender wants insured.
//!
//! Queues: `bundles`, bounded, policy wait; `forward`, bounded, policy refuse: what does not fit waits in this node's
//! own queue and is sent on later. Invariant: an insured amount never gets lost on the way without its transaction.

use super::Verifier;
use crate::{engine::Facts, sets::Sets, submit::Submitter};
use alloy_primitives::Bytes;
use crossbeam_channel::Receiver;
use rayon::prelude::*;
use rota_p2p::{Handle, Network};
use rota_types::{
    Tx,
    wire::{InsuredTx, MAX_INSURED_BUNDLE, Message},
};
use std::sync::{Arc, atomic::Ordering};

/// Transactions that a peer passed on.
#[derive(Debug)]
pub enum Bundle {
    /// EIP-2718 bytes.
    Plain(Vec<Bytes>),
    /// Those that are to be insured.
    Insured(Vec<InsuredTx>),
}

impl Bundle {
    pub(super) fn message(self) -> Message {
        match self {
            Self::Plain(txs) => Message::Txs(txs),
            Self::Insured(txs) => Message::InsuredTxs(txs),
        }
    }

    fn decode(self, chain_id: u64) -> Vec<Arc<Tx>> {
        let one = |raw: &Bytes| Tx::decode(raw, chain_id).ok().map(Arc::new);
        match self {
            Self::Plain(txs) => txs.par_iter().filter_map(one).collect(),
            Self::Insured(txs) => {
                txs.par_iter().filter_map(|t| Some(one(&t.raw)?.insuring(t.insured))).collect()
            }
        }
    }
}

/// Takes forwarded bundles until their queue closes.
pub fn take_bundles(bundles: &Receiver<Bundle>, submitter: &Submitter, verifier: &Verifier) {
    let chain_id = verifier.domain.l2_chain_id;
    for bundle in bundles {
        for tx in bundle.decode(chain_id) {
            verifier.cache.put(&tx);
            if let Err(error) = submitter.submit(&tx) {
                tracing::debug!(tx = %tx.hash, %error, "forwarded transaction not taken");
            }
        }
    }
}

/// Sends what was submitted here to the leader and to who follows it, in bundles.
pub fn forward(txs: &Receiver<Arc<Tx>>, p2p: &Handle, facts: &Facts, sets: &Sets) {
    const BYTES: usize = 256 * 1024;
    const COUNT: usize = MAX_INSURED_BUNDLE;
    while let Ok(first) = txs.recv() {
        let (mut bytes, mut count) = (first.raw.len(), 1usize);
        let (mut plain, mut insured) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(tx) = next {
            let raw = tx.raw.clone();
            match tx.insured {
                0 => plain.push(raw),
                amount => insured.push(InsuredTx { raw, insured: amount }),
            }
            next = if count < COUNT && bytes < BYTES { txs.try_recv().ok() } else { None };
            bytes = bytes.saturating_add(next.as_ref().map_or(0, |t| t.raw.len()));
            count = count.saturating_add(1);
        }
        let bundles = [
            (!plain.is_empty()).then(|| Message::Txs(plain)),
            (!insured.is_empty()).then(|| Message::InsuredTxs(insured)),
        ];
        for message in bundles.into_iter().flatten() {
            pass_on(&message, p2p, facts, sets);
        }
    }
}

fn pass_on(message: &Message, p2p: &Handle, facts: &Facts, sets: &Sets) {
    let leader = facts.leader.load(Ordering::Relaxed);
    let next = facts.next_leader.load(Ordering::Relaxed);
    for to in if leader == next { vec![leader] } else { vec![leader, next] } {
        let Some(peer) = sets.peer_of(to).filter(|peer| *peer != sets.me()) else { continue };
        if let Err(error) = p2p.send(peer.0, message) {
            tracing::debug!(to, %error, "transactions not forwarded");
        }
    }
}
