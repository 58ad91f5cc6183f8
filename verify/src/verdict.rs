//! What a valid receipt proves.

use alloc::{string::String, vec::Vec};
use rota_types::{Address, B256, Stage, U256};
use serde::{Serialize, Serializer};

/// What a receipt proves, and what it only says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The highest stage that the receipt proves by itself: at most `decided`.
    pub stage: Stage,
    /// The stage that it has if L1 confirms `posted`; else the same.
    pub claimed: Stage,
    /// The transaction.
    pub transaction_hash: B256,
    /// Position of its frame in the log.
    pub g: u64,
    /// Its place in the frame.
    pub index: u32,
    /// Height of its frame.
    pub height: u64,
    /// The frame.
    pub frame_hash: B256,
    /// Epoch of the set.
    pub epoch: u64,
    /// Who signed the frame.
    pub leader: Leader,
    /// What is insured; missing if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insured: Option<Insured>,
    /// Who stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked: Option<Acked>,
    /// Who decided it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    /// What L1 must confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posted: Option<Posted>,
    /// What it is worth now, in a sentence.
    pub worth: String,
    /// What would have to happen for it to be lost, in a sentence.
    pub lost_if: String,
}

/// A member of the set who led.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leader {
    /// Its index.
    pub index: u16,
    /// The account that owns its stake.
    pub owner: Address,
    /// Its stake, gwei.
    #[serde(serialize_with = "text")]
    pub stake_gwei: u64,
}

/// What is paid to the transaction's sender if it loses its place in the log after it was acked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Insured {
    /// The amount that the frame commits to, wei.
    #[serde(serialize_with = "text")]
    pub amount_wei: u128,
    /// What of it the stake of whoever led covers alone, wei: nothing before it is acked.
    #[serde(serialize_with = "text")]
    pub covered_wei: u128,
    /// Whether the receipt has all that a claim needs of it: acks and the signed transaction.
    pub claimable: bool,
}

/// More than two thirds of the stake stored the frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Acked {
    /// Position that was acked; every frame up to it is.
    pub g: u64,
    /// Height of the acks.
    pub height: u64,
    /// Round of the acks.
    pub round: u32,
    /// Indexes of those who signed.
    pub signers: Vec<u16>,
    /// Their stake, gwei.
    #[serde(serialize_with = "text")]
    pub weight_gwei: u64,
    /// Stake of the set, gwei.
    #[serde(serialize_with = "text")]
    pub total_gwei: u64,
    /// Index of who led the acks' round; missing if the receipt does not show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_leader: Option<u16>,
    /// Stake provably at fault if it is reverted, wei. Without `round_leader` it is counted with the smallest
    /// stake of the set, so it is a lower bound.
    #[serde(serialize_with = "text")]
    pub secured_wei: U256,
}

/// More than two thirds of the stake decided the height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// Round of the decision.
    pub round: u32,
    /// Value id of the height: what the signatures name.
    pub value_id: B256,
    /// Indexes of those who signed.
    pub signers: Vec<u16>,
    /// Their stake, gwei.
    #[serde(serialize_with = "text")]
    pub weight_gwei: u64,
    /// Stake of the set, gwei.
    #[serde(serialize_with = "text")]
    pub total_gwei: u64,
}

/// What the receipt says of L1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Posted {
    /// The L1 transaction.
    pub l1_tx: B256,
    /// Its L1 block.
    pub l1_block: u64,
    /// Last height of the batch.
    pub last_height: u64,
    /// Value id of `last_height`, which the inbox must have accepted. Missing if the receipt does not bring the
    /// headers in between: then only the heights tell that the batch holds this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_value_id: Option<B256>,
    /// Whether the giver of the receipt saw the block final.
    pub finalized: bool,
}

/// Amounts as decimal text: JavaScript would round them.
fn text<T: alloc::string::ToString, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}
