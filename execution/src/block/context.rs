//! Where a transaction runs: the parent, the environment of the block, the rules.

use alloy_consensus::Header;
use alloy_eips::{eip1559::BaseFeeParams, eip4844::BLOB_TX_MIN_BLOB_GASPRICE, eip4895::Withdrawal};
use alloy_primitives::{Address, B256, U256};
use revm::{
    Context, Database, MainBuilder, MainContext,
    context::{BlockEnv as EvmBlock, CfgEnv},
    context_interface::block::BlobExcessGasAndPrice,
    handler::{MainnetContext, MainnetEvm},
    primitives::hardfork::SpecId,
};

use crate::{ExecutionError, State};

/// The lowest gas limit Ethereum accepts.
const MIN_GAS_LIMIT: u64 = 5_000;
/// A gas limit may move by less than this part of the parent's.
const GAS_LIMIT_BOUND_DIVISOR: u64 = 1_024;

/// A block to build on: its header, its hash and the state after it.
#[derive(Clone, Debug)]
pub struct Head {
    /// The header.
    pub header: Header,
    /// Its hash.
    pub hash: B256,
    /// The state after the block, settled.
    pub state: State,
}

impl Head {
    /// Puts together a head from a stored header and a rebuilt state.
    ///
    /// # Errors
    /// [`ExecutionError::Environment`] if the state does not have the root the header promises.
    pub fn new(header: Header, state: State) -> Result<Self, ExecutionError> {
        if state.root() != header.state_root {
            return Err(ExecutionError::Environment(
                "the state does not have the root of the header",
            ));
        }
        Ok(Self { hash: header.hash_slow(), header, state })
    }

    /// The base fee of the next block in wei for each gas (EIP-1559).
    #[must_use]
    pub fn next_base_fee(&self) -> u64 {
        self.header.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default()
    }
}

/// What ordering and the L1 origin decide about a block before any transaction runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEnv {
    /// The parent's number plus one.
    pub number: u64,
    /// Seconds since 1970; above the parent's.
    pub timestamp_s: u64,
    /// Gas that all transactions together may use; moves by less than 1/1024 of the parent's.
    pub gas_limit: u64,
    /// Who receives the priority fees.
    pub fee_recipient: Address,
    /// Randomness of the L1 origin, seen by `PREVRANDAO`.
    pub prev_randao: B256,
    /// Hash of the L1 origin block, seen through EIP-4788.
    pub parent_beacon_block_root: B256,
    /// Deposits from L1 (EIP-4895; amounts in gwei).
    pub withdrawals: Vec<Withdrawal>,
}

impl BlockEnv {
    pub(super) fn check(&self, parent: &Header) -> Result<(), ExecutionError> {
        let fault = |what| Err(ExecutionError::Environment(what));
        if parent.number.checked_add(1) != Some(self.number) {
            return fault("the number is not the parent's plus one");
        }
        if self.timestamp_s <= parent.timestamp {
            return fault("the timestamp is not above the parent's");
        }
        let bound = parent.gas_limit / GAS_LIMIT_BOUND_DIVISOR;
        let moved = self.gas_limit.abs_diff(parent.gas_limit);
        if self.gas_limit < MIN_GAS_LIMIT || (moved != 0 && moved >= bound) {
            return fault("the gas limit moved by 1/1024 of the parent's or more");
        }
        Ok(())
    }
}

/// The part of a block that the EVM sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// Seen by `CHAINID`, and demanded of transactions.
    pub chain_id: u64,
    /// Seen by `NUMBER`.
    pub number: u64,
    /// Seconds; seen by `TIMESTAMP`.
    pub timestamp_s: u64,
    /// Seen by `GASLIMIT`.
    pub gas_limit: u64,
    /// Seen by `COINBASE`.
    pub fee_recipient: Address,
    /// Seen by `PREVRANDAO`.
    pub prev_randao: B256,
    /// Wei for each gas, burned; seen by `BASEFEE`.
    pub base_fee: u64,
}

impl BlockContext {
    /// The context of a block that exists: for calls on top of it.
    #[must_use]
    pub fn of(header: &Header, chain_id: u64) -> Self {
        Self {
            chain_id,
            number: header.number,
            timestamp_s: header.timestamp,
            gas_limit: header.gas_limit,
            fee_recipient: header.beneficiary,
            prev_randao: header.mix_hash,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
        }
    }

    pub(super) fn next(parent: &Head, env: &BlockEnv, chain_id: u64) -> Self {
        Self {
            chain_id,
            number: env.number,
            timestamp_s: env.timestamp_s,
            gas_limit: env.gas_limit,
            fee_recipient: env.fee_recipient,
            prev_randao: env.prev_randao,
            base_fee: parent.next_base_fee(),
        }
    }

    /// The rules: Prague, on this chain.
    pub(crate) fn rules(&self) -> CfgEnv {
        CfgEnv::new_with_spec(SpecId::PRAGUE).with_chain_id(self.chain_id)
    }

    pub(crate) fn block(&self) -> EvmBlock {
        EvmBlock {
            number: U256::from(self.number),
            beneficiary: self.fee_recipient,
            timestamp: U256::from(self.timestamp_s),
            gas_limit: self.gas_limit,
            basefee: self.base_fee,
            difficulty: U256::ZERO,
            prevrandao: Some(self.prev_randao),
            // No block carries a blob, so the blob fee stays at its minimum.
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice {
                excess_blob_gas: 0,
                blob_gasprice: BLOB_TX_MIN_BLOB_GASPRICE,
            }),
            slot_num: 0,
        }
    }
}

/// The EVM with mainnet's instructions and precompiles.
pub(crate) type Evm<Db> = MainnetEvm<MainnetContext<Db>>;

/// An EVM over a state. It holds `Rc`s, so it lives no longer than one batch of transactions.
pub(crate) fn evm<Db: Database>(db: Db, block: EvmBlock, rules: CfgEnv) -> Evm<Db> {
    Context::mainnet().with_db(db).with_block(block).with_cfg(rules).build_mainnet()
}
