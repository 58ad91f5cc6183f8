//! What a follower or a prover is made of.
//!
//! Invariant: a prover is a follower that also proves; there is one derivation for both.

use crate::{
    clock::now_ms,
    config::{Config, Role},
    external::{EngineConfig, External},
    follower::{FollowerArgs, FollowerChain, Proving, run_follower},
    network::Network,
    run::{RoleKeys, RunArgs, interrupted, reader},
    settle::Pace,
};
use rota_derive::BlockParams;
use rota_l1::{Endpoints, Outputs};
use rota_store::{Blocks, DEFAULT_CACHE, DataDir, SledKv};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The client that the settings name.
pub(super) fn external(config: &Config) -> eyre::Result<Option<External>> {
    let (engine, root) = (&config.engine, config.data_root());
    if engine.url.is_empty() {
        return Ok(None);
    }
    let client = EngineConfig::open(engine.url.clone(), &root.join(&engine.jwt))?;
    Ok(Some(External { client, reports: root.join("reports") }))
}

/// What the prover's settings say.
fn proving(config: &Config, network: &Network, keys: RoleKeys) -> eyre::Result<Option<Proving>> {
    let (Role::Prover, RoleKeys::Prover(key)) = (config.role, keys) else { return Ok(None) };
    let settings = &config.prover;
    let slot = (!settings.slot.is_empty()).then(|| settings.slot.parse()).transpose()?;
    Ok(Some(Proving {
        network: network.clone(),
        urls: config.l1.rpc.clone(),
        implementation: settings.implementation,
        slot,
        key,
        poll: Duration::from_millis(settings.poll.as_millis()),
    }))
}

/// What reads the oracle, if the network has one.
pub(crate) fn outputs(config: &Config, network: &Network) -> eyre::Result<Option<Outputs>> {
    let Some(oracle) = network.oracle else { return Ok(None) };
    let timeout = Duration::from_millis(config.l1.timeout.as_millis());
    let endpoints = Endpoints::new(&config.l1.rpc, timeout)?;
    Ok(Some(Outputs::new(Arc::new(endpoints), oracle)))
}

/// The roles `follower`, with source `l1`, and `prover`: everything from L1 alone.
pub(crate) async fn follower(args: RunArgs) -> eyre::Result<()> {
    let RunArgs { config, network, keys, datadir } = args;
    let stop = CancellationToken::new();
    let pace = Pace {
        every: Duration::from_millis(config.l1.poll.as_millis()),
        now: Arc::new(now_ms),
        stop: stop.clone(),
    };
    let dir = DataDir::open(datadir)?;
    let follower = FollowerArgs {
        role: config.role,
        chain: follower_chain(&network)?,
        moniker: config.moniker.clone(),
        store: Blocks::open(Arc::new(SledKv::open(dir.db(), DEFAULT_CACHE)?))?,
        rpc: (config.rpc.addr, config.rpc_server()),
        web: config.web.addr,
        pace,
        standby: None,
        external: external(&config)?,
        oracle: outputs(&config, &network)?,
        evidence: config.data_root().join("evidence"),
        proving: proving(&config, &network, keys)?,
    };
    let l1 = Arc::new(reader(&config, &network)?);
    let mut role = Box::pin(run_follower(follower, l1));
    tokio::select! {
        biased;
        name = interrupted() => {
            tracing::info!(signal = name?, "stopping");
            stop.cancel();
            role.await
        }
        ended = &mut role => ended,
    }
}

/// What derivation needs to know of the rollup.
pub(crate) fn follower_chain(network: &Network) -> eyre::Result<FollowerChain> {
    Ok(FollowerChain {
        domain: network.domain()?,
        genesis: network.genesis_head()?,
        params: BlockParams {
            gas_limit: network.params.gas_limit,
            fee_vault: network.params.fee_vault,
        },
        deploy_block: network.l1_deploy_block,
    })
}
