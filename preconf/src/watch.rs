//! Watches what validators sign and finds what no correct one signs together (`docs/protocol.md`, "Evidence").
//!
//! Not for: checking signatures. The caller verifies everything first, with the set of its epoch: nothing unverified
//! is stored. Not for punishing either.
//! Invariants: what is kept is bounded for each signer by itself, by places of a window of heights, so nobody
//! pushes out what another signed; an offence is reported once; evidence given out is proven from what was seen.

mod frames;
mod newest;
mod relations;
mod tree;

use crate::watch::tree::Tree;
use alloy_primitives::B256;
use rota_types::{
    ACCUSED_MANY, CertVotes, CommitCertificate, Domain, Evidence, FrameHeader, Header,
    OffencePlace, Proof, Sealed, SealedAck, SealedFrame, SealedInit, SealedProposal, SealedStatus,
    SealedVote, SeqSignature, Signed, Term,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimits {
    /// Heights below the newest decided one.
    pub past: u64,
    /// Heights above it.
    pub ahead: u64,
    /// Rounds of a height.
    pub rounds: u32,
    /// Acks of one signer in one round.
    pub acks: usize,
    /// Terms of one leader.
    pub terms: usize,
    /// Frames of one term, and second frames of one leader.
    pub frames: usize,
    /// Headers that one proposer names at one height.
    pub headers: usize,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self { past: 256, ahead: 8, rounds: 64, acks: 64, terms: 64, frames: 8_192, headers: 16 }
    }
}

/// Most offences remembered as reported.
const MAX_FOUND: usize = 16_384;
/// Most frames that one signer's messages wait for.
const MAX_MISSING: usize = 256;

/// A signer: epoch and index in its set.
type Who = (u64, u16);

/// An ack, and whether it is known to contain the one below it.
#[derive(Debug, Clone)]
struct Acked {
    ack: SealedAck,
    linked: bool,
}

/// What one signer signed at one height, one for each place.
#[derive(Debug, Clone, Default)]
struct AtHeight {
    votes: BTreeMap<(u32, u8), SealedVote>,
    proposals: BTreeMap<u32, SealedProposal>,
    statuses: BTreeMap<u32, SealedStatus>,
    inits: BTreeMap<u32, SealedInit>,
    acks: BTreeMap<u32, BTreeMap<u64, Acked>>,
    headers: usize,
}

/// One term of one leader.
#[derive(Debug, Clone, Default)]
struct TermLog {
    /// By place, with their hashes.
    frames: BTreeMap<u32, (B256, SealedFrame)>,
    /// Lowest frame that ends the term.
    end: Option<u32>,
    /// Newest height in it.
    height: u64,
}

#[derive(Debug, Clone, Default)]
struct Signer {
    heights: BTreeMap<u64, AtHeight>,
    terms: BTreeMap<Term, TermLog>,
    /// Frames that are held only as second ones of a place, oldest first.
    seconds: VecDeque<B256>,
    missing: BTreeSet<(u64, B256)>,
}

/// The detector. Feed it what was verified; it gives evidence.
#[derive(Debug)]
pub struct Watch {
    domain: Domain,
    limits: WatchLimits,
    decided: u64,
    tree: Tree,
    signers: BTreeMap<Who, Signer>,
    certificates: BTreeMap<(u64, u32), (u64, CertVotes)>,
    /// Who waits for a frame: hash, signer, height.
    missing: BTreeSet<(B256, Who, u64)>,
    found: BTreeSet<(u64, u16, OffencePlace)>,
}

impl Watch {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(domain: Domain, limits: WatchLimits) -> Self {
        Self {
            domain,
            limits,
            decided: 0,
            tree: Tree::default(),
            signers: BTreeMap::new(),
            certificates: BTreeMap::new(),
            missing: BTreeSet::new(),
            found: BTreeSet::new(),
        }
    }

    /// The newest decided height: the window moves, and what falls out of it is forgotten.
    pub fn advance(&mut self, decided: u64) {
        if decided <= self.decided {
            return;
        }
        self.decided = decided;
        let low = self.low();
        for signer in self.signers.values_mut() {
            signer.heights = signer.heights.split_off(&low);
            signer.terms.retain(|_, log| {
                log.frames.retain(|_, (_, f)| f.content.height >= low);
                log.height >= low
            });
            signer.missing = signer.missing.split_off(&(low, B256::ZERO));
        }
        self.signers.retain(|_, s| !s.heights.is_empty() || !s.terms.is_empty());
        self.certificates = self.certificates.split_off(&(low, 0));
        self.missing.retain(|(_, _, height)| *height >= low);
        self.tree.forget(low);
    }

    /// Takes a verified statement; gives what it shows together with earlier ones.
    pub fn observe(&mut self, said: &Signed) -> Vec<Evidence> {
        if !self.in_window(said.height()) {
            return Vec::new();
        }
        let who = (said.epoch(), said.signer());
        match said {
            Signed::Frame(header, signature) => self.on_frame(header, signature),
            Signed::Init(init, signature) => {
                let init = Sealed { content: init.clone(), signature: *signature };
                self.on_init(who, init)
            }
            Signed::Ack(a) => {
                self.on_ack(who, Sealed { content: a.ack.clone(), signature: a.signature })
            }
            Signed::Vote(v) => {
                self.on_vote(who, Sealed { content: v.vote.clone(), signature: v.signature })
            }
            Signed::Proposal(p, signature, header) => {
                let proposal = Sealed { content: p.clone(), signature: *signature };
                self.on_proposal(who, proposal, header)
            }
            Signed::Status(s) => {
                self.on_status(who, Sealed { content: s.status.clone(), signature: s.signature })
            }
        }
    }

    /// Takes a verified certificate with the header that it decides.
    pub fn decided(&mut self, header: &Header, certificate: &CommitCertificate) -> Vec<Evidence> {
        let c = certificate;
        if !self.in_window(c.height) || c.round >= self.limits.rounds {
            return Vec::new();
        }
        let votes = CertVotes {
            height: c.height,
            round: c.round,
            value_id: c.value_id,
            signers: c.signers.clone(),
            signatures: c.signatures.clone(),
        };
        let mut out = Vec::new();
        let place = (c.height, c.round);
        let (epoch, first) =
            self.certificates.entry(place).or_insert_with(|| (c.epoch, votes.clone())).clone();
        if epoch == c.epoch && first.value_id != c.value_id {
            let proof = Proof::CertTwice(Box::new([first, votes]));
            self.report((c.epoch, ACCUSED_MANY), proof, &mut out);
        }
        self.learn_value(header, c.value_id, &mut out);
        out
    }

    /// How many statements and frames are held.
    #[must_use]
    pub fn held(&self) -> usize {
        let at = |a: &AtHeight| {
            let acks: usize = a.acks.values().map(BTreeMap::len).sum();
            [a.votes.len(), a.proposals.len(), a.statuses.len(), a.inits.len(), acks]
                .into_iter()
                .fold(0, usize::saturating_add)
        };
        let heights = self.signers.values().flat_map(|s| s.heights.values()).map(at);
        heights.fold(self.tree.len(), usize::saturating_add)
    }

    const fn low(&self) -> u64 {
        self.decided.saturating_sub(self.limits.past)
    }

    const fn in_window(&self, height: u64) -> bool {
        height >= self.low() && height <= self.decided.saturating_add(self.limits.ahead)
    }

    fn at(&mut self, who: Who, height: u64) -> &mut AtHeight {
        self.signers.entry(who).or_default().heights.entry(height).or_default()
    }

    fn on_init(&mut self, who: Who, init: SealedInit) -> Vec<Evidence> {
        let mut out = Vec::new();
        let (height, round) = (init.content.height, init.content.round);
        if round < self.limits.rounds
            && let Some(first) = put(&mut self.at(who, height).inits, round, &init)
        {
            self.report(who, Proof::InitTwice(Box::new([first, init])), &mut out);
        }
        out
    }

    fn on_vote(&mut self, who: Who, vote: SealedVote) -> Vec<Evidence> {
        let mut out = Vec::new();
        let (height, round) = (vote.content.height, vote.content.round);
        if round >= self.limits.rounds {
            return out;
        }
        let place = (round, vote.content.kind as u8);
        if let Some(first) = put(&mut self.at(who, height).votes, place, &vote) {
            self.report(who, Proof::VoteTwice(Box::new([first, vote])), &mut out);
        }
        self.relate(who, height, &mut out);
        out
    }

    fn on_status(&mut self, who: Who, status: SealedStatus) -> Vec<Evidence> {
        let mut out = Vec::new();
        let (height, round) = (status.content.height, status.content.round);
        if round >= self.limits.rounds {
            return out;
        }
        if let Some(first) = put(&mut self.at(who, height).statuses, round, &status) {
            self.report(who, Proof::StatusTwice(Box::new([first, status])), &mut out);
        }
        self.relate(who, height, &mut out);
        out
    }

    fn on_proposal(
        &mut self,
        who: Who,
        proposal: SealedProposal,
        header: &Header,
    ) -> Vec<Evidence> {
        let mut out = Vec::new();
        let (height, round) = (proposal.content.height, proposal.content.round);
        let most = self.limits.headers;
        let known = self.tree.value(&proposal.content.value_id).is_some();
        let at = self.at(who, height);
        if !known && at.headers < most {
            at.headers = at.headers.saturating_add(1);
            self.learn_value(header, proposal.content.value_id, &mut out);
        }
        if round >= self.limits.rounds {
            return out;
        }
        if let Some(first) = put(&mut self.at(who, height).proposals, round, &proposal) {
            self.report(who, Proof::ProposalTwice(Box::new([first, proposal])), &mut out);
        }
        self.check_cuts(who, |h| h == header, &mut out);
        out
    }

    fn on_ack(&mut self, who: Who, ack: SealedAck) -> Vec<Evidence> {
        let mut out = Vec::new();
        let (height, round, g) = (ack.content.height, ack.content.round, ack.content.g);
        if round >= self.limits.rounds {
            return out;
        }
        let most = self.limits.acks;
        let acks = self.signers.entry(who).or_default().heights.entry(height).or_default();
        let acks = acks.acks.entry(round).or_default();
        let other_init = acks.values().find(|a| a.ack.content.init_hash != ack.content.init_hash);
        let other = other_init.or_else(|| acks.get(&g)).map(|a| a.ack.clone());
        match other {
            Some(first) if first.content == ack.content => return out,
            Some(first) => {
                let pair = Box::new([first, ack]);
                let proof = Proof::AckTwice { acks: pair, chain: Vec::new() };
                self.report(who, proof, &mut out);
                return out;
            }
            None => {}
        }
        if acks.len() >= most && !relations::make_room(acks, &self.tree) {
            return out;
        }
        acks.insert(g, Acked { ack, linked: false });
        if let Some((_, above)) = acks.range_mut(g.saturating_add(1)..).next() {
            above.linked = false;
        }
        self.relate(who, height, &mut out);
        out
    }

    fn on_frame(&mut self, header: &FrameHeader, signature: &SeqSignature) -> Vec<Evidence> {
        let mut out = Vec::new();
        let hash = header.hash(&self.domain);
        let frame = Sealed { content: header.clone(), signature: *signature };
        if self.learn_frame(frame, hash, &mut out) {
            self.arrived(hash, &mut out);
        }
        out
    }

    /// A header that votes may name.
    fn learn_value(&mut self, header: &Header, id: B256, out: &mut Vec<Evidence>) {
        if self.in_window(header.height()) && self.tree.add_value(header, id) {
            let height = header.height();
            let named = |s: &Signer| {
                let votes = s.heights.get(&height).map(|at| at.votes.values());
                votes.is_some_and(|mut v| v.any(|v| v.content.value_id == id))
            };
            let who: Vec<Who> =
                self.signers.iter().filter(|(_, s)| named(s)).map(|(w, _)| *w).collect();
            for who in who {
                self.relate(who, height, out);
            }
        }
    }

    /// A frame that somebody's messages may have waited for.
    fn arrived(&mut self, hash: B256, out: &mut Vec<Evidence>) {
        let all = (hash, (0, 0), 0)..=(hash, (u64::MAX, u16::MAX), u64::MAX);
        let waiting: Vec<(B256, Who, u64)> = self.missing.range(all).copied().collect();
        for entry in waiting {
            let (_, who, height) = entry;
            self.missing.remove(&entry);
            if let Some(signer) = self.signers.get_mut(&who) {
                signer.missing.remove(&(height, hash));
            }
            self.relate(who, height, out);
            self.check_cuts(who, |header| header.height() == height, out);
        }
    }

    /// Remembers that something of `who` cannot be judged before a frame is here.
    fn wait_for(&mut self, who: Who, height: u64, hash: B256) {
        let Some(signer) = self.signers.get_mut(&who) else { return };
        if signer.missing.len() < MAX_MISSING && signer.missing.insert((height, hash)) {
            self.missing.insert((hash, who, height));
        }
    }

    /// Gives evidence out, once for each offence.
    fn report(&mut self, who: Who, proof: Proof, out: &mut Vec<Evidence>) {
        let (epoch, accused) = who;
        let evidence = Evidence { generation: self.domain.generation, epoch, accused, proof };
        let place = evidence.place();
        if self.found.insert((place.height, accused, place)) {
            out.push(evidence);
        }
        while self.found.len() > MAX_FOUND {
            self.found.pop_first();
        }
    }
}

/// Puts a content in its place; gives the other one if the place was taken by it.
fn put<K: Ord, T: Clone + PartialEq, const N: usize>(
    map: &mut BTreeMap<K, Sealed<T, N>>,
    place: K,
    new: &Sealed<T, N>,
) -> Option<Sealed<T, N>> {
    let there = map.entry(place).or_insert_with(|| new.clone());
    (there.content != new.content).then(|| there.clone())
}

#[cfg(test)]
mod tests;
