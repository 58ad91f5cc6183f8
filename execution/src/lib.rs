//! Applies transactions and blocks to a state and gives the root, so that any Ethereum client would
//! agree.
//!
//! Deterministic and closed: no I/O, no clock, no threads. Blocks are standard Ethereum blocks
//! under Prague rules; a stock client that imports them computes the same hash. The state is a
//! persistent snapshot: a clone is O(1) and never changes, so readers need no lock and a rollback
//! is going back to an older clone.
//!
//! | item | what it is for |
//! |---|---|
//! | [`genesis()`], [`prague_genesis`] | the first block and its file for stock clients |
//! | [`OpenBlock`], [`Run`], [`Outcome`] | a block fed frame by frame: apply, snapshot, checkpoint, restore |
//! | [`ExecutedBlock`], [`Head`], [`StateDiff`] | a sealed block, what to build on, what to write down |
//! | [`execute_block`], [`execute_parts`] | the same in one call, for followers and provers |
//! | [`Fees`], [`base_fee_return`] | what transactions paid, and how the base fee comes back |
//! | [`State`], [`AccountProof`] | reading, roots and proofs on any snapshot |
//! | [`call()`], [`estimate_gas`], [`list_accesses`] | runs that are never in a block |
//! | [`record`], [`reexecute`], [`Witness`] | one block executed with nothing but what it reads |
//! | [`Trie`] | the persistent Merkle-Patricia trie underneath |
//!
//! Ordering never waits for this crate: a transaction that cannot be included is a [`Skip`], not an
//! error, and leaves no trace. An [`ExecutionError`] means that this node must not go on.

mod block;
mod call;
mod error;
mod fees;
mod genesis;
mod predeploys;
mod state;
mod trie;
mod witness;

pub use block::{
    BlockContext, BlockEnv, Checkpoint, ExecutedBlock, Head, Included, OpenBlock, Outcome, Run,
    Skip, execute_block, execute_parts,
};
pub use call::{
    AccountOverride, CallRequest, CallResult, CallStatus, Estimate, call, estimate_gas,
    list_accesses,
};
pub use error::ExecutionError;
pub use fees::{Fees, base_fee_return};
pub use genesis::{genesis, prague_genesis, system_contracts};
pub use predeploys::{MESSAGE_PASSER, TOKEN_BRIDGE, fee_vault, predeploys, sent_slot};
pub use state::{Account, AccountChange, AccountProof, SlotProof, State, StateDiff};
pub use trie::{BadNodes, Trie};
pub use witness::{NotReexecuted, Witness, record, reexecute};
