//! Posts batches of decided heights when it is this validator's turn.
//!
//! Anyone may post and the first accepted wins, so losing a race is not an error. Invariant: one transaction
//! at a time, kept in the journal before it is sent; what an L1 reorganisation drops is posted again because
//! the derivable tip goes back.

use super::{
    freeze,
    inbox::InboxState,
    pace::{Backoff, L1Health, Pace, Throttle},
    payload::{Posting, build_post},
    turn::{Turn, Waiting},
};
use alloy_primitives::{Address, B256, U256};
use parking_lot::Mutex;
use rota_l1::{
    Journal, JournalError, L1, L1Error, Outcome, Policy, Refusal, Status, TxChain, TxError,
    TxManager,
};
use rota_store::{BlockBatch, Blocks, StoreError, Tree};
use rota_types::Millis;
use std::sync::Arc;
use tokio::sync::watch;

const JOURNAL: &[u8] = b"poster";
const BLOB_BYTES: usize = 31 * 4096;
const BLOB_GAS: u64 = 131_072;

/// How posting transactions are pushed: done at first sight, because the inbox is followed anyway and a batch
/// that L1 drops is built anew.
#[must_use]
pub fn posting_policy() -> Policy {
    Policy { confirmations: 0, ..Policy::default() }
}

/// The journal of the posting account, in the store.
#[derive(Debug, Clone)]
pub struct StoreJournal(pub Blocks);

impl StoreJournal {
    /// Takes over what another database has under way from this account: the nonce is still taken.
    pub(crate) fn hand_on(&self, batch: &mut BlockBatch) -> Result<(), StoreError> {
        if let Some(bytes) = self.0.get(Tree::L1, JOURNAL)? {
            batch.put(Tree::L1, JOURNAL, bytes);
        }
        Ok(())
    }
}

impl Journal for StoreJournal {
    fn load(&self) -> Result<Option<Vec<u8>>, JournalError> {
        self.0.get(Tree::L1, JOURNAL).map_err(|e| JournalError(e.to_string()))
    }
    fn save(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let mut batch = BlockBatch::default();
        batch.put(Tree::L1, JOURNAL, bytes);
        let saved = self.0.commit(batch).and_then(|()| self.0.flush());
        saved.map_err(|e| JournalError(e.to_string()))
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// L1: try again.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The operator: fund the account.
    #[error(
        "the posting account {account} cannot pay: it has {balance} wei and needs about {need}"
    )]
    Funds {
        /// The account.
        account: Address,
        /// What it has, wei.
        balance: U256,
        /// What one batch may cost, wei.
        need: U256,
    },
    /// The transaction is stuck; the words say why.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// Us: the store, or a height that fits no transaction.
    #[error("{0}")]
    Build(String),
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PosterEvent {
    /// Nothing to do, or others' turn.
    Idle,
    /// A batch is under way.
    Sent {
        /// First height.
        from: u64,
        /// Last height.
        to: u64,
        /// Bytes of data.
        bytes: usize,
    },
    /// A transaction of ours is not mined yet.
    Pending,
    /// The set of an epoch is being frozen.
    Freezing(u64),
    /// Ours was accepted.
    Accepted {
        /// The transaction.
        tx: B256,
        /// Its L1 block.
        l1_block: u64,
    },
    /// Somebody else was first; ours reverted or was not sent.
    Late,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PosterStats {
    /// Ours, accepted.
    pub accepted: u64,
    /// Others were first.
    pub late: u64,
    /// Attempts that failed for another reason.
    pub failed: u64,
    /// Spent on transactions that were mined, wei.
    pub spent_wei: U256,
    /// Balance of the account when last seen, wei.
    pub balance_wei: Option<U256>,
}

/// Gives the turn by the set in force.
type Turns = Box<dyn Fn() -> Turn + Send + Sync>;

/// Posts from one account.
pub struct Poster<C, J> {
    manager: TxManager<C, J>,
    store: Blocks,
    inbox: Address,
    turn: Turn,
    turns: Option<Turns>,
    /// Where sets are frozen, if this account does that too.
    registry: Option<Address>,
    /// Newest L1 block at which it was looked whether a set is to be frozen.
    looked: u64,
    /// The transaction under way freezes the set of this epoch.
    freezing: Option<u64>,
    /// Epoch whose set it tried to freeze last: one attempt is enough.
    tried: Option<u64>,
    max_payload: usize,
    waiting: Option<Waiting>,
    /// Ours was mined in this L1 block: the inbox is read at least so far before the next.
    not_before: u64,
    stats: PosterStats,
}

impl<C, J> std::fmt::Debug for Poster<C, J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poster").field("turn", &self.turn).finish_non_exhaustive()
    }
}

impl<C: TxChain, J: Journal> Poster<C, J> {
    /// A poster for the `inbox` contract. `manager` holds what a former run left under way.
    #[must_use]
    pub fn new(manager: TxManager<C, J>, store: Blocks, inbox: Address, turn: Turn) -> Self {
        Self {
            manager,
            store,
            inbox,
            turn,
            turns: None,
            registry: None,
            looked: 0,
            freezing: None,
            tried: None,
            max_payload: rota_l1::MAX_PAYLOAD,
            waiting: None,
            not_before: 0,
            stats: PosterStats::default(),
        }
    }

    /// Smaller batches, for tests and for dear blobs.
    #[must_use]
    pub const fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Asks for the turn before each step: sets change.
    #[must_use]
    pub fn with_turns(mut self, turns: impl Fn() -> Turn + Send + Sync + 'static) -> Self {
        self.turns = Some(Box::new(turns));
        self
    }

    /// Freezes the sets of later epochs too.
    #[must_use]
    pub const fn with_freezes(mut self, registry: Address) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Counts since the start.
    #[must_use]
    pub const fn stats(&self) -> PosterStats {
        self.stats
    }

    /// Does what is due. Call it for every new L1 block, or every few seconds.
    ///
    /// # Errors
    /// [`PostError`]; nothing is lost, call again.
    pub async fn step(
        &mut self,
        l1: &dyn L1,
        seen: &InboxState,
        now: Millis,
    ) -> Result<PosterEvent, PostError> {
        if self.manager.pending().is_some() {
            return self.push(l1).await;
        }
        let decided = self.store.decided_head().map_err(|e| PostError::Build(e.to_string()))?;
        let decided = decided.map_or(0, |h| h.height);
        self.waiting = Waiting::look(self.waiting, seen, decided, now);
        let head = seen.head.as_ref().map_or(0, |b| b.number);
        self.turn = self.turns.as_ref().map_or(self.turn, |turns| turns());
        let is_due = seen.caught_up
            && head >= self.not_before
            && self.waiting.is_some_and(|w| w.is_due(&self.turn, seen, now));
        if !is_due {
            return self.freeze(l1, head).await;
        }
        self.begin(l1, seen).await
    }

    /// Freezes the set of the next epoch when it is time, something changes in it, and nobody has.
    async fn freeze(&mut self, l1: &dyn L1, head: u64) -> Result<PosterEvent, PostError> {
        let Some(registry) = self.registry.filter(|_| head > self.looked) else {
            return Ok(PosterEvent::Idle);
        };
        self.looked = head;
        let rank = self.turn.rank(0);
        let due = freeze::due(&l1.frozen_sets(head).await?, head, rank);
        let Some(epoch) = due.filter(|epoch| self.tried != Some(*epoch)) else {
            return Ok(PosterEvent::Idle);
        };
        if !l1.set_outdated(head).await? {
            return Ok(PosterEvent::Idle);
        }
        self.tried = Some(epoch);
        tracing::info!(epoch, "freezing the set of the next epoch");
        self.manager.submit(rota_l1::freeze_request(registry, epoch))?;
        self.freezing = Some(epoch);
        self.push(l1).await?;
        Ok(PosterEvent::Freezing(epoch))
    }

    async fn begin(&mut self, l1: &dyn L1, seen: &InboxState) -> Result<PosterEvent, PostError> {
        let (store, max) = (self.store.clone(), self.max_payload);
        let (from, accepted) = (seen.usable.saturating_add(1), seen.accepted);
        let built =
            tokio::task::spawn_blocking(move || build_post(&store, from, accepted, max)).await;
        let built = built.map_err(|e| PostError::Build(e.to_string()))?;
        let built = built.map_err(|e| PostError::Build(e.to_string()))?;
        let Some(Posting { from, to, post }) = built else { return Ok(PosterEvent::Idle) };
        let account = self.manager.chain().account();
        match l1.preflight(&post, account).await {
            Ok(()) => {}
            Err(L1Error::Refused(Refusal::Stale(tip))) => {
                tracing::debug!(from, to, tip, "somebody else posted these heights");
                let head = seen.head.as_ref().map_or(0, |b| b.number);
                self.not_before = head.saturating_add(1);
                self.stats.late = self.stats.late.saturating_add(1);
                return Ok(PosterEvent::Late);
            }
            Err(why) => return Err(why.into()),
        }
        self.check_funds(l1, &post).await?;
        let request = post.request(self.inbox)?;
        self.manager.submit(request)?;
        let bytes = post.payload.len();
        tracing::info!(from, to, bytes, repost = post.repost, "posting a batch");
        self.push(l1).await?;
        Ok(PosterEvent::Sent { from, to, bytes })
    }

    /// Refuses to begin what the account cannot pay: a transaction under way cannot be taken back.
    async fn check_funds(
        &mut self,
        l1: &dyn L1,
        post: &rota_l1::BatchPost,
    ) -> Result<(), PostError> {
        let chain = self.manager.chain();
        let (account, fees) = (chain.account(), chain.observe(&[]).await?);
        let balance = l1.balance(account).await?;
        self.stats.balance_wei = Some(balance);
        let gas = U256::from(post.request(self.inbox)?.gas_limit);
        let price = fees.base_fee.saturating_mul(2).saturating_add(fees.tip);
        let blobs = U256::from(post.payload.len().saturating_add(31).div_ceil(BLOB_BYTES));
        let blob_price = U256::from(fees.blob_base_fee.saturating_mul(2));
        let blob_cost = blobs.saturating_mul(U256::from(BLOB_GAS)).saturating_mul(blob_price);
        let need = gas.saturating_mul(U256::from(price)).saturating_add(blob_cost);
        if balance < need {
            return Err(PostError::Funds { account, balance, need });
        }
        Ok(())
    }

    async fn push(&mut self, l1: &dyn L1) -> Result<PosterEvent, PostError> {
        match self.manager.poll().await? {
            Status::Done(outcome) => self.finish(l1, &outcome).await,
            Status::Idle | Status::Waiting { .. } | Status::Included(_) => Ok(PosterEvent::Pending),
        }
    }

    async fn finish(&mut self, l1: &dyn L1, outcome: &Outcome) -> Result<PosterEvent, PostError> {
        let mined = outcome.inclusion;
        if let Some(epoch) = self.freezing.take() {
            tracing::info!(
                epoch,
                frozen = mined.success,
                l1_block = mined.block,
                "set of the next epoch"
            );
            return Ok(PosterEvent::Freezing(epoch));
        }
        self.not_before = mined.block;
        self.waiting = None;
        let event = if mined.success {
            tracing::info!(tx = %mined.hash, l1_block = mined.block, gas = mined.gas_used,
                attempts = outcome.attempts, "our batch is on L1");
            self.stats.accepted = self.stats.accepted.saturating_add(1);
            PosterEvent::Accepted { tx: mined.hash, l1_block: mined.block }
        } else {
            tracing::info!(tx = %mined.hash, l1_block = mined.block,
                "our batch came too late: others had posted the heights");
            self.stats.late = self.stats.late.saturating_add(1);
            PosterEvent::Late
        };
        let balance = l1.balance(self.manager.chain().account()).await?;
        let before = self.stats.balance_wei.replace(balance).unwrap_or(balance);
        let spent = before.saturating_sub(balance);
        self.stats.spent_wei = self.stats.spent_wei.saturating_add(spent);
        Ok(event)
    }
}

/// What the task works with, besides the poster.
#[derive(Debug)]
pub struct PosterTask {
    /// Where the inbox stands.
    pub inbox: watch::Receiver<InboxState>,
    /// Whether L1 answers.
    pub health: Arc<L1Health>,
    /// Counts for the metrics.
    pub stats: Arc<Mutex<PosterStats>>,
}

/// Runs until told to stop: a step whenever the inbox was looked at.
pub async fn run_poster<C: TxChain, J: Journal>(
    mut poster: Poster<C, J>,
    l1: Arc<dyn L1>,
    mut task: PosterTask,
    pace: Pace,
) {
    let (mut throttle, mut backoff) = (Throttle::default(), Backoff::default());
    loop {
        let seen = *task.inbox.borrow_and_update();
        let Some(done) = pace.step(poster.step(&*l1, &seen, pace.now())).await else { return };
        let wait = match done {
            Ok(_) => {
                throttle.reset();
                backoff.ok(pace.every)
            }
            Err(why) => {
                if let PostError::L1(why) = &why {
                    task.health.failed(why);
                }
                poster.stats.failed = poster.stats.failed.saturating_add(1);
                if throttle.due(pace.now()) {
                    tracing::error!(%why, "cannot post batches; others can, trying again");
                }
                backoff.failed(pace.every)
            }
        };
        *task.stats.lock() = poster.stats();
        if !pace.wait(wait).await {
            return;
        }
    }
}
