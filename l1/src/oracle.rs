//! Which blocks are proven: what is claimed of them, and what to send.
//!
//! Not for: computing what is right (`node`), nor for what another contract reads of the oracle. Invariant: the hash of an
//! output is the one that the contract computes; a test on a real chain holds both together.

mod reader;

pub use reader::Outputs;

use crate::TxRequest;
use crate::bindings::{BondedSlot, Oracle};
use crate::register::request;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;

/// Gas of the calls, about twice what was measured.
const GAS_CHECKPOINT: u64 = 200_000;
const GAS_PROPOSE: u64 = 500_000;
const GAS_CLAIM: u64 = 500_000;
const GAS_SETTLE: u64 = 250_000;
const GAS_COLLECT: u64 = 100_000;

/// An L1 block up to which a step derives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number, from 1; 0 is the oracle's deployment.
    pub step: u64,
    /// The L1 block, itself included.
    pub l1_block: u64,
    /// Its hash.
    pub l1_hash: B256,
    /// When it was recorded, seconds.
    pub time_s: u64,
}

/// What derivation gives for a step (`docs/protocol.md`, "Proven blocks").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// The checkpoint.
    pub step: u64,
    /// Hash of the output of the step before.
    pub parent: B256,
    /// Newest execution block that L1 up to the checkpoint's block completes.
    pub l2_block: u64,
    /// Its hash.
    pub l2_hash: B256,
    /// Its last height.
    pub height: u64,
    /// The value id of that height.
    pub value_id: B256,
}

impl Output {
    /// What slots are shown, bonds are put on and later outputs name as their parent. `domain` is the oracle's.
    #[must_use]
    pub fn hash(&self, domain: B256, at: &Checkpoint) -> B256 {
        let Self { step, parent, l2_block, l2_hash, height, value_id } = *self;
        let words = (domain, at.l1_block, at.l1_hash, step, parent);
        let more = (l2_block, l2_hash, height, value_id);
        keccak256([words.abi_encode(), more.abi_encode()].concat())
    }
}

/// A way to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotOnL1 {
    /// The contract.
    pub address: Address,
    /// What its claims rest on, in its own words.
    pub basis: String,
    /// What is at stake with an output, wei, and the L1 blocks in which it can be contradicted; none for a slot without bonds.
    pub bonds: Option<(U256, u64)>,
}

/// The newest final step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenTip {
    /// Its number.
    pub step: u64,
    /// Hash of its output.
    pub output: B256,
    /// The newest proven block.
    pub l2_block: u64,
    /// Its hash.
    pub l2_hash: B256,
    /// Its last height.
    pub height: u64,
    /// When it became final, seconds.
    pub time_s: u64,
}

/// How the next step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenStep {
    /// Its number.
    pub step: u64,
    /// Outputs that slots stand for.
    pub candidates: u64,
    /// The council may choose among them.
    pub disputed: bool,
    /// From then on the council may act without a dispute, seconds.
    pub stuck_at_s: u64,
}

/// The oracle at one L1 block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OracleView {
    /// The L1 block.
    pub block: u64,
    /// What is final.
    pub tip: ProvenTip,
    /// The step that is next; none without a checkpoint for it.
    pub open: Option<OpenStep>,
    /// Number of the newest checkpoint.
    pub last_checkpoint: u64,
    /// Its slots.
    pub slots: Vec<SlotOnL1>,
    /// Withdrawals are held up until then, seconds; 0 if they are not.
    pub paused_until_s: u64,
    /// The council, and whether it has the members that it needs to do anything.
    pub council: (Address, bool),
}

/// An output that somebody staked a bond on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BondedOutput {
    /// Where.
    pub slot: Address,
    /// Who.
    pub claimant: Address,
    /// Its hash.
    pub hash: B256,
    /// The output.
    pub output: Output,
    /// L1 block of the bond.
    pub l1_block: u64,
    /// The bond was returned or divided.
    pub settled: bool,
    /// Another output was bonded for that step and parent: the slot stands for both.
    pub contested: bool,
}

/// An output that became final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalOutput {
    /// Its hash.
    pub hash: B256,
    /// The output.
    pub output: Output,
    /// The council chose it.
    pub by_council: bool,
    /// L1 block in which it became final.
    pub l1_block: u64,
}

/// Records the L1 block before its own as a checkpoint; anyone may send it.
#[must_use]
pub fn checkpoint_request(oracle: Address) -> TxRequest {
    request(oracle, &Oracle::checkpointCall {}, GAS_CHECKPOINT)
}

/// Stakes a bond on an output: a claim, or a contradiction of one that is there.
#[must_use]
pub fn propose_request(slot: Address, output: &Output, bond: U256) -> TxRequest {
    let call = BondedSlot::proposeCall { o: output.into() };
    TxRequest { value: bond, ..request(slot, &call, GAS_PROPOSE) }
}

/// Shows the oracle what a slot stands for; anyone may send it.
#[must_use]
pub fn claim_output_request(
    oracle: Address,
    slot: Address,
    output: &Output,
    proof: Bytes,
) -> TxRequest {
    request(oracle, &Oracle::claimCall { slot, o: output.into(), proof }, GAS_CLAIM)
}

/// The council's choice, to be sent by its Safe.
#[must_use]
pub fn resolve_request(oracle: Address, output: &Output) -> TxRequest {
    request(oracle, &Oracle::resolveCall { o: output.into() }, GAS_CLAIM)
}

/// Returns or divides the bond on an output whose step is final; anyone may send it.
#[must_use]
pub fn settle_bond_request(slot: Address, output: &Output) -> TxRequest {
    request(slot, &BondedSlot::settleCall { o: output.into() }, GAS_SETTLE)
}

/// Pays the sender what a slot owes it.
#[must_use]
pub fn collect_bond_request(slot: Address) -> TxRequest {
    request(slot, &BondedSlot::collectCall {}, GAS_COLLECT)
}

macro_rules! same_struct {
    ($contract:ident) => {
        impl From<&Output> for $contract::Output {
            fn from(o: &Output) -> Self {
                Self {
                    step: o.step,
                    parent: o.parent,
                    l2Block: o.l2_block,
                    l2Hash: o.l2_hash,
                    height: o.height,
                    valueId: o.value_id,
                }
            }
        }

        impl From<$contract::Output> for Output {
            fn from(o: $contract::Output) -> Self {
                Self {
                    step: o.step,
                    parent: o.parent,
                    l2_block: o.l2Block,
                    l2_hash: o.l2Hash,
                    height: o.height,
                    value_id: o.valueId,
                }
            }
        }
    };
}

same_struct!(Oracle);
same_struct!(BondedSlot);
