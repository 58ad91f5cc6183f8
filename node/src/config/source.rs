//! From where a node without keys has the chain.
//!
//! Invariant: what it has from the set is checked against the set that L1 names.

use serde::{Deserialize, Serialize};

/// Where a follower has the chain from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The batches on L1: what is there is posted.
    L1,
    /// The members of the set: heights as soon as they are decided, with their certificates.
    Set,
}

impl Source {
    /// The word used everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::Set => "set",
        }
    }
}
