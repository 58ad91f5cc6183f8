//! Builds the libp2p swarm: transports, protocols, limits.
//!
//! Not for: running it. Invariant: TCP is used with `TCP_NODELAY` and Noise, QUIC with its own TLS, so every
//! peer id that is seen here was proved by the transport.

use std::time::Duration;

use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder,
    allow_block_list::{self, BlockedPeers},
    connection_limits::{self, ConnectionLimits},
    gossipsub, identify, noise, ping,
    request_response::{self, ProtocolSupport},
    swarm::NetworkBehaviour,
    tcp, yamux,
};

use crate::{
    config::{Config, Limits},
    error::P2pError,
    gossip,
    hello::Ctx,
    request::BoundedCodec,
};

/// Substreams per connection; the lanes, gossip and requests need about twenty.
const STREAMS: usize = 256;

/// All protocols of a node.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub(crate) streams: libp2p_stream::Behaviour,
    pub(crate) gossip: gossipsub::Behaviour,
    pub(crate) requests: request_response::Behaviour<BoundedCodec>,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
}

/// What `identify` tells: version and context, so that a mismatch is seen without any stream.
pub(crate) fn identity_line(version: u16, ctx: &Ctx) -> String {
    format!("rota/{version}/{ctx}")
}

/// The context in an identity line of any version.
pub(crate) fn ctx_of_line(line: &str) -> Option<Ctx> {
    let (_, hex) = line.strip_prefix("rota/")?.split_once("/0x")?;
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut ctx = [0; 32];
    for (slot, pair) in ctx.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *slot = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Ctx(ctx))
}

fn requests(
    limits: &Limits,
    ctx: &Ctx,
) -> Result<request_response::Behaviour<BoundedCodec>, P2pError> {
    let name = StreamProtocol::try_from_owned(format!("/rota/{}/request/1", ctx.short()))
        .map_err(|error| P2pError::Build(error.to_string()))?;
    let codec =
        BoundedCodec { request_bytes: limits.request_bytes, response_bytes: limits.response_bytes };
    let config = request_response::Config::default()
        .with_request_timeout(limits.request_timeout)
        .with_max_concurrent_streams(STREAMS / 4);
    Ok(request_response::Behaviour::with_codec(codec, [(name, ProtocolSupport::Full)], config))
}

fn behaviour(config: &Config) -> Result<Behaviour, P2pError> {
    let limits = &config.limits;
    let connections = ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.connections))
        .with_max_established_incoming(Some(limits.connections))
        .with_max_established_per_peer(Some(limits.connections_per_peer));
    let line = identity_line(config.version, &config.ctx);
    let about = identify::Config::new(line, config.identity.keypair().public())
        .with_agent_version(format!("rota/{}", env!("CARGO_PKG_VERSION")))
        .with_cache_size(0);
    let pings = ping::Config::new()
        .with_interval(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(5));
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(connections),
        blocked: allow_block_list::Behaviour::default(),
        streams: libp2p_stream::Behaviour::new(),
        gossip: gossip::behaviour(limits)?,
        requests: requests(limits, &config.ctx)?,
        identify: identify::Behaviour::new(about),
        ping: ping::Behaviour::new(pings),
    })
}

/// The swarm of `config`, subscribed to its topics, not yet listening.
pub(crate) fn build(config: &Config) -> Result<Swarm<Behaviour>, P2pError> {
    let build_error = |error: &dyn std::fmt::Display| P2pError::Build(error.to_string());
    let mut behaviour = behaviour(config)?;
    for topic in &config.topics {
        let topic = topic.on(&config.ctx);
        behaviour.gossip.subscribe(&topic).map_err(|error| build_error(&error))?;
    }
    let muxer = || {
        let mut muxer = yamux::Config::default();
        muxer.set_max_num_streams(STREAMS);
        muxer
    };
    let swarm = SwarmBuilder::with_existing_identity(config.identity.keypair().clone())
        .with_tokio()
        .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, muxer)
        .map_err(|error| build_error(&error))?
        .with_quic_config(|mut quic| {
            // A peer that restarted does not answer on the old connection: notice it soon.
            quic.keep_alive_interval = Duration::from_secs(2);
            quic.max_idle_timeout = 6_000;
            quic
        })
        .with_behaviour(|_| behaviour)
        .map_err(|error| build_error(&error))?
        // Connections are kept for as long as the peer lives: pings find the dead ones.
        .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(Duration::from_secs(3_600)))
        .with_connection_timeout(Duration::from_secs(5))
        .build();
    Ok(swarm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_line_is_read_back_whatever_the_version() {
        let ctx = Ctx([0xa7; 32]);
        assert_eq!(ctx_of_line(&identity_line(900, &ctx)), Some(ctx));
        for line in
            ["", "rota/1/0x", "ipfs/0.1.0", "rota/1/0xzz", &format!("rota/1/0x{}", "é".repeat(32))]
        {
            assert_eq!(ctx_of_line(line), None);
        }
    }
}
