//! The program: wires the crates into roles, and shows what the node knows.
//!
//! Not for: rules of the protocol; every decision is made in the crates below. Invariant: a thread that fails
//! takes the process with it.
//!
//! | Module | What it is for |
//! | --- | --- |
//! | [`archive`] | Decided heights and settled blocks in the database |
//! | [`chain`] | Executing the accepted frames |
//! | [`cli`] | The command line |
//! | [`clock`] | The clock and the threads |
//! | [`config`] | Settings of one node |
//! | [`disk`] | Group sync of what is signed |
//! | [`engine`] | The loop around the replica |
//! | [`exit`] | Exit codes and the errors that commands end with |
//! | [`exits`] | What shows withdrawals when their state is forgotten
//! | [`external`] | An execution client outside, led along by the Engine API |
//! | [`follower`] | The role that reads L1 only |
//! | [`generation`] | Starting in the generation that the rollup is in |
//! | [`inbound`] | From the network to the threads |
//! | [`info`] | What a sequencer tells about itself |
//! | [`keys`] | The secrets of a node |
//! | [`metrics`] | What Prometheus reads |
//! | [`network`] | The pinned network file |
//! | [`ports`] | Is a port free, and who has it |
//! | [`rpc`] | JSON-RPC over HTTP and WebSocket |
//! | [`run`](mod@run) | Starting a node |
//! | [`sequencer`] | A sequencer's threads and queues |
//! | [`settle`] | The L1 side: origins, the inbox, posting |
//! | [`signer`] | The keys on another machine |
//! | [`setup`] | Deploying, joining and freezing on L1 |
//! | [`slash`] | Finding contradictions and taking them to L1 |
//! | [`submit`] | The one door for transactions |
//! | [`view`] | What this node knows of the chain, for many readers and one writer |
//! | [`web`] | Metrics and health over HTTP |

pub mod archive;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod disk;
pub mod engine;
pub mod exit;
pub mod exits;
pub mod external;
pub mod follower;
pub mod generation;
pub mod inbound;
pub mod info;
pub mod keys;
pub mod light;
pub mod metrics;
pub mod network;
pub mod outputs;
pub mod ports;
pub mod prover;
mod roles;
pub mod rpc;
pub mod run;
pub mod sequencer;
pub mod sets;
pub mod settle;
pub mod setup;
pub mod signer;
pub mod slash;
pub mod submit;
pub mod view;
pub mod web;
