//! Restart safety as an operator lives it: the real program, real files, a real set over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::large_futures,
    reason = "test code: what goes wrong fails it, and real files and processes go by the real clock"
)]

mod disk;
mod guard;
mod keys;
mod signer;
mod wipe;

use alloy_primitives::{Address, U256, b256};
use rota_node::{
    network::{NETWORK_VERSION, Network},
    setup::funded_genesis,
};
use rota_types::{ChainParams, Domain, Validator, ValidatorSet};

/// A network that is on no L1.
fn network() -> Network {
    // Short windows, so that two of them are soon over.
    let params = ChainParams {
        block_ms: 100,
        idle_block_ms: 200,
        window_heights: 3,
        propose_ms: 1_000,
        vote_ms: 1_000,
        ..ChainParams::default()
    };
    let genesis = funded_genesis(70_700, 1, &params, (&[], U256::ZERO));
    Network {
        version: NETWORK_VERSION,
        l1_chain_id: 31_337,
        l2_chain_id: genesis.config.chain_id,
        registry: Address::repeat_byte(1),
        inbox: Address::repeat_byte(2),
        rewards: None,
        oracle: None,
        warranty: None,
        l1_deploy_block: 0,
        genesis,
        params,
    }
}

fn domain() -> Domain {
    network().domain().unwrap()
}

/// A set of these keys and addresses with equal stakes.
fn set(members: impl IntoIterator<Item = ([u8; 32], Address, String)>) -> ValidatorSet {
    let validators =
        members.into_iter().enumerate().map(|(i, (seq_key, vote_key, peer))| Validator {
            owner: Address::with_last_byte(u8::try_from(i).unwrap() + 1),
            seq_key,
            vote_key,
            stake: U256::from(32) * U256::from(1_000_000_000_000_000_000u64),
            fee_recipient: Address::ZERO,
            peer,
        });
    ValidatorSet::new(0, validators.collect())
}

/// Any L1 block that is final.
fn origin(network: &Network) -> rota_types::Env {
    rota_types::Env {
        timestamp_s: 0,
        l1_number: 5,
        l1_hash: b256!("0x1111111111111111111111111111111111111111111111111111111111111111"),
        gas_limit: network.params.gas_limit,
        prev_randao: b256!("0x2222222222222222222222222222222222222222222222222222222222222222"),
        fee_vault: network.params.fee_vault,
    }
}
