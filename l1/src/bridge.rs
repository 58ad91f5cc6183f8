//! What crosses between L1 and the rollup: deposits that the Portal took, withdrawals that it is shown.
//!
//! Not for: which block credits a deposit (`types`, `derive`), nor for what a node may be asked (`node`). Invariant: a
//! withdrawal has one hash on both chains.

use crate::bindings::{MessagePasser, Portal};
use crate::register::request;
use crate::{L1Block, TxRequest};
use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy_sol_types::{SolEvent, SolValue};
use rota_types::Deposit;

/// Gas of a deposit: two words and an event.
const GAS_DEPOSIT: u64 = 120_000;
/// Gas of showing a withdrawal, apart from its bytes.
const GAS_PROVE: u64 = 1_500_000;
const GAS_PER_BYTE: u64 = 60;
/// Gas of paying one, apart from what its target gets.
const GAS_FINALIZE: u64 = 250_000;

/// A deposit with its place on L1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deposited {
    /// The L1 block.
    pub block: L1Block,
    /// Position of the event in the block.
    pub log_index: u64,
    /// The L1 transaction.
    pub tx_hash: B256,
    /// Its number, from 0.
    pub index: u64,
    /// Who gets it on the rollup.
    pub to: Address,
    /// Gwei.
    pub amount_gwei: u64,
}

impl Deposited {
    /// As the rules take it.
    #[must_use]
    pub const fn deposit(&self) -> Deposit {
        Deposit {
            index: self.index,
            l1_number: self.block.number,
            to: self.to,
            amount_gwei: self.amount_gwei,
        }
    }
}

/// What the message passer was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// Its number there.
    pub nonce: U256,
    /// Who sent it.
    pub sender: Address,
    /// Who is called on L1.
    pub target: Address,
    /// Wei.
    pub value: U256,
    /// Gas that the target gets at least.
    pub gas_limit: U256,
    /// What it is called with.
    pub data: Bytes,
}

impl Withdrawal {
    /// Its name on both chains.
    #[must_use]
    pub fn hash(&self) -> B256 {
        let Self { nonce, sender, target, value, gas_limit, data } = self;
        keccak256((nonce, sender, target, value, gas_limit, data).abi_encode_params())
    }

    /// From a log of the message passer; none if it is another one.
    #[must_use]
    pub fn from_log(log: &Log) -> Option<Self> {
        let sent = MessagePasser::Sent::decode_log(log).ok()?.data;
        let withdrawal = Self {
            nonce: sent.nonce,
            sender: sent.sender,
            target: sent.target,
            value: sent.value,
            gas_limit: sent.gasLimit,
            data: sent.data,
        };
        (withdrawal.hash() == sent.withdrawal).then_some(withdrawal)
    }

    fn on_l1(&self) -> Portal::Withdrawal {
        Portal::Withdrawal {
            nonce: self.nonce,
            sender: self.sender,
            target: self.target,
            value: self.value,
            gasLimit: self.gas_limit,
            data: self.data.clone(),
        }
    }
}

/// What shows a withdrawal in an L2 block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawalProof {
    /// Header of the block, RLP.
    pub header: Bytes,
    /// Nodes from the state root to the message passer.
    pub account: Vec<Bytes>,
    /// Nodes from its storage root to the slot.
    pub slot: Vec<Bytes>,
}

/// Brings ETH to an account of the rollup: a whole number of gwei, from `MIN_DEPOSIT_GWEI` on.
#[must_use]
pub fn deposit_request(portal: Address, to: Address, wei: U256) -> TxRequest {
    TxRequest { value: wei, ..request(portal, &Portal::depositCall { to }, GAS_DEPOSIT) }
}

/// Covers what the genesis gives out.
#[must_use]
pub fn seed_request(portal: Address, wei: U256) -> TxRequest {
    TxRequest { value: wei, ..request(portal, &Portal::seedCall {}, GAS_DEPOSIT) }
}

/// Shows a withdrawal; anyone may send it.
#[must_use]
pub fn prove_request(portal: Address, w: &Withdrawal, proof: WithdrawalProof) -> TxRequest {
    let nodes = proof.account.iter().chain(&proof.slot).map(|node| node.len());
    let bytes = nodes.fold(proof.header.len().saturating_add(w.data.len()), usize::saturating_add);
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let gas = GAS_PROVE.saturating_add(GAS_PER_BYTE.saturating_mul(bytes));
    let call = Portal::proveCall {
        w: w.on_l1(),
        header: proof.header,
        accountProof: proof.account,
        storageProof: proof.slot,
    };
    request(portal, &call, gas)
}

/// Pays a withdrawal that was shown for long enough; anyone may send it.
#[must_use]
pub fn finalize_request(portal: Address, w: &Withdrawal) -> TxRequest {
    let wanted: u64 = w.gas_limit.saturating_to();
    let gas = GAS_FINALIZE.saturating_add(wanted.saturating_add(wanted / 32));
    let bytes = u64::try_from(w.data.len()).unwrap_or(u64::MAX);
    let gas = gas.saturating_add(GAS_PER_BYTE.saturating_mul(bytes));
    request(portal, &Portal::finalizeCall { w: w.on_l1() }, gas)
}
