//! Running a call that will never be in a block: `eth_call`, `eth_estimateGas`,
//! `eth_createAccessList`.
//!
//! Works on any snapshot, changes nothing, and is bounded by a gas cap that the caller gives.

mod estimate;

pub use estimate::{Estimate, estimate_gas, list_accesses};

use std::collections::BTreeMap;

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, Bytes, Log, TxKind, U256};
use revm::{
    ExecuteEvm,
    context::{Cfg, TxEnv},
    context_interface::result::{EVMError, ExecutionResult},
    state::EvmState,
};

use crate::{
    BlockContext, ExecutionError, Skip, State,
    block::{Evm, evm},
};

/// What to run. Fields that are not given have the defaults of `eth_call`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// The sender; need not be an account without code.
    pub from: Address,
    /// The callee, or a creation.
    pub to: TxKind,
    /// Wei sent along; the sender must have it.
    pub value: U256,
    /// Calldata or init code.
    pub input: Bytes,
    /// Gas limit; the cap if not given, and never more than the cap.
    pub gas: Option<u64>,
    /// Legacy gas price or EIP-1559 fee cap, in wei. Without it the call is free and sees a base
    /// fee of 0.
    pub max_fee_per_gas: Option<u128>,
    /// EIP-1559 tip in wei.
    pub max_priority_fee_per_gas: Option<u128>,
    /// EIP-2930.
    pub access_list: AccessList,
    /// EIP-7702.
    pub authorizations: Vec<SignedAuthorization>,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    /// How it ended.
    pub status: CallStatus,
    /// Return data or revert data.
    pub output: Bytes,
    /// What it would be charged for.
    pub gas_used: u64,
    /// Logs, if it succeeded.
    pub logs: Vec<Log>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallStatus {
    /// It returned.
    Success,
    /// It reverted: `output` says why.
    Revert,
    /// It stopped without an answer, for instance out of gas.
    Halt(String),
}

/// A change to one account that holds for one call (the state override set of `eth_call`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// Replaces the balance, in wei.
    pub balance: Option<U256>,
    /// Replaces the nonce.
    pub nonce: Option<u64>,
    /// Replaces the code.
    pub code: Option<Bytes>,
    /// All slots are zero before `slots` apply (`state` in the RPC; otherwise `stateDiff`).
    pub clear_slots: bool,
    /// Replaces these slots.
    pub slots: BTreeMap<U256, U256>,
}

impl State {
    /// This state with some accounts replaced.
    #[must_use]
    pub fn with_overrides(&self, overrides: &BTreeMap<Address, AccountOverride>) -> Self {
        let mut state = self.clone();
        for (address, change) in overrides {
            let mut account = state.account(address).unwrap_or_default();
            account.balance = change.balance.unwrap_or(account.balance);
            account.nonce = change.nonce.unwrap_or(account.nonce);
            if let Some(code) = &change.code {
                account.code_hash = state.add_code(code.clone());
            }
            state.put_account(*address, account);
            if change.clear_slots {
                state.clear_slots(*address);
            }
            for (slot, value) in &change.slots {
                state.put_slot(*address, *slot, *value);
            }
        }
        state
    }
}

/// Runs a call on a state, as part of the block that `context` describes.
///
/// # Errors
/// [`ExecutionError::Call`] if it cannot start (funds, gas below the intrinsic cost); others are
/// ours.
pub fn call(
    state: &State,
    context: &BlockContext,
    request: &CallRequest,
    gas_cap: u64,
) -> Result<CallResult, ExecutionError> {
    let gas = request.gas.unwrap_or(gas_cap).min(gas_cap);
    Simulation::new(state, context, request).run(gas).map(|(result, _)| result.into())
}

/// One EVM for several tries of the same request.
struct Simulation {
    evm: Evm<State>,
    transaction: TxEnv,
}

impl Simulation {
    fn new(state: &State, context: &BlockContext, request: &CallRequest) -> Self {
        let mut rules = context.rules();
        rules.disable_eip3607 = true;
        rules.disable_block_gas_limit = true;
        rules.disable_nonce_check = true;
        let mut block = context.block();
        if request.max_fee_per_gas.is_none() {
            block.basefee = 0;
        }
        let chain_id = Some(rules.chain_id());
        let transaction = TxEnv {
            tx_type: kind_of(request),
            caller: request.from,
            gas_price: request.max_fee_per_gas.unwrap_or_default(),
            kind: request.to,
            value: request.value,
            data: request.input.clone(),
            nonce: state.nonce(&request.from),
            chain_id,
            access_list: request.access_list.clone(),
            gas_priority_fee: request.max_priority_fee_per_gas,
            ..TxEnv::default()
        };
        let mut simulation = Self { evm: evm(state.clone(), block, rules), transaction };
        simulation.transaction.set_signed_authorization(request.authorizations.clone());
        simulation
    }

    fn run(&mut self, gas_limit: u64) -> Result<(ExecutionResult, EvmState), ExecutionError> {
        let transaction = TxEnv { gas_limit, ..self.transaction.clone() };
        let result = self.evm.transact_one(transaction);
        let changes = self.evm.finalize();
        match result {
            Ok(result) => Ok((result, changes)),
            Err(EVMError::Transaction(reason)) => Err(ExecutionError::Call(
                Skip::from_evm(reason, self.evm.ctx.block.basefee).to_string(),
            )),
            Err(EVMError::Database(fault)) => Err(fault),
            Err(fault) => Err(ExecutionError::Evm(fault.to_string())),
        }
    }
}

/// The EIP-2718 type that can carry what the request asks for.
fn kind_of(request: &CallRequest) -> u8 {
    if !request.authorizations.is_empty() {
        4
    } else if request.max_priority_fee_per_gas.is_some() {
        2
    } else {
        u8::from(!request.access_list.0.is_empty())
    }
}

impl From<ExecutionResult> for CallResult {
    fn from(result: ExecutionResult) -> Self {
        let gas_used = result.tx_gas_used();
        match result {
            ExecutionResult::Success { logs, output, .. } => {
                Self { status: CallStatus::Success, output: output.into_data(), gas_used, logs }
            }
            ExecutionResult::Revert { output, .. } => {
                Self { status: CallStatus::Revert, output, gas_used, logs: Vec::new() }
            }
            ExecutionResult::Halt { reason, .. } => Self {
                status: CallStatus::Halt(reason.to_string()),
                output: Bytes::new(),
                gas_used,
                logs: Vec::new(),
            },
        }
    }
}
