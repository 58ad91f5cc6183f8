//! Bringing a network to life on L1: deploy its contracts, join its set, freeze it.
//!
//! Not for: running nodes. The command line and the devnet both come through here, so that a devnet's operators join
//! exactly as anyone else's. Invariant: before anything is sent, the endpoint is on the chain that the network names.

mod bridge;
mod contracts;
mod owner;
mod sets;
mod tokens;
mod warranty;

pub use bridge::{BridgeOnL1, ShownOnL1};
pub use contracts::{FallbackOnL1, ForcedEntry, ForcedTerms, PostageOnL1, RewardsOnL1, RollCall};
pub use owner::{Calendar, OperatorOnL1, Standing};
pub use tokens::TokenOnL1;
pub use warranty::WarrantyOnL1;

use crate::network::{NETWORK_VERSION, Network, NetworkError};
use alloy::{
    network::EthereumWallet,
    providers::{DynProvider, Provider, ProviderBuilder},
    signers::local::PrivateKeySigner,
};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, U256, keccak256};
use rota_l1::{
    Contracts, Council, Court, DeployParams, L1, L1Error, L1Rules, MemoryJournal, OperatorKeys,
    Outcome, Policy, Refusal, RpcConfig, RpcL1, RpcSender, TxError, TxManager, TxRequest,
    bindings::Registry,
};
use rota_types::{ChainParams, Encode};
use std::time::Duration;

/// Between two looks at a transaction under way.
const POLL: Duration = Duration::from_millis(200);
/// For one request to L1.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a transaction may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// L1 could not be asked, or refused.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The transaction could not be sent.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The network file cannot be. The operator's fault.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The address that peers shall dial is none. The operator's fault.
    #[error("{0} is no address that peers can dial")]
    Peer(String),
    /// The transaction was mined and reverted.
    #[error("the transaction {hash} reverted in L1 block {block}")]
    Failed {
        /// The transaction.
        hash: B256,
        /// Where.
        block: u64,
    },
    /// The endpoint follows another chain. The operator's fault.
    #[error("the L1 endpoint is on chain {found} and the network is on chain {expected}")]
    WrongChain {
        /// Chain id of the endpoint.
        found: u64,
        /// Chain id in the network file.
        expected: u64,
    },
    /// Not mined, or not final, in time.
    #[error("{0} took too long")]
    Timeout(&'static str),
    /// The user's fault: another address, or another chain.
    #[error("there is no ERC-20 token at {0} on L1")]
    NoToken(Address),
    /// Nothing was locked there; the user's fault, or it is not mined yet.
    #[error("the transaction {tx} of L1 locked nothing at the bridge {bridge}")]
    NoDeposit {
        /// The transaction.
        tx: B256,
        /// The bridge asked about.
        bridge: Address,
    },
    /// The endpoint lags, or the node follows another chain.
    #[error("the L1 endpoint does not know the block {0}, which is the rollup's origin")]
    NoOrigin(B256),
}

/// What a new network consists of, before its contracts have addresses.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The first block.
    pub genesis: Genesis,
    /// What every node must agree on.
    pub params: ChainParams,
    /// Least stake of an operator, wei.
    pub min_stake: U256,
    /// Least size of the first set.
    pub min_operators: u64,
    /// Times, limits and prices on L1.
    pub rules: L1Rules,
    /// Who decides where provers disagree.
    pub council: Council,
    /// What the portal gets for what the genesis gives out, wei.
    pub seed: U256,
}

/// A genesis that gives each account the balance, in wei, and has the contracts of the bridge.
#[must_use]
pub fn funded_genesis(
    chain_id: u64,
    timestamp_s: u64,
    params: &ChainParams,
    (accounts, balance): (&[Address], U256),
) -> Genesis {
    let rich = || GenesisAccount::default().with_balance(balance);
    let alloc = accounts.iter().map(|a| (*a, rich())).chain(rota_execution::predeploys());
    rota_execution::prague_genesis(chain_id, timestamp_s, params.gas_limit, alloc)
}

/// A chain id for a network that is not meant to last: another one for every L1 block that it starts from, so that no
/// wallet takes the nonces of an earlier one for its own. Between 10,000,000 and 2^31.
#[must_use]
pub fn fresh_chain_id(l1_block: B256) -> u64 {
    const LEAST: u64 = 10_000_000;
    let hash = keccak256([b"rota/devnet".as_slice(), l1_block.as_slice()].concat());
    let (head, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    let span = (1u64 << 31).saturating_sub(LEAST);
    LEAST.saturating_add(u64::from_be_bytes(*head).checked_rem(span).unwrap_or_default())
}

fn provider(urls: &[String], signer: Option<&PrivateKeySigner>) -> Result<DynProvider, L1Error> {
    let url = urls.first().ok_or_else(|| L1Error::Config("no L1 endpoint is given".into()))?;
    let url = url.parse().map_err(|_| L1Error::Config("the L1 endpoint is no address".into()))?;
    Ok(match signer {
        Some(signer) => ProviderBuilder::new()
            .wallet(EthereumWallet::from(signer.clone()))
            .connect_http(url)
            .erased(),
        None => ProviderBuilder::new().connect_http(url).erased(),
    })
}

/// Keeps addresses out of texts: they may hold keys.
fn unavailable(e: impl std::fmt::Display, urls: &[String]) -> L1Error {
    let text = urls
        .iter()
        .fold(e.to_string(), |t, url| t.replace(url.trim_end_matches('/'), "the endpoint"));
    L1Error::Unavailable(text)
}

/// Number, hash and time of the newest L1 block.
///
/// # Errors
/// L1 does not answer.
pub async fn l1_head(urls: &[String]) -> Result<rota_l1::L1Block, SetupError> {
    let config = RpcConfig {
        urls: urls.to_vec(),
        blob_sources: Vec::new(),
        registry: Address::ZERO,
        inbox: Address::ZERO,
        timeout: TIMEOUT,
    };
    let head = RpcL1::new(config)?.block(rota_l1::At::Latest).await?;
    Ok(head.ok_or(L1Error::NoBlock(0))?)
}

/// Deploys the contracts and gives the network with their addresses. The deployer sends nothing else meanwhile.
///
/// # Errors
/// The plan cannot be, or L1 refuses.
pub async fn deploy(
    urls: &[String],
    deployer: &PrivateKeySigner,
    plan: Plan,
) -> Result<(Network, Contracts), SetupError> {
    let provider = provider(urls, Some(deployer))?;
    let l1_chain_id = provider.get_chain_id().await.map_err(|e| unavailable(e, urls))?;
    let vault = plan.params.fee_vault;
    let mut network = Network {
        version: NETWORK_VERSION,
        l1_chain_id,
        l2_chain_id: plan.genesis.config.chain_id,
        // Filled in below, as is whom the vault pays; two addresses, so that the rest can be checked before anything is paid for.
        registry: Address::repeat_byte(1),
        inbox: Address::repeat_byte(2),
        rewards: None,
        oracle: None,
        warranty: None,
        l1_deploy_block: 0,
        genesis: bridge::with_predeploys(plan.genesis.clone(), (vault, Address::ZERO))?,
        params: plan.params,
    };
    network.validate()?;
    let ground = rota_l1::lay_ground(&provider, deployer.address(), &plan.council).await?;
    network.genesis = bridge::with_predeploys(plan.genesis, (vault, ground.rewards()))?;
    let params = DeployParams {
        l2_chain_id: network.l2_chain_id,
        genesis_hash: network.domain()?.genesis_hash,
        genesis_block: network.genesis_head()?.hash,
        parameters: network.params.encode().into(),
        min_stake: plan.min_stake,
        min_operators: plan.min_operators,
        rules: plan.rules,
        seed: plan.seed,
    };
    let contracts = rota_l1::deploy(&provider, ground, &params).await?;
    network.registry = contracts.registry;
    network.inbox = contracts.inbox;
    network.rewards = Some(contracts.rewards);
    network.oracle = Some(contracts.oracle);
    network.warranty = Some(contracts.warranty);
    network.l1_deploy_block = contracts.block;
    network.validate()?;
    Ok((network, contracts))
}

/// A network on L1, for those who join it.
#[derive(Debug)]
pub struct OnL1<'a> {
    network: &'a Network,
    urls: &'a [String],
    l1: RpcL1,
}

impl<'a> OnL1<'a> {
    /// Checks that the endpoint is on the network's chain.
    ///
    /// # Errors
    /// It is not, or does not answer.
    pub async fn connect(network: &'a Network, urls: &'a [String]) -> Result<Self, SetupError> {
        let asked = provider(urls, None)?.get_chain_id().await;
        let found = asked.map_err(|e| unavailable(e, urls))?;
        if found != network.l1_chain_id {
            return Err(SetupError::WrongChain { found, expected: network.l1_chain_id });
        }
        let l1 = RpcL1::new(RpcConfig {
            urls: urls.to_vec(),
            blob_sources: Vec::new(),
            registry: network.registry,
            inbox: network.inbox,
            timeout: TIMEOUT,
        })?;
        Ok(Self { network, urls, l1 })
    }

    /// Registers the hot keys with the owner's stake, in wei; `peer` is the address that others dial.
    ///
    /// # Errors
    /// [`Refusal`] in words before anything is paid for.
    pub async fn join(
        &self,
        owner: &PrivateKeySigner,
        keys: OperatorKeys<'_>,
        peer: &str,
        stake: U256,
    ) -> Result<Outcome, SetupError> {
        let account = owner.address();
        let domain = self.network.domain()?;
        let r = rota_l1::registration(&domain, account, keys, account, peer);
        let contract = Registry::new(self.network.registry, provider(self.urls, None)?);
        let asked = contract.register(r.clone()).from(account).value(stake).call().await;
        asked.map_err(|e| self.refused(&e))?;
        self.send(owner, rota_l1::register_request(self.network.registry, r, stake)).await
    }

    /// Chain id of L1.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.network.l1_chain_id
    }

    /// The Slasher of the network.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn court(&self) -> Result<Court, SetupError> {
        Ok(Court::of(self.l1.endpoints(), self.network.registry).await?)
    }

    /// Freezes the set of an epoch: after that it is that epoch's for ever. A later one is frozen during the epoch before it.
    ///
    /// # Errors
    /// [`Refusal`] in words before anything is paid for.
    pub async fn freeze(
        &self,
        payer: &PrivateKeySigner,
        epoch: u64,
    ) -> Result<Outcome, SetupError> {
        self.call(payer, rota_l1::freeze_request(self.network.registry, epoch)).await
    }

    /// Waits until an L1 block is final.
    ///
    /// # Errors
    /// L1 does not answer, or it took too long.
    pub async fn finalized(&self, block: u64) -> Result<(), SetupError> {
        let reached = async {
            loop {
                if self.l1.block(rota_l1::At::Finalized).await?.is_some_and(|b| b.number >= block) {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let late = SetupError::Timeout("the finality of L1");
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or(Err(late))
    }

    /// Sends wei from one account to others.
    ///
    /// # Errors
    /// L1 does not take it.
    pub async fn pay(
        &self,
        from: &PrivateKeySigner,
        to: Address,
        value: U256,
    ) -> Result<Outcome, SetupError> {
        let input = alloy_primitives::Bytes::new();
        self.send(from, TxRequest { to, input, value, gas_limit: 21_000, payload: None }).await
    }

    async fn send(
        &self,
        signer: &PrivateKeySigner,
        request: TxRequest,
    ) -> Result<Outcome, SetupError> {
        let endpoints = self.l1.endpoints();
        let sender = RpcSender::new(endpoints, signer.clone(), self.network.l1_chain_id);
        let policy = Policy { confirmations: 0, ..Policy::default() };
        let mut manager = TxManager::open(sender, MemoryJournal::default(), policy)?;
        manager.submit(request)?;
        let late = SetupError::Timeout("the L1 transaction");
        let outcome = match tokio::time::timeout(PATIENCE, manager.finish(POLL)).await {
            Ok(done) => done?,
            Err(_) => return Err(late),
        };
        let seen = outcome.inclusion;
        if seen.success {
            return Ok(outcome);
        }
        Err(SetupError::Failed { hash: seen.hash, block: seen.block })
    }

    fn refused(&self, e: &alloy::contract::Error) -> SetupError {
        let data = e.as_revert_data();
        let named = data.as_ref().and_then(|data| Refusal::decode(data));
        match (named, data) {
            (Some(refusal), _) => L1Error::Refused(refusal).into(),
            (None, Some(data)) => L1Error::Reverted(data.to_string()).into(),
            (None, None) if e.to_string().to_lowercase().contains("insufficient funds") => {
                TxError::Funds("the owner has less than stake and gas".into()).into()
            }
            (None, None) => unavailable(e, self.urls).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_of_short_lived_networks_differ_and_fit_every_wallet() {
        let ids = [1u8, 2, 3].map(|b| fresh_chain_id(B256::repeat_byte(b)));
        assert!(ids[0] != ids[1] && ids[1] != ids[2]);
        assert!(ids.iter().all(|id| (10_000_000..1 << 31).contains(id)));
        assert_eq!(fresh_chain_id(B256::repeat_byte(1)), ids[0]);
    }

    #[tokio::test]
    async fn a_dead_endpoint_is_reported_without_its_secret() {
        let urls = ["http://127.0.0.1:1/v3/SECRET".to_owned()];
        let said = l1_head(&urls).await.unwrap_err().to_string();
        assert!(said.contains("no L1 endpoint answered") && !said.contains("SECRET"), "{said}");
        let key = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).unwrap();
        let params = ChainParams::default();
        let genesis = funded_genesis(70_700, 1, &params, (&[], U256::ZERO));
        let plan = Plan {
            genesis,
            params,
            min_stake: U256::from(1),
            min_operators: 1,
            rules: L1Rules::default(),
            council: Council::None,
            seed: U256::ZERO,
        };
        let said = deploy(&urls, &key, plan).await.unwrap_err().to_string();
        assert!(said.contains("no L1 endpoint answered") && !said.contains("SECRET"), "{said}");
    }
}
