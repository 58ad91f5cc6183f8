//! A whole Rota network on one machine: an L1, its contracts, sequencers that joined by transaction, and a follower.
//!
//! Not for: shortcuts. Everything that a network of strangers does happens here as well, through the same code.
//! Invariant: whatever is started here ends with its supervisor, however that ends.
//!
//! | item | what it is for |
//! |---|---|
//! | [`main`] | the program `rota-devnet` |
//! | [`Proc`], [`Spec`] | a process that cannot outlive its supervisor |
//! | [`Layout`], [`Plan`] | files and addresses of a devnet |

mod accounts;
mod args;
mod cli;
mod control;
mod detach;
mod equivocate;
mod layout;
mod logs;
mod netns;
mod offence;
mod onl1;
mod operators;
mod plan;
mod proc;
mod promise;
mod rpc;
mod setup;
mod status;
mod supervisor;
mod teller;
mod tools;
mod up;
mod watch;

pub use args::Cli;
pub use cli::main;
pub use layout::{Layout, NodeState, SlasherState, Snapshot, State};
pub use netns::Namespaces;
pub use plan::{NodePlan, Plan, PortPlan};
pub use proc::{Proc, Spec};
