//! Blocks, transactions and receipts.

use super::{
    Answer, Context, Module,
    args::{Args, Count},
    shape,
};
use crate::view::{At, BlockView};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::Transaction;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::Params;
use rota_types::Stage;
use std::sync::Arc;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("eth_blockNumber", |_, ctx, _| {
        Answer::Ok(U64::from(ctx.view.heads().latest.number))
    })?;
    for name in ["eth_getBlockByNumber", "eth_getBlockByHash"] {
        module.register_method(name, move |p, ctx, _| {
            let mut args = Args::of(&p)?;
            let at = block_arg(&mut args, name.ends_with("Hash"))?;
            let full = args.maybe::<bool>("full")?.unwrap_or(false);
            Answer::Ok(ctx.view.block(at).map(|b| shape::block(&b, full)))
        })?;
    }
    module.register_blocking_method("eth_getBlockReceipts", |p, ctx, _| {
        let at = Args::of(&p)?.block(BlockNumberOrTag::Latest)?;
        let receipts = |b: Arc<BlockView>| -> Vec<_> {
            b.txs.iter().map(|r| shape::plain_receipt(&shape::in_block(&b, r))).collect()
        };
        Answer::Ok(ctx.view.block(at).map(receipts))
    })?;
    register_counts(module)?;
    module.register_method("eth_getTransactionByHash", |p, ctx, _| {
        let hash: B256 = Args::of(&p)?.need("hash")?;
        Answer::Ok(ctx.view.tx(&hash).map(|t| shape::transaction(&t)))
    })?;
    module.register_method("eth_getTransactionReceipt", |p, ctx, extensions| {
        let hash: B256 = Args::of(&p)?.need("hash")?;
        Answer::Ok(ctx.receipt(&hash, ctx.min_stage(extensions)))
    })?;
    for name in ["eth_getTransactionByBlockNumberAndIndex", "eth_getTransactionByBlockHashAndIndex"]
    {
        module.register_method(name, move |p, ctx, _| by_index(&p, ctx, name.contains("Hash")))?;
    }
    Ok(())
}

/// `eth_getBlockTransactionCountBy*` and everything about uncles, of which there are none.
fn register_counts(module: &mut Module) -> Result<(), RegisterMethodError> {
    for name in ["eth_getBlockTransactionCountByNumber", "eth_getBlockTransactionCountByHash"] {
        module.register_method(name, move |p, ctx, _| {
            let at = block_arg(&mut Args::of(&p)?, name.ends_with("Hash"))?;
            Answer::Ok(ctx.view.block(at).map(|b| U64::from(b.txs.len())))
        })?;
    }
    for name in ["eth_getUncleCountByBlockNumber", "eth_getUncleCountByBlockHash"] {
        module.register_method(name, move |p, ctx, _| {
            let at = block_arg(&mut Args::of(&p)?, name.ends_with("Hash"))?;
            Answer::Ok(ctx.view.block(at).map(|_| U64::ZERO))
        })?;
    }
    for name in ["eth_getUncleByBlockNumberAndIndex", "eth_getUncleByBlockHashAndIndex"] {
        module.register_method(name, |_, _, _| Answer::<Option<()>>::Ok(None))?;
    }
    Ok(())
}

fn by_index(p: &Params<'_>, ctx: &Context, by_hash: bool) -> Answer<Option<Transaction>> {
    let mut args = Args::of(p)?;
    let at = block_arg(&mut args, by_hash)?;
    let index: Count = args.need("index")?;
    let slot = usize::try_from(index.0).unwrap_or(usize::MAX);
    let found =
        |b: Arc<BlockView>| b.txs.get(slot).map(|r| shape::included(&shape::in_block(&b, r)));
    Ok(ctx.view.block(at).and_then(found))
}

/// A block by hash where the method says so, else by number or tag.
fn block_arg(args: &mut Args<'_>, by_hash: bool) -> Answer<At> {
    if by_hash {
        args.need::<B256>("block hash").map(At::Hash)
    } else {
        args.need::<super::args::Which>("block").map(|w| w.0)
    }
}

impl Context {
    /// The receipt, if the transaction has reached a stage.
    fn receipt(&self, hash: &B256, from: Stage) -> Option<shape::ReceiptJson> {
        let view = self.view.tx(hash)?;
        (view.progress.stage >= Some(from)).then(|| shape::receipt(&view)).flatten()
    }
}
