//! This replica's own signatures in what others send: signs of a second machine, or of an old guard.
//!
//! Not for: what follows from one (`listen`). Invariants: nothing is said of a signature that was not verified; a
//! signature that the guard knows of is never reported, whoever sends it however often, so nobody can stop a replica
//! by sending its own messages again.

use super::{Input, Replica};
use rota_preconf::Frame;
use rota_store::{Intent, Known, Position};
use rota_types::{
    CommitCertificate, Domain, Justification, SignedProposal, SignedStatus, SignedTermInit,
    SignedVote, VoteSignature, recover_vote, verify_seq, wire::Message,
};

/// A signature of this replica's key that its guard does not know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Kind of message.
    pub(super) what: &'static str,
    /// Its place.
    pub(super) at: Position,
    /// The guard knows another content at this place.
    pub(super) contradicts: bool,
}

/// A message that claims to be signed by this replica, not verified yet.
struct Claim {
    intent: Intent,
    digest: alloy_primitives::B256,
    signature: Signature,
}

enum Signature {
    Vote(VoteSignature),
    Seq([u8; 64]),
    /// Verified when it came in.
    Checked,
}

impl Replica {
    /// The signatures of this replica in an input that its guard does not know of.
    pub(super) fn sightings(&self, input: &Input) -> Vec<Sighting> {
        let Some(me) = self.index() else { return Vec::new() };
        let domain = &self.rules.domain;
        let mut claims = Claims { me, domain, list: Vec::new() };
        match input {
            Input::Message { message, .. } => claims.message(message),
            Input::Justification { what, .. } => claims.justification(what),
            Input::Frame { frame, .. } => claims.frame(frame),
            Input::Synced { heights, .. } => {
                for height in heights {
                    claims.commit(&height.certificate);
                    height.frames.iter().for_each(|f| claims.frame(f));
                }
            }
            Input::Txs(_)
            | Input::Origin(_)
            | Input::L1Read(_)
            | Input::Durable(_)
            | Input::Tick => {}
        }
        let mut out: Vec<Sighting> =
            claims.list.iter().filter_map(|claim| self.sighting(claim)).collect();
        if let Input::Frame { frame, .. } = input
            && self.beyond_own(frame)
        {
            let term = frame.signed.header.term;
            let at = Position { height: term.height, round: term.round };
            out.push(Sighting { what: "frame", at, contradicts: false });
        }
        out
    }

    fn sighting(&self, claim: &Claim) -> Option<Sighting> {
        let known = self.guard.known(&claim.intent);
        if known == Known::Yes || !self.is_genuine(claim) {
            return None;
        }
        let (height, round) = claim.intent.position();
        Some(Sighting {
            what: claim.intent.name(),
            at: Position { height, round },
            contradicts: matches!(known, Known::Contradicts { .. }),
        })
    }

    fn is_genuine(&self, claim: &Claim) -> bool {
        let Some(own) = self.index().and_then(|i| self.set.get(i)) else { return false };
        match &claim.signature {
            Signature::Vote(s) => recover_vote(&claim.digest, s).is_ok_and(|a| a == own.vote_key),
            Signature::Seq(s) => verify_seq(&own.seq_key, &claim.digest, s).is_ok(),
            Signature::Checked => true,
        }
    }

    /// Whether a verified frame is of a term that this process opened, and above what it signed there.
    fn beyond_own(&self, frame: &Frame) -> bool {
        let h = &frame.signed.header;
        let at = Position { height: h.term.height, round: h.term.round };
        Some(h.leader) == self.index()
            && self.guard.opened_here() == Some(at)
            && self.lead.signed().is_none_or(|(term, seq)| term != h.term || h.seq > seq)
    }
}

/// Collects what is signed by one validator.
struct Claims<'a> {
    me: u16,
    domain: &'a Domain,
    list: Vec<Claim>,
}

impl Claims<'_> {
    fn message(&mut self, message: &Message) {
        match message {
            Message::Vote(v) => self.vote(v),
            Message::Proposal(p) => self.proposal(p),
            Message::Polka(c) if c.signers.has(self.me) => c.votes().for_each(|v| self.vote(&v)),
            Message::RoundCertificate(c) => {
                for vote in &c.votes {
                    self.vote(&SignedVote {
                        vote: rota_types::Vote {
                            epoch: c.epoch,
                            height: c.height,
                            round: c.round,
                            kind: vote.kind,
                            value_id: vote.value_id,
                        },
                        signer: vote.signer,
                        signature: vote.signature,
                    });
                }
            }
            Message::Status(s) => self.status(s),
            Message::TermInit(i) => self.init(i),
            Message::Ack(a) if a.ack.signer == self.me => {
                let a = a.clone();
                let (height, round, g) = (a.ack.height, a.ack.round, a.ack.g);
                let intent = Intent::Ack { height, round, g, hash: a.ack.frame_hash };
                let digest = a.ack.digest(self.domain);
                self.list.push(Claim { intent, digest, signature: Signature::Seq(a.signature) });
            }
            // Frames come as inputs of their own, and certificates of acks are not used.
            _ => {}
        }
    }

    fn justification(&mut self, what: &Justification) {
        match what {
            Justification::Init(init) => self.init(init),
            Justification::Reproposal { proposal, polka } => {
                self.proposal(proposal);
                polka.votes().for_each(|v| self.vote(&v));
            }
        }
    }

    fn vote(&mut self, signed: &SignedVote) {
        if signed.signer != self.me {
            return;
        }
        let v = &signed.vote;
        let intent =
            Intent::Vote { height: v.height, round: v.round, kind: v.kind, value_id: v.value_id };
        let signature = Signature::Vote(signed.signature);
        self.list.push(Claim { intent, digest: v.digest(self.domain), signature });
    }

    fn commit(&mut self, certificate: &CommitCertificate) {
        if certificate.signers.has(self.me) {
            certificate.votes().for_each(|v| self.vote(&v));
        }
    }

    fn proposal(&mut self, signed: &SignedProposal) {
        let p = &signed.proposal;
        if p.proposer == self.me {
            let digest = p.digest(self.domain);
            let intent = Intent::Proposal { height: p.height, round: p.round, value_id: digest };
            self.list.push(Claim { intent, digest, signature: Signature::Vote(signed.signature) });
        }
        if let Some(init) = &signed.init {
            self.init(init);
        }
    }

    fn status(&mut self, signed: &SignedStatus) {
        let s = &signed.status;
        if s.signer == self.me {
            let digest = s.digest(self.domain);
            let intent = Intent::Status { height: s.height, round: s.round, digest };
            self.list.push(Claim { intent, digest, signature: Signature::Vote(signed.signature) });
        }
    }

    fn init(&mut self, signed: &SignedTermInit) {
        let i = &signed.init;
        if i.leader == self.me {
            let digest = i.hash(self.domain);
            let intent = Intent::Term { height: i.height, round: i.round, init_hash: digest };
            self.list.push(Claim { intent, digest, signature: Signature::Seq(signed.signature) });
        }
        signed.reports.iter().for_each(|s| self.status(s));
    }

    fn frame(&mut self, frame: &Frame) {
        let h = &frame.signed.header;
        if h.leader == self.me {
            let (height, round) = (h.term.height, h.term.round);
            let intent = Intent::Term { height, round, init_hash: h.init_hash };
            self.list.push(Claim { intent, digest: frame.hash, signature: Signature::Checked });
        }
    }
}
