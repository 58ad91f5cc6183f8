//! Everything the crate promises, through its public interface.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod blocks;
mod bridge;
mod calls;
mod fees;
mod histories;
mod support;
mod vectors;
mod witness;
