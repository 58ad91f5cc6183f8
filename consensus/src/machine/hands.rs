//! Answers to the core's effects: signing under the guard, verifying, and passing on the rest.
//!
//! Not for: the order of inputs (`Machine`).
//! Invariant: nothing is signed that the guard did not accept, and a refusal stops the machine; what is
//! verified here is verified with the set of the epoch.

use super::Act;
use crate::{
    context::{Ballot, Ctx, Index, Key, Prop, Sig},
    convert, wal,
};
use alloy_primitives::B256;
use malachite_core::{
    ConsensusMsg, Effect, Input, LivenessMsg, Resumable, Resume, SignedConsensusMsg,
};
use malachite_types::{self as mal, CertificateError, SignedMessage};
use rota_store::{Intent, Watermarks};
use rota_types::{
    Domain, SignError, Signer, ValidatorSet, VoteMessage, recover_vote, wire::Message,
};

/// Stands for a signature that was not made. No verification accepts it, and nothing with it leaves or is logged.
const BLANK: Sig = Sig([0; 65]);

/// Answers the core's effects. Signing and verifying happen here, everything else is passed on.
pub(super) struct Hands<'a> {
    pub(super) me: Index,
    pub(super) epoch: u64,
    pub(super) set: &'a ValidatorSet,
    pub(super) domain: &'a Domain,
    pub(super) key: Option<&'a dyn Signer>,
    pub(super) replaying: bool,
    /// Signatures made in this step.
    pub(super) made: Vec<Sig>,
    pub(super) guard: &'a mut Watermarks,
    /// What the guard held when this height was taken up again after a restart.
    pub(super) earlier: Option<&'a Watermarks>,
    pub(super) out: &'a mut Vec<Act>,
    pub(super) refused: &'a mut Option<rota_store::Refused>,
    /// Why the signer gave no signature.
    pub(super) unsigned: Option<SignError>,
}

impl Hands<'_> {
    pub(super) fn handle(&mut self, effect: Effect<Ctx>) -> Resume<Ctx> {
        match effect {
            Effect::CancelAllTimeouts(r) => self.pass(Act::CancelAll, r),
            Effect::CancelTimeout(t, r) => self.pass(Act::Cancel(t), r),
            Effect::ScheduleTimeout(t, r) => self.pass(Act::Timer(t), r),
            Effect::StartRound(_, round, proposer, _, r) => {
                self.pass(Act::Round { round: convert::unround(round), proposer: proposer.0 }, r)
            }
            Effect::PublishConsensusMsg(SignedConsensusMsg::Vote(v), r)
            | Effect::RepublishVote(v, r)
            | Effect::PublishLivenessMsg(LivenessMsg::Vote(v), r) => {
                if v.signature == BLANK {
                    return r.resume_with(());
                }
                self.pass(Act::Say(Message::Vote(convert::vote_out(&v, self.epoch))), r)
            }
            Effect::PublishConsensusMsg(SignedConsensusMsg::Proposal(p), r) => {
                if p.signature == BLANK {
                    return r.resume_with(());
                }
                let out = convert::proposal_out(&p, self.epoch, self.init_hash(&p.message));
                self.pass(Act::Say(Message::Proposal(Box::new(out))), r)
            }
            Effect::PublishLivenessMsg(LivenessMsg::PolkaCertificate(c), r) => {
                self.pass(Act::Say(Message::Polka(convert::polka_out(&c, self.epoch))), r)
            }
            Effect::PublishLivenessMsg(LivenessMsg::SkipRoundCertificate(c), r)
            | Effect::RepublishRoundCertificate(c, r) => {
                let out = convert::round_out(&c, self.epoch);
                self.pass(Act::Say(Message::RoundCertificate(out)), r)
            }
            Effect::GetValue(_, round, _, r) => {
                self.pass(Act::NeedValue { round: convert::unround(round) }, r)
            }
            // Frames are kept and served by request, with their original signatures.
            Effect::RestreamProposal(_, _, _, _, _, r) => r.resume_with(()),
            Effect::CertVerifiedSyncValue(v, _, r) => {
                let certificate = convert::commit_trim(&v.certificate, self.epoch);
                self.pass(Act::SyncVerified(certificate), r)
            }
            Effect::CertRejectedSyncValue(_, _, error, r) => {
                self.pass(Act::SyncRejected(error.to_string()), r)
            }
            Effect::Decide(c, _, r) => {
                let certificate = convert::commit_out(&c, self.epoch);
                self.pass(Act::Decided { certificate, header: None }, r)
            }
            Effect::Finalize(_, _, evidence, r) => {
                let mut misbehaved: Vec<u16> = evidence.votes.iter().map(|(a, _)| a.0).collect();
                misbehaved.extend(evidence.proposals.iter().map(|(a, _)| a.0));
                self.pass(Act::Finalized { misbehaved }, r)
            }
            other => self.handle_crypto(other),
        }
    }

    fn handle_crypto(&mut self, effect: Effect<Ctx>) -> Resume<Ctx> {
        match effect {
            Effect::SignVote(b, r) => {
                let sig = self.sign_vote(&b);
                r.resume_with(SignedMessage::new(b, sig))
            }
            Effect::SignProposal(p, r) => {
                let sig = self.sign_proposal(&p);
                r.resume_with(SignedMessage::new(p, sig))
            }
            Effect::VerifySignature(m, key, r) => r.resume_with(self.verify(&m, &key)),
            // Every precommit in it was verified when it arrived.
            Effect::VerifyCommitCertificate(_, _, _, r) => r.resume_with(Ok(())),
            Effect::VerifyExtendedCommitCertificate(c, _, _, _, r) => {
                let certificate = convert::commit_trim(&c, self.epoch);
                r.resume_with(certificate.verify(self.set, self.domain).map(drop).map_err(refuse))
            }
            Effect::VerifyPolkaCertificate(c, _, _, r) => {
                let certificate = convert::polka_out(&c, self.epoch);
                r.resume_with(certificate.verify(self.set, self.domain).map(drop).map_err(refuse))
            }
            Effect::VerifyRoundCertificate(c, _, _, r) => r.resume_with(self.verify_round(&c)),
            Effect::WalAppend(height, input, r) => {
                // Who follows has nothing to go on with: its log would pass for that of a voter after a restart.
                if !self.replaying
                    && self.key.is_some()
                    && !unsigned(&input)
                    && let Some(bytes) = wal::encode(height.0, &input, self.epoch, self.domain)
                {
                    self.out.push(Act::Wal(bytes));
                }
                r.resume_with(())
            }
            Effect::ExtendVote(_, _, _, _, r) => r.resume_with(None),
            Effect::VerifyVoteExtension(_, _, _, _, _, _, r) => r.resume_with(Ok(())),
            _ => Resume::Continue,
        }
    }

    fn pass(&mut self, act: Act, r: impl Resumable<Ctx, Value = ()>) -> Resume<Ctx> {
        self.out.push(act);
        r.resume_with(())
    }

    fn init_hash(&self, p: &Prop) -> B256 {
        convert::fresh_init(p).map(|i| i.init.hash(self.domain)).unwrap_or_default()
    }

    fn sign_vote(&mut self, b: &Ballot) -> Sig {
        let vote = convert::vote_of(b, self.epoch);
        let intent = Intent::Vote {
            height: vote.height,
            round: vote.round,
            kind: vote.kind,
            value_id: vote.value_id,
        };
        self.sign(intent, &VoteMessage::Vote(vote))
    }

    fn sign_proposal(&mut self, p: &Prop) -> Sig {
        let proposal = convert::proposal_of(p, self.epoch, self.init_hash(p));
        let digest = proposal.digest(self.domain);
        let intent =
            Intent::Proposal { height: proposal.height, round: proposal.round, value_id: digest };
        self.sign(intent, &VoteMessage::Proposal(proposal))
    }

    /// Signs after the guard agreed. A refusal stops the machine; the blank signature never leaves it.
    fn sign(&mut self, intent: Intent, what: &VoteMessage) -> Sig {
        match (self.guard.check_and_record(&intent), self.key) {
            (Ok(new), Some(key)) => {
                if new {
                    self.out.push(Act::Guard(intent));
                }
                match key.sign_vote(what, self.domain) {
                    Ok(signature) => {
                        self.made.push(Sig(signature));
                        Sig(signature)
                    }
                    Err(error) => {
                        self.unsigned.get_or_insert(error);
                        BLANK
                    }
                }
            }
            (Ok(_), None) => BLANK,
            // The run before crashed between guard and log: what it signed there had not left. This place stays empty.
            (Err(_), _)
                if self.earlier.is_some_and(|e| e.clone().check_and_record(&intent).is_err()) =>
            {
                BLANK
            }
            (Err(refused), _) => {
                self.refused.get_or_insert(refused);
                BLANK
            }
        }
    }

    fn verify(&self, m: &SignedMessage<Ctx, ConsensusMsg<Ctx>>, key: &Key) -> bool {
        let (signer, digest) = match &m.message {
            ConsensusMsg::Vote(b) => (b.voter, convert::vote_of(b, self.epoch).digest(self.domain)),
            ConsensusMsg::Proposal(p) => {
                let proposal = convert::proposal_of(p, self.epoch, self.init_hash(p));
                (p.proposer, proposal.digest(self.domain))
            }
        };
        // Its own messages come back to the core at once: what was signed just now needs no second look.
        (signer == self.me && self.made.contains(&m.signature))
            || recover_vote(&digest, &m.signature.0).is_ok_and(|a| a == key.0)
    }

    fn verify_round(&self, c: &mal::RoundCertificate<Ctx>) -> Result<(), CertificateError<Ctx>> {
        use malachite_types::RoundCertificateType::{Precommit, Skip};
        let mut weight = 0u64;
        let mut seen = std::collections::BTreeSet::new();
        for vote in c.votes(&Ctx) {
            let wire = convert::vote_out(&vote, self.epoch);
            let Some(v) = self.set.get(wire.signer) else {
                return Err(CertificateError::VerificationError(None));
            };
            if !seen.insert(wire.signer) || wire.verify(v.vote_key, self.domain).is_err() {
                return Err(CertificateError::VerificationError(None));
            }
            weight = weight.saturating_add(v.power());
        }
        let enough = match c.cert_type {
            Precommit => self.set.is_quorum(weight),
            Skip => u128::from(weight).saturating_mul(3) > u128::from(self.set.total()),
        };
        if enough { Ok(()) } else { Err(CertificateError::VerificationError(None)) }
    }
}

fn unsigned(input: &Input<Ctx>) -> bool {
    match input {
        Input::Vote(v) => v.signature == BLANK,
        Input::Proposal(p) => p.signature == BLANK,
        _ => false,
    }
}

fn refuse(error: rota_types::CertError) -> CertificateError<Ctx> {
    tracing::debug!(%error, "refused a certificate");
    CertificateError::VerificationError(None)
}
