//! Users: they send signed transactions, keep what they were promised, and go to another node when theirs is down.
//!
//! Invariant: the ledger holds every transaction that was signed and every promise that verified offline; a promise that
//! does not verify ends the test.

use super::{Devnet, Rpc, load_account, transfer};
use alloy_primitives::{B256, Bytes, keccak256};
use rota_types::{Receipt, ReceiptSet};
use rota_verify::Anchor;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long one request may take before the user tries another node.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Between two transactions of one account.
const PAUSE: Duration = Duration::from_millis(20);

/// The position of a transaction, as a node proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// Position of the frame in the log.
    pub g: u64,
    /// The frame.
    pub frame: B256,
    /// Position in the frame.
    pub index: u32,
    /// Index of the leader who signed the frame.
    pub leader: u16,
    /// When the user had it.
    pub at: Instant,
    /// Signers of the ack certificate in it, if it has one.
    pub ackers: Vec<u16>,
}

/// One transaction.
#[derive(Debug)]
pub struct Sent {
    /// As it is sent.
    pub raw: Bytes,
    /// Its account.
    pub account: u64,
    /// Its nonce.
    pub nonce: u64,
    /// When it was sent first.
    pub at: Instant,
    /// Preconfirmations, by nodes that may not have agreed.
    pub preconfirmed: Vec<Promise>,
    /// Proofs that more than two thirds have it.
    pub acked: Vec<Promise>,
}

/// All transactions by hash.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Everything that was signed.
    pub sent: BTreeMap<B256, Sent>,
    /// When each preconfirmation came and to whom, in order.
    pub beats: Vec<(Instant, u64)>,
    /// When each validator's signature was seen last in an ack certificate, by index.
    pub signed: BTreeMap<u16, Instant>,
    /// Requests that failed, by what was said.
    pub failures: BTreeMap<String, u64>,
}

/// Users at work.
pub struct Wallets {
    stop: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
    workers: Vec<JoinHandle<()>>,
}

impl Wallets {
    /// `accounts` users start to send. [`super::fund`] must have given them something.
    pub fn start(net: &Devnet, accounts: u64) -> Self {
        let (stop, ledger) = (Arc::default(), Arc::default());
        let (set, domain) = net.verifier();
        let anchor = Anchor { ctx: domain.ctx(), set_id: ReceiptSet::of(&set).id() };
        let nodes: Vec<String> = net.sequencers().iter().map(|n| net.rpc_addr(n)).collect();
        let spawn = |account| {
            let wallet = Wallet {
                account,
                chain_id: net.chain_id,
                nodes: nodes.clone(),
                at: account as usize,
                rpc: None,
                anchor,
                stop: Arc::clone(&stop),
                ledger: Arc::clone(&ledger),
            };
            std::thread::spawn(move || wallet.run())
        };
        let workers = (0..accounts).map(spawn).collect();
        Self { stop, ledger, workers }
    }

    /// What was sent and promised so far.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Promises by a quorum so far.
    pub fn acked(&self) -> usize {
        self.ledger().sent.values().filter(|s| !s.acked.is_empty()).count()
    }

    /// They stop; gives what they have.
    pub fn stop(mut self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            worker.join().unwrap();
        }
        std::mem::take(&mut *self.ledger.lock().unwrap())
    }
}

impl Drop for Wallets {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Wallet {
    account: u64,
    chain_id: u64,
    nodes: Vec<String>,
    at: usize,
    rpc: Option<Rpc>,
    anchor: Anchor,
    stop: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Wallet {
    fn run(mut self) {
        let key = load_account(self.account);
        // The account's number is also how many it has under way at once.
        let burst = 1 + self.account % 4;
        let mut nonce = 0;
        while !self.stopped() {
            let raws: Vec<Bytes> =
                (nonce..nonce + burst).map(|n| transfer(&key, self.chain_id, n)).collect();
            for (raw, nonce) in raws.iter().zip(nonce..) {
                let sent = Sent {
                    raw: raw.clone(),
                    account: self.account,
                    nonce,
                    at: Instant::now(),
                    preconfirmed: Vec::new(),
                    acked: Vec::new(),
                };
                self.ledger.lock().unwrap().sent.insert(keccak256(raw), sent);
            }
            if let Some((_, all_but_last)) = raws.split_last() {
                for raw in all_but_last {
                    let _ = self.call("eth_sendRawTransaction", json!([raw]));
                }
            }
            for raw in &raws {
                self.see_through(raw);
            }
            nonce += burst;
            std::thread::sleep(PAUSE);
        }
    }

    /// Until a quorum has it, by whatever node.
    fn see_through(&mut self, raw: &Bytes) {
        let hash = keccak256(raw);
        while !self.stopped() {
            let sent = self.wait(raw, "preconfirmed").and_then(|_| self.wait(raw, "acked"));
            match sent {
                Ok(()) => return,
                Err(_) if self.included(hash) => return,
                Err(error) => self.go_elsewhere(error),
            }
        }
    }

    fn wait(&mut self, raw: &Bytes, stage: &str) -> Result<(), String> {
        let patience = PATIENCE.as_millis() as u64 - 500;
        let wish = json!({ "until": stage, "timeoutMs": patience });
        let answer = self.call("preconf_sendRawTransaction", json!([raw, wish]))?;
        let at = Instant::now();
        if stage == "preconfirmed" {
            self.ledger.lock().unwrap().beats.push((at, self.account));
        }
        // What the node says counts, with a certificate or without one.
        let acked = answer["stage"] != "preconfirmed";
        if let Some(promise) = self.verified(keccak256(raw), &answer, at) {
            let mut ledger = self.ledger.lock().unwrap();
            ledger.signed.extend(promise.ackers.iter().map(|i| (*i, at)));
            let sent = ledger.sent.get_mut(&keccak256(raw)).unwrap();
            if acked { &mut sent.acked } else { &mut sent.preconfirmed }.push(promise);
        }
        Ok(())
    }

    /// The promise in an answer. A node that gives a wrong one is at fault, whatever happens to it.
    fn verified(&self, hash: B256, answer: &Value, at: Instant) -> Option<Promise> {
        let receipt: Receipt = serde_json::from_value(answer["promise"].clone()).ok()?;
        assert_eq!(receipt.transaction_hash, hash, "a promise for another transaction");
        let verdict = rota_verify::verify(&receipt, &self.anchor);
        let verdict =
            verdict.unwrap_or_else(|e| panic!("a promise that does not verify: {e}: {answer}"));
        Some(Promise {
            g: verdict.g,
            frame: verdict.frame_hash,
            index: verdict.index,
            leader: verdict.leader.index,
            at,
            ackers: verdict.acked.map(|a| a.signers).unwrap_or_default(),
        })
    }

    fn included(&mut self, hash: B256) -> bool {
        let receipt = self.call("eth_getTransactionReceipt", json!([hash]));
        receipt.is_ok_and(|r| r["preconf"]["stage"] != "preconfirmed" && !r.is_null())
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        if self.rpc.is_none() {
            let addr = &self.nodes[self.at % self.nodes.len()];
            let connected = Rpc::connect_within(addr, PATIENCE);
            self.rpc = Some(connected.map_err(|e| e.to_string())?);
        }
        let Some(rpc) = &mut self.rpc else { return Err("not connected".into()) };
        let answer = rpc.call(method, params);
        // An error of the server is in braces. After any other, the next answer could be the one to this question.
        if answer.as_ref().is_err_and(|e| !e.starts_with('{')) {
            self.rpc = None;
        }
        answer
    }

    fn go_elsewhere(&mut self, error: String) {
        let mut short = error;
        short.truncate(160);
        *self.ledger.lock().unwrap().failures.entry(short).or_default() += 1;
        self.rpc = None;
        self.at += 1;
        // A node that refuses at once must not be asked all the time.
        std::thread::sleep(Duration::from_millis(5));
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
