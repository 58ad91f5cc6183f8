//! What must hold in every run, after every step. Invariants are named by their number in
//! `docs/invariants.md`.
//!
//! Everything here watches from outside: what correct nodes sent and put out, and what reached them from
//! others. Invariant: a run is stopped at the first step after which something does not hold.

mod acks;
mod carry;
mod facts;
mod hooks;
mod insured;
mod jail;
mod ledger;
mod live;
mod names;
mod openings;
mod proven;
mod tree;

pub use facts::Offence;
pub use live::Stats;

use super::{
    Plan,
    sets::{Roll, Sets},
};
use acks::Acks;
use alloy_primitives::B256;
use carry::{Carries, Sight};
use facts::Facts;
use ledger::Ledger;
use live::Live;
use names::brief;
use rota_preconf::Rules;
use rota_types::{Decode, Encode, Header, SignedFrame, VoteKind, wire::Message};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tree::Tree;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name in `docs/invariants.md`.
    pub invariant: &'static str,
    /// Virtual milliseconds since the start.
    pub at_ms: u64,
    /// What happened.
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} broken at {} ms: {}", self.invariant, self.at_ms, self.what)
    }
}

/// One in this many messages is encoded and decoded again (I-19).
const DECODED: u64 = 64;

/// Watches a run.
pub(super) struct Checker {
    sets: Arc<Sets>,
    rules: Rules,
    /// Epoch of each height, from the origin of the height before (I-16).
    epochs: BTreeMap<u64, u64>,
    /// Members that are not correct: they lie, or they lost their disk.
    faulty: BTreeSet<u16>,
    verbose: bool,
    now_us: u64,
    tree: Tree,
    facts: Facts,
    acks: Acks,
    carries: Carries,
    pub(super) ledger: Ledger,
    pub(super) live: Live,
    insured: insured::Insured,
    jail: jail::Jail,
    /// Leader of every height and round that was reached (I-13).
    leaders: BTreeMap<(u64, u32), u16>,
    /// What each signed digest is of (I-18).
    digests: BTreeMap<B256, &'static str>,
    /// Value that each CLOSE frame gives (I-9).
    closes: BTreeMap<B256, B256>,
    votes: Vec<(rota_types::SignedVote, bool)>,
    seen: u64,
    broken: Option<Violation>,
}

impl Checker {
    pub(super) fn new(plan: &Plan, sets: &Arc<Sets>, rules: &Rules) -> Self {
        let mut carries = Carries::default();
        carries.bases.insert(1, (0, rules.domain.genesis_hash));
        Self {
            sets: Arc::clone(sets),
            rules: rules.clone(),
            epochs: BTreeMap::from([(1, 0)]),
            faulty: plan.faulty(),
            verbose: plan.verbose,
            now_us: 0,
            tree: Tree::default(),
            facts: Facts::default(),
            acks: Acks::default(),
            carries,
            ledger: Ledger::default(),
            insured: insured::Insured::default(),
            jail: jail::Jail::default(),
            live: Live::new(usize::from(sets.nodes()), plan.max_round),
            leaders: BTreeMap::new(),
            digests: BTreeMap::new(),
            closes: BTreeMap::new(),
            votes: Vec::new(),
            seen: 0,
            broken: None,
        }
    }

    /// After every step. A proposer's own prevote leaves a moment before its proposal: votes are judged here,
    /// when both are known.
    pub(super) fn verdict(&mut self) -> Result<(), Violation> {
        for (vote, of_faulty) in std::mem::take(&mut self.votes) {
            let before = self.facts.guilt.len();
            self.learn_vote(&vote, of_faulty);
            self.guilty(before);
        }
        self.broken.take().map_or(Ok(()), Err)
    }

    fn broke(&mut self, invariant: &'static str, what: impl Into<String>) {
        let at_ms = self.now_us / 1000;
        self.broken.get_or_insert(Violation { invariant, at_ms, what: what.into() });
    }

    /// I-9: a decided header names the checkpoint of execution before it, as everyone executed it.
    pub(super) fn names(&mut self, header: &Header, want: Option<(u64, B256)>) {
        let close = &header.close;
        let got = (close.exec_lag_height, close.exec_lag_root);
        if want != Some(got) {
            self.broke("I-9", format!("height {} names {got:?}, not {want:?}", close.height));
        }
    }

    fn must(&mut self, invariant: &'static str, holds: Result<(), String>) {
        if let Err(what) = holds {
            self.broke(invariant, what);
        }
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{:>9.3} {}", self.now_us as f64 / 1000.0, what());
        }
    }

    /// A correct node lets a message go: what it needs is durable.
    pub(super) fn sent(&mut self, now_us: u64, node: u16, message: &Message) {
        self.now_us = now_us;
        self.say(|| format!("{node} says {}", brief(message)));
        self.seen += 1;
        if self.seen.is_multiple_of(DECODED) {
            let again = Message::decode(&message.encode());
            if again.as_ref() != Ok(message) {
                self.broke("I-19", format!("{} does not decode to itself", message.name()));
            }
        }
        if let Message::Frame(frame) = message {
            self.spares(node, frame);
        }
        self.learn(message, false);
    }

    /// A message reaches a correct node: what the faulty signed counts from here on.
    pub(super) fn delivered(&mut self, now_us: u64, to: u16, message: &Message) {
        self.now_us = now_us;
        if !self.faulty.is_empty() && !self.faulty.contains(&to) {
            self.learn(message, true);
        }
    }

    /// A frame that was asked for reaches a correct node.
    pub(super) fn delivered_frame(&mut self, to: u16, frame: &SignedFrame) {
        let new = !self.faulty.is_empty() && !self.faulty.contains(&to);
        if new && self.counts(true, frame.header.epoch, frame.header.leader) {
            self.learn_frame(frame);
        }
    }

    /// Takes in the content. `of_faulty`: only what faulty members signed, and only if it verifies.
    fn learn(&mut self, message: &Message, of_faulty: bool) {
        let before = self.facts.guilt.len();
        match message {
            Message::Frame(f) if self.counts(of_faulty, f.header.epoch, f.header.leader) => {
                self.learn_frame(f);
            }
            Message::Ack(a) if self.counts(of_faulty, a.ack.epoch, a.ack.signer) => {
                let verify = |k: &[u8; 32], d: &_| a.verify(k, d).is_ok();
                if self.genuine_seq(of_faulty, (a.ack.epoch, a.ack.signer), verify) {
                    self.learn_ack(a);
                }
            }
            Message::Vote(v) => self.hear_vote(v, of_faulty),
            Message::Proposal(p) => {
                let who = (p.proposal.epoch, p.proposal.proposer);
                if self.counts(of_faulty, who.0, who.1)
                    && self.genuine(of_faulty, who, |k, d| p.verify(k, d).is_ok())
                {
                    self.learn_proposal(p, of_faulty);
                }
                if let Some(init) = &p.init {
                    self.learn_init(init);
                }
            }
            Message::Status(s) if self.counts(of_faulty, s.status.epoch, s.status.signer) => {
                let who = (s.status.epoch, s.status.signer);
                if self.genuine(of_faulty, who, |k, d| s.verify(k, d).is_ok()) {
                    self.learn_status(&s.status, of_faulty);
                }
            }
            Message::TermInit(init) => self.learn_init(init),
            Message::Polka(polka) if of_faulty => {
                polka.votes().for_each(|v| self.hear_vote(&v, true));
            }
            _ => {}
        }
        self.guilty(before);
    }

    /// Whether what an index of a set signed is learned now: its node is correct, or of those that are not.
    fn counts(&self, of_faulty: bool, epoch: u64, index: u16) -> bool {
        self.sets.node(epoch, index).is_some_and(|node| self.faulty.contains(&node) == of_faulty)
    }

    /// Whether a message can be of this height: what is signed for it in another epoch is no contradiction, and nobody
    /// takes it.
    fn fits(&self, height: u64, epoch: u64) -> bool {
        let newest = self.epochs.last_key_value().is_some_and(|(_, e)| *e == epoch);
        self.epochs.get(&height).map_or(newest, |there| *there == epoch)
    }

    fn genuine(
        &self,
        check: bool,
        (epoch, who): (u64, u16),
        verify: impl Fn(alloy_primitives::Address, &rota_types::Domain) -> bool,
    ) -> bool {
        let key = self.sets.set(epoch).and_then(|s| s.get(who)).map(|v| v.vote_key);
        !check || key.is_some_and(|key| verify(key, &self.rules.domain))
    }

    fn genuine_seq(
        &self,
        check: bool,
        (epoch, who): (u64, u16),
        verify: impl Fn(&[u8; 32], &rota_types::Domain) -> bool,
    ) -> bool {
        let key = self.sets.set(epoch).and_then(|s| s.get(who)).map(|v| v.seq_key);
        !check || key.is_some_and(|key| verify(&key, &self.rules.domain))
    }

    /// Stake by node at a height.
    fn roll(&self, height: u64) -> Roll {
        let newest = || self.epochs.range(..=height).next_back().map_or(0, |(_, epoch)| *epoch);
        self.sets.roll(newest()).cloned().expect("an epoch of a height has a set")
    }

    fn learn_frame(&mut self, frame: &SignedFrame) {
        let before = self.facts.guilt.len();
        let hash = frame.header.hash(&self.rules.domain);
        let Some(header) = self.named_frame(&frame.header) else { return };
        let faulty = self.faulty.contains(&header.leader);
        let who = (frame.header.epoch, frame.header.leader);
        let fits = self.fits(header.height, header.epoch);
        if faulty && !(fits && self.genuine_seq(true, who, |k, d| frame.verify(k, d).is_ok())) {
            return;
        }
        if !faulty {
            self.in_force("frame", header.height, header.epoch);
        }
        self.digest(hash, "frame");
        self.tree.add(&header, hash);
        self.facts.frame(&header, hash);
        self.live.signed(&header, hash);
        self.guilty(before);
    }

    fn learn_ack(&mut self, a: &rota_types::SignedAck) {
        let Some(ack) = self.named_ack(&a.ack) else { return };
        self.digest(a.ack.digest(&self.rules.domain), "ack");
        let correct = !self.faulty.contains(&ack.signer);
        if correct {
            self.in_force("ack", ack.height, ack.epoch);
        }
        // A faulty member may be a height ahead of every correct one: whoever is not, counts its ack later.
        let counts = if correct {
            self.is_of(ack.height, ack.epoch)
        } else {
            self.fits(ack.height, ack.epoch)
        };
        if counts {
            let roll = self.roll(ack.height);
            self.facts.ack(&self.tree, &ack);
            self.acks.ack(&self.tree, &roll, &ack);
        }
        if correct {
            self.relies(ack.init_hash);
        }
    }

    fn learn_status(&mut self, status: &rota_types::Status, of_faulty: bool) {
        let Some(named) = self.named_status(status) else { return };
        self.digest(status.digest(&self.rules.domain), "status");
        if !of_faulty {
            self.in_force("status", status.height, status.epoch);
        } else if !self.fits(status.height, status.epoch) {
            return;
        }
        self.facts.status(&self.tree, &named);
        if !of_faulty && status.best_round > 0 {
            self.relies(status.best_ref);
        }
    }

    fn hear_vote(&mut self, v: &rota_types::SignedVote, of_faulty: bool) {
        if self.counts(of_faulty, v.vote.epoch, v.signer)
            && self.genuine(of_faulty, (v.vote.epoch, v.signer), |k, d| v.verify(k, d).is_ok())
        {
            self.votes.push((v.clone(), of_faulty));
        }
    }

    fn learn_vote(&mut self, v: &rota_types::SignedVote, of_faulty: bool) {
        let Some(signer) = self.sets.node(v.vote.epoch, v.signer) else { return };
        self.digest(v.vote.digest(&self.rules.domain), "vote");
        if !of_faulty {
            self.in_force("vote", v.vote.height, v.vote.epoch);
        }
        if !self.is_of(v.vote.height, v.vote.epoch) {
            return;
        }
        self.facts.vote(&self.tree, signer, &v.vote);
        if v.vote.kind == VoteKind::Prevote && !v.vote.value_id.is_zero() {
            let roll = self.roll(v.vote.height);
            if !of_faulty {
                let sight = Sight {
                    tree: &self.tree,
                    set: &roll,
                    acks: &self.acks,
                    leaders: &self.leaders,
                };
                let may = self.carries.may_prevote(&sight, signer, &v.vote);
                self.must("I-27", may);
            }
            self.acks.prevote(&self.tree, &roll, signer, &v.vote);
        }
    }

    /// I-18: one digest, one kind of message.
    fn digest(&mut self, digest: B256, kind: &'static str) {
        if *self.digests.entry(digest).or_insert(kind) != kind {
            self.broke("I-18", format!("{digest} is of a {kind} and of something else"));
        }
    }

    /// I-6, I-7: nothing that a correct validator signed can be held against it.
    fn guilty(&mut self, before: usize) {
        let of_correct = |g: &&facts::Guilt| !self.faulty.contains(&g.who);
        if let Some(g) = self.facts.guilt.iter().skip(before).find(of_correct) {
            let what = format!("{:?} against {}, who is correct: {}", g.what, g.who, g.text);
            self.broke("I-6", what);
        }
        self.reverts();
    }

    /// Without faulty members nothing acked is ever reverted; with them it is judged at the end, when all
    /// evidence is there.
    fn reverts(&mut self) {
        if self.faulty.is_empty() && !self.acks.reverted.is_empty() {
            self.judge();
        }
    }

    fn judge(&mut self) {
        let roll = |height| self.roll(height);
        let judged = self.acks.judge(&self.tree, &roll, &self.facts.guilt, &self.leaders);
        if let Some((name, what)) = judged {
            self.broke(name, what);
        }
    }
}
