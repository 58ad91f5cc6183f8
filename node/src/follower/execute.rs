//! Executes a derived block, and shares its fees.
//!
//! Invariant (I-10): block and rewards are those of the sequencers: the same functions of the same heights.

use super::FollowerChain;
use crate::chain::{points, share};
use rota_derive::{DerivedBlock, Pipeline, Start};
use rota_execution::{BlockEnv, ExecutedBlock, Head, base_fee_return, execute_parts};
use rota_preconf::{Lags, OtherExecution};
use rota_types::{Deposit, RewardsBook};
use std::sync::Arc;

/// Notes what the checkpoints of a block on top of a head give.
///
/// # Errors
/// The set certified another execution.
pub(super) fn note_points(
    lags: &mut Lags,
    block: &DerivedBlock,
    (head, rewards): (&Head, &RewardsBook),
) -> Result<(), OtherExecution> {
    let heights = (block.first_height, block.last_height);
    points(heights, head, rewards).try_for_each(|p| lags.executed(p.height, p.root()))
}

/// The block on top of a head, and the rewards as of it.
pub(super) fn run(
    block: &DerivedBlock,
    (head, rewards): (&Head, &RewardsBook),
    pipeline: &Pipeline,
) -> eyre::Result<(ExecutedBlock, RewardsBook)> {
    let env = BlockEnv {
        number: block.number,
        timestamp_s: block.timestamp_s,
        gas_limit: block.env.gas_limit,
        fee_recipient: block.env.fee_vault,
        prev_randao: block.env.prev_randao,
        parent_beacon_block_root: block.env.l1_hash,
        withdrawals: base_fee_return(&head.header, block.env.fee_vault)
            .into_iter()
            .chain(block.deposits.iter().map(Deposit::withdrawal))
            .collect(),
    };
    let mut txs = block.txs.iter().map(|t| (&t.envelope, t.sender));
    let parts = block.parts.iter().map(|p| txs.by_ref().take(p.txs).collect::<Vec<_>>());
    let chain_id = pipeline.domain().l2_chain_id;
    let (executed, paid) = execute_parts(head, env, chain_id, parts, block.extra_data)?;
    let base_fee = executed.head.header.base_fee_per_gas.unwrap_or_default();
    let paid = block.parts.iter().map(|p| p.led).zip(paid);
    let set = |epoch| pipeline.set(epoch).cloned().map(Arc::new);
    let rewards = share(rewards, base_fee, paid, set);
    Ok((executed, rewards.map_err(|e| eyre::eyre!("the set of epoch {e} is not known"))?))
}

/// Where derivation begins.
pub(super) fn start(chain: &FollowerChain) -> Start {
    let mut start = Start::genesis(chain.genesis.header.timestamp, chain.deploy_block);
    // The first origin may be a final block from before the deployment.
    start.head.l1_number = 0;
    // A rollback to just before the deployment is no rollback at all.
    start.l1_number = chain.deploy_block.saturating_sub(1);
    start
}
