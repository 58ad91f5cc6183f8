//! What to ask the client next, and what its answers mean.
//!
//! Sans-IO: [`Driver::next`] says what to do, [`Driver::answer`] takes what came back; time is an argument. Not for:
//! HTTP. Invariant: a block is given only on top of one that the client called valid, or that it has itself at that
//! place of its chain; after anything unexpected the driver greets the client again and looks for the newest block
//! that both have, so that either side may restart, forget or be empty at any moment.

mod locate;
mod talk;

pub use talk::{Answer, Ask, Chain, Failed, Hello, Next, Settings};

use super::{Disagreement, EngineBlock, EngineSeen, ExternalError, Mark, Target};
use alloy_primitives::B256;
use alloy_rpc_types_engine::{ForkchoiceState, PayloadStatus, PayloadStatusEnum};
use locate::Locate;
use rota_types::Millis;
use std::sync::Arc;

/// After so long without a new block the client is asked again where it stands: it may have died and gone back.
const HEARTBEAT_MS: Millis = 15_000;
/// Between two looks whether the derivation has come as far as the client.
const IDLE_MS: Millis = 1_000;
/// Waits after failures: doubled from the first to the last.
const BACKOFF_MS: (Millis, Millis) = (50, 5_000);
/// How long the client may say SYNCING or ACCEPTED to one block before it is asked where it stands.
const PATIENCE_MS: Millis = 30_000;
/// What helps a client that has lost its state and waits for peers to give it one. Only its own end, in order, writes down
/// what it has executed again since.
const RESTART: &str = "it has the block below and takes none on top, as if it waited for peers: stop it in order (SIGTERM) and start it again";
/// How often a client may refuse one head before that is the end.
const MAX_REFUSALS: u32 = 8;
/// A block that it cannot even read.
const INVALID_PARAMS: i64 = -32_602;
/// "Invalid forkchoice state" and geth's "too deep reorg".
const REFUSALS: std::ops::RangeInclusive<i64> = -38_010..=-38_002;

#[derive(Debug)]
enum Phase {
    Greet,
    Locate(Locate),
    Feed {
        /// The newest block that the client has on our chain.
        at: Mark,
        /// The last choice that it confirmed, and when.
        told: Option<(ForkchoiceState, Millis)>,
        /// The number of the head in it.
        head: u64,
    },
}

/// The driver of one client.
#[derive(Debug)]
pub struct Driver {
    settings: Settings,
    phase: Phase,
    hello: Option<Hello>,
    /// Do nothing before this time.
    not_before: Millis,
    failures: u32,
    /// The block to which it says SYNCING or ACCEPTED, and since when.
    pending: Option<(u64, Millis)>,
    /// It said so for long, on top of a head that it confirmed.
    stalled: bool,
    refusals: u32,
    seen: EngineSeen,
}

impl Driver {
    /// One that has not met its client.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Greet,
            hello: None,
            not_before: 0,
            failures: 0,
            pending: None,
            stalled: false,
            refusals: 0,
            seen: EngineSeen::default(),
        }
    }

    /// What is known of the client.
    #[must_use]
    pub const fn seen(&self) -> &EngineSeen {
        &self.seen
    }
    /// Whether the last answer was one that counts.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.seen.up
    }

    /// What to do now.
    ///
    /// # Errors
    /// The client runs another chain.
    pub fn next(&mut self, now: Millis, chain: &dyn Chain) -> Result<Next, ExternalError> {
        if now < self.not_before {
            return Ok(Next::Wait(self.not_before.saturating_sub(now)));
        }
        let target = chain.target();
        // A follower that has just started knows less than its client, which must not go back for that.
        let early = !target.settled && self.is_ahead(target);
        loop {
            let ask = match &mut self.phase {
                Phase::Greet => Ask::Hello,
                Phase::Locate(_) if early => return Ok(Next::Wait(IDLE_MS)),
                Phase::Locate(locate) => match locate.next(chain) {
                    locate::Step::Ask(number) => Ask::HashAt(number),
                    locate::Step::Other(theirs) => {
                        return Err(ExternalError::OtherGenesis { theirs, ours: chain.genesis() });
                    }
                    locate::Step::Found(at) => {
                        tracing::debug!(
                            at.number,
                            head = target.head.number,
                            "newest block in common"
                        );
                        self.phase = Phase::Feed { at, told: None, head: at.number };
                        continue;
                    }
                },
                Phase::Feed { at, told, head } => {
                    let (at, told, head) = (*at, *told, *head);
                    if at.number > target.head.number || chain.hash(at.number) != Some(at.hash) {
                        self.phase =
                            Phase::Locate(Locate::below(at.number.min(target.head.number)));
                        continue;
                    }
                    if told.is_some_and(|(last, when)| {
                        last == choice(at, target) && now >= when.saturating_add(HEARTBEAT_MS)
                    }) {
                        self.phase = Phase::Greet;
                        continue;
                    }
                    return Ok(self.feed((at, told, head), (now, target), chain));
                }
            };
            return Ok(Next::Ask(ask));
        }
    }

    fn is_ahead(&self, target: Target) -> bool {
        self.hello.as_ref().is_some_and(|h| h.latest > target.head.number)
    }

    /// The next block, or the choice of the head.
    fn feed(
        &mut self,
        (at, told, head): (Mark, Option<(ForkchoiceState, Millis)>, u64),
        (now, target): (Millis, Target),
        chain: &dyn Chain,
    ) -> Next {
        let done = at.number == target.head.number;
        let choice = choice(at, target);
        let due = at.number.saturating_sub(head) >= self.settings.stride.max(1);
        // A client that died may know blocks whose state it has lost, and takes none on top of them: moving its head
        // there makes it execute them again.
        let next = at.number.saturating_add(1);
        let stuck = self.pending.is_some_and(|(number, _)| number == next)
            && told.is_none_or(|(last, _)| last != choice);
        // And geth, after a restart, moves its head to none of them before it was told the head that it has.
        let greeting = told.is_none() && self.hello.as_ref().is_some_and(|h| h.latest == at.number);
        if done || due || stuck || greeting {
            return match told {
                Some((last, when)) if last == choice && done => {
                    Next::Wait(when.saturating_add(HEARTBEAT_MS).saturating_sub(now))
                }
                _ => Next::Ask(Ask::Forkchoice(at.number, choice)),
            };
        }
        match chain.block(next) {
            Some(block) if block.parent_hash() == at.hash => Next::Ask(Ask::Payload(block)),
            // The chain has just changed below: the new target is on its way.
            _ => Next::Wait(BACKOFF_MS.0),
        }
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// What the client cannot recover from; see [`ExternalError`].
    pub fn answer(&mut self, now: Millis, ask: &Ask, answer: Answer) -> Result<(), ExternalError> {
        match (ask, answer) {
            (_, Answer::Failed(failed)) => self.failed(now, ask, failed),
            (Ask::Hello, Answer::Hello(hello)) => self.met(hello),
            (Ask::HashAt(number), Answer::HashAt(hash)) => {
                self.worked();
                if let Phase::Locate(locate) = &mut self.phase {
                    locate.answer(*number, hash);
                }
                Ok(())
            }
            (Ask::Payload(block), Answer::Status(status)) => self.payload(now, block, status),
            (Ask::Forkchoice(number, state), Answer::Status(status)) => {
                self.forkchoice(now, (*number, *state), status)
            }
            (_, answer) => {
                let failed = Failed::Nonsense(format!("{answer:?}"));
                self.failed(now, ask, failed)
            }
        }
    }

    fn met(&mut self, hello: Hello) -> Result<(), ExternalError> {
        let ours = self.settings.chain_id;
        if hello.chain_id != ours {
            return Err(ExternalError::OtherChain { theirs: hello.chain_id, ours });
        }
        if self.hello.as_ref().is_none_or(|h| h.version != hello.version) {
            tracing::info!(
                client = hello.version,
                block = hello.latest,
                "leading an execution client"
            );
        }
        self.phase = Phase::Locate(Locate::new(hello.genesis, hello.latest));
        self.hello = Some(hello);
        self.worked();
        Ok(())
    }

    fn payload(
        &mut self,
        now: Millis,
        block: &Arc<EngineBlock>,
        status: PayloadStatus,
    ) -> Result<(), ExternalError> {
        match status.status {
            PayloadStatusEnum::Valid => {
                self.valid(now, block.number());
                self.stalled = false;
                self.seen.fed = self.seen.fed.saturating_add(1);
                if let Phase::Feed { at, .. } = &mut self.phase {
                    *at = Mark { number: block.number(), hash: block.hash() };
                }
                Ok(())
            }
            PayloadStatusEnum::Invalid { validation_error } => {
                Err(self.disagree(block, validation_error, status.latest_valid_hash))
            }
            PayloadStatusEnum::Syncing | PayloadStatusEnum::Accepted => {
                self.pending(now, block.number(), status.status.as_str());
                Ok(())
            }
        }
    }

    fn forkchoice(
        &mut self,
        now: Millis,
        (number, state): (u64, ForkchoiceState),
        status: PayloadStatus,
    ) -> Result<(), ExternalError> {
        match status.status {
            PayloadStatusEnum::Valid => {
                self.valid(now, number);
                self.refusals = 0;
                (self.seen.head, self.seen.hash) = (number, state.head_block_hash);
                if let Phase::Feed { told, head, .. } = &mut self.phase {
                    (*told, *head) = (Some((state, now)), number);
                }
                Ok(())
            }
            // It called this block valid before, so this is about its own chain, not about the block.
            PayloadStatusEnum::Invalid { validation_error } => {
                self.refused(now, state.head_block_hash, validation_error)
            }
            PayloadStatusEnum::Syncing | PayloadStatusEnum::Accepted => {
                self.pending(now, number, status.status.as_str());
                Ok(())
            }
        }
    }

    fn failed(&mut self, now: Millis, ask: &Ask, failed: Failed) -> Result<(), ExternalError> {
        let problem = failed.to_string();
        match (failed, ask) {
            (Failed::Unauthorized(why), _) => return Err(ExternalError::Unauthorized(why)),
            (Failed::NoEngine { url, missing }, _) => {
                return Err(ExternalError::NoEngine { url, missing });
            }
            (Failed::Refused { code: INVALID_PARAMS, message }, Ask::Payload(block)) => {
                return Err(self.disagree(block, message, None));
            }
            (Failed::Refused { code, message }, Ask::Forkchoice(_, state))
                if REFUSALS.contains(&code) =>
            {
                return self.refused(now, state.head_block_hash, message);
            }
            _ => {}
        }
        self.trouble(now, problem);
        self.phase = Phase::Greet;
        Ok(())
    }

    fn refused(&mut self, now: Millis, head: B256, why: String) -> Result<(), ExternalError> {
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals > MAX_REFUSALS {
            return Err(ExternalError::Stuck { head, why });
        }
        tracing::warn!(%head, why, "the execution client refuses a head; looking where it stands");
        self.trouble(now, why);
        self.phase = Phase::Greet;
        Ok(())
    }

    /// It has not executed the block yet. Ask where it stands, for it may have died since; then again and again, and
    /// after a while once more.
    fn pending(&mut self, now: Millis, number: u64, status: &str) {
        let known = self.pending.filter(|(of, _)| *of == number);
        let (_, since) = *self.pending.insert(known.unwrap_or((number, now)));
        let waited = now.saturating_sub(since);
        let hint = if self.stalled { format!("; {RESTART}") } else { String::new() };
        self.trouble(now, format!("{status} at block {number} for {waited} ms{hint}"));
        // SYNCING is an answer: the client is there, and at work.
        self.seen.up = true;
        if known.is_none() {
            self.phase = Phase::Greet;
        } else if waited >= PATIENCE_MS {
            self.stalled |= matches!(&self.phase, Phase::Feed { at, told: Some(_), head }
                if at.number == *head && at.number.checked_add(1) == Some(number));
            tracing::warn!(
                number,
                status,
                waited,
                "the execution client does not get on; looking where it stands{}",
                if self.stalled { format!("; {RESTART}") } else { String::new() }
            );
            self.pending = None;
            self.phase = Phase::Greet;
        }
    }

    fn trouble(&mut self, now: Millis, problem: String) {
        let wait = BACKOFF_MS.0.saturating_mul(1 << self.failures.min(12)).min(BACKOFF_MS.1);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.saturating_add(wait);
        self.seen.up = false;
        self.seen.problem = Some(problem);
    }

    fn worked(&mut self) {
        (self.failures, self.not_before) = (0, 0);
        self.seen.up = true;
    }

    fn valid(&mut self, now: Millis, number: u64) {
        self.worked();
        self.pending = self.pending.filter(|(of, _)| *of > number);
        self.seen.problem = None;
        self.seen.valid_at = Some(now);
    }

    fn disagree(
        &self,
        block: &Arc<EngineBlock>,
        reason: String,
        latest_valid: Option<B256>,
    ) -> ExternalError {
        let (block, client) = (Arc::clone(block), self.hello.clone());
        ExternalError::Invalid(Box::new(Disagreement { block, client, reason, latest_valid }))
    }
}

/// Head, safe and final block. What is safe or final above the client's head makes that head so. Zero stands for
/// "none yet".
fn choice(at: Mark, target: Target) -> ForkchoiceState {
    let upto = |mark: Mark| match mark.number.min(at.number) {
        0 => B256::ZERO,
        number if number == at.number => at.hash,
        _ => mark.hash,
    };
    ForkchoiceState {
        head_block_hash: at.hash,
        safe_block_hash: upto(target.safe),
        finalized_block_hash: upto(target.finalized),
    }
}
