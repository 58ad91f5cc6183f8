//! Contracts of Rota that are in the first block: the way out to L1, the tokens that came from there, and the fees.
//!
//! Not for: what they do (`contracts/src`). Invariant: the code is what those sources give; `npm run artifacts:check` in
//! `contracts` holds it to them, and the addresses are those in `contracts/src/Predeploys.sol`.

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};

/// Notes what is to be executed on L1 (`MessagePasser`).
pub const MESSAGE_PASSER: Address = address!("0x526F746100000000000000000000000000000001");
/// Makes and burns tokens of L1 (`TokenBridgeL2`).
pub const TOKEN_BRIDGE: Address = address!("0x526F746100000000000000000000000000000002");

/// The two contracts that are the same in every network, for a genesis file.
pub fn predeploys() -> impl Iterator<Item = (Address, GenesisAccount)> {
    let passer: &[u8] = include_bytes!("../../contracts/bin/MessagePasser.bin");
    let bridge: &[u8] = include_bytes!("../../contracts/bin/TokenBridgeL2.bin");
    [(MESSAGE_PASSER, passer), (TOKEN_BRIDGE, bridge)].into_iter().map(|(address, code)| {
        let code = Some(Bytes::from_static(code));
        (address, GenesisAccount::default().with_nonce(Some(1)).with_code(code))
    })
}

/// Where fees come together (`FeeVault`), for a genesis file: at the address that the network's parameters name, with the
/// contract on L1 that it sends them to.
#[must_use]
pub fn fee_vault(rewards: Address) -> GenesisAccount {
    let code: &[u8] = include_bytes!("../../contracts/bin/FeeVault.bin");
    let storage = [(B256::ZERO, rewards.into_word())].into_iter().collect();
    GenesisAccount::default()
        .with_nonce(Some(1))
        .with_code(Some(Bytes::from_static(code)))
        .with_storage(Some(storage))
}

/// The storage slot of the message passer that is 1 once a withdrawal of this hash was sent.
#[must_use]
pub fn sent_slot(withdrawal: B256) -> U256 {
    U256::from_be_bytes(keccak256([withdrawal, B256::ZERO].concat()).0)
}
