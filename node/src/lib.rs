//! The program: wires the crates into roles, and shows what the node knows.

/// JSON-RPC over HTTP and WebSocket.
pub mod rpc;
/// The one door for transactions.
pub mod submit;
/// What this node knows of the chain, for many readers and one writer.
pub mod view;
/// Decided heights and settled blocks in the database.
pub mod archive;
/// Executing the accepted frames.
pub mod chain;
/// The clock and the threads.
pub mod clock;
/// Group sync of what is signed.
pub mod disk;
/// The loop around the replica.
pub mod engine;
/// From the network to the threads.
pub mod inbound;
/// A sequencer's threads and queues.
pub mod sequencer;
/// The L1 side: origins, the inbox, posting.
pub mod settle;
/// The command line.
pub mod cli;
/// Settings of one node.
pub mod config;
/// Exit codes and the errors that commands end with.
pub mod exit;
/// The secrets of a node.
pub mod keys;
/// The pinned network file.
pub mod network;
/// Deploying, joining and freezing on L1.
pub mod setup;
/// Starting a node.
pub mod run;
/// What a sequencer tells about itself.
pub mod info;
mod roles;
/// The role that reads L1 only.
pub mod follower;
/// What Prometheus reads.
pub mod metrics;
/// Metrics and health over HTTP.
pub mod web;
