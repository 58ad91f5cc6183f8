//! What a transaction should pay.

use super::{
    Answer, Context, Module,
    args::{Args, Count},
    error,
};
use crate::view::{At, BlockView};
use alloy_consensus::Transaction;
use alloy_eips::{BlockNumberOrTag, eip1559::BaseFeeParams};
use alloy_primitives::{U64, U128};
use alloy_rpc_types_eth::FeeHistory;
use jsonrpsee::core::RegisterMethodError;

/// Blocks of one `eth_feeHistory`.
const MAX_BLOCKS: u64 = 1_024;
/// Percentiles of one `eth_feeHistory`.
const MAX_PERCENTILES: usize = 100;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("eth_gasPrice", |_, ctx, _| {
        let price = u128::from(ctx.view.base_fee()).saturating_add(ctx.config.suggested_tip);
        Answer::Ok(U128::from(price))
    })?;
    module.register_method("eth_maxPriorityFeePerGas", |_, ctx, _| {
        Answer::Ok(U128::from(ctx.config.suggested_tip))
    })?;
    // No block carries a blob, so the fee stays at its minimum.
    module.register_method("eth_blobBaseFee", |_, _, _| Answer::Ok(U64::from(1)))?;
    module.register_blocking_method("eth_feeHistory", |p, ctx, _| {
        let mut args = Args::of(&p)?;
        let count: Count = args.need("block count")?;
        let newest = args.block(BlockNumberOrTag::Latest)?;
        let percentiles: Vec<f64> = args.maybe("percentiles")?.unwrap_or_default();
        ctx.fee_history(count.0, newest, &percentiles)
    })?;
    Ok(())
}

impl Context {
    fn fee_history(&self, count: u64, newest: At, percentiles: &[f64]) -> Answer<FeeHistory> {
        let sorted = percentiles.windows(2).all(|w| matches!(w, [a, b] if a <= b));
        let inside = percentiles.iter().all(|p| (0.0..=100.0).contains(p));
        if !sorted || !inside || percentiles.len() > MAX_PERCENTILES {
            let hint = "give at most 100 rising numbers from 0 to 100";
            return Err(error::invalid("invalid reward percentiles", hint));
        }
        let last = self.block(newest)?.number();
        let count = count.clamp(1, MAX_BLOCKS).min(last.saturating_add(1));
        let first = last.saturating_sub(count.saturating_sub(1));
        let mut history = FeeHistory { oldest_block: first, ..FeeHistory::default() };
        let mut rewards = Vec::new();
        let mut next_fee = 0;
        for number in first..=last {
            let block = self.block(At::Number(BlockNumberOrTag::Number(number)))?;
            let header = &block.header;
            history.base_fee_per_gas.push(header.base_fee_per_gas.unwrap_or_default().into());
            history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
            history.base_fee_per_blob_gas.push(1);
            history.blob_gas_used_ratio.push(0.0);
            next_fee = header.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default();
            rewards.push(block_rewards(&block, percentiles));
        }
        history.base_fee_per_gas.push(next_fee.into());
        history.base_fee_per_blob_gas.push(1);
        history.reward = (!percentiles.is_empty()).then_some(rewards);
        Ok(history)
    }
}

/// Tips at percentiles of the gas used, as in other clients.
fn block_rewards(block: &BlockView, percentiles: &[f64]) -> Vec<u128> {
    let fee = block.header.base_fee_per_gas.unwrap_or_default();
    let tip = |t: &alloy_consensus::TxEnvelope| t.effective_tip_per_gas(fee).unwrap_or_default();
    let mut tips: Vec<(u128, u64)> =
        block.txs.iter().map(|r| (tip(&r.transaction), r.gas_used)).collect();
    tips.sort_unstable();
    let total = block.header.gas_used;
    percentiles
        .iter()
        .map(|percent| {
            let mut sum = 0u64;
            let reached = |(_, gas): &&(u128, u64)| {
                sum = sum.saturating_add(*gas);
                ratio(sum, total) * 100.0 >= *percent
            };
            tips.iter().find(reached).or(tips.last()).map_or(0, |(tip, _)| *tip)
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people, of numbers far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
