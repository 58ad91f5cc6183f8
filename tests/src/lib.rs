//! What the tests share: the deterministic simulation of a whole set, real processes, and small makers of
//! real input.

/// Random chains, for other implementations of Ethereum to judge.
pub mod chains;
/// Unmodified Ethereum clients as processes.
pub mod clients;
/// The compiled contracts in a virtual machine.
pub mod evm;
/// Real processes.
pub mod live;
/// Keys, sets, parameters and signed transactions.
pub mod make;
/// A model of the round-change rules, searched at random.
pub mod model;
/// The seeded simulation.
pub mod sim;
