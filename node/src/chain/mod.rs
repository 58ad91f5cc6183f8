//! The chain thread: executes the accepted frames in order, drafts the leader's next ones, and tells the
//! view and the archive.
//!
//! Not for: deciding what is accepted (`rota_consensus::Replica`) and not for serving readers (`view`).
//! Invariant: the state shown is always the result of exactly the frames accepted so far; a draft is never
//! shown, and is undone when the next frame is not the one it was made for.

mod base;
mod building;
mod codec;
mod forced;
mod ledger;
mod restore;
mod rewards;
mod stack;
mod thread;

pub use base::Base;
pub use building::Sealed;
pub use codec::{context_epoch, decode_block, decode_context, encode_block, encode_context};
pub use forced::{Due, ForcedBook, ForcedSource};
pub use ledger::BookError;
pub use restore::{
    CONTEXT, Restored, SETTLED, load_context, load_requests, restore, write_block, write_genesis,
};
pub use rewards::{SetSource, load_lags, load_point, points, share};
pub use stack::{Done, Draft, Executed, Ground, Stack, StackError};
pub use thread::{ChainInput, ChainOutput, ChainThread};

#[cfg(test)]
pub(crate) mod tests;
