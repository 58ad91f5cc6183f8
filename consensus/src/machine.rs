//! Malachite's core as a sans-IO machine: one input in, ordered effects out.
//!
//! Not for: deciding what to propose, what to accept or when a timer fires (`replica`).
//! Invariants: an own message is emitted after its guard intent and its log entries, so a caller that
//! keeps the order never sends what it has not persisted; a panic or an internal error inside the core
//! is fatal and never retried.

mod hands;
mod replay;

use crate::{
    context::{Ctx, Cut, H, Index, Members},
    convert,
};
use alloy_primitives::B256;
use hands::Hands;
use malachite_core::{Input, LocallyProposedValue, Params, ProposedValue, State, process};
use malachite_types::{
    self as mal, Round, Timeout, Validity, ValueOrigin, ValuePayload, VoteExtensionPolicy,
};
use rota_store::{Intent, Watermarks};
use rota_types::{
    CommitCertificate, Domain, Encode, Header, PolkaCertificate, SignError, SignedProposal,
    SignedTermInit, Signer, ValidatorSet, wire::Message,
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
    /// This key signs elsewhere too, or its guard is not the newest. The operator's move.
    #[error("{0}")]
    Elsewhere(Box<crate::replica::Elsewhere>),
    /// There is no signature: the signer does not answer, or holds it for a contradiction. The operator's move.
    #[error(transparent)]
    Signer(#[from] SignError),
    /// This node's execution is not the one that the set certified. Us: it must be executed again, by a program without
    /// the fault.
    #[error(transparent)]
    Execution(#[from] rota_preconf::OtherExecution),
    /// L1 gave this generation up: nothing that is signed in it counts any more.
    #[error(
        "the set stood still for too long: L1 began generation {generation} at its block {l1_block}, and what this node would sign does not count any more"
    )]
    Over {
        /// The generation that began.
        generation: u32,
        /// Where.
        l1_block: u64,
    },
    /// Malachite's core failed an internal check.
    #[error("consensus core failed: {0}")]
    Core(String),
    /// The write-ahead log does not decode.
    #[error("write-ahead log: {0}")]
    Wal(#[from] rota_types::DecodeError),
}

/// What the machine wants done, in this order.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "passed on by value once; no allocation for each vote"
)]
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
    key: Option<Arc<dyn Signer>>,
    replaying: bool,
    /// What the guard held when a replay began.
    earlier: Option<Watermarks>,
}

/// What a machine is made of.
pub(crate) struct Setup {
    pub(crate) me: Option<u16>,
    pub(crate) set: Arc<ValidatorSet>,
    pub(crate) domain: Arc<Domain>,
    pub(crate) key: Option<Arc<dyn Signer>>,
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
            earlier: None,
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

    #[expect(clippy::too_many_arguments, reason = "place, value, and where effects go")]
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

    /// The prevotes of more than two thirds for the value, if they are known.
    pub(crate) fn polka(&self, round: i32, id: &B256) -> Option<PolkaCertificate> {
        let polka = self.state.polka_certificate(convert::pol(round), id)?;
        Some(convert::polka_out(polka, self.epoch))
    }

    /// A proposal that is known, if it proposes its value again.
    pub(crate) fn reproposal(&self, round: u32, id: &B256) -> Option<SignedProposal> {
        let at = convert::round(round);
        let driver = &self.state.driver;
        let (signed, _) = driver.proposal_and_validity_for_round_and_value(at, *id)?;
        let again = signed.message.pol.is_defined();
        again.then(|| convert::proposal_out(signed, self.epoch, B256::ZERO))
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
            made: Vec::new(),
            guard,
            earlier: self.earlier.as_ref(),
            out,
            refused: &mut refused,
            unsigned: None,
        };
        let state = &mut self.state;
        #[expect(
            clippy::result_large_err,
            reason = "the error is of the core; it ends the process"
        )]
        let result = catch_unwind(AssertUnwindSafe(|| {
            let done: Result<(), malachite_core::Error<Ctx>> = process!(
                input: input,
                state: state,
                metrics: &(),
                with: effect => Ok::<_, Infallible>(hands.handle(effect))
            );
            done
        }));
        let unsigned = hands.unsigned.take();
        if let Some(error) = unsigned {
            out.truncate(from);
            return Err(Fatal::Signer(error));
        }
        if let Some(refused) = refused {
            out.truncate(from);
            return Err(Fatal::Guard(refused));
        }
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Fatal::Core(error.to_string())),
            Err(panic) => return Err(Fatal::Core(panic_text(panic.as_ref()))),
        }
        guards_last(from, out);
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

/// Moves guard intents behind the log entries of the same message: what the guard knows of is then in the log
/// as well, wherever a crash cuts.
fn guards_last(from: usize, out: &mut Vec<Act>) {
    let (mut ordered, mut waiting) = (Vec::new(), Vec::new());
    for act in out.drain(from..) {
        match act {
            Act::Guard(_) => waiting.push(act),
            Act::Say(_) => {
                ordered.append(&mut waiting);
                ordered.push(act);
            }
            _ => ordered.push(act),
        }
    }
    ordered.append(&mut waiting);
    out.append(&mut ordered);
}

/// A complete value for the machine.
pub(crate) struct Offer {
    pub(crate) height: u64,
    pub(crate) round: u32,
    pub(crate) proposer: u16,
    pub(crate) header: Arc<Header>,
    pub(crate) synced: bool,
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
