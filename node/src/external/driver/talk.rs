//! What is asked and what comes back.

use crate::external::{EngineBlock, Target};
use alloy_primitives::B256;
use alloy_rpc_types_engine::{ForkchoiceState, PayloadStatus};
use rota_types::Millis;
use std::sync::Arc;

/// The chain that the client is led along, as far as it is known.
pub trait Chain: std::fmt::Debug + Send + Sync {
    /// Where the client should be.
    fn target(&self) -> Target;
    /// Hash of block 0.
    fn genesis(&self) -> B256;
    /// Hash of a block up to the target's head.
    fn hash(&self, number: u64) -> Option<B256>;
    /// A block up to the target's head.
    fn block(&self, number: u64) -> Option<Arc<EngineBlock>>;
}

/// What is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Chain id of the rollup.
    pub chain_id: u64,
    /// After how many blocks the head is moved while catching up.
    pub stride: u64,
}

/// Something to ask.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Who it is and where it stands.
    Hello,
    /// Hash of the block at a number of its chain.
    HashAt(u64),
    /// Execute a block.
    Payload(Arc<EngineBlock>),
    /// Move the head to this number.
    Forkchoice(u64, ForkchoiceState),
}

/// What a client says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Name and version, as it tells them.
    pub version: String,
    /// Chain id.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis: B256,
    /// Number of its newest block.
    pub latest: u64,
}

/// What came back.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To [`Ask::Hello`].
    Hello(Hello),
    /// To [`Ask::HashAt`].
    HashAt(Option<B256>),
    /// To [`Ask::Payload`] and [`Ask::Forkchoice`].
    Status(PayloadStatus),
    /// Nothing that counts.
    Failed(Failed),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// Nobody answers, or not in time.
    #[error("{0}")]
    Unreachable(String),
    /// HTTP 401 or 403.
    #[error("{0}")]
    Unauthorized(String),
    /// It serves no Engine API, or not this method of it.
    #[error("{url} serves no {missing}")]
    NoEngine {
        /// Where.
        url: String,
        /// The method.
        missing: &'static str,
    },
    /// A JSON-RPC error.
    #[error("{message} ({code})")]
    Refused {
        /// Its number.
        code: i64,
        /// Its text.
        message: String,
    },
    /// Something that is no answer to what was asked.
    #[error("an answer that is none: {0}")]
    Nonsense(String),
}

/// What to do.
#[derive(Debug)]
pub enum Next {
    /// Ask, and give the answer to `Driver::answer`.
    Ask(Ask),
    /// Come back after so many milliseconds, or when there is a new target.
    Wait(Millis),
}
