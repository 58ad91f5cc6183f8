//! Persistence: what a node must not forget.
//!
//! Four things, from small to large: the `DataDir` (layout and lock), the `AppendLog` (records with a
//! checksum, one fdatasync for many), the `SignGuard` (what this key has signed, so that it never signs
//! a contradiction; as a `SignState` it moves to another machine), and `Blocks` over a `Kv` (decided heights,
//! execution blocks, state).
//! Not for: deciding what to sign or when to write; callers group writes and call `sync` before anything
//! leaves the machine.
//! Invariant: after an error of the disk nothing here accepts another write (fail-stop): a node that
//! cannot persist what it signs stops signing.

mod blocks;
mod dir;
mod error;
mod guard;
mod history;
mod intent;
mod kv;
mod log;
mod sign_state;
mod watermarks;

pub use blocks::{BlockBatch, Blocks, DecidedHead, ExecutedHead, TxPlace};
pub use dir::DataDir;
pub use error::StoreError;
pub use guard::{GuardAge, GuardError, GuardView, ImportError, Imported, SignGuard};
pub use intent::{Intent, Position};
pub use kv::{Batch, DEFAULT_CACHE, Entries, Kv, MemKv, Order, Scan, SledKv, Tree, for_each};
pub use log::{AppendLog, MAX_RECORD, Opened, TornTail};
pub use sign_state::{SignState, SignStateError, SignStateOf};
pub use watermarks::{Known, MergeError, Refused, Watermarks};
