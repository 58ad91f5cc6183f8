//! A connection to the members of a set, for programs that are no node.
//!
//! Not for: judging what comes. Invariant: it answers requests with nothing and listens nowhere.

use super::salt;
use rota_p2p::{Ctx, Handle, Identity, Limits, PeerEntry, Sink, Topic};
use rota_types::{Domain, wire::Response};
use std::sync::Arc;

/// An identity that nobody has seen before.
///
/// # Errors
/// The system gives no randomness.
pub fn stranger() -> eyre::Result<Identity> {
    Ok(Identity::from_secret(&mut salt()?.0)?)
}

/// Connects to them. With an identity that is among them it is taken for that member, else for an observer; it hears
/// gossiped evidence.
///
/// # Errors
/// The members contradict each other.
pub async fn link(
    domain: &Domain,
    members: Vec<PeerEntry>,
    identity: Identity,
    sink: Sink,
) -> eyre::Result<Handle> {
    let config = rota_p2p::Config {
        identity,
        ctx: Ctx(domain.ctx().0),
        version: crate::run::PROTOCOL,
        listen: Vec::new(),
        validators: members,
        bootnodes: Vec::new(),
        topics: vec![Topic::Evidence],
        limits: Limits::default(),
    };
    let nothing = Arc::new(|_, _| Response::Heights(Vec::new()));
    Ok(rota_p2p::start(config, sink, nothing).await?)
}
