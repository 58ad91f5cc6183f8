//! Detectors in a simulated set, and what comes of their evidence before the contracts (I-3, I-4, I-6).
//!
//! Three views: everything that anybody sent; everything that correct members sent or received, which is what their
//! tapes give a watcher; and what each of them saw alone. Invariants: nobody correct is ever accused; the contract
//! accepts what the nodes accept and nothing else.

use super::{
    check::Violation,
    losses::{Claimed, Losses},
    sets::Sets,
};
use crate::{evm::Court, make};
use alloy_primitives::{B256, U256, keccak256};
use rota_preconf::{Watch, WatchLimits};
use rota_types::{
    CommitCertificate, Decode, Domain, Encode, Evidence, Header, OffenceClass, Signed, SignedFrame,
    ValidatorSet, Verdict, wire::Message,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

/// Damaged copies of each piece of evidence that the contract is asked about too.
const DAMAGED: u64 = 3;

/// Who found a piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum View {
    Everything,
    Correct,
    Member(u16),
}

/// What the detectors found in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Offences by kind that a watcher of the correct members' tapes proves.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Who is convicted by these, and of which classes.
    pub convicted: BTreeSet<(u16, OffenceClass)>,
    /// Who is convicted by what some correct member saw alone.
    pub alone: BTreeSet<(u16, OffenceClass)>,
    /// Pieces of evidence that contract and nodes judged alike, damaged ones too.
    pub judged: u64,
    /// Claims for frames that were lost with their leader, and for others.
    pub claimed: Claimed,
}

pub(super) struct Detect {
    sets: Arc<Sets>,
    domain: Domain,
    faulty: BTreeSet<u16>,
    everything: Watch,
    correct: Watch,
    members: Vec<Watch>,
    evidence: Vec<(View, Evidence)>,
    losses: Losses,
    /// How much of it has been told to the members.
    told: usize,
    broken: Option<Violation>,
}

/// The contracts with this set; many runs of a campaign have the same.
fn court(set: &ValidatorSet, domain: &Domain) -> Court {
    static COURTS: Mutex<BTreeMap<B256, Court>> = Mutex::new(BTreeMap::new());
    let mut courts = COURTS.lock().unwrap_or_else(PoisonError::into_inner);
    if courts.len() > 64 {
        courts.clear();
    }
    let new = || Court::new(set, domain, make::keys);
    courts.entry(set.hash()).or_insert_with(new).clone()
}

impl Detect {
    pub(super) fn new(sets: &Arc<Sets>, domain: &Domain, faulty: &BTreeSet<u16>) -> Self {
        let watch = || Watch::new(domain.clone(), WatchLimits::default());
        Self {
            sets: Arc::clone(sets),
            domain: domain.clone(),
            faulty: faulty.clone(),
            everything: watch(),
            correct: watch(),
            members: (0..sets.nodes()).map(|_| watch()).collect(),
            evidence: Vec::new(),
            losses: Losses::default(),
            told: 0,
            broken: None,
        }
    }

    /// A member lets a message go.
    pub(super) fn sent(&mut self, now_us: u64, node: u16, message: &Message) {
        if let Message::Frame(frame) = message {
            self.note(frame);
        }
        for said in self.genuine(message) {
            self.show(now_us, View::Everything, &said);
            self.show_correct(now_us, node, &said);
        }
    }

    /// A message reaches a member.
    pub(super) fn received(&mut self, now_us: u64, to: u16, message: &Message) {
        if !self.faulty.contains(&to) {
            for said in self.genuine(message) {
                self.show_correct(now_us, to, &said);
            }
        }
    }

    /// A frame that was asked for reaches a member.
    pub(super) fn frame(&mut self, now_us: u64, to: u16, frame: &SignedFrame) {
        self.note(frame);
        let said = Signed::Frame(frame.header.clone(), frame.signature);
        if !self.faulty.contains(&to) && self.verifies(&said) {
            self.show_correct(now_us, to, &said);
        }
    }

    /// A frame with its body, if it is genuine.
    fn note(&mut self, frame: &SignedFrame) {
        let said = Signed::Frame(frame.header.clone(), frame.signature);
        if frame.body.root() == frame.header.tx_root && self.verifies(&said) {
            self.losses.frame(frame, &self.domain);
        }
    }

    /// By the set of its epoch.
    fn verifies(&self, said: &Signed) -> bool {
        let set = self.sets.set(said.epoch());
        set.is_some_and(|set| said.verify(set, &self.domain).is_ok())
    }

    /// A height with its certificate, decided here or fetched.
    pub(super) fn decided(
        &mut self,
        now_us: u64,
        node: u16,
        header: &Header,
        certificate: &CommitCertificate,
    ) {
        let set = self.sets.set(certificate.epoch);
        let genuine = set.is_some_and(|set| certificate.verify(set, &self.domain).is_ok())
            && header.value_id(&self.domain) == certificate.value_id;
        if self.faulty.contains(&node) || !genuine {
            return;
        }
        self.losses.decided(header, certificate);
        for view in [View::Everything, View::Correct, View::Member(node)] {
            let watch = self.watch(view);
            let found = watch.decided(header, certificate);
            watch.advance(header.height());
            self.take(now_us, view, found);
        }
    }

    fn genuine(&self, message: &Message) -> Vec<Signed> {
        let mut all = Signed::all_of(message);
        all.extend(Signed::votes_of(message));
        all.retain(|said| self.verifies(said));
        all
    }

    fn show_correct(&mut self, now_us: u64, node: u16, said: &Signed) {
        if !self.faulty.contains(&node) {
            self.show(now_us, View::Correct, said);
            self.show(now_us, View::Member(node), said);
        }
    }

    fn show(&mut self, now_us: u64, view: View, said: &Signed) {
        let found = self.watch(view).observe(said);
        self.take(now_us, view, found);
    }

    fn watch(&mut self, view: View) -> &mut Watch {
        match view {
            View::Everything => &mut self.everything,
            View::Correct => &mut self.correct,
            View::Member(node) => &mut self.members[usize::from(node)],
        }
    }

    fn take(&mut self, now_us: u64, view: View, found: Vec<Evidence>) {
        for evidence in found {
            if let Err(what) = self.fair(&evidence) {
                let at_ms = now_us / 1000;
                self.broken.get_or_insert(Violation { invariant: "I-6", at_ms, what });
            }
            self.evidence.push((view, evidence));
        }
    }

    /// Evidence proves what it says, and that of somebody who is not correct.
    fn fair(&self, evidence: &Evidence) -> Result<(), String> {
        let judged = self.judged(evidence).map_err(|why| {
            format!("a detector gives evidence that shows nothing: {why}: {evidence:?}")
        })?;
        match judged.1.iter().find(|who| !self.faulty.contains(who)) {
            Some(who) => Err(format!("{who} is correct and looks guilty: {evidence:?}")),
            None => Ok(()),
        }
    }

    /// What evidence shows by the set of its epoch, and of which nodes.
    fn judged(&self, evidence: &Evidence) -> Result<(Verdict, Vec<u16>), String> {
        let set = self.sets.set(evidence.epoch).ok_or("no such set")?;
        let verdict = evidence.verify(set, &self.domain).map_err(|why| why.to_string())?;
        let node = |index: &u16| self.sets.node(evidence.epoch, *index);
        let nodes = verdict.accused.iter().filter_map(node).collect();
        Ok((verdict, nodes))
    }

    /// What members' watches found since the last call, each with its finder.
    pub(super) fn new_finds(&mut self) -> Vec<(u16, Evidence)> {
        let new = self.evidence[self.told..].iter().filter_map(|(view, evidence)| match view {
            View::Member(node) => Some((*node, evidence.clone())),
            _ => None,
        });
        let new = new.collect();
        self.told = self.evidence.len();
        new
    }

    pub(super) fn verdict(&mut self) -> Result<(), Violation> {
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Takes everything before the contract.
    pub(super) fn judge(&mut self, now_us: u64) -> Result<Found, Violation> {
        self.verdict()?;
        let mut found = Found::default();
        for (view, evidence) in &self.evidence {
            let Ok((verdict, nodes)) = self.judged(evidence) else { continue };
            let guilty = nodes.iter().map(|who| (*who, verdict.class));
            match view {
                View::Everything => {}
                View::Correct => {
                    found.convicted.extend(guilty);
                    *found.kinds.entry(verdict.kind.name()).or_default() += 1;
                }
                View::Member(_) => found.alone.extend(guilty),
            }
        }
        let different: BTreeMap<B256, Vec<u8>> = self
            .evidence
            .iter()
            // The court has the first set only.
            .filter(|(_, e)| e.epoch == 0)
            .map(|(_, e)| e.encode())
            .map(|bytes| (keccak256(&bytes), bytes))
            .collect();
        let set = self.sets.first().set();
        if self.losses.any() {
            let mut court = court(set, &self.domain);
            let claimed = self.losses.judge(&mut court, set, &self.domain);
            found.claimed = claimed.map_err(|what| Violation {
                invariant: "I-46",
                at_ms: now_us / 1000,
                what,
            })?;
        }
        if !different.is_empty() {
            let mut court = court(set, &self.domain);
            for (hash, bytes) in different {
                found.judged += self.agree(&mut court, hash, &bytes).map_err(|what| Violation {
                    invariant: "I-6",
                    at_ms: now_us / 1000,
                    what,
                })?;
            }
        }
        Ok(found)
    }

    /// Evidence, and damaged copies of it, before both judges.
    fn agree(&self, court: &mut Court, hash: B256, bytes: &[u8]) -> Result<u64, String> {
        self.agree_on(court, bytes)?;
        let seed = u64::from_be_bytes(hash[..8].try_into().unwrap());
        for n in 0..DAMAGED {
            let dice = seed.rotate_left(17 * n as u32) ^ n;
            let mut damaged = bytes.to_vec();
            let at = match n {
                // Kind, accused, or anything.
                0 => 1,
                1 => 15,
                _ => dice as usize % bytes.len(),
            };
            damaged[at] ^= 1 << (dice >> 40 & 3);
            self.agree_on(court, &damaged)?;
        }
        Ok(1 + DAMAGED)
    }

    fn agree_on(&self, court: &mut Court, bytes: &[u8]) -> Result<(), String> {
        let set = self.sets.first().set();
        let ours = Evidence::decode(bytes)
            .ok()
            .and_then(|e| e.verify(set, &self.domain).ok().map(|verdict| (e, verdict)));
        match (ours, court.check(bytes)) {
            (None, Err(_)) => Ok(()),
            (Some((_, verdict)), Ok(theirs)) => {
                let operator = U256::from(verdict.accused.first().copied().unwrap_or(0));
                let right = theirs.key == verdict.place.key(operator)
                    && theirs.kind == verdict.kind as u8
                    && theirs.operator == operator;
                right.then_some(()).ok_or_else(|| format!("{verdict:?} here, {theirs:?} on L1"))
            }
            (ours, theirs) => Err(format!(
                "{ours:?} here, {theirs:?} on L1: 0x{}",
                alloy_primitives::hex::encode(bytes)
            )),
        }
    }
}
