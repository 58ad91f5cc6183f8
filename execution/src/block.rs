//! Blocks: what goes in ([`BlockEnv`]), what is being built ([`OpenBlock`]), what comes out
//! ([`ExecutedBlock`]).

mod context;
mod open;
mod run;
mod seal;
mod system;

pub use context::{BlockContext, BlockEnv, Head};
pub(crate) use context::{Evm, evm};
pub use open::{Checkpoint, Included, OpenBlock, Outcome, Skip};
pub use run::Run;
pub use seal::ExecutedBlock;

use alloy_consensus::TxEnvelope;
use alloy_primitives::{Address, B256};

use crate::{ExecutionError, Fees};

/// Executes a whole block at once: what a follower, a prover or a restarted node does.
///
/// Each transaction comes with the sender recovered from its signature. Those that cannot be
/// included are skipped, as derivation does. The result equals the block of any other split of the
/// same list into frames.
///
/// # Errors
/// Those of [`OpenBlock::open`], [`OpenBlock::apply`] and [`OpenBlock::seal`].
pub fn execute_block<'a>(
    parent: &Head,
    env: BlockEnv,
    chain_id: u64,
    transactions: impl IntoIterator<Item = (&'a TxEnvelope, Address)>,
    extra_data: B256,
) -> Result<ExecutedBlock, ExecutionError> {
    execute_parts(parent, env, chain_id, [transactions], extra_data).map(|(block, _)| block)
}

/// [`execute_block`] on transactions in several parts, with what those of each part that are in the block paid.
///
/// # Errors
/// Those of [`execute_block`].
pub fn execute_parts<'a, P: IntoIterator<Item = (&'a TxEnvelope, Address)>>(
    parent: &Head,
    env: BlockEnv,
    chain_id: u64,
    parts: impl IntoIterator<Item = P>,
    extra_data: B256,
) -> Result<(ExecutedBlock, Vec<Fees>), ExecutionError> {
    let mut block = OpenBlock::open(parent, env, chain_id)?;
    let base_fee = block.context().base_fee;
    let mut run = block.run();
    let mut paid = Vec::new();
    for part in parts {
        let mut fees = Fees::default();
        for (transaction, sender) in part {
            if let Outcome::Included(included) = run.apply(transaction, sender)? {
                fees.add(&included, base_fee);
            }
        }
        paid.push(fees);
    }
    drop(run);
    Ok((block.seal(extra_data)?, paid))
}
