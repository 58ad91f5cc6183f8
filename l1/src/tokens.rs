//! Tokens between L1 and the rollup: what the bridge on L1 says that it has locked, and the calls that move them.
//!
//! Not for: the ETH of a withdrawal (`bridge`), nor for finding the proofs (`node`). Invariant: a deposit is read from the
//! event alone, which has everything that the other side asks for.

use crate::TxRequest;
use crate::bindings::FeeVault::FeeVaultErrors;
use crate::bindings::MessagePasser::MessagePasserErrors;
use crate::bindings::TokenBridgeL2::TokenBridgeL2Errors;
use crate::bindings::{BridgedToken, TokenBridgeL1, TokenBridgeL2};
use crate::bridge::Withdrawal;
use crate::register::request;
use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};

/// Gas of an approval: tokens that are proxies or keep books of their own need more than a word.
const GAS_APPROVE: u64 = 150_000;
/// Gas of locking tokens, with the transfer, and a few words and calls.
const GAS_LOCK: u64 = 500_000;
/// Slot of the bridge on L1 where the hashes of deposits are.
const DEPOSITS_SLOT: U256 = U256::ZERO;

/// Tokens that the bridge on L1 has locked for an account of the rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDeposit {
    /// Its number at the bridge, from 0.
    pub index: U256,
    /// The token on L1.
    pub token: Address,
    /// Who gets them on the rollup.
    pub to: Address,
    /// In the token's smallest unit.
    pub amount: U256,
    /// What the token says of itself.
    pub name: String,
    /// The same, short.
    pub symbol: String,
    /// Digits after the point.
    pub decimals: u8,
}

/// What shows a deposit as of an L1 block that is an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginProof {
    /// Of a block of the rollup with that origin, seconds.
    pub timestamp: u64,
    /// The origin's header, RLP.
    pub header: Bytes,
    /// Nodes from its state root to the bridge.
    pub account: Vec<Bytes>,
    /// Nodes from the bridge's storage root to the deposit's word.
    pub slot: Vec<Bytes>,
}

impl TokenDeposit {
    /// From a log of the bridge on L1; none if it is another one.
    #[must_use]
    pub fn from_log(log: &Log) -> Option<Self> {
        let e = TokenBridgeL1::TokensDeposited::decode_log(log).ok()?.data;
        Some(Self {
            index: e.index,
            token: e.token,
            to: e.to,
            amount: e.amount,
            name: e.name,
            symbol: e.symbol,
            decimals: e.decimals,
        })
    }

    /// The storage slot of the bridge on L1 that has its hash.
    #[must_use]
    pub fn slot(&self) -> B256 {
        keccak256((self.index, DEPOSITS_SLOT).abi_encode())
    }

    /// Calldata for the bridge on the rollup, which makes the tokens; anyone may send it.
    #[must_use]
    pub fn take(&self, l1_bridge: Address, proof: OriginProof) -> Bytes {
        let call = TokenBridgeL2::takeCall {
            l1Bridge: l1_bridge,
            d: TokenBridgeL2::TokenDeposit {
                index: self.index,
                token: self.token,
                to: self.to,
                amount: self.amount,
                name: self.name.clone(),
                symbol: self.symbol.clone(),
                decimals: self.decimals,
            },
            proof: TokenBridgeL2::OriginProof {
                timestamp: U256::from(proof.timestamp),
                header: proof.header,
                account: proof.account,
                slot: proof.slot,
            },
        };
        call.abi_encode().into()
    }
}

/// Lets the bridge take tokens of whoever sends it.
#[must_use]
pub fn approve_request(token: Address, bridge: Address, amount: U256) -> TxRequest {
    let call = BridgedToken::approveCall { spender: bridge, value: amount };
    request(token, &call, GAS_APPROVE)
}

/// Locks tokens that were approved, for an account of the rollup.
#[must_use]
pub fn token_deposit_request(
    bridge: Address,
    token: Address,
    to: Address,
    amount: U256,
) -> TxRequest {
    request(bridge, &TokenBridgeL1::depositCall { token, to, amount }, GAS_LOCK)
}

/// Calldata for the bridge on the rollup: burns the sender's tokens, and tells the one on L1 to give them to `to`.
#[must_use]
pub fn give_back(token: Address, to: Address, amount: U256) -> Bytes {
    TokenBridgeL2::giveBackCall { token, to, amount }.abi_encode().into()
}

/// Name of the error with which a contract in the rollup's genesis has reverted; none if it is another.
#[must_use]
pub fn bridge_error(data: &[u8]) -> Option<&'static str> {
    let selector = *data.first_chunk::<4>()?;
    let passer = MessagePasserErrors::name_by_selector(selector);
    passer
        .or_else(|| TokenBridgeL2Errors::name_by_selector(selector))
        .or_else(|| FeeVaultErrors::name_by_selector(selector))
}

/// Token, receiver and amount that a withdrawal has a bridge on L1 give back; none if it does something else.
#[must_use]
pub fn released(w: &Withdrawal) -> Option<(Address, Address, U256)> {
    let call = TokenBridgeL1::releaseCall::abi_decode(&w.data).ok()?;
    Some((call.token, call.to, call.amount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::{FeeVault, MessagePasser};
    use alloy_sol_types::SolError;

    #[test]
    fn refusals_of_contracts_on_the_rollup_have_names() {
        let early = FeeVault::Vault_TooEarly { since: U256::from(9) }.abi_encode();
        assert_eq!(bridge_error(&early), Some("Vault_TooEarly"));
        let gas = MessagePasser::Passer_Gas { most: U256::from(9) }.abi_encode();
        assert_eq!(bridge_error(&gas), Some("Passer_Gas"));
        let taken = TokenBridgeL2::Bridge_AlreadyTaken {}.abi_encode();
        assert_eq!(bridge_error(&taken), Some("Bridge_AlreadyTaken"));
        assert_eq!((bridge_error(b"????"), bridge_error(b"?")), (None, None));
    }

    #[test]
    fn a_withdrawal_says_which_tokens_come_back() {
        let (token, to) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let call = TokenBridgeL1::releaseCall { token, to, amount: U256::from(3) };
        let mut w = Withdrawal {
            nonce: U256::ZERO,
            sender: Address::ZERO,
            target: Address::ZERO,
            value: U256::ZERO,
            gas_limit: U256::ZERO,
            data: call.abi_encode().into(),
        };
        assert_eq!(released(&w), Some((token, to, U256::from(3))));
        w.data = b"else".as_slice().into();
        assert_eq!(released(&w), None);
    }
}
