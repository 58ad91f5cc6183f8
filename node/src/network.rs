//! The pinned network file: which rollup this is, and where it lies on L1.
//!
//! Not for: settings of one node ([`crate::config`]). Invariant: two nodes with the same file compute the same
//! [`Domain`], and a file that was loaded has a genesis that the execution layer accepts.

use alloy_genesis::Genesis;
use alloy_primitives::Address;
use rota_execution::Head;
use rota_types::{ChainParams, Domain};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of the file format.
pub const NETWORK_VERSION: u32 = 2;

/// Why a network file is not usable. The operator's fault: ask whoever runs the network for the right one.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The file cannot be read or written.
    #[error("cannot {what} the network file {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The reason given.
        source: std::io::Error,
    },
    /// The file is no network file.
    #[error("{} is not a network file: {source}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// A value cannot be.
    #[error("network file: {0}")]
    Invalid(String),
}

/// One rollup. Written once, when its contracts are deployed; every node has a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Version of this format, 2. Those of version 1 have other books of fees.
    pub version: u32,
    /// Chain id of Ethereum.
    pub l1_chain_id: u64,
    /// Chain id of the rollup.
    pub l2_chain_id: u64,
    /// The Registry contract.
    pub registry: Address,
    /// The Inbox contract.
    pub inbox: Address,
    /// The Rewards contract, if there is one: the others do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewards: Option<Address>,
    /// The Oracle contract, if there is one: the others do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle: Option<Address>,
    /// The Warranty contract, if there is one: the others do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warranty: Option<Address>,
    /// No contract of the rollup is older than this L1 block.
    pub l1_deploy_block: u64,
    /// The first block, in the format that stock Ethereum clients read.
    pub genesis: Genesis,
    /// What every node must agree on; part of the genesis hash.
    pub params: ChainParams,
}

impl Network {
    /// Reads and checks a network file.
    ///
    /// # Errors
    /// [`NetworkError`] in words.
    pub fn load(path: &Path) -> Result<Self, NetworkError> {
        let text = std::fs::read_to_string(path).map_err(|source| NetworkError::Io {
            what: "read",
            path: path.into(),
            source,
        })?;
        let network: Self = serde_json::from_str(&text)
            .map_err(|source| NetworkError::Format { path: path.into(), source })?;
        network.validate()?;
        Ok(network)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`NetworkError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), NetworkError> {
        let io = |source| NetworkError::Io { what: "write", path: path.into(), source };
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| NetworkError::Format { path: path.into(), source })?;
        let unfinished = path.with_extension("json.new");
        std::fs::write(&unfinished, text + "\n").map_err(io)?;
        std::fs::rename(&unfinished, path).map_err(io)
    }

    /// The first execution block with its state.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] if the execution layer does not accept the genesis.
    pub fn genesis_head(&self) -> Result<Head, NetworkError> {
        rota_execution::genesis(&self.genesis)
            .map_err(|e| NetworkError::Invalid(format!("genesis: {e}")))
    }

    /// What every signature of this rollup is bound to (generation 0).
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] if the execution layer does not accept the genesis.
    pub fn domain(&self) -> Result<Domain, NetworkError> {
        self.domain_of(0)
    }

    /// The same in a later generation.
    ///
    /// # Errors
    /// As `domain`.
    pub fn domain_of(&self, generation: u32) -> Result<Domain, NetworkError> {
        let genesis = self.params.genesis_hash(self.genesis_head()?.hash);
        Ok(Domain::new(self.l1_chain_id, self.l2_chain_id, self.registry, genesis, generation))
    }

    /// Checks everything that can be checked without L1.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] names the field.
    pub fn validate(&self) -> Result<(), NetworkError> {
        let invalid = |why: String| Err(NetworkError::Invalid(why));
        if self.version != NETWORK_VERSION {
            return invalid(format!(
                "version {} is not known to this program, which reads version {NETWORK_VERSION}; a network goes on with the \
                 program that it was made with",
                self.version
            ));
        }
        if self.registry.is_zero() || self.inbox.is_zero() || self.registry == self.inbox {
            return invalid("registry and inbox must be two contract addresses".into());
        }
        if self.l2_chain_id == 0 || self.l1_chain_id == 0 || self.l2_chain_id == self.l1_chain_id {
            return invalid("l1_chain_id and l2_chain_id must be different and not zero".into());
        }
        let id = self.genesis.config.chain_id;
        if id != self.l2_chain_id {
            return invalid(format!(
                "genesis.config.chainId is {id} and l2_chain_id is {}",
                self.l2_chain_id
            ));
        }
        if self.genesis.gas_limit != self.params.gas_limit {
            return invalid(format!(
                "genesis.gasLimit is {} and params.gas_limit is {}",
                self.genesis.gas_limit, self.params.gas_limit
            ));
        }
        if self.params.block_ms == 0 || self.params.window_heights == 0 {
            return invalid("params.block_ms and params.window_heights must not be zero".into());
        }
        // Blocks follow the Prague rules from the first one; a stock client must be told the same.
        let config = &self.genesis.config;
        if config.prague_time != Some(0) || config.osaka_time.is_some() {
            return invalid("genesis.config must have pragueTime 0 and no later fork".into());
        }
        self.check_vault()?;
        self.genesis_head().map(|_| ())
    }

    /// Fees go to the contract that pays them out.
    fn check_vault(&self) -> Result<(), NetworkError> {
        let Some(rewards) = self.rewards else { return Ok(()) };
        let (vault, want) = (self.params.fee_vault, rota_execution::fee_vault(rewards));
        let there = self.genesis.alloc.get(&vault);
        if there.is_some_and(|a| a.code == want.code && a.storage == want.storage) {
            return Ok(());
        }
        Err(NetworkError::Invalid(format!(
            "genesis: the fee vault {vault} is not the contract that sends to {rewards}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_genesis::GenesisAccount;
    use alloy_primitives::U256;

    fn network() -> Network {
        let params = ChainParams::default();
        let rich = GenesisAccount::default().with_balance(U256::from(7));
        let vault = rota_execution::fee_vault(Address::repeat_byte(3));
        let alloc = [(Address::repeat_byte(9), rich), (params.fee_vault, vault)];
        Network {
            version: NETWORK_VERSION,
            l1_chain_id: 31_337,
            l2_chain_id: 70_700,
            registry: Address::repeat_byte(1),
            inbox: Address::repeat_byte(2),
            rewards: Some(Address::repeat_byte(3)),
            oracle: Some(Address::repeat_byte(4)),
            warranty: Some(Address::repeat_byte(5)),
            l1_deploy_block: 5,
            genesis: rota_execution::prague_genesis(70_700, 1_700_000_000, params.gas_limit, alloc),
            params,
        }
    }

    #[test]
    fn a_saved_file_gives_the_same_domain() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network.json");
        network().save(&path).unwrap();
        let loaded = Network::load(&path).unwrap();
        assert_eq!(loaded, network());
        let block = rota_execution::genesis(&network().genesis).unwrap().hash;
        let hash = network().params.genesis_hash(block);
        let expected = Domain::new(31_337, 70_700, Address::repeat_byte(1), hash, 0);
        assert_eq!(loaded.domain().unwrap(), expected);
    }

    #[test]
    fn other_parameters_are_another_domain() {
        let mut other = network();
        other.params.frame_min_ms += 1;
        assert_ne!(other.domain().unwrap(), network().domain().unwrap());
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        type Change<'a> = &'a dyn Fn(&mut Network);
        let cases: [(Change<'_>, &str); 10] = [
            (&|n| n.version = 1, "version 1"),
            (&|n| n.registry = Address::ZERO, "registry"),
            (&|n| n.l2_chain_id = 31_337, "different"),
            (&|n| n.genesis.config.chain_id = 1, "genesis.config.chainId is 1"),
            (&|n| n.params.gas_limit = 1, "params.gas_limit is 1"),
            (&|n| n.genesis.alloc.clear(), "fee vault"),
            (&|n| n.rewards = Some(Address::repeat_byte(8)), "is not the contract that sends to"),
            (&|n| n.genesis.alloc.values_mut().for_each(|a| a.code = None), "fee vault"),
            (&|n| n.genesis.number = Some(1), "genesis: it does not have number 0"),
            (&|n| n.genesis.config.prague_time = None, "pragueTime"),
        ];
        for (change, expected) in cases {
            let mut wrong = network();
            change(&mut wrong);
            let said = wrong.validate().unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn an_unknown_field_and_a_missing_file_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network.json");
        let missing = Network::load(&path).unwrap_err().to_string();
        assert!(missing.contains("cannot read the network file"), "{missing}");
        let mut json = serde_json::to_value(network()).unwrap();
        json["registri"] = json["registry"].take();
        std::fs::write(&path, json.to_string()).unwrap();
        let said = Network::load(&path).unwrap_err().to_string();
        assert!(said.contains("registri"), "{said}");
    }
}
