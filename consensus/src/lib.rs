//! Agreement on each height with Malachite's core, and the replica that joins it with frames and acks.
//!
//! `Replica` is sans-IO: inputs in, ordered outputs out; the simulation and the node drive the same code.
//! Not for: sockets, files, clocks (`node`), execution.
//! Invariant: what leaves a replica was recorded in its sign guard first, and its guard refuses whatever
//! could be used against it.

mod context;
mod convert;
mod machine;
mod replica;
mod wal;

pub use machine::Fatal;
pub use replica::{
    Decided, Elsewhere, Identity, Input, Observe, Output, PeerNo, Replica, Restored, Retract,
    Synced, To,
};
