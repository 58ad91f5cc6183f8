//! The ladder: one vocabulary for RPC, CLI, metrics and documents.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a transaction has come. Each stage says who would have to lose what for it to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// A node has it.
    Received,
    /// The leader signed its position.
    Preconfirmed,
    /// More than two thirds of the stake stored it.
    Acked,
    /// The set decided it.
    Decided,
    /// The batch with its certificate is on Ethereum.
    Posted,
    /// That L1 block is final.
    Finalized,
    /// The oracle on L1 holds its block, or a later one, for proven.
    Proven,
}

impl Stage {
    /// All stages, lowest first.
    pub const ALL: [Self; 7] = [
        Self::Received,
        Self::Preconfirmed,
        Self::Acked,
        Self::Decided,
        Self::Posted,
        Self::Finalized,
        Self::Proven,
    ];

    /// The word used everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Preconfirmed => "preconfirmed",
            Self::Acked => "acked",
            Self::Decided => "decided",
            Self::Posted => "posted",
            Self::Finalized => "finalized",
            Self::Proven => "proven",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Stage {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|x| x.name() == s).ok_or_else(|| {
            format!("unknown stage {s:?}; one of {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}
