//! What the Rewards contract is asked for.
//!
//! Not for: what accounts earned (`execution`, `types`). Invariant: none; the contract checks everything itself.

use crate::TxRequest;
use crate::bindings::Rewards;
use crate::register::request;
use alloy_primitives::{Address, B256, Bytes, U256};

/// Gas of a claim by a certificate of four (measured 219,000 with 64 accounts), and of each signer more.
const GAS_CLAIM: u64 = 300_000;
const GAS_SIGNER: u64 = 8_000;
/// Bytes of a signature.
const SIGNATURE: usize = 65;
/// Gas of a payment into the contract.
const GAS_FUND: u64 = 80_000;
/// Gas to name who posts, and to pay one back: the operator's record is read, with its peer address.
const GAS_NAME: u64 = 100_000;
const GAS_REFUND: u64 = 150_000;

/// All that a claim of an account's rewards consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewardClaim {
    /// Who is paid.
    pub account: Address,
    /// All that it earned up to the checkpoint, wei.
    pub amount: u128,
    /// Its place among the accounts.
    pub index: u32,
    /// How many accounts there are.
    pub count: u32,
    /// Siblings from its leaf up.
    pub branch: Vec<B256>,
    /// The checkpoint, encoded.
    pub lag: Bytes,
    /// The header that names it, encoded.
    pub header: Bytes,
    /// Round, bitmap and signatures of that header's certificate.
    pub certificate: Bytes,
}

/// Pays an account what it earned and was not paid yet; anyone may send it.
#[must_use]
pub fn claim_rewards_request(rewards: Address, claim: RewardClaim) -> TxRequest {
    let signers = claim.certificate.len().div_euclid(SIGNATURE);
    let more = GAS_SIGNER.saturating_mul(u64::try_from(signers).unwrap_or(u64::MAX));
    let RewardClaim { account, amount, index, count, branch, lag, header, certificate } = claim;
    let call =
        Rewards::claimCall { account, amount, index, count, branch, lag, header, certificate };
    request(rewards, &call, GAS_CLAIM.saturating_add(more))
}

/// Puts money in, wei; anyone may send it, and nobody gets it back but as a reward.
#[must_use]
pub fn fund_rewards_request(rewards: Address, value: U256) -> TxRequest {
    TxRequest { value, ..request(rewards, &Rewards::fundCall {}, GAS_FUND) }
}

/// Says who posts for an operator; zero for nobody. Only its owner may send it.
#[must_use]
pub fn name_poster_request(rewards: Address, operator: u64, poster: Address) -> TxRequest {
    let operator = U256::from(operator);
    request(rewards, &Rewards::namePosterCall { operator, poster }, GAS_NAME)
}

/// Pays an operator's poster back what posting cost; anyone may send it.
#[must_use]
pub fn refund_poster_request(rewards: Address, operator: u64) -> TxRequest {
    request(rewards, &Rewards::refundCall { operator: U256::from(operator) }, GAS_REFUND)
}
