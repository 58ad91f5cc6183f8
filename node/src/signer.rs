//! The remote signer: the hot keys and their guards on one machine, the node on another (`docs/adr`).
//!
//! Not for: consensus; a signer knows no chain. It is given the whole of each message, decides by its own guard, and syncs
//! that before a signature leaves. Invariants: for each pair of keys one process of one node is served at a time, and a process that
//! lost its place never gets it back; what one process began (a term, the acks of a round) no other continues; a refusal is an
//! answer in words, never a closed connection.

mod client;
mod core;
mod link;
mod server;
mod wire;

pub use self::core::{Core, CoreError, Holder};
pub use client::{Remote, RemoteSigner};
pub use link::{Identity, LinkError};
pub use server::{Server, serve};
pub use wire::{Answer, Ask, Hello, Pair, Welcome};

#[cfg(test)]
mod tests;
