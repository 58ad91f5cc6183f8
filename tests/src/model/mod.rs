//! A model of the round-change rules (`docs/protocol.md`, sections 11 to 13), searched at random.
//!
//! One `World` is a whole set at two heights and four rounds each: frames, acks, Status, TermInits,
//! votes. Delivery is asynchronous, an adversary with less than a third of the stake signs what it likes,
//! and every step is checked: agreement, ack safety and who is to blame, that no correct signer looks
//! guilty, and at the end of a walk that the set can still decide (`docs/model.md`).
//!
//! Not for: bytes, signatures, clocks, disks (the simulation runs the real code on those).
//! Invariant: a walk is a pure function of its seed and its rules.

mod actions;
mod adversary;
mod checks;
mod dice;
mod leaders;
mod liveness;
mod rules;
mod shape;
mod tree;
mod walk;
mod world;

pub use checks::{Fault, FaultKind};
pub use dice::Dice;
pub use rules::{Mutation, Rules};
pub use tree::{Frame, Tree};
pub use walk::{Campaign, Tally, Trace, Walker};
pub use world::World;
