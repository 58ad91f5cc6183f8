//! Malachite's core as a sans-IO machine: one input in, ordered effects out.
//!
//! Not for: deciding what to propose, what to accept or when a timer fires (`replica`).
//! Invariants: an own message is emitted after its guard intent and its log entries, so a caller that
//! keeps the order never sends what it has not persisted; a panic or an internal error inside the core
//! is fatal and never retried.

use crate::{
    context::{Ballot, Ctx, Cut, H, Index, Key, Members, Prop, Sig},
    convert, wal,
};
use alloy_primitives::B256;
use malachite_core::{
    ConsensusMsg, Effect, Input, LivenessMsg, LocallyProposedValue, Params, ProposedValue,
    Resumable, Resume, SignedConsensusMsg, State, process,
};
use malachite_types::{
    self as mal, CertificateError, Round, SignedMessage, Timeout, Validity, ValueOrigin,
    ValuePayload, VoteExtensionPolicy,
};
use rota_store::{Intent, Watermarks};
use rota_types::{
    CommitCertificate, Domain, Encode, Header, SignedTermInit, ValidatorSet, VoteKey, recover_vote,
    wire::Message,
};
use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Why the machine stopped for good. Ours: the process must stop and not be restarted blindly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The sign guard refused. Another machine with this key, or an old disk, is the usual cause.
    #[error("{0}")]
    Guard(#[from] rota_store::Refused),
    /// Malachite's core failed an internal check.
    #[error("consensus core failed: {0}")]
    Core(String),
    /// The write-ahead log does not decode.
    #[error("write-ahead log: {0}")]
    Wal(#[from] rota_types::DecodeError),
}

/// What the machine wants done, in this order.
#[derive(Debug)]
pub(crate) enum Act {
    /// Append to the write-ahead log.
    Wal(Vec<u8>),
    /// Append to the sign guard.
    Guard(Intent),
    /// Tell all validators, after everything above is durable.
    Say(Message),
    /// Start or restart a timer.
    Timer(Timeout),
    /// Stop a timer.
    Cancel(Timeout),
    /// Stop all timers.
    CancelAll,
    /// A round began.
    Round { round: u32, proposer: u16 },
    /// This node is to propose.
    NeedValue { round: u32 },
    /// The height is decided.
    Decided { certificate: CommitCertificate, header: Option<Arc<Header>> },
    /// The height is over; start the next one.
    Finalized { misbehaved: Vec<u16> },
    /// A synced certificate verified; give the value.
    SyncVerified(CommitCertificate),
    /// A synced certificate was refused.
    SyncRejected(String),
}

pub(crate) struct Machine {
    state: State<Ctx>,
    me: Index,
    epoch: u64,
    set: Arc<ValidatorSet>,
    domain: Arc<Domain>,
    key: Option<Arc<VoteKey>>,
    replaying: bool,
}

/// What a machine is made of.
pub(crate) struct Setup {
    pub(crate) me: Option<u16>,
    pub(crate) set: Arc<ValidatorSet>,
    pub(crate) domain: Arc<Domain>,
    pub(crate) key: Option<Arc<VoteKey>>,
}

/// Heights and inputs per height that the core may buffer; we feed it the current height only.
const QUEUE: (usize, usize) = (4, 256);

impl Machine {
    /// A machine for `height`. Without an index or a key it never votes.
    pub(crate) fn new(height: u64, members: Members, setup: Setup) -> Self {
        let me = Index(setup.me.unwrap_or(u16::MAX));
        let params = Params {
            address: me,
            threshold_params: Default::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: setup.me.is_some() && setup.key.is_some(),
        };
        let state = State::new(Ctx, H(height), members, params, QUEUE.0, QUEUE.1);
        Self {
            state,
            me,
            epoch: setup.set.epoch(),
            set: setup.set,
            domain: setup.domain,
            key: setup.key,
            replaying: false,
        }
    }

    pub(crate) const fn votes(&self) -> bool {
        self.key.is_some()
    }

    pub(crate) fn start(
        &mut self,
        height: u64,
        members: Members,
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        let policy = VoteExtensionPolicy::Disabled;
        self.step(Input::StartHeight(H(height), members, false, None, policy), guard, out)
    }

    /// Starts a height again from what the log holds of it.
    pub(crate) fn replay(
        &mut self,
        height: u64,
        members: Members,
        entries: &[Vec<u8>],
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        let mut inputs = Vec::new();
        for bytes in entries {
            let (at, input) = wal::decode(bytes, &self.domain)?;
            if at == height {
                inputs.push(input);
            }
        }
        self.state.index_wal_entries(inputs.iter());
        self.replaying = true;
        let policy = VoteExtensionPolicy::Disabled;
        self.step(Input::StartHeight(H(height), members, true, None, policy), guard, out)?;
        for input in inputs {
            self.step(input, guard, out)?;
        }
        self.replaying = false;
        self.state.reset_entries_index();
        Ok(())
    }

    pub(crate) fn message(
        &mut self,
        message: Message,
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        let input = match message {
            Message::Vote(v) => Input::Vote(convert::vote_in(&v)),
            Message::Proposal(p) => Input::Proposal(convert::proposal_in(*p)),
            Message::Polka(c) => Input::PolkaCertificate(convert::polka_in(&c)),
            Message::RoundCertificate(c) => Input::RoundCertificate(convert::round_in(&c)),
            _ => return Ok(()),
        };
        self.step(input, guard, out)
    }

    pub(crate) fn timeout(
        &mut self,
        timeout: Timeout,
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        self.step(Input::TimeoutElapsed(timeout), guard, out)
    }

    pub(crate) fn propose(
        &mut self,
        place: (u64, u32),
        header: Arc<Header>,
        init: Option<Arc<SignedTermInit>>,
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        let value = Cut::new(header.value_id(&self.domain), header, init);
        let local = LocallyProposedValue::new(H(place.0), convert::round(place.1), value);
        self.step(Input::Propose(local), guard, out)
    }

    /// Gives a value whose frames are all here.
    pub(crate) fn value(
        &mut self,
        offer: Offer,
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        let value = Cut::new(offer.header.value_id(&self.domain), offer.header, None);
        let proposed = ProposedValue {
            height: H(offer.height),
            round: convert::round(offer.round),
            valid_round: Round::Nil,
            proposer: Index(offer.proposer),
            value,
            validity: Validity::Valid,
        };
        let origin = if offer.synced { ValueOrigin::Sync } else { ValueOrigin::Consensus };
        self.step(Input::ProposedValue(proposed, origin), guard, out)
    }

    pub(crate) fn synced(
        &mut self,
        certificate: &CommitCertificate,
        header: &Header,
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        let response = mal::ValueResponse::new(
            neutral_peer()?,
            header.encode().into(),
            convert::commit_in(certificate),
        );
        self.step(Input::SyncValueResponse(response), guard, out)
    }

    fn step(
        &mut self,
        input: Input<Ctx>,
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        let from = out.len();
        let mut refused = None;
        let mut hands = Hands {
            me: self.me,
            epoch: self.epoch,
            set: &self.set,
            domain: &self.domain,
            key: self.key.as_deref(),
            replaying: self.replaying,
            guard,
            out,
            refused: &mut refused,
        };
        let state = &mut self.state;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let done: Result<(), malachite_core::Error<Ctx>> = process!(
                input: input,
                state: state,
                metrics: &(),
                with: effect => Ok::<_, Infallible>(hands.handle(effect))
            );
            done
        }));
        if let Some(refused) = refused {
            out.truncate(from);
            return Err(Fatal::Guard(refused));
        }
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Fatal::Core(error.to_string())),
            Err(panic) => return Err(Fatal::Core(panic_text(panic.as_ref()))),
        }
        self.fill_decided(from, out)
    }

    /// The decide effect names the value by id only; the value itself is in the state.
    fn fill_decided(&self, from: usize, out: &mut [Act]) -> Result<(), Fatal> {
        for act in out.iter_mut().skip(from) {
            if let Act::Decided { certificate, header } = act {
                let (_, cut) = self
                    .state
                    .decided_value()
                    .filter(|(_, cut)| cut.id == certificate.value_id)
                    .ok_or_else(|| Fatal::Core("decided without a value".to_owned()))?;
                *header = Some(cut.header);
            }
        }
        Ok(())
    }
}

/// A complete value for the machine.
pub(crate) struct Offer {
    pub(crate) height: u64,
    pub(crate) round: u32,
    pub(crate) proposer: u16,
    pub(crate) header: Arc<Header>,
    pub(crate) synced: bool,
}

/// Answers the core's effects. Signing and verifying happen here, everything else is passed on.
struct Hands<'a> {
    me: Index,
    epoch: u64,
    set: &'a ValidatorSet,
    domain: &'a Domain,
    key: Option<&'a VoteKey>,
    replaying: bool,
    guard: &'a mut Watermarks,
    out: &'a mut Vec<Act>,
    refused: &'a mut Option<rota_store::Refused>,
}

impl Hands<'_> {
    fn handle(&mut self, effect: Effect<Ctx>) -> Resume<Ctx> {
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
                self.pass(Act::Say(Message::Vote(convert::vote_out(&v, self.epoch))), r)
            }
            Effect::PublishConsensusMsg(SignedConsensusMsg::Proposal(p), r) => {
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
                if !self.replaying
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
        self.sign(intent, vote.digest(self.domain))
    }

    fn sign_proposal(&mut self, p: &Prop) -> Sig {
        let proposal = convert::proposal_of(p, self.epoch, self.init_hash(p));
        let digest = proposal.digest(self.domain);
        let intent =
            Intent::Proposal { height: proposal.height, round: proposal.round, value_id: digest };
        self.sign(intent, digest)
    }

    /// Signs after the guard agreed. A refusal stops the machine; the blank signature never leaves it.
    fn sign(&mut self, intent: Intent, digest: B256) -> Sig {
        match (self.guard.check_and_record(&intent), self.key) {
            (Ok(new), Some(key)) => {
                if new {
                    self.out.push(Act::Guard(intent));
                }
                Sig(key.sign(&digest))
            }
            (Ok(_), None) => Sig([0; 65]),
            (Err(refused), _) => {
                self.refused.get_or_insert(refused);
                Sig([0; 65])
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
        (signer == self.me && self.key.is_some())
            || recover_vote(&digest, &m.signature.0).is_ok_and(|a| a == key.0)
    }

    fn verify_round(&self, c: &mal::RoundCertificate<Ctx>) -> Result<(), CertificateError<Ctx>> {
        use malachite_types::RoundCertificateType::{Precommit, Skip};
        let mut weight = 0u64;
        let mut seen = std::collections::BTreeSet::new();
        for vote in c.votes(&Ctx) {
            let wire = convert::vote_out(&vote, self.epoch);
            let Some(v) = self.set.get(wire.signer) else { return Err(CertificateError::VerificationError(None)) };
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

fn refuse(error: rota_types::CertError) -> CertificateError<Ctx> {
    tracing::debug!(%error, "refused a certificate");
    CertificateError::VerificationError(None)
}

/// Peers are judged by the replica; the core only wants some id.
fn neutral_peer() -> Result<malachite_core::PeerId, Fatal> {
    malachite_core::PeerId::from_bytes(b"\x00\x04rota")
        .map_err(|_| Fatal::Core("no neutral peer id".to_owned()))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a text".to_owned())
}
