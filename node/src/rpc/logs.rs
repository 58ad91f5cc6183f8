//! Logs by filter: blooms first, then the receipts of blocks that may match.

use super::{Answer, Context, Module, args::Args, error, shape};
use crate::view::{At, BlockView};
use alloy_eips::BlockNumberOrTag;
use alloy_rpc_types_eth::{Filter, Log};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_blocking_method("eth_getLogs", |p, ctx, _| {
        let filter: Filter = Args::of(&p)?.need("filter")?;
        ctx.logs(&filter)
    })?;
    Ok(())
}

impl Context {
    pub(super) fn logs(&self, filter: &Filter) -> Answer<Vec<Log>> {
        if let Some(hash) = filter.get_block_hash() {
            let block = self.block(At::Hash(hash))?;
            return Ok(logs_of_block(&block, filter));
        }
        let (from, to) = filter.block_option.as_range();
        let tag = |t: Option<&BlockNumberOrTag>| t.copied().unwrap_or(BlockNumberOrTag::Latest);
        let from = self.number_of(tag(from))?;
        self.logs_between(filter, from, self.number_of(tag(to))?)
    }

    /// Logs of the blocks from `from` to `to`, both included; blocks that do not exist yet have none.
    pub(super) fn logs_between(&self, filter: &Filter, from: u64, to: u64) -> Answer<Vec<Log>> {
        let to = to.min(self.view.heads().pending.number);
        if from > to {
            return Ok(Vec::new());
        }
        if to.saturating_sub(from) >= self.config.max_log_blocks {
            let message = format!("more than {} blocks asked", self.config.max_log_blocks);
            return Err(error::plain(error::LIMIT, message, "ask for a smaller range"));
        }
        let mut logs = Vec::new();
        for number in from..=to {
            let Some(block) = self.view.block(At::Number(number.into())) else { continue };
            logs.extend(logs_of_block(&block, filter));
            if logs.len() > self.config.max_logs {
                let message = format!("more than {} logs match", self.config.max_logs);
                return Err(error::plain(error::LIMIT, message, "ask for a smaller range"));
            }
        }
        Ok(logs)
    }

    fn number_of(&self, tag: BlockNumberOrTag) -> Answer<u64> {
        match tag {
            BlockNumberOrTag::Number(number) => Ok(number),
            tag => Ok(self.block(At::Number(tag))?.number()),
        }
    }
}

pub(super) fn logs_of_block(block: &BlockView, filter: &Filter) -> Vec<Log> {
    if !filter.matches_bloom(block.header.logs_bloom) {
        return Vec::new();
    }
    let all = block.txs.iter().map(|r| shape::in_block(block, r));
    let mut out = Vec::new();
    for place in all {
        out.extend(shape::logs_of(&place).filter(|log| filter.matches(&log.inner)));
    }
    out
}
