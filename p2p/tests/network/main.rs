//! The network over real loopback sockets.
//!
//! Every wait is for an event with a deadline; no test measures time, except the ignored one that prints latency.

mod gossip;
mod hostile;
mod latency;
mod mesh;
mod requests;
mod support;
