//! Checks a receipt, offline and in every stage, from the receipt itself and two trusted hashes; and a light proof, from the
//! context and the hash of one L1 block.
//!
//! Not for: fetching anything, and not for making receipts (`rota-node`). No IO, no clock, no randomness: the
//! same code runs in the node, the command line and a browser (`verify/wasm`).
//! Invariant (I-24): a verdict names no stage that the signatures in the receipt do not carry; what only L1
//! can tell is named as a claim.

#![no_std]

extern crate alloc;

mod check;
mod light;
mod secured;
mod verdict;
mod words;

pub use check::{Anchor, Invalid, verify};
pub use light::{
    LightAnchor, LightCheckpoint, LightInvalid, LightPlace, LightVerdict, TRUST_BLOCKS,
    verify_light,
};
pub use secured::{percent, secured_wei};
pub use verdict::{Acked, Decided, Insured, Leader, Posted, Verdict};
pub use words::{SLASHING, covered, eth, lost_if, worth};
