//! The network over real loopback sockets.
//!
//! Every wait is for an event with a deadline; no test measures time, except the ignored one that prints latency.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that overflows or misses has found something"
)]

mod gossip;
mod hostile;
mod latency;
mod mesh;
mod requests;
mod support;
