//! Putting the contracts on a chain.
//!
//! Not for: upgrades (there are none). Invariant: the four contracts refer to each other and to nothing else.

use crate::L1Error;
use crate::bindings::{EcdsaCertificateVerifier, Ed25519Verifier, Inbox, Registry};
use alloy::providers::Provider;
use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

/// What a deployment fixes for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeployParams {
    /// Chain id of the rollup.
    pub l2_chain_id: u64,
    /// Hash of the genesis.
    pub genesis_hash: B256,
    /// Least stake of an operator, wei.
    pub min_stake: U256,
    /// Least size of the first set.
    pub min_operators: u64,
}

/// Where the contracts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contracts {
    /// Strict Ed25519.
    pub ed25519_verifier: Address,
    /// Operators and sets.
    pub registry: Address,
    /// Certificates.
    pub certificate_verifier: Address,
    /// Batches.
    pub inbox: Address,
    /// L1 block to read events from: none of the contracts is older.
    pub block: u64,
}

/// Deploys the contracts with a provider that fills in nonce, gas and fees and signs. Four transactions, each awaited.
pub async fn deploy<P: Provider>(
    provider: &P,
    params: &DeployParams,
) -> Result<Contracts, L1Error> {
    let block = provider.get_block_number().await.map_err(|e| failed("block number", &e))?;
    let ed = Ed25519Verifier::deploy(provider).await.map_err(|e| failed("Ed25519Verifier", &e))?;
    let registry = Registry::deploy(
        provider,
        params.l2_chain_id,
        params.genesis_hash,
        params.min_stake,
        *ed.address(),
        U256::from(params.min_operators),
    )
    .await
    .map_err(|e| failed("Registry", &e))?;
    let verifier = EcdsaCertificateVerifier::deploy(provider, *registry.address())
        .await
        .map_err(|e| failed("EcdsaCertificateVerifier", &e))?;
    let inbox = Inbox::deploy(provider, *registry.address(), *verifier.address())
        .await
        .map_err(|e| failed("Inbox", &e))?;
    Ok(Contracts {
        ed25519_verifier: *ed.address(),
        registry: *registry.address(),
        certificate_verifier: *verifier.address(),
        inbox: *inbox.address(),
        block,
    })
}

fn failed(what: &str, why: &dyn std::fmt::Display) -> L1Error {
    L1Error::Build(format!("deploying {what}: {why}"))
}
