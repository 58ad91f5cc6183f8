//! Getting one transaction at a time into L1, whatever the pool, the fees, a restart or a reorganisation do.
//!
//! Not for: several transactions in flight (a later blob transaction of one account waits for the earlier one anyway).
//! Invariant: a transaction is in the journal before it is broadcast, so after a restart every hash that may be mined is
//! known. One key belongs to one manager.

mod core;
mod journal;
mod types;

pub use self::core::{Action, Policy, TxCore};
pub use journal::{Journal, JournalError, MemoryJournal, Record};
pub use types::{
    Attempt, Fees, Inclusion, Observation, Outcome, SendFault, SignedTx, TxChain, TxRequest,
    UnsignedTx,
};

use crate::L1Error;
use alloy_primitives::B256;
use std::time::Duration;

/// Why the manager cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// A transaction is under way. Our fault: wait for it.
    #[error("a transaction is under way already")]
    Busy,
    /// The record cannot be kept or read. Our fault; nothing was broadcast.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// L1 could not be read, or the transaction not be built.
    #[error(transparent)]
    Chain(#[from] L1Error),
    /// The account cannot pay. The operator's fault: fund it, then poll again.
    #[error("the posting account cannot pay: {0}")]
    Funds(String),
    /// No endpoint takes the transaction at any price. Our fault: it is malformed.
    #[error("L1 refuses the transaction: {0}")]
    Rejected(String),
}

/// Where the transaction stands after a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There is none.
    Idle,
    /// Broadcast, not mined.
    Waiting {
        /// Signed so far, each dearer than the one before.
        attempts: usize,
        /// Fees of the last one.
        fees: Fees,
        /// A dearer one would exceed the policy.
        at_cap: bool,
    },
    /// Mined, not deep enough yet.
    Included(Inclusion),
    /// Mined and deep enough, or reverted so; the manager is free again.
    Done(Outcome),
}

/// Sends one transaction at a time from one account.
#[derive(Debug)]
pub struct TxManager<C, J> {
    core: TxCore,
    chain: C,
    journal: J,
}

impl<C: TxChain, J: Journal> TxManager<C, J> {
    /// Takes up what the journal holds.
    pub fn open(chain: C, journal: J, policy: Policy) -> Result<Self, TxError> {
        let record = journal.load()?.map(|bytes| Record::decode(&bytes)).transpose()?;
        Ok(Self { core: TxCore::new(policy, record.flatten()), chain, journal })
    }

    /// The transaction under way.
    #[must_use]
    pub const fn pending(&self) -> Option<&Record> {
        self.core.record()
    }

    /// Gives the chain back, for tests and for tools.
    #[must_use]
    pub const fn chain(&self) -> &C {
        &self.chain
    }

    /// Takes a transaction; `poll` sends it. Fails with `Busy` while another is under way.
    pub fn submit(&mut self, request: TxRequest) -> Result<(), TxError> {
        if !self.core.submit(request) {
            return Err(TxError::Busy);
        }
        self.save()
    }

    /// Looks at the chain once and does what follows. Call it on every new L1 block, or every few seconds.
    pub async fn poll(&mut self) -> Result<Status, TxError> {
        if self.core.record().is_none() {
            return Ok(Status::Idle);
        }
        let hashes = self.core.hashes();
        let seen = self.chain.observe(&hashes).await?;
        match self.core.step(&seen) {
            Action::Idle => Ok(Status::Idle),
            Action::Wait => Ok(self.core.status()),
            Action::Sign { nonce, fees } => self.send(nonce, fees, seen.block).await,
            Action::Done(outcome) => {
                self.save()?;
                Ok(Status::Done(outcome))
            }
        }
    }

    /// Polls until the transaction is done. An endpoint that fails is waited for; `Err` is what waiting cannot cure.
    pub async fn finish(&mut self, every: Duration) -> Result<Outcome, TxError> {
        loop {
            match self.poll().await {
                Ok(Status::Done(outcome)) => return Ok(outcome),
                Ok(Status::Idle) => return Err(TxError::Rejected("there is none".into())),
                Ok(Status::Waiting { .. } | Status::Included(_)) => {}
                Err(TxError::Chain(L1Error::Unavailable(why))) => {
                    tracing::warn!(%why, "L1 transaction waits for an endpoint");
                }
                Err(other) => return Err(other),
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Gives up a transaction that was never broadcast. False if there is none or it may be mined.
    pub fn withdraw(&mut self) -> Result<bool, TxError> {
        let gone = self.core.withdraw();
        if gone {
            self.save()?;
        }
        Ok(gone)
    }

    async fn send(&mut self, nonce: u64, fees: Fees, block: u64) -> Result<Status, TxError> {
        let Some(record) = self.core.record() else { return Ok(Status::Idle) };
        let unsigned = UnsignedTx { request: record.request.clone(), nonce, fees };
        let signed = self.chain.sign(&unsigned).await?;
        self.core.signed(Attempt { hash: signed.hash, fees, block, taken: true });
        self.save()?;
        let sent = self.chain.broadcast(&signed).await;
        self.core.sent(sent.as_ref().err());
        log_broadcast(signed.hash, nonce, &sent);
        match sent {
            Err(SendFault::Funds(why)) => Err(TxError::Funds(why)),
            Err(SendFault::Rejected(why)) => Err(TxError::Rejected(why)),
            Err(SendFault::Endpoint(why)) => Err(L1Error::Unavailable(why).into()),
            Ok(())
            | Err(SendFault::NonceTooLow | SendFault::Underpriced | SendFault::FeeTooLow) => {
                Ok(self.core.status())
            }
        }
    }

    fn save(&mut self) -> Result<(), TxError> {
        let bytes = Record::encode(self.core.record())?;
        Ok(self.journal.save(&bytes)?)
    }
}

fn log_broadcast(hash: B256, nonce: u64, sent: &Result<(), SendFault>) {
    match sent {
        Ok(()) => tracing::info!(%hash, nonce, "L1 transaction broadcast"),
        Err(why) => tracing::warn!(%hash, nonce, %why, "L1 transaction not taken"),
    }
}

#[cfg(test)]
mod tests;
