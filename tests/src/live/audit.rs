//! What the disks say when everything is over, against what was promised while it was not.
//!
//! Not for: a running network; the databases are locked then. Invariant: nothing here trusts a node's word. Every decided
//! height is read from every disk with its frames, its certificate is verified, and the log is linked from the first frame on.

use super::{Devnet, Ledger, Tape};
use alloy_primitives::B256;
use rota_store::{Blocks, DEFAULT_CACHE, SledKv};
use rota_types::{Decode, Domain, SignedFrame, ValidatorSet, wire::DecidedHeight};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

/// The decided log, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Audit {
    /// Hash of the frame at each position.
    pub frames: BTreeMap<u64, B256>,
    /// Frame and index of each transaction, as often as it is in the log.
    pub places: BTreeMap<B256, Vec<(u64, u32)>>,
    /// Newest height.
    pub height: u64,
    /// Heights that were decided in a round above 0.
    pub later_rounds: u64,
    /// Promises by a quorum that were compared with the log.
    pub acked: usize,
    /// Preconfirmations of users that did not come true, of how many.
    pub unkept: (usize, usize),
    /// How often a subscriber was told that it cannot go on from where it was.
    pub refusals: usize,
    /// Everything that must not be. Empty, or the test fails.
    pub faults: Vec<String>,
}

/// A frame that a leader signed and that is not in the log.
#[derive(Debug, Clone)]
pub struct LostFrame {
    /// Its position.
    pub g: u64,
    /// When a subscriber saw it first.
    pub at: Instant,
    /// Its leader, by index.
    pub leader: u16,
    /// Its transactions.
    pub txs: usize,
    /// Nodes whose subscribers saw it.
    pub seen_by: BTreeSet<String>,
}

impl Audit {
    /// Reads the disks of a devnet that is stopped, and compares.
    pub fn of(net: &Devnet, ledger: &Ledger, tapes: &[Tape]) -> Self {
        let (set, domain) = net.verifier();
        let mut audit = Self::default();
        for node in net.sequencers() {
            let kv = SledKv::open(net.datadir(&node).join("db"), DEFAULT_CACHE).unwrap();
            let store = Blocks::open(Arc::new(kv)).unwrap();
            audit.read(&node, &store, (&set, &domain));
        }
        audit.promises(ledger);
        audit.signatures(tapes, &domain);
        for tape in tapes {
            audit.stream(tape);
        }
        audit.faults.extend(net.misbehaviour());
        audit
    }

    fn read(&mut self, node: &str, store: &Blocks, (set, domain): (&ValidatorSet, &Domain)) {
        let (mut next, mut prev) = (1, None);
        loop {
            let heights = store.heights(next, 64).unwrap();
            if heights.is_empty() {
                break;
            }
            for decided in heights {
                let height = decided.header.height();
                if height != next {
                    self.faults.push(format!("{node} has no height {next}, but {height}"));
                }
                next = height + 1;
                let known = height <= self.height;
                self.height(node, &decided, (set, domain), (&mut prev, known));
                self.height = self.height.max(height);
            }
        }
    }

    fn height(
        &mut self,
        node: &str,
        decided: &DecidedHeight,
        (set, domain): (&ValidatorSet, &Domain),
        (prev, known): (&mut Option<B256>, bool),
    ) {
        let height = decided.header.height();
        let cert = &decided.certificate;
        if cert.verify(set, domain).is_err() || cert.value_id != decided.header.value_id(domain) {
            self.faults.push(format!("{node}: the certificate of height {height} is wrong"));
        }
        self.later_rounds += u64::from(!known && cert.round > 0);
        for frame in &decided.frames {
            let g = frame.header.g;
            let hash = frame.header.hash(domain);
            if prev.is_some_and(|p| p != frame.header.prev_hash) {
                self.faults.push(format!("{node}: frame {g} does not follow"));
            }
            *prev = Some(hash);
            if let Some(other) = self.frames.insert(g, hash).filter(|other| *other != hash) {
                self.faults.push(format!("{node}: frame {g} is {hash}, elsewhere {other}"));
            }
            if known {
                continue;
            }
            for (tx, index) in frame.body.txs.iter().zip(0u32..) {
                let place = self.places.entry(alloy_primitives::keccak256(tx)).or_default();
                place.push((g, index));
            }
        }
    }

    /// Every transaction is in the log once, and where a quorum said.
    fn promises(&mut self, ledger: &Ledger) {
        for (hash, sent) in &ledger.sent {
            let places = self.places.get(hash).cloned().unwrap_or_default();
            if places.len() != 1 {
                self.faults.push(format!(
                    "transaction {hash} (account {}, nonce {}) is in the log {} times: {places:?}",
                    sent.account,
                    sent.nonce,
                    places.len()
                ));
            }
            for promise in &sent.acked {
                self.acked += 1;
                let kept = self.frames.get(&promise.g) == Some(&promise.frame)
                    && places.contains(&(promise.g, promise.index));
                if !kept {
                    self.faults.push(format!(
                        "transaction {hash} was acked and is not there: {promise:?}, but {places:?}"
                    ));
                }
            }
            for promise in &sent.preconfirmed {
                self.unkept.1 += 1;
                self.unkept.0 += usize::from(self.frames.get(&promise.g) != Some(&promise.frame));
            }
        }
    }

    /// A stream has no silent hole, takes no ack back, and leaves its reader with the log.
    fn stream(&mut self, tape: &Tape) {
        self.faults.extend(tape.faults());
        self.refusals += tape.refusals();
        let last = self.frames.last_key_value().map_or(0, |(g, _)| *g);
        let known = tape.log();
        let wrong = known.range(..=last).find(|(g, hash)| self.frames.get(g) != Some(hash));
        if let Some((g, hash)) = wrong {
            let node = &tape.node;
            self.faults.push(format!("a reader of {node} ends with {hash} at {g}, not in the log"));
        }
    }

    /// No leader signed two frames for one place, in whatever part of the network each was seen.
    fn signatures(&mut self, tapes: &[Tape], domain: &Domain) {
        let mut signed = BTreeMap::new();
        for (_, seen) in tapes.iter().flat_map(Tape::frames) {
            let Ok(frame) = SignedFrame::decode(&seen.signed_frame) else {
                self.faults.push(format!("frame {} does not decode", seen.hash));
                continue;
            };
            let header = &frame.header;
            let place = (header.leader, header.term.height, header.term.round, header.seq);
            let hash = header.hash(domain);
            if let Some(other) = signed.insert(place, hash).filter(|other| *other != hash) {
                self.faults.push(format!("two frames for one place {place:?}: {hash}, {other}"));
            }
        }
    }

    /// Frames that subscribers saw and that did not come into the log, up to the newest decided position.
    pub fn lost_frames(&self, tapes: &[Tape]) -> Vec<LostFrame> {
        let last = self.frames.last_key_value().map_or(0, |(g, _)| *g);
        let mut lost: BTreeMap<B256, LostFrame> = BTreeMap::new();
        for tape in tapes {
            for (at, seen) in tape.frames().filter(|(_, f)| f.g <= last) {
                if self.frames.get(&seen.g) == Some(&seen.hash) {
                    continue;
                }
                let leader = SignedFrame::decode(&seen.signed_frame).map_or(0, |f| f.header.leader);
                let entry = lost.entry(seen.hash).or_insert_with(|| LostFrame {
                    g: seen.g,
                    at,
                    leader,
                    txs: seen.transactions.len(),
                    seen_by: BTreeSet::new(),
                });
                entry.at = entry.at.min(at);
                entry.seen_by.insert(tape.node.clone());
            }
        }
        lost.into_values().collect()
    }

    /// Fails with all that is wrong, or says what was seen.
    pub fn judge(&self) -> String {
        assert!(self.faults.is_empty(), "{}", self.faults.join("\n"));
        format!(
            "{} heights ({} in later rounds), {} frames, {} transactions, {} acked promises kept, {} of {} preconfirmations moved, {} subscribers sent on",
            self.height,
            self.later_rounds,
            self.frames.len(),
            self.places.len(),
            self.acked,
            self.unkept.0,
            self.unkept.1,
            self.refusals
        )
    }
}
