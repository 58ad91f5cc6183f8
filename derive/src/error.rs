//! Why a batch gave nothing, and what the caller must not do.

use crate::Fault;
use alloy_primitives::B256;
use rota_types::{BatchError, CertError};

/// Why an accepted batch was skipped. Nothing changed; the same heights can be posted again by anyone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// Nothing new.
    #[error("nothing new: it ends at height {to}, derived up to {head}")]
    Stale {
        /// Last height of the batch.
        to: u64,
        /// Newest derived height.
        head: u64,
    },
    /// A second certificate contradicts a derived height: more than one third of the stake is at fault
    /// (offence E11). The first in L1 order counts.
    #[error(
        "a second value {certified} is certified for height {height}, where {derived} was first"
    )]
    Conflict {
        /// The height.
        height: u64,
        /// Value derived.
        derived: B256,
        /// Value certified here.
        certified: B256,
    },
    /// Heights are missing in between.
    #[error("gap: it begins at height {from}, derived up to {head}")]
    Gap {
        /// First height of the batch.
        from: u64,
        /// Newest derived height.
        head: u64,
    },
    /// The blobs hold no batch.
    #[error("the blobs hold no readable batch: {0}")]
    Garbage(#[from] BatchError),
    /// The blobs hold other heights than the batch claims.
    #[error("the blobs do not hold heights {from} to {to}")]
    Range {
        /// First height claimed.
        from: u64,
        /// Last height claimed.
        to: u64,
    },
    /// The certificate is not for this batch.
    #[error("the certificate is for another height, epoch or value")]
    OtherCertificate,
    /// The certificate does not verify.
    #[error("the certificate does not verify: {0}")]
    Certificate(#[from] CertError),
    /// In a fallback nothing is certified, and out of it everything must be.
    #[error("a batch {} a certificate, where one is {}", if *certified { "with" } else { "without" }, if *certified { "not possible" } else { "needed" })]
    OutOfPlace {
        /// Whether it has a certificate.
        certified: bool,
    },
    /// Heights without a certificate that do not follow the head as they must. Their poster is at fault.
    #[error("height {height} without a certificate: {what}")]
    Uncertified {
        /// The height.
        height: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The header posted with the certificate is not the certified one.
    #[error("the header posted does not have the certified value id")]
    Header,
    /// A byte of the data differs from what was certified.
    #[error("the data was changed: it leads to value {got}, certified is {certified}")]
    Tampered {
        /// Value id of the last height in the data.
        got: B256,
        /// Value id certified.
        certified: B256,
    },
    /// The certified heights themselves break a rule. The validators who signed are at fault; the chain
    /// cannot go on over this height.
    #[error("the certified heights break a rule: {0}")]
    Fault(#[from] Fault),
}

impl Skip {
    /// Whether a quorum of validators, and not just the poster, did something wrong.
    #[must_use]
    pub const fn is_alarming(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Fault(_))
    }
}

/// What the caller has to put right before going on; the pipeline has not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// The set of this epoch was not given yet. Ours: read it from the Registry and try again.
    #[error("the validator set of epoch {0} is needed")]
    NeedSet(u64),
    /// What L1 blocks up to this one give must be taken first: `pass`. Ours.
    #[error("what L1 blocks up to {0} give was not taken yet")]
    Pass(u64),
    /// A generation does not follow the one before. Ours: events are missing.
    #[error("generation {got} after generation {was}")]
    Generation {
        /// Generation given.
        got: u32,
        /// Generation in force.
        was: u32,
    },
    /// Something that L1 brings in was left out. Ours, or that of the endpoint that we read.
    #[error(
        "L1 block {l1_number} begins with {what} {got}; {expected} is the next: some are missing"
    )]
    Missing {
        /// The L1 block given.
        l1_number: u64,
        /// Of what.
        what: &'static str,
        /// Index of the next one.
        expected: u64,
        /// Index given.
        got: u64,
    },
    /// Batches must come in L1 order. Ours: roll back first.
    #[error("L1 block {got} after L1 block {seen}")]
    Order {
        /// Number given.
        got: u64,
        /// Newest seen.
        seen: u64,
    },
    /// Another block at a number seen before. Ours: L1 was reorganised, roll back first.
    #[error("L1 block {number} is {got} now, was {seen}")]
    Reorg {
        /// The number.
        number: u64,
        /// Hash given.
        got: B256,
        /// Hash seen.
        seen: B256,
    },
    /// The checkpoint is gone. Ours: derive again from the start.
    #[error("cannot roll back to L1 block {to}: the oldest checkpoint is {oldest}")]
    TooDeep {
        /// L1 block asked for.
        to: u64,
        /// Oldest that is possible.
        oldest: u64,
    },
}
