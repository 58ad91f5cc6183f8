//! This replica's own signatures in what others send: signs of a second machine, or of an old guard.
//!
//! Not for: what follows from one (`listen`). Invariants: nothing is said of a signature that was not verified; a
//! signature that the guard knows of is never reported, whoever sends it however often, so nobody can stop a replica
//! by sending its own messages again.

use super::{Input, Replica, Seats};
use rota_preconf::Frame;
use rota_store::{Intent, Known, Position};
use rota_types::{
    Bitmap, CommitCertificate, Domain, FrameHeader, Justification, Proposal, SeqSignature, Signed,
    SignedAck, SignedProposal, SignedStatus, SignedTermInit, SignedVote, TermInit, VoteSignature,
    recover_vote, verify_seq, wire::Message,
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
    /// Which of the own keys.
    pair: usize,
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
    /// The signatures of this replica in an input that its guards do not know of.
    pub(super) fn sightings(&self, input: &Input) -> Vec<Sighting> {
        let domain = &self.rules.domain;
        let mut claims = Claims { seats: &self.seats, domain, list: Vec::new() };
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
            Input::Signed { statements, .. } => statements.iter().for_each(|s| claims.signed(s)),
            Input::Txs(_)
            | Input::Origin(_)
            | Input::L1Read(_)
            | Input::Lag { .. }
            | Input::Set { .. }
            | Input::Durable(_)
            | Input::Evidence(_)
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
        let guard =
            if claim.pair == self.pair { &self.guard } else { self.guards.get(&claim.pair)? };
        let known = guard.known(&claim.intent);
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
        let Some(own) = self.seats.pairs().get(claim.pair) else { return false };
        match &claim.signature {
            Signature::Vote(s) => recover_vote(&claim.digest, s).is_ok_and(|a| a == own.vote_key()),
            Signature::Seq(s) => verify_seq(&own.seq_key(), &claim.digest, s).is_ok(),
            Signature::Checked => true,
        }
    }

    /// Whether a verified frame is of a term that this process opened, and above what it signed there.
    fn beyond_own(&self, frame: &Frame) -> bool {
        let h = &frame.signed.header;
        let at = Position { height: h.term.height, round: h.term.round };
        self.seats.own(h.epoch) == Some((self.pair, h.leader))
            && self.guard.opened_here() == Some(at)
            && self.lead.signed().is_none_or(|(term, seq)| term != h.term || h.seq > seq)
    }
}

/// Collects what is signed by this replica, by its index in the set of each message.
struct Claims<'a> {
    seats: &'a Seats,
    domain: &'a Domain,
    list: Vec<Claim>,
}

impl Claims<'_> {
    /// Which of the own keys an index in the set of an epoch stands for.
    fn own(&self, epoch: u64, index: u16) -> Option<usize> {
        self.seats.own(epoch).filter(|(_, own)| *own == index).map(|(pair, _)| pair)
    }

    /// Whether this replica is among the signers of a certificate.
    fn is_in(&self, epoch: u64, signers: &Bitmap) -> bool {
        self.seats.own(epoch).is_some_and(|(_, own)| signers.has(own))
    }

    fn message(&mut self, message: &Message) {
        match message {
            Message::Vote(v) => self.vote(v),
            Message::Proposal(p) => self.proposal(p),
            Message::Polka(c) if self.is_in(c.epoch, &c.signers) => {
                c.votes().for_each(|v| self.vote(&v));
            }
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
            Message::Ack(a) => self.ack(a),
            // Frames come as inputs of their own, and certificates of acks are not used.
            _ => {}
        }
    }

    fn signed(&mut self, said: &Signed) {
        match said {
            Signed::Frame(h, signature) => {
                if let Some(pair) = self.own(h.epoch, h.leader) {
                    let intent = of_frame(h);
                    let (digest, signature) = (h.hash(self.domain), Signature::Seq(*signature));
                    self.list.push(Claim { pair, intent, digest, signature });
                }
            }
            Signed::Init(i, signature) => self.opening(i, *signature),
            Signed::Ack(a) => self.ack(a),
            Signed::Vote(v) => self.vote(v),
            Signed::Proposal(p, signature, _) => self.proposed(p, *signature),
            Signed::Status(s) => self.status(s),
        }
    }

    fn ack(&mut self, a: &SignedAck) {
        let Some(pair) = self.own(a.ack.epoch, a.ack.signer) else { return };
        let (height, round, g) = (a.ack.height, a.ack.round, a.ack.g);
        let intent = Intent::Ack { height, round, g, hash: a.ack.frame_hash };
        let digest = a.ack.digest(self.domain);
        self.list.push(Claim { pair, intent, digest, signature: Signature::Seq(a.signature) });
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
        let v = &signed.vote;
        let Some(pair) = self.own(v.epoch, signed.signer) else { return };
        let intent =
            Intent::Vote { height: v.height, round: v.round, kind: v.kind, value_id: v.value_id };
        let signature = Signature::Vote(signed.signature);
        self.list.push(Claim { pair, intent, digest: v.digest(self.domain), signature });
    }

    fn commit(&mut self, certificate: &CommitCertificate) {
        if self.is_in(certificate.epoch, &certificate.signers) {
            certificate.votes().for_each(|v| self.vote(&v));
        }
    }

    fn proposal(&mut self, signed: &SignedProposal) {
        self.proposed(&signed.proposal, signed.signature);
        if let Some(init) = &signed.init {
            self.init(init);
        }
    }

    fn proposed(&mut self, p: &Proposal, signature: VoteSignature) {
        let Some(pair) = self.own(p.epoch, p.proposer) else { return };
        let digest = p.digest(self.domain);
        let intent = Intent::Proposal { height: p.height, round: p.round, value_id: digest };
        self.list.push(Claim { pair, intent, digest, signature: Signature::Vote(signature) });
    }

    fn status(&mut self, signed: &SignedStatus) {
        let s = &signed.status;
        if let Some(pair) = self.own(s.epoch, s.signer) {
            let digest = s.digest(self.domain);
            let intent = Intent::Status { height: s.height, round: s.round, digest };
            let signature = Signature::Vote(signed.signature);
            self.list.push(Claim { pair, intent, digest, signature });
        }
    }

    fn init(&mut self, signed: &SignedTermInit) {
        self.opening(&signed.init, signed.signature);
        signed.reports.iter().for_each(|s| self.status(s));
    }

    fn opening(&mut self, i: &TermInit, signature: SeqSignature) {
        let Some(pair) = self.own(i.epoch, i.leader) else { return };
        let digest = i.hash(self.domain);
        let intent = Intent::Term { height: i.height, round: i.round, init_hash: digest };
        self.list.push(Claim { pair, intent, digest, signature: Signature::Seq(signature) });
    }

    fn frame(&mut self, frame: &Frame) {
        let h = &frame.signed.header;
        if let Some(pair) = self.own(h.epoch, h.leader) {
            let intent = of_frame(h);
            let (digest, signature) = (frame.hash, Signature::Checked);
            self.list.push(Claim { pair, intent, digest, signature });
        }
    }
}

/// The term that a frame says is open.
const fn of_frame(h: &FrameHeader) -> Intent {
    Intent::Term { height: h.term.height, round: h.term.round, init_hash: h.init_hash }
}
