//! From L1 data alone: check the certificates, rebuild the heights and the execution blocks.
//!
//! Not for: reading L1 (`l1` hands over what the Inbox accepted), and not for executing blocks.
//! Invariant (I-10): the blocks depend only on the certified heights, not on how they were cut into
//! batches, what else was posted in between, or how often. The sequencer groups its decided heights with
//! the same `Grouping`, so the derived block is the decided block. Invariant (I-25): after a fallback nothing of
//! an older generation counts, and what comes instead is a function of L1.

mod error;
mod grouping;
mod item;
mod pipeline;
mod rules;

pub use error::{DeriveError, Skip};
pub use grouping::{Grouping, Span, spans};
pub use item::{
    AcceptedBatch, BlockParams, Derived, DerivedBlock, DerivedHeight, Head, L1Origin, L1Ref, Mode,
    Outcome, Part, Start,
};
pub use pipeline::{Brought, Pipeline};
pub use rules::{Fault, follows};
