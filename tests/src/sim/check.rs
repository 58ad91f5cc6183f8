//! What must hold in every run, after every step. Invariants are named by their number in
//! `docs/invariants.md`.
//!
//! Everything here watches from outside: what correct nodes sent and put out, and what reached them from
//! others. Invariant: a run is stopped at the first step after which something does not hold.

mod acks;
mod carry;
mod facts;
mod hooks;
mod ledger;
mod live;
mod proven;
mod tree;

pub use facts::Offence;
pub use live::Stats;

use super::Plan;
use acks::Acks;
use alloy_primitives::B256;
use carry::{Carries, Sight};
use facts::Facts;
use ledger::Ledger;
use live::Live;
use proven::of_epoch;
use rota_preconf::Rules;
use rota_types::{
    Decode, Encode, SignedFrame, SignedTermInit, ValidatorSet, VoteKind, wire::Message,
};
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
    set: Arc<ValidatorSet>,
    rules: Arc<Rules>,
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
    pub(super) fn new(plan: &Plan, set: &Arc<ValidatorSet>, rules: &Arc<Rules>) -> Self {
        let mut carries = Carries::default();
        carries.bases.insert(1, (0, rules.domain.genesis_hash));
        Self {
            set: Arc::clone(set),
            rules: Arc::clone(rules),
            faulty: plan.faulty(),
            verbose: plan.verbose,
            now_us: 0,
            tree: Tree::default(),
            facts: Facts::default(),
            acks: Acks::default(),
            carries,
            ledger: Ledger::default(),
            live: Live::new(set.len(), plan.max_round),
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
        self.learn(message, false);
    }

    /// A message reaches a correct node: what the faulty signed counts from here on.
    pub(super) fn delivered(&mut self, now_us: u64, to: u16, message: &Message) {
        self.now_us = now_us;
        let here = of_epoch(message).is_none_or(|epoch| epoch == self.set.epoch());
        if here && !self.faulty.is_empty() && !self.faulty.contains(&to) {
            self.learn(message, true);
        }
    }

    /// A frame that was asked for reaches a correct node.
    pub(super) fn delivered_frame(&mut self, to: u16, frame: &SignedFrame) {
        let new = !self.faulty.is_empty() && !self.faulty.contains(&to);
        if new && self.faulty.contains(&frame.header.leader) {
            self.learn_frame(frame);
        }
    }

    /// Takes in the content. `of_faulty`: only what faulty members signed, and only if it verifies.
    fn learn(&mut self, message: &Message, of_faulty: bool) {
        let before = self.facts.guilt.len();
        let skip = |faulty: &BTreeSet<u16>, who: u16| faulty.contains(&who) != of_faulty;
        match message {
            Message::Frame(f) if !skip(&self.faulty, f.header.leader) => self.learn_frame(f),
            Message::Ack(a)
                if !skip(&self.faulty, a.ack.signer)
                    && self.genuine_seq(of_faulty, a.ack.signer, |k, d| a.verify(k, d).is_ok()) =>
            {
                self.learn_ack(a);
            }
            Message::Vote(v)
                if !skip(&self.faulty, v.signer)
                    && self.genuine(of_faulty, v.signer, |k, d| v.verify(k, d).is_ok()) =>
            {
                self.votes.push((v.clone(), of_faulty));
            }
            Message::Proposal(p) => {
                let who = p.proposal.proposer;
                if !skip(&self.faulty, who)
                    && self.genuine(of_faulty, who, |k, d| p.verify(k, d).is_ok())
                {
                    self.learn_proposal(p, of_faulty);
                }
                if let Some(init) = &p.init {
                    self.learn_init(init);
                }
            }
            Message::Status(s)
                if !skip(&self.faulty, s.status.signer)
                    && self.genuine(of_faulty, s.status.signer, |k, d| s.verify(k, d).is_ok()) =>
            {
                self.digest(s.status.digest(&self.rules.domain), "status");
                self.facts.status(&self.tree, &s.status);
                if !of_faulty && s.status.best_round > 0 {
                    self.relies(s.status.best_ref);
                }
            }
            Message::TermInit(init) => self.learn_init(init),
            Message::Polka(polka) => {
                for v in polka.votes().filter(|v| !skip(&self.faulty, v.signer) && of_faulty) {
                    if self.genuine(true, v.signer, |k, d| v.verify(k, d).is_ok()) {
                        self.votes.push((v, true));
                    }
                }
            }
            _ => {}
        }
        self.guilty(before);
    }

    fn genuine(
        &self,
        check: bool,
        who: u16,
        verify: impl Fn(alloy_primitives::Address, &rota_types::Domain) -> bool,
    ) -> bool {
        let key = self.set.get(who).map(|v| v.vote_key);
        !check || key.is_some_and(|key| verify(key, &self.rules.domain))
    }

    fn genuine_seq(
        &self,
        check: bool,
        who: u16,
        verify: impl Fn(&[u8; 32], &rota_types::Domain) -> bool,
    ) -> bool {
        let key = self.set.get(who).map(|v| v.seq_key);
        !check || key.is_some_and(|key| verify(&key, &self.rules.domain))
    }

    fn learn_frame(&mut self, frame: &SignedFrame) {
        let before = self.facts.guilt.len();
        let hash = frame.header.hash(&self.rules.domain);
        if self.faulty.contains(&frame.header.leader)
            && !self.genuine_seq(true, frame.header.leader, |k, d| frame.verify(k, d).is_ok())
        {
            return;
        }
        self.digest(hash, "frame");
        self.tree.add(&frame.header, hash);
        self.facts.frame(&frame.header, hash);
        self.live.signed(&frame.header, hash);
        self.guilty(before);
    }

    fn learn_ack(&mut self, a: &rota_types::SignedAck) {
        self.digest(a.ack.digest(&self.rules.domain), "ack");
        self.facts.ack(&self.tree, &a.ack);
        self.acks.ack(&self.tree, &self.set, &a.ack);
        if !self.faulty.contains(&a.ack.signer) {
            self.relies(a.ack.init_hash);
        }
    }

    fn learn_vote(&mut self, v: &rota_types::SignedVote, of_faulty: bool) {
        self.digest(v.vote.digest(&self.rules.domain), "vote");
        self.facts.vote(&self.tree, v.signer, &v.vote);
        if v.vote.kind == VoteKind::Prevote && !v.vote.value_id.is_zero() {
            if !of_faulty {
                let sight = Sight {
                    tree: &self.tree,
                    set: &self.set,
                    acks: &self.acks,
                    leaders: &self.leaders,
                };
                let may = self.carries.may_prevote(&sight, v.signer, &v.vote);
                self.must("I-27", may);
            }
            self.acks.prevote(&self.tree, &self.set, v.signer, &v.vote);
        }
    }

    fn learn_proposal(&mut self, p: &rota_types::SignedProposal, of_faulty: bool) {
        let digest = p.proposal.digest(&self.rules.domain);
        self.digest(digest, "proposal");
        self.tree.add_value(p.proposal.value_id, &p.header);
        self.facts.proposal(&p.proposal, digest, &p.header);
        self.carries.proposal(&p.proposal, digest);
        if let Some(init) = &p.init {
            self.learn_init(init);
        }
        if !of_faulty && p.proposal.pol_round < 0 {
            self.relies(p.proposal.init_hash);
        }
    }

    fn learn_init(&mut self, init: &SignedTermInit) {
        let (leader, domain) = (init.init.leader, &self.rules.domain);
        let hash = init.init.hash(domain);
        let faulty = self.faulty.contains(&leader);
        let key = self.set.get(leader).map(|v| v.seq_key).unwrap_or_default();
        if faulty && init.verify(&key, domain).is_err() {
            return;
        }
        // Reports of faulty members inside count as seen, as soon as the TermInit is.
        for report in init.reports.iter().filter(|r| self.faulty.contains(&r.status.signer)) {
            let key = self.set.get(report.status.signer).map(|v| v.vote_key).unwrap_or_default();
            if report.status.epoch == self.set.epoch() && report.verify(key, domain).is_ok() {
                self.facts.status(&self.tree, &report.status);
            }
        }
        self.digest(hash, "term init");
        self.facts.init(&init.init, hash);
        self.carries.init(init, hash);
    }

    /// I-11, I-12: what a correct node relies on is valid, as judged from outside.
    fn relies(&mut self, init_hash: B256) {
        let sight =
            Sight { tree: &self.tree, set: &self.set, acks: &self.acks, leaders: &self.leaders };
        match self.carries.rely(&sight, &init_hash) {
            None => {}
            Some(Err(why)) => self.broke("I-11", why),
            Some(Ok((place, carry))) => self.acks.carried(&self.tree, place, carry),
        }
        self.reverts();
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
        let judged = self.acks.judge(&self.tree, &self.set, &self.facts.guilt, &self.leaders);
        if let Some((name, what)) = judged {
            self.broke(name, what);
        }
    }
}

/// One line about a message.
pub(super) fn brief(message: &Message) -> String {
    let short = |hash: &B256| format!("{:.6}", format!("{hash:x}"));
    match message {
        Message::Frame(f) => {
            let h = &f.header;
            format!(
                "frame g{} h{} seq{} of {:?}",
                h.g,
                h.height,
                h.seq,
                (h.term.height, h.term.round)
            )
        }
        Message::Ack(a) => {
            let a = &a.ack;
            format!("ack {}/{} g{} {}", a.height, a.round, a.g, short(&a.frame_hash))
        }
        Message::Vote(v) => {
            let v = &v.vote;
            format!("{:?} {}/{} {}", v.kind, v.height, v.round, short(&v.value_id))
        }
        Message::Proposal(p) => {
            let p = &p.proposal;
            format!("proposal {}/{} pol {} {}", p.height, p.round, p.pol_round, short(&p.value_id))
        }
        Message::Status(s) => {
            let s = &s.status;
            let best = short(&s.best_hash);
            format!("status {}/{} best {} g{} {best}", s.height, s.round, s.best_round, s.best_g)
        }
        Message::TermInit(t) => {
            let i = &t.init;
            let who: Vec<u16> = t.reports.iter().map(|r| r.status.signer).collect();
            let tip = short(&i.carry_hash);
            format!("init {}/{} carries g{} {tip} of {who:?}", i.height, i.round, i.carry_g)
        }
        Message::Head(h) => format!("head {}", h.height),
        other => other.name().to_owned(),
    }
}
