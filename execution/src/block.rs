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

use crate::ExecutionError;

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
    let mut block = OpenBlock::open(parent, env, chain_id)?;
    let mut run = block.run();
    for (transaction, sender) in transactions {
        run.apply(transaction, sender)?;
    }
    drop(run);
    block.seal(extra_data)
}
