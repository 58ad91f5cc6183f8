//! A prover: puts bonds on what a follower computed, contradicts what is wrong, and takes both to the oracle.
//!
//! Not for: computing (a follower does, with the implementation that its slot is named after), nor for the council. Invariant: a
//! bond is put on nothing but what the own follower computed from final L1 blocks; every call is tried before it is paid for.

mod memory;
mod plan;
mod run;

pub use memory::{Rules, reach};
pub use plan::{Action, Facts, Own, plan};
pub use run::{Looked, ProverArgs, ProverStep, run_prover};
