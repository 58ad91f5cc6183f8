//! Joining the set: the registration with its two proofs of possession.
//!
//! Not for: the stake's owner key, which signs the transaction and stays cold.

use crate::TxRequest;
use crate::bindings::Registry;
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use rota_types::{Domain, SeqKey, VoteKey};

/// Gas of a registration (measured 413,000 to 430,000 with a peer address of 31 bytes).
const GAS_REGISTER: u64 = 900_000;
/// Gas of a freeze of the largest set (64 records).
const GAS_FREEZE: u64 = 1_500_000;

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
    let input: Bytes = Registry::registerCall { r }.abi_encode().into();
    TxRequest { to: registry, input, value: stake, gas_limit: GAS_REGISTER, payload: None }
}

/// The transaction that freezes the set of an epoch; anyone may send it.
#[must_use]
pub fn freeze_request(registry: Address, epoch: u64) -> TxRequest {
    let input: Bytes = Registry::freezeSetCall { epoch }.abi_encode().into();
    TxRequest { to: registry, input, value: U256::ZERO, gas_limit: GAS_FREEZE, payload: None }
}
