//! The first block: Prague rules from the start, with the system contracts in place.
//!
//! The hash is the one `geth init` computes from the same genesis file, so that a stock client can
//! follow.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use alloy_eips::{
    eip1559::INITIAL_BASE_FEE,
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
    eip7685::EMPTY_REQUESTS_HASH,
    eip7840::BlobParams,
};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, U256};

use crate::{Account, ExecutionError, Head, State};

/// The four contracts that Prague blocks call: parent hashes, L1 origins, and two request queues.
pub fn system_contracts() -> impl Iterator<Item = (Address, GenesisAccount)> {
    [
        (HISTORY_STORAGE_ADDRESS, &HISTORY_STORAGE_CODE),
        (BEACON_ROOTS_ADDRESS, &BEACON_ROOTS_CODE),
        (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
        (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
    ]
    .into_iter()
    .map(|(address, code)| {
        (address, GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code.clone())))
    })
}

/// A genesis file for this chain, in the format stock clients read (serialize it as JSON): every
/// fork up to Prague at the start, the system contracts, and the given accounts on top of them.
#[must_use]
pub fn prague_genesis(
    chain_id: u64,
    timestamp_s: u64,
    gas_limit: u64,
    accounts: impl IntoIterator<Item = (Address, GenesisAccount)>,
) -> Genesis {
    let zero = Some(0);
    let config = ChainConfig {
        chain_id,
        homestead_block: zero,
        eip150_block: zero,
        eip155_block: zero,
        eip158_block: zero,
        byzantium_block: zero,
        constantinople_block: zero,
        petersburg_block: zero,
        istanbul_block: zero,
        muir_glacier_block: zero,
        berlin_block: zero,
        london_block: zero,
        arrow_glacier_block: zero,
        gray_glacier_block: zero,
        merge_netsplit_block: zero,
        shanghai_time: zero,
        cancun_time: zero,
        prague_time: zero,
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        blob_schedule: [
            ("cancun".to_owned(), BlobParams::cancun()),
            ("prague".to_owned(), BlobParams::prague()),
        ]
        .into(),
        ..ChainConfig::default()
    };
    Genesis {
        config,
        timestamp: timestamp_s,
        gas_limit,
        base_fee_per_gas: Some(INITIAL_BASE_FEE.into()),
        alloc: system_contracts().chain(accounts).collect(),
        ..Genesis::default()
    }
}

/// Computes the genesis block and the state it starts from.
///
/// # Errors
/// [`ExecutionError::Genesis`] if a system contract is missing, the file starts at another number
/// than 0, or a number in it is too large.
pub fn genesis(genesis: &Genesis) -> Result<Head, ExecutionError> {
    let fault = |what| ExecutionError::Genesis(what);
    if system_contracts().any(|(address, contract)| {
        genesis.alloc.get(&address).is_none_or(|account| account.code != contract.code)
    }) {
        return Err(fault("a system contract is missing from the accounts"));
    }
    if genesis.number.unwrap_or_default() != 0 {
        return Err(fault("it does not have number 0"));
    }
    if genesis.extra_data.len() > B256::len_bytes() {
        return Err(fault("its extra data is longer than 32 bytes"));
    }
    if genesis.alloc.values().any(is_empty) {
        return Err(fault("an account in it is empty (EIP-7523)"));
    }
    let base_fee = u64::try_from(genesis.base_fee_per_gas.unwrap_or(INITIAL_BASE_FEE.into()))
        .map_err(|_| fault("the base fee does not fit in 64 bits"))?;
    let state = state_of(genesis);
    let header = Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root: state.root(),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        gas_limit: genesis.gas_limit,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: genesis.nonce.into(),
        base_fee_per_gas: Some(base_fee),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(genesis.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: Some(genesis.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    };
    Ok(Head { hash: header.hash_slow(), header, state })
}

fn is_empty(account: &GenesisAccount) -> bool {
    account.nonce.unwrap_or_default() == 0
        && account.balance.is_zero()
        && account.code.as_ref().is_none_or(|code| code.is_empty())
}

fn state_of(genesis: &Genesis) -> State {
    let mut state = State::default();
    for (address, given) in &genesis.alloc {
        let code_hash = state.add_code(given.code.clone().unwrap_or_default());
        let account =
            Account { nonce: given.nonce.unwrap_or_default(), balance: given.balance, code_hash };
        state.put_account(*address, account);
        for (slot, value) in given.storage.iter().flatten() {
            state.put_slot(*address, (*slot).into(), (*value).into());
        }
    }
    state.start_over();
    state
}
