//! What an operator's owner asks the registry for: to join (with two proofs of possession), to change and to leave.
//!
//! Not for: the stake's owner key, which signs the transaction and stays cold.

use crate::TxRequest;
use crate::bindings::Registry;
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use rota_types::{Domain, SeqKey, VoteKey};

/// Gas of a registration (measured 413,000 to 430,000 with a peer address of 31 bytes).
const GAS_REGISTER: u64 = 900_000;
/// Gas of a freeze of the largest set, with a quarter of its members changed.
const GAS_FREEZE: u64 = 6_000_000;
/// Gas of a change of one operator that needs no proof.
const GAS_SMALL: u64 = 250_000;

/// The hot keys of an operator.
#[derive(Debug, Clone, Copy)]
pub struct OperatorKeys<'a> {
    /// For frames and acks.
    pub seq: &'a SeqKey,
    /// For votes.
    pub vote: &'a VoteKey,
}

/// The registration of `owner`, signed by both hot keys.
#[must_use]
pub fn registration(
    domain: &Domain,
    owner: Address,
    keys: OperatorKeys<'_>,
    fee_recipient: Address,
    peer: &str,
) -> Registry::Registration {
    let seq_key = keys.seq.public();
    let vote_key = keys.vote.address();
    let digest = domain.possession(owner, vote_key, &seq_key, fee_recipient, peer.as_bytes());
    let seq_signature = keys.seq.sign(&digest);
    let (r, s) = seq_signature.split_at(32);
    Registry::Registration {
        seqKey: seq_key.into(),
        voteKey: vote_key,
        feeRecipient: fee_recipient,
        peer: peer.as_bytes().to_vec().into(),
        seqR: alloy_primitives::B256::from_slice(r),
        seqS: alloy_primitives::B256::from_slice(s),
        voteSig: keys.vote.sign(&domain.possession_vote(digest)).to_vec().into(),
    }
}

/// The transaction that registers, sent by the owner.
#[must_use]
pub fn register_request(registry: Address, r: Registry::Registration, stake: U256) -> TxRequest {
    let call = Registry::registerCall { r };
    TxRequest { value: stake, ..request(registry, &call, GAS_REGISTER) }
}

/// Adds to the stake, sent by the owner.
#[must_use]
pub fn top_up_request(registry: Address, operator: u64, amount: U256) -> TxRequest {
    let call = Registry::topUpCall { operator: U256::from(operator) };
    TxRequest { value: amount, ..request(registry, &call, GAS_SMALL) }
}

/// Replaces both hot keys from the sets of the epoch after the next on, sent by the owner; `r` as for a registration.
#[must_use]
pub fn rotate_request(registry: Address, operator: u64, r: Registry::Registration) -> TxRequest {
    let call = Registry::rotateCall { operator: U256::from(operator), r };
    request(registry, &call, GAS_REGISTER)
}

/// Changes where fees go and where peers dial, sent by the owner.
#[must_use]
pub fn update_request(
    registry: Address,
    operator: u64,
    fee_recipient: Address,
    peer: &str,
) -> TxRequest {
    let call = Registry::updateCall {
        operator: U256::from(operator),
        feeRecipient: fee_recipient,
        peer: peer.as_bytes().to_vec().into(),
    };
    request(registry, &call, GAS_REGISTER)
}

/// Asks to leave the sets, sent by the owner.
#[must_use]
pub fn exit_request(registry: Address, operator: u64) -> TxRequest {
    request(registry, &Registry::requestExitCall { operator: U256::from(operator) }, GAS_SMALL)
}

/// Waits for a seat again after having left, sent by the owner.
#[must_use]
pub fn rejoin_request(registry: Address, operator: u64) -> TxRequest {
    request(registry, &Registry::rejoinCall { operator: U256::from(operator) }, GAS_SMALL)
}

/// Pays the stake out, sent by the owner.
#[must_use]
pub fn withdraw_request(registry: Address, operator: u64, to: Address) -> TxRequest {
    let call = Registry::withdrawCall { operator: U256::from(operator), to };
    request(registry, &call, GAS_SMALL)
}

/// Claims the smallest seat of a full set for a candidate; anyone may send it.
#[must_use]
pub fn nominate_request(registry: Address, operator: u64) -> TxRequest {
    request(registry, &Registry::nominateCall { operator: U256::from(operator) }, GAS_SMALL)
}

/// The transaction that freezes the set of an epoch; anyone may send it.
#[must_use]
pub fn freeze_request(registry: Address, epoch: u64) -> TxRequest {
    request(registry, &Registry::freezeSetCall { epoch }, GAS_FREEZE)
}

pub(crate) fn request(to: Address, call: &impl SolCall, gas_limit: u64) -> TxRequest {
    let input: Bytes = call.abi_encode().into();
    TxRequest { to, input, value: U256::ZERO, gas_limit, payload: None }
}
