//! The record of the transaction under way, and where it is kept.
//!
//! Invariant: `decode(encode(r)) == r`; a record that does not decode stops the manager rather than being dropped, since
//! dropping it could post twice.

use super::types::{Attempt, Inclusion, TxRequest};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const VERSION: u8 = 1;

/// The transaction under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What is to be sent.
    pub request: TxRequest,
    /// Nonce of all attempts; none before the first.
    pub nonce: Option<u64>,
    /// Signed forms, oldest first, different hashes.
    pub attempts: Vec<Attempt>,
    /// Where one was mined when last seen.
    pub inclusion: Option<Inclusion>,
    /// Block at which the account's nonce was first seen to be another.
    pub nonce_off_since: Option<u64>,
}

impl Record {
    pub(crate) const fn new(request: TxRequest) -> Self {
        Self { request, nonce: None, attempts: Vec::new(), inclusion: None, nonce_off_since: None }
    }

    /// One version byte, then JSON; no record is the version byte alone.
    pub(crate) fn encode(record: Option<&Self>) -> Result<Vec<u8>, JournalError> {
        let mut out = vec![VERSION];
        if let Some(record) = record {
            serde_json::to_writer(&mut out, record).map_err(|e| JournalError(e.to_string()))?;
        }
        Ok(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, JournalError> {
        match bytes.split_first() {
            None | Some((&VERSION, [])) => Ok(None),
            Some((&VERSION, json)) => {
                serde_json::from_slice(json).map(Some).map_err(|e| JournalError(e.to_string()))
            }
            Some((other, _)) => Err(JournalError(format!("record of unknown version {other}"))),
        }
    }
}

/// The record cannot be kept or read. Our fault (disk).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transaction journal: {0}")]
pub struct JournalError(pub String);

/// Where the record is kept. The caller gives one place per posting key.
pub trait Journal: Send {
    /// The bytes of the last `save`; none on first use.
    fn load(&self) -> Result<Option<Vec<u8>>, JournalError>;
    /// Keeps the bytes; durable when it returns.
    fn save(&mut self, bytes: &[u8]) -> Result<(), JournalError>;
}

/// A journal in memory that outlives its manager, for simulation.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal(Arc<Mutex<Option<Vec<u8>>>>);

impl Journal for MemoryJournal {
    fn load(&self) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.0.lock().clone())
    }
    fn save(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        *self.0.lock() = Some(bytes.to_vec());
        Ok(())
    }
}
