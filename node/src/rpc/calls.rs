//! Runs that are never in a block: call, estimate, access list.

use super::{Answer, Context, Module, args::Args, error};
use crate::view::At;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, TxKind, U64, U256};
use alloy_rpc_types_eth::{
    AccessListResult, BlockOverrides, TransactionRequest, state::StateOverride,
};
use jsonrpsee::core::RegisterMethodError;
use rota_execution::{
    AccountOverride, BlockContext, CallRequest, CallStatus, Estimate, State, call, estimate_gas,
    list_accesses,
};
use rota_types::TX_GAS_CAP;
use std::collections::BTreeMap;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_blocking_method("eth_call", |p, ctx, _| {
        let run = ctx.prepare(&mut Args::of(&p)?, BlockNumberOrTag::Latest)?;
        let result = call(&run.state, &run.context, &run.request, ctx.config.call_gas_cap)
            .map_err(|e| error::execution(&e))?;
        match result.status {
            CallStatus::Success => Answer::Ok(result.output),
            CallStatus::Revert | CallStatus::Halt(_) => Err(error::failed_call(&result)),
        }
    })?;
    module.register_blocking_method("eth_estimateGas", |p, ctx, _| {
        // Pending by default: what a wallet estimates runs after everything that is preconfirmed.
        let run = ctx.prepare(&mut Args::of(&p)?, BlockNumberOrTag::Pending)?;
        // More than one transaction may carry would be no use as an answer.
        let cap = ctx.config.call_gas_cap.min(TX_GAS_CAP);
        let estimate = estimate_gas(&run.state, &run.context, &run.request, cap)
            .map_err(|e| error::execution(&e))?;
        match estimate {
            Estimate::Enough(gas) => Answer::Ok(U64::from(gas)),
            Estimate::Never(failed) => Err(error::failed_call(&failed)),
        }
    })?;
    module.register_blocking_method("eth_createAccessList", |p, ctx, _| {
        let run = ctx.prepare(&mut Args::of(&p)?, BlockNumberOrTag::Pending)?;
        let cap = ctx.config.call_gas_cap;
        let (access_list, result) = list_accesses(&run.state, &run.context, &run.request, cap)
            .map_err(|e| error::execution(&e))?;
        let error = match &result.status {
            CallStatus::Success => None,
            CallStatus::Revert => Some("execution reverted".to_owned()),
            CallStatus::Halt(reason) => Some(reason.clone()),
        };
        Answer::Ok(AccessListResult { access_list, gas_used: U256::from(result.gas_used), error })
    })?;
    Ok(())
}

/// Everything that a run needs.
struct Prepared {
    state: State,
    context: BlockContext,
    request: CallRequest,
}

impl Context {
    fn prepare(&self, args: &mut Args<'_>, default: BlockNumberOrTag) -> Answer<Prepared> {
        let request: TransactionRequest = args.need("transaction")?;
        let at = args.block(default)?;
        let overrides: Option<StateOverride> = args.maybe("state override")?;
        let changes: Option<BlockOverrides> = args.maybe("block override")?;
        if request.chain_id.is_some_and(|id| id != self.view.config().chain_id) {
            let message = format!("the chain id is {}", self.view.config().chain_id);
            return Err(error::invalid(message, "leave chainId out or set it to eth_chainId"));
        }
        let block = self.block(at)?;
        let mut context = block.context(self.view.config().chain_id);
        change_block(&mut context, changes)?;
        let state = if at == At::Number(BlockNumberOrTag::Pending) {
            self.view.pending_state()
        } else {
            block.state.clone().ok_or_else(|| self.no_state(block.number()))?
        };
        let state = match overrides {
            Some(overrides) => state.with_overrides(&convert(overrides)?),
            None => state,
        };
        Ok(Prepared { state, context, request: to_call(request)? })
    }
}

fn to_call(request: TransactionRequest) -> Answer<CallRequest> {
    if request.gas_price.is_some() && request.max_fee_per_gas.is_some() {
        let hint = "give gasPrice, or maxFeePerGas and maxPriorityFeePerGas";
        return Err(error::invalid("both gasPrice and maxFeePerGas are given", hint));
    }
    let fee = request.max_fee_per_gas.or(request.gas_price).filter(|fee| *fee > 0);
    let input = request.input.try_into_unique_input().map_err(|_| {
        error::invalid("input and data are both given and differ", "give one of them")
    })?;
    Ok(CallRequest {
        from: request.from.unwrap_or_default(),
        to: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or_default(),
        input: input.unwrap_or_default(),
        gas: request.gas,
        max_fee_per_gas: fee,
        // Without a fee the call is free, and a tip would not fit under it.
        max_priority_fee_per_gas: fee.and(request.max_priority_fee_per_gas),
        access_list: request.access_list.unwrap_or_default(),
        authorizations: request.authorization_list.unwrap_or_default(),
    })
}

fn convert(overrides: StateOverride) -> Answer<BTreeMap<Address, AccountOverride>> {
    let one = |(address, change): (Address, alloy_rpc_types_eth::state::AccountOverride)| {
        if change.state.is_some() && change.state_diff.is_some() {
            let message = format!("state and stateDiff are both given for {address}");
            return Err(error::invalid(message, "give one of them"));
        }
        if change.move_precompile_to.is_some() {
            return Err(error::invalid("moving precompiles is not supported", "leave it out"));
        }
        let clear_slots = change.state.is_some();
        let slots = change.state.or(change.state_diff).unwrap_or_default();
        let slots = slots.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        let (balance, nonce, code) = (change.balance, change.nonce, change.code);
        Ok((address, AccountOverride { balance, nonce, code, clear_slots, slots }))
    };
    overrides.into_iter().map(one).collect()
}

fn change_block(context: &mut BlockContext, changes: Option<BlockOverrides>) -> Answer<()> {
    let Some(changes) = changes else { return Ok(()) };
    let small = |v: U256| {
        u64::try_from(v).map_err(|_| error::invalid("block override too large", "give 64 bits"))
    };
    if let Some(number) = changes.number {
        context.number = small(number)?;
    }
    if let Some(fee) = changes.base_fee {
        context.base_fee = small(fee)?;
    }
    context.timestamp_s = changes.time.unwrap_or(context.timestamp_s);
    context.gas_limit = changes.gas_limit.unwrap_or(context.gas_limit);
    context.fee_recipient = changes.coinbase.unwrap_or(context.fee_recipient);
    context.prev_randao = changes.random.unwrap_or(context.prev_randao);
    Ok(())
}
