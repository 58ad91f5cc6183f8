//! What L1 shows while a devnet's operators do something: states, stakes, and the slasher's transactions.
//!
//! Not for: sending. Invariant: it only asks; what it says is what the contracts say.

use crate::{
    layout::{Layout, Snapshot},
    offence::{Sets, failed, until},
};
use alloy::{
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::Filter,
};
use alloy_primitives::{Address, B256, U256};
use rota_l1::{
    At, Deployment, Endpoints, L1, RpcConfig, RpcL1,
    bindings::{Registry, Slasher},
};
use rota_node::{
    exit::{Exit, Failure},
    network::Network,
};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// For one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the slasher may take from a contradiction to the stake: some L1 blocks.
const SLASHED: Duration = Duration::from_secs(120);
/// Names of the states that the Registry has.
const STATES: [&str; 7] = ["none", "queued", "active", "exiting", "withdrawable", "gone", "jailed"];

/// The contracts of a devnet that runs.
pub(crate) struct OnL1 {
    pub(crate) network: Network,
    pub(crate) deployment: Deployment,
    l1: RpcL1,
    provider: DynProvider,
}

/// A transaction that is in a block.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mined {
    pub(crate) transaction_hash: B256,
    pub(crate) l1_block: u64,
    pub(crate) gas_used: u64,
}

/// How an operator's stake was taken.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Slashed {
    pub(crate) offence: B256,
    pub(crate) reporter: Address,
    pub(crate) seized_wei: U256,
    pub(crate) commit: Mined,
    pub(crate) reveal: Mined,
}

/// An operator as the Registry has it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Standing {
    pub(crate) state: &'static str,
    pub(crate) stake: U256,
}

impl OnL1 {
    /// Of the devnet that runs here.
    pub(crate) async fn of(layout: &Layout) -> Result<(Self, Snapshot), Failure> {
        let none = || {
            Failure::new(Exit::Unreachable, "no devnet runs here")
                .hint("start one with: rota devnet up")
        };
        layout.supervisor().ok_or_else(none)?;
        let snapshot = Snapshot::read(layout).filter(|s| s.ready).ok_or_else(none)?;
        let network = Network::load(&layout.network())?;
        let urls = vec![snapshot.l1_url.clone()];
        let endpoints = Endpoints::new(&urls, TIMEOUT)?;
        let deployment = Deployment::read(&endpoints, network.registry).await?;
        let l1 = RpcL1::new(RpcConfig {
            urls,
            blob_sources: Vec::new(),
            registry: network.registry,
            inbox: network.inbox,
            timeout: TIMEOUT,
        })?;
        let url = snapshot.l1_url.parse().map_err(failed)?;
        let provider = ProviderBuilder::new().connect_http(url).erased();
        Ok((Self { network, deployment, l1, provider }, snapshot))
    }

    pub(crate) async fn head(&self) -> Result<u64, Failure> {
        self.provider.get_block_number().await.map_err(failed)
    }

    /// All frozen sets.
    pub(crate) async fn sets(&self) -> Result<Sets, Failure> {
        let head = self.l1.block(At::Latest).await?.map_or(0, |b| b.number);
        let mut sets = Sets::new();
        for epoch in self.l1.frozen_sets(head).await?.epochs {
            let set = self.l1.validator_set(epoch, head).await?;
            sets.extend(set.map(|set| (epoch, Arc::new(set))));
        }
        Ok(sets)
    }

    fn registry(&self) -> Registry::RegistryInstance<&DynProvider> {
        Registry::new(self.network.registry, &self.provider)
    }

    /// Number of the operator with this sequencer key in the frozen set of an epoch.
    pub(crate) async fn member(&self, epoch: u64, index: u16) -> Result<U256, Failure> {
        let asked = self.registry().member(epoch, U256::from(index)).call().await;
        Ok(asked.map_err(failed)?.operator)
    }

    /// State and stake of an operator.
    pub(crate) async fn standing(&self, operator: U256) -> Result<Standing, Failure> {
        let state = self.registry().stateOf(operator).call().await.map_err(failed)?;
        let known = self.registry().operatorOf(operator).call().await.map_err(failed)?;
        let state = STATES.get(usize::from(state)).copied().unwrap_or("unknown");
        Ok(Standing { state, stake: U256::from(known.stake) })
    }

    /// Waits until the slasher took this operator's stake, from an L1 block on; says each step when it is there.
    pub(crate) async fn slashed(
        &self,
        (operator, from): (U256, u64),
        mut say: impl FnMut(&str, &Mined),
    ) -> Result<Slashed, Failure> {
        let filter = Filter::new().address(self.deployment.slasher).from_block(from);
        let (filter, mut commit) = (&filter, None);
        until(SLASHED, "the slasher to take the stake", async || {
            for log in self.provider.get_logs(filter).await.ok()? {
                let mined = self.mined(log.transaction_hash?).await?;
                if log.log_decode::<Slasher::Committed>().is_ok() && commit.is_none() {
                    say("committed", &mined);
                    commit = Some(mined);
                } else if let Ok(event) = log.log_decode::<Slasher::Slashed>()
                    && event.inner.operator == operator
                {
                    say("revealed", &mined);
                    let event = event.inner.data;
                    return Some(Slashed {
                        offence: B256::from(event.offence),
                        reporter: event.reporter,
                        seized_wei: event.seized,
                        commit: commit.clone().unwrap_or_else(|| mined.clone()),
                        reveal: mined,
                    });
                }
            }
            None
        })
        .await
    }

    async fn mined(&self, hash: B256) -> Option<Mined> {
        let receipt = self.provider.get_transaction_receipt(hash).await.ok()??;
        Some(Mined {
            transaction_hash: hash,
            l1_block: receipt.block_number?,
            gas_used: receipt.gas_used,
        })
    }
}
