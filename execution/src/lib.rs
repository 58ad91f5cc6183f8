//! Applies transactions and blocks, and gives the root.
mod block;
mod call;
mod error;
mod genesis;
mod state;
mod trie;
pub use block::{
    BlockContext, BlockEnv, Checkpoint, ExecutedBlock, Head, Included, OpenBlock, Outcome, Run, Skip,
    execute_block,
};
pub use call::{AccountOverride, CallRequest, CallResult, CallStatus, call, estimate_gas, list_accesses};
pub use error::ExecutionError;
pub use genesis::{genesis, prague_genesis, system_contracts};
pub use state::{Account, AccountChange, AccountProof, SlotProof, State, StateDiff};
pub use trie::Trie;
