//! `rota_getBlockAt`: the newest block that L1 up to some block completes: what an output of the oracle should say.
//!
//! Not for: what was claimed on L1. Invariant: given for final L1 blocks only; null for others, and by nodes that do not derive.
//! The second parameter, `revm` or `engine`, asks what one implementation computed; without it all that the node has must have.

use super::{Answer, Module, args::Args};
use alloy_primitives::U64;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("rota_getBlockAt", |p, ctx, _| {
        let mut args = Args::of(&p)?;
        let l1_block: U64 = args.need("l1Block")?;
        Answer::Ok(ctx.info.block_at(l1_block.to(), args.maybe("implementation")?))
    })?;
    module.register_method("rota_getImplementations", |_, ctx, _| {
        Answer::Ok(ctx.info.implementations())
    })?;
    Ok(())
}
