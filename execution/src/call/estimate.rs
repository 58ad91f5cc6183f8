//! Finding the gas limit, or the access list, that a transaction should carry.

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, TxKind, U256};
use revm::{context_interface::result::ExecutionResult, state::EvmState};

use super::{CallRequest, CallResult, Simulation};
use crate::{BlockContext, ExecutionError, State};

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// What a call with value may hand on for free, on top of what it uses itself.
const CALL_STIPEND: u64 = 2_300;
/// The answer may exceed the smallest sufficient limit by 1/64, as in other clients.
const PRECISION: u64 = 64;
/// Accesses may depend on the list itself; it has settled after a few rounds or never will.
const MAX_LIST_ROUNDS: usize = 8;

/// The answer to how much gas a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// It succeeds with this gas limit, and fails with one about 1.5 % lower.
    Enough(u64),
    /// It fails even with the highest limit allowed, as this run shows.
    Never(CallResult),
}

/// Finds the smallest gas limit with which the request succeeds.
///
/// # Errors
/// [`ExecutionError::Call`] if it cannot start at all; others are ours.
pub fn estimate_gas(
    state: &State,
    context: &BlockContext,
    request: &CallRequest,
    gas_cap: u64,
) -> Result<Estimate, ExecutionError> {
    let mut highest = request.gas.unwrap_or(context.gas_limit).min(gas_cap);
    if let Some(price) = request.max_fee_per_gas.filter(|price| *price > 0) {
        let spendable = state.balance(&request.from).saturating_sub(request.value);
        let affordable = spendable.checked_div(U256::from(price)).unwrap_or_default();
        highest = highest.min(u64::try_from(affordable).unwrap_or(u64::MAX));
    }
    let mut simulation = Simulation::new(state, context, request);
    if is_transfer(state, request)
        && highest >= TRANSFER_GAS
        && let Ok((result, _)) = simulation.run(TRANSFER_GAS)
        && result.is_success()
    {
        return Ok(Estimate::Enough(TRANSFER_GAS));
    }
    let (result, _) = simulation.run(highest)?;
    if !result.is_success() {
        return Ok(Estimate::Never(result.into()));
    }
    let mut lowest = result.tx_gas_used().saturating_sub(1);
    // Enough for almost everything: what it spent before refunds, and the 1/64 that each call holds
    // back.
    let spent =
        result.gas().total_gas_spent().max(result.tx_gas_used()).saturating_add(CALL_STIPEND);
    let likely = spent.saturating_add(spent / 63);
    let mut guess = if likely < highest { likely } else { middle(lowest, highest) };
    while lowest.saturating_add(1) < highest && highest.saturating_sub(lowest) > highest / PRECISION
    {
        match simulation.run(guess) {
            Ok((ExecutionResult::Success { .. }, _)) => highest = guess,
            Ok(_) | Err(ExecutionError::Call(_)) => lowest = guess,
            Err(fault) => return Err(fault),
        }
        guess = middle(lowest, highest).min(lowest.saturating_mul(2).max(1));
    }
    Ok(Estimate::Enough(highest))
}

/// The accounts and slots the request reaches beyond those that are free anyway (EIP-2930), and the
/// run with that list in place.
///
/// # Errors
/// [`ExecutionError::Call`] if it cannot start; others are ours.
pub fn list_accesses(
    state: &State,
    context: &BlockContext,
    request: &CallRequest,
    gas_cap: u64,
) -> Result<(AccessList, CallResult), ExecutionError> {
    let gas = request.gas.unwrap_or(gas_cap).min(gas_cap);
    let mut request = request.clone();
    let mut rounds = 0usize;
    loop {
        let (result, reached) = Simulation::new(state, context, &request).run(gas)?;
        let list = accesses(&reached, |address| is_free(*address, &request, context, state));
        rounds = rounds.saturating_add(1);
        if list == request.access_list || rounds >= MAX_LIST_ROUNDS {
            return Ok((list, result.into()));
        }
        request.access_list = list;
    }
}

fn accesses(reached: &EvmState, is_free: impl Fn(&Address) -> bool) -> AccessList {
    let mut items = Vec::new();
    for (address, account) in reached {
        let mut storage_keys: Vec<B256> =
            account.storage.keys().map(|slot| B256::from(*slot)).collect();
        storage_keys.sort_unstable();
        if !storage_keys.is_empty() || !is_free(address) {
            items.push(AccessListItem { address: *address, storage_keys });
        }
    }
    items.sort_unstable_by_key(|item| item.address);
    AccessList(items)
}

/// Warm from the start without being listed: sender, callee, fee recipient and precompiles.
fn is_free(address: Address, request: &CallRequest, context: &BlockContext, state: &State) -> bool {
    let callee = match request.to {
        TxKind::Call(callee) => callee,
        TxKind::Create => request.from.create(state.nonce(&request.from)),
    };
    let number = U256::from_be_slice(address.as_slice());
    let is_precompile = !number.is_zero() && number <= U256::from(0x11);
    address == request.from
        || address == callee
        || address == context.fee_recipient
        || is_precompile
}

fn is_transfer(state: &State, request: &CallRequest) -> bool {
    let is_plain = request.input.is_empty()
        && request.access_list.0.is_empty()
        && request.authorizations.is_empty();
    is_plain && matches!(request.to, TxKind::Call(callee) if state.code(&callee).is_empty())
}

fn middle(low: u64, high: u64) -> u64 {
    low.saturating_add(high.saturating_sub(low) / 2)
}
