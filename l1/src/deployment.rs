//! What a Registry says of its rollup: enough for a stranger who knows nothing but its address.
//!
//! Not for: the network file, which pins genesis and parameters for nodes. Invariant: all of it is immutable on L1, but for
//! the generation.

use crate::bindings::{Inbox, Registry};
use crate::{Endpoints, L1Error};
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy_primitives::{Address, B256};
use rota_types::Domain;

/// A rollup on L1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Chain id of Ethereum.
    pub l1_chain_id: u64,
    /// Chain id of the rollup.
    pub l2_chain_id: u64,
    /// What signatures name as its genesis.
    pub genesis_hash: B256,
    /// The Registry.
    pub registry: Address,
    /// The Inbox.
    pub inbox: Address,
    /// The Slasher.
    pub slasher: Address,
    /// Raised by a fallback.
    pub generation: u32,
    /// L1 block in which set 0 was frozen, 0 before: nothing is signed earlier.
    pub base: u64,
}

impl Deployment {
    /// The generation that L1 is in now.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn generation_now(&self, endpoints: &Endpoints) -> Result<u32, L1Error> {
        let inbox = self.inbox;
        endpoints
            .ask(move |p| async move { Ok(Inbox::new(inbox, p).generation().call().await?) })
            .await
    }

    /// Asks the Registry.
    ///
    /// # Errors
    /// L1 does not answer, or there is no Registry at the address.
    pub async fn read(endpoints: &Endpoints, registry: Address) -> Result<Self, L1Error> {
        let ask = move |p: RootProvider<Ethereum>| async move {
            let l1_chain_id = p.get_chain_id().await?;
            let contract = Registry::new(registry, p.clone());
            let inbox = contract.inbox().call().await?;
            Ok(Self {
                l1_chain_id,
                l2_chain_id: contract.l2ChainId().call().await?,
                genesis_hash: contract.genesisHash().call().await?,
                registry,
                inbox,
                slasher: contract.slasher().call().await?,
                base: contract.base().call().await?,
                generation: Inbox::new(inbox, p).generation().call().await?,
            })
        };
        endpoints.ask(ask).await
    }

    /// What every signature of the rollup covers.
    #[must_use]
    pub fn domain(&self) -> Domain {
        let Self { l1_chain_id, l2_chain_id, registry, genesis_hash, generation, .. } = *self;
        Domain::new(l1_chain_id, l2_chain_id, registry, genesis_hash, generation)
    }
}
