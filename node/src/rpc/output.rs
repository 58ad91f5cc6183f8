//! `rota_getBlockAt`: the newest block that L1 up to some block completes: what an output of the oracle should say.
//!
//! Not for: what was claimed on L1. Invariant: given for final L1 blocks only.

use super::{Module, args::Args, error};
use alloy_primitives::U64;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("rota_getBlockAt", |p, ctx, _| {
        let l1_block: U64 = Args::of(&p)?.need("l1Block")?;
        ctx.info.block_at(l1_block.to()).ok_or_else(|| {
            let message = "L1 up to that block is not final, or not derived by this node";
            error::plain(error::NOT_FOUND, message, "ask a follower that is in step with L1")
        })
    })?;
    Ok(())
}
