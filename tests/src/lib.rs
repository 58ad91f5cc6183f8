//! What the tests share: the deterministic simulation of a whole set, and small makers of real input.

/// Keys, sets, parameters and signed transactions.
pub mod make;
/// The seeded simulation.
pub mod sim;
