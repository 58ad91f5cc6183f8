//! Why a client is led no further.

use super::{EngineBlock, Hello};
use alloy_primitives::B256;
use std::{path::PathBuf, sync::Arc};

/// A block that the client calls invalid.
#[derive(Debug, Clone)]
pub struct Disagreement {
    /// What was derived and executed here.
    pub block: Arc<EngineBlock>,
    /// What the client said of itself.
    pub client: Option<Hello>,
    /// What it says is wrong.
    pub reason: String,
    /// The newest block of that branch that it calls valid.
    pub latest_valid: Option<B256>,
}

/// Why a client is led no further. What it can recover from by itself (down, syncing) is none of these.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The secret is not the client's, or the clocks are apart. The operator's fault.
    #[error("the execution client refuses the JWT: {0}")]
    Unauthorized(String),
    /// What answers there serves no Engine API. The operator's fault.
    #[error("{url} serves no {missing}")]
    NoEngine {
        /// Where.
        url: String,
        /// The method that is missing.
        missing: &'static str,
    },
    /// Another chain id. The operator's fault.
    #[error("the execution client runs chain {theirs}, and this rollup is chain {ours}")]
    OtherChain {
        /// The client's.
        theirs: u64,
        /// The rollup's.
        ours: u64,
    },
    /// Another first block. The operator's fault.
    #[error(
        "the execution client's block 0 is {theirs}, and this rollup's is {ours}: it was initialised with another genesis file"
    )]
    OtherGenesis {
        /// The client's.
        theirs: B256,
        /// The rollup's.
        ours: B256,
    },
    /// It calls a derived block invalid. Before the file is written.
    #[error("the execution client calls block {} invalid: {}", .0.block.number(), .0.reason)]
    Invalid(Box<Disagreement>),
    /// It calls a derived block invalid: it or the execution inside Rota is at fault.
    #[error(
        "block {} ({}) is invalid to the execution client ({}; newest it calls valid: {}), and was executed here to exactly \
         that hash on top of {}: the client, its configuration, or the execution inside Rota is wrong. To replay: {}",
        found.block.number(), found.block.hash(), found.reason,
        found.latest_valid.map_or_else(|| "none".into(), |h| h.to_string()),
        found.block.parent_hash(), file.display()
    )]
    Disagreed {
        /// What was found.
        found: Box<Disagreement>,
        /// The reproduction.
        file: PathBuf,
    },
    /// It will not move its head to where L1 says. The operator's fault, or of an L1 that replaced final blocks.
    #[error("the execution client refuses {head} as its head again and again: {why}")]
    Stuck {
        /// The head that it was given.
        head: B256,
        /// What it said.
        why: String,
    },
    /// A file cannot be written, or a stored block is damaged.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The reason given.
        source: std::io::Error,
    },
    /// The client cannot be set up.
    #[error("the execution client cannot be asked: {0}")]
    Setup(String),
}
