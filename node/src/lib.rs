//! The program: wires the crates into roles, and shows what the node knows.

/// Decided heights and settled blocks in the database.
pub mod archive;
/// Executing the accepted frames.
pub mod chain;
/// The command line.
pub mod cli;
/// The clock and the threads.
pub mod clock;
/// Settings of one node.
pub mod config;
/// Group sync of what is signed.
pub mod disk;
/// The loop around the replica.
pub mod engine;
/// Exit codes and the errors that commands end with.
pub mod exit;
/// The role that reads L1 only.
pub mod follower;
/// From the network to the threads.
pub mod inbound;
/// What a sequencer tells about itself.
pub mod info;
/// The secrets of a node.
pub mod keys;
/// What Prometheus reads.
pub mod metrics;
/// The pinned network file.
pub mod network;
/// Is a port free, and who has it.
pub mod ports;
mod roles;
/// JSON-RPC over HTTP and WebSocket.
pub mod rpc;
/// Starting a node.
pub mod run;
/// A sequencer's threads and queues.
pub mod sequencer;
/// The L1 side: origins, the inbox, posting.
pub mod settle;
/// Deploying, joining and freezing on L1.
pub mod setup;
/// The one door for transactions.
pub mod submit;
/// What this node knows of the chain, for many readers and one writer.
pub mod view;
/// Metrics and health over HTTP.
pub mod web;
