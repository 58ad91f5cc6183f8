//! The program: wires the crates into roles, and shows what the node knows.

/// JSON-RPC over HTTP and WebSocket.
pub mod rpc;
/// The one door for transactions.
pub mod submit;
/// What this node knows of the chain, for many readers and one writer.
pub mod view;
