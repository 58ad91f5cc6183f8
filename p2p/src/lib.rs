//! Typed, authenticated, bounded channels between peers.
//!
//! One libp2p swarm (QUIC, and TCP with Noise and yamux) carries three things: **direct streams** between
//! validators, one per lane and direction, so that bulk never delays votes; **gossip** for everyone else;
//! **requests** for what is missing. [`SimNet`] is the same network in memory, driven by seed and clock of a
//! simulation. [`start`] gives a [`Handle`]; what comes in goes to the caller's [`Sink`].
//!
//! Not for: judging content. A message that is handed over was sent by the peer that it names and decodes within
//! its bounds; signatures and rules are the application's, which reports faults back by [`Handle::report`].
//!
//! Invariant: every queue of this crate has a bound, a name and a policy ([`Limits`], [`Overflow`], [`Gauge`]); of
//! each stream it holds at most one incomplete message and one read; and what a lane loses is marked
//! ([`Incoming::Gap`]). Below it, yamux and QUIC buffer what is not read yet, within their own receive windows.

mod acceptor;
mod clock;
mod config;
mod connections;
mod dialer;
mod directory;
mod driver;
mod error;
mod framing;
mod gossip;
mod handle;
mod hello;
mod hub;
mod incoming;
mod link;
mod membership;
mod network;
mod protocols;
mod queue;
mod rate;
mod reader;
mod request;
mod resolve;
mod score;
mod server;
mod simnet;
mod swarm;
mod writer;

pub use config::{Config, Identity, LaneLimits, Limits, PeerEntry};
pub use error::{P2pError, Refusal, RequestError, SendError};
pub use gossip::{GossipId, Judgement, Topic};
pub use handle::{Gauge, Handle, Target, start};
pub use hello::{Ctx, Role};
pub use hub::ConnectedPeer;
pub use incoming::{Busy, Incoming, Peer, Sink};
pub use libp2p::{Multiaddr, PeerId};
pub use network::Network;
pub use queue::{Overflow, QueueLimits};
pub use score::{PeerFault, ScoreBook, ScorePolicy, Verdict};
pub use server::RequestHandler;
pub use simnet::{Delivery, LinkPlan, Parcel, SimHandle, SimNet};
