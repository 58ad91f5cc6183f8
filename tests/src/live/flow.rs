//! Users who send one transfer after the other, each at whatever node takes it, and remember what was confirmed to them.
//!
//! Invariant: an account sends its next transaction only after the last one was confirmed, so that nothing is sent whose fate
//! is not known.

use super::{Devnet, LONG, account, ask, fund, load_account, quantity, transfer, until};
use alloy_primitives::{B256, keccak256};
use rota_types::VoteKey;
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Milliseconds that a node may take to confirm.
const CONFIRMED: u64 = 2_000;
/// Between two tries where no node answers.
const AGAIN: Duration = Duration::from_millis(20);

/// What the users share.
struct Shared {
    stop: AtomicBool,
    confirmed: AtomicU64,
    nodes: Mutex<Vec<String>>,
    chain_id: u64,
}

/// Users at work.
pub struct Flow {
    shared: Arc<Shared>,
    users: Vec<JoinHandle<Vec<B256>>>,
}

impl Flow {
    /// Starts so many users, who go round these nodes.
    pub fn start(net: &Devnet, users: u64, nodes: &[&str]) -> Self {
        fund(net, users.saturating_sub(1));
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            confirmed: AtomicU64::new(0),
            nodes: Mutex::new(nodes.iter().map(|n| net.rpc_addr(n)).collect()),
            chain_id: net.chain_id,
        });
        let work = |user: u64| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.work(user))
        };
        Self { users: (0..users).map(work).collect(), shared }
    }

    /// One more node that they may ask.
    pub fn also_at(&self, addr: String) {
        self.shared.nodes.lock().unwrap().push(addr);
    }

    /// Waits until some more are confirmed.
    pub fn more(&self, what: &str) {
        let target = self.shared.confirmed.load(Ordering::Relaxed) + 20;
        until(LONG, what, || {
            (self.shared.confirmed.load(Ordering::Relaxed) >= target).then_some(())
        });
    }

    /// All that was confirmed.
    pub fn end(mut self) -> Vec<B256> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let users = std::mem::take(&mut self.users);
        users.into_iter().flat_map(|user| user.join().unwrap()).collect()
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn node(&self, turn: u64) -> String {
        let nodes = self.nodes.lock().unwrap();
        nodes[turn as usize % nodes.len()].clone()
    }

    fn work(&self, user: u64) -> Vec<B256> {
        let key = user.checked_sub(1).map_or_else(account, load_account);
        let mut nonce = until(LONG, "a nonce", || self.nonce(&key));
        let (mut turn, mut confirmed) = (user, Vec::new());
        while !self.stop.load(Ordering::Relaxed) {
            let raw = transfer(&key, self.chain_id, nonce);
            let (addr, hash) = (self.node(turn), keccak256(&raw));
            turn += 1;
            let sent = ask(&addr, "eth_sendRawTransactionSync", json!([raw, CONFIRMED]));
            // What one node does not answer in time, another may have confirmed.
            let known = || ask(&addr, "eth_getTransactionReceipt", json!([hash]));
            let receipt = sent.or_else(known).filter(|r| r["status"] == "0x1");
            if receipt.is_some() {
                nonce += 1;
                confirmed.push(hash);
                self.confirmed.fetch_add(1, Ordering::Relaxed);
            } else {
                std::thread::sleep(AGAIN);
            }
        }
        confirmed
    }

    fn nonce(&self, key: &VoteKey) -> Option<u64> {
        let asked = json!([key.address(), "pending"]);
        ask(&self.node(0), "eth_getTransactionCount", asked).map(|n| quantity(&n))
    }
}
