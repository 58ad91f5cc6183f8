//! The portal, which makes the bridge for tokens, knows the oracle, and comes after it.
//!
//! Invariant: the portal is where the inbox says that it is.

use super::{Contracts, DeployParams, failed, oracle::succeeded, overtaken};
use crate::L1Error;
use crate::bindings::Portal;
use alloy::providers::Provider;
use alloy_primitives::{Address, U256};

/// Deploys it, and gives the portal what covers the genesis.
pub(super) async fn deploy<P: Provider>(
    provider: &P,
    so_far: Contracts,
    params: &DeployParams,
    expected: Address,
) -> Result<Contracts, L1Error> {
    let maturity = U256::from(params.rules.maturity_s);
    let portal = Portal::deploy(provider, so_far.oracle, maturity)
        .await
        .map_err(|e| failed("Portal", &e))?;
    if *portal.address() != expected {
        return Err(overtaken());
    }
    let tokens = portal.tokenBridge().call().await;
    let token_bridge = tokens.map_err(|e| failed("the bridge for tokens", &e))?;
    if !params.seed.is_zero() {
        let seed = portal.seed().value(params.seed).send().await;
        let seed = seed.map_err(|e| failed("the portal's seed", &e))?;
        succeeded("the portal's seed", seed).await?;
    }
    Ok(Contracts { portal: expected, token_bridge, ..so_far })
}
