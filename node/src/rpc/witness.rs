//! `debug_getRawBlock` and `debug_executionWitness`: a block, and what is needed to execute it without a state.
//!
//! Not for: checking one (`rota-stateless`). Invariant: what is given was executed here from it to the same hash.

use super::{Answer, Context, Module, args::Args, error};
use crate::view::{At, BlockView};
use alloy_consensus::Header;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable;
use jsonrpsee::core::RegisterMethodError;
use rota_execution::{BlockEnv, Head, Witness, record};
use std::sync::Arc;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("debug_getRawBlock", |p, ctx, _| {
        let at = Args::of(&p)?.block(BlockNumberOrTag::Latest)?;
        Answer::Ok(raw(&*ctx.sealed(at)?))
    })?;
    module.register_blocking_method("debug_executionWitness", |p, ctx, _| {
        let at = Args::of(&p)?.block(BlockNumberOrTag::Latest)?;
        ctx.witness(at)
    })?;
    Ok(())
}

fn raw(view: &BlockView) -> Bytes {
    let mut out = Vec::new();
    view.to_block().encode(&mut out);
    out.into()
}

impl Context {
    fn sealed(&self, at: At) -> Answer<Arc<BlockView>> {
        let block = self.block(at)?;
        if block.sealed {
            return Ok(block);
        }
        let message = format!("block {} is still open", block.number());
        Err(error::plain(error::NOT_FOUND, message, "ask again when its second is over"))
    }

    fn witness(&self, at: At) -> Answer<Witness> {
        let block = self.sealed(at)?;
        let number = block.number();
        let below = number.checked_sub(1).ok_or_else(|| {
            error::plain(error::NOT_FOUND, "block 0 is not executed", "it is the genesis file")
        })?;
        let parent = self.block(At::Number(BlockNumberOrTag::Number(below)))?;
        let state = parent.state.clone().ok_or_else(|| self.no_state(below))?;
        let head = Head { header: parent.header.clone(), hash: parent.hash, state };
        let txs = block.txs.iter().map(|tx| (&tx.transaction, tx.sender));
        let (env, extra) = env(&block.header, &block);
        let chain_id = self.view.config().chain_id;
        let (done, witness) =
            record(&head, env, chain_id, txs, extra).map_err(|e| error::execution(&e))?;
        if done.hash() == block.hash {
            return Ok(witness);
        }
        let message = format!("block {number} executes to {} here", done.hash());
        Err(error::plain(error::INTERNAL, message, "this is a fault of the node: report it"))
    }
}

/// What the header says of the environment, and its extra data.
fn env(header: &Header, block: &BlockView) -> (BlockEnv, B256) {
    let env = BlockEnv {
        number: header.number,
        timestamp_s: header.timestamp,
        gas_limit: header.gas_limit,
        fee_recipient: header.beneficiary,
        prev_randao: header.mix_hash,
        parent_beacon_block_root: header.parent_beacon_block_root.unwrap_or_default(),
        withdrawals: block.withdrawals.clone(),
    };
    (env, B256::try_from(header.extra_data.as_ref()).unwrap_or_default())
}
