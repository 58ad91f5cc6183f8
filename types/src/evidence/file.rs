//! Evidence as a file: with its domain and set, so that anyone can check it without a network.
//!
//! Not for: trust in the set. A reader compares `set_id` and `ctx` with what it knows of the rollup.

use super::{Evidence, EvidenceError, EvidenceKind, Verdict};
use crate::{Decode, DecodeError, Domain, Encode, ReceiptDomain, ReceiptSet, ValidatorSet};
use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

const FILE_VERSION: u8 = 1;

/// Evidence in JSON: `{"v":1,"kind":"FrameTwice","evidence":"0x..","domain":{..},"set":{..}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// 1.
    pub v: u8,
    /// Name of the kind, for people; must be that of the bytes.
    pub kind: String,
    /// The encoded evidence.
    pub evidence: Bytes,
    /// The fields of the domain.
    pub domain: ReceiptDomain,
    /// The set of the epoch.
    pub set: ReceiptSet,
}

/// Why a file was refused. Whoever made it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceFileError {
    /// Another version.
    #[error("evidence file of version {0}")]
    Version(u8),
    /// Bytes that are no evidence.
    #[error(transparent)]
    Bytes(#[from] DecodeError),
    /// The name is not that of the kind.
    #[error("the file says {named}, its bytes are {}", found.name())]
    Kind {
        /// Name in the file.
        named: String,
        /// Kind in the bytes.
        found: EvidenceKind,
    },
    /// It shows nothing.
    #[error(transparent)]
    Refused(#[from] EvidenceError),
}

impl EvidenceFile {
    /// The file of some evidence; `set` is the one of its epoch.
    #[must_use]
    pub fn of(evidence: &Evidence, set: &ValidatorSet, domain: &Domain) -> Self {
        Self {
            v: FILE_VERSION,
            kind: evidence.kind().name().to_owned(),
            evidence: evidence.encode().into(),
            domain: ReceiptDomain::of(domain),
            set: ReceiptSet::of(set),
        }
    }

    /// Id of the set, to compare with one that is known from elsewhere.
    #[must_use]
    pub fn set_id(&self) -> B256 {
        self.set.id()
    }

    /// Context of the signatures, to compare with one that is known from elsewhere.
    #[must_use]
    pub fn ctx(&self) -> B256 {
        self.domain.domain().ctx()
    }

    /// Judges the evidence with the domain and the set that the file brings.
    pub fn verify(&self) -> Result<(Evidence, Verdict), EvidenceFileError> {
        self.verify_proven(None)
    }

    /// Number of the execution block whose proven hash on L1 it rests on.
    #[must_use]
    pub fn rests_on(&self) -> Option<u64> {
        Evidence::decode(&self.evidence).ok()?.rests_on()
    }

    /// As `verify`, with what L1 has for the block that it rests on.
    pub fn verify_proven(
        &self,
        proven: Option<B256>,
    ) -> Result<(Evidence, Verdict), EvidenceFileError> {
        if self.v != FILE_VERSION {
            return Err(EvidenceFileError::Version(self.v));
        }
        let evidence = Evidence::decode(&self.evidence)?;
        if self.kind != evidence.kind().name() {
            let (named, found) = (self.kind.clone(), evidence.kind());
            return Err(EvidenceFileError::Kind { named, found });
        }
        let verdict = evidence.verify_proven(&self.set.set(), &self.domain.domain(), proven)?;
        Ok((evidence, verdict))
    }
}
