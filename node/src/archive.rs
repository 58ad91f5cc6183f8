//! The archive thread: decided heights and settled blocks into the database, one atomic batch each, and
//! reading them back for RPC and for peers.
//!
//! Queue: `archive`, bounded, policy wait. Invariant: the frame log forgets a height only after it is
//! durable here, and no block is in the database before its heights.

use crate::{
    chain::{
        ChainInput, Sealed, decode_block, encode_context, load_point, write_block, write_genesis,
    },
    clock::now_ms,
    disk::DiskInput,
    exits::Exits,
    view::{Archive, BlockView, TxLocation},
};
use alloy_primitives::{B256, U256};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rota_consensus::Decided;
use rota_execution::{AccountProof, Head};
use rota_store::{BlockBatch, Blocks, StoreError, Tree};
use rota_types::{LagPoint, MmrProof, RewardsBook, wire::DecidedHeight};
use std::{sync::Arc, time::Duration};

/// What the archive thread is told.
#[derive(Debug)]
pub enum ArchiveInput {
    /// A decided height.
    Height(Box<Decided>),
    /// A block that is sealed and decided.
    Block(Arc<Sealed>),
    /// Stop.
    Stop,
}

/// Time between two flushes of the database.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
const FLUSH_EVERY_MS: u64 = 2_000;

/// Runs until told to stop.
pub fn run(
    store: &Blocks,
    genesis: &Head,
    inputs: &Receiver<ArchiveInput>,
    disk: &Sender<DiskInput>,
) -> Result<(), StoreError> {
    if store.executed_head()?.is_none() {
        let mut batch = BlockBatch::default();
        write_genesis(&mut batch, genesis);
        store.commit(batch)?;
        store.flush()?;
    }
    let mut done = None;
    let mut flushed = now_ms();
    loop {
        let mut next = match inputs.recv_timeout(FLUSH_EVERY) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        while let Some(input) = next.take() {
            match input {
                ArchiveInput::Stop => {
                    store.flush()?;
                    return Ok(());
                }
                ArchiveInput::Height(decided) => {
                    store.commit(height_batch(&decided))?;
                    done = Some((decided.header.height(), decided.header.last_g));
                }
                ArchiveInput::Block(sealed) => {
                    let mut batch = BlockBatch::default();
                    write_block(&mut batch, &sealed);
                    store.commit(batch)?;
                }
            }
            next = inputs.try_recv().ok();
        }
        // The frame log has everything until then, so a flush may wait: it is the most expensive sync here.
        if done.is_none() || now_ms().saturating_sub(flushed) < FLUSH_EVERY_MS {
            continue;
        }
        store.flush()?;
        flushed = now_ms();
        if let Some((height, g)) = done.take()
            && disk.send(DiskInput::Archived(height, g)).is_err()
        {
            return Ok(());
        }
    }
}

/// Gives a decided height to the archive, and then to the chain thread, which may settle the block that it ends and give that to
/// the archive too. In the other order a block could be on disk without its last height, and a node that died just then would
/// execute that height again, on top of the block that has it. Whether both threads are there.
pub fn hand_over(
    decided: Box<Decided>,
    archive: &Sender<ArchiveInput>,
    chain: &Sender<ChainInput>,
) -> bool {
    let kept = archive.send(ArchiveInput::Height(decided.clone())).is_ok();
    let executed = chain.send(ChainInput::Decided(decided)).is_ok();
    kept && executed
}

fn height_batch(decided: &Decided) -> BlockBatch {
    let stored = DecidedHeight {
        header: decided.header.clone(),
        certificate: decided.certificate.clone(),
        frames: decided.frames.iter().map(|f| (*f.signed).clone()).collect(),
    };
    let mut batch = BlockBatch::default();
    batch.height(&stored, decided.value_id);
    batch.put(Tree::Meta, crate::chain::CONTEXT, encode_context(&decided.next));
    batch
}

/// Reads for RPC.
#[derive(Clone)]
pub struct StoreArchive {
    store: Blocks,
    exits: Exits,
}

impl StoreArchive {
    /// Over a node's database.
    #[must_use]
    pub fn new(store: Blocks) -> Self {
        Self { exits: Exits::new(store.clone()), store }
    }
}

impl std::fmt::Debug for StoreArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreArchive").finish_non_exhaustive()
    }
}

impl Archive for StoreArchive {
    fn block(&self, number: u64) -> Option<Arc<BlockView>> {
        let (_, bytes) = log(self.store.block(number))??;
        match decode_block(&bytes) {
            Ok(view) => Some(Arc::new(view)),
            Err(error) => {
                tracing::error!(number, %error, "a stored block is damaged");
                None
            }
        }
    }
    fn block_number(&self, hash: &B256) -> Option<u64> {
        log(self.store.block_number(*hash))?
    }
    fn height(&self, height: u64) -> Option<DecidedHeight> {
        let mut found = log(self.store.heights(height, 1))?;
        found.pop().filter(|h| h.header.height() == height)
    }
    fn tx_location(&self, hash: &B256) -> Option<TxLocation> {
        let place = log(self.store.tx(*hash))??;
        Some(TxLocation { number: place.block, index: u64::from(place.index) })
    }
    fn history_proof(&self, height: u64, under: u64) -> Option<MmrProof> {
        log(self.store.history_proof(height, under))?
    }
    fn voided(&self, hash: &B256) -> Option<u64> {
        log(crate::generation::voided(&self.store, hash))?
    }
    fn exits(&self, block: u64, slots: &[U256]) -> Option<AccountProof> {
        let found = self.exits.proof(block, slots);
        found.inspect_err(|error| tracing::error!(%error, "no proof for L1")).ok()?
    }
    fn rewards(&self, upto: u64) -> Option<(LagPoint, RewardsBook)> {
        log(load_point(&self.store, upto))?
    }
}

fn log<T>(result: Result<T, StoreError>) -> Option<T> {
    result.inspect_err(|error| tracing::error!(%error, "reading the database failed")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::spawn, settle::testing::Chain};
    use crossbeam_channel::bounded;
    use rota_preconf::{Epoch, HeightContext};

    #[test]
    fn a_block_cannot_reach_the_archive_before_its_last_height() {
        let chain = Chain::new().grow(1);
        let stored = chain.decided[0].clone();
        let epoch = Arc::new(Epoch::new(0, Arc::new(chain.set()), 6));
        let decided = Box::new(Decided {
            value_id: stored.header.value_id(&chain.domain),
            header: stored.header,
            certificate: stored.certificate,
            frames: Vec::new(),
            next: HeightContext::genesis(&epoch, chain.domain.genesis_hash),
        });
        // The chain thread does not take it before the archive has it.
        let (to_archive, archive) = bounded(1);
        let (to_chain, executed) = bounded(0);
        let handing = spawn("handing", move || hand_over(decided, &to_archive, &to_chain)).unwrap();
        let first = archive.recv_timeout(Duration::from_secs(10)).expect("the height, first");
        assert!(matches!(first, ArchiveInput::Height(_)));
        assert!(matches!(executed.recv().unwrap(), ChainInput::Decided(_)));
        assert!(handing.join().unwrap());
    }
}
