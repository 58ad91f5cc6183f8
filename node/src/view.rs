//! What this node knows of the chain, for many readers and one writer.
//!
//! The chain thread writes facts (frames, seals, decisions, L1 facts); RPC, dashboard and submitters read.
//! Not for: deciding anything, and not durable: `store` is, and an [`Archive`] serves what was evicted.
//! Locks are held for pointer work only; blocks, frames and states are shared snapshots.
//! Invariant: `pending` always exists and is never behind `latest`; `latest` is decided and sealed; what a
//! rewind takes back is gone from every index before its event is sent.

mod archive;
mod derived;
mod evict;
mod follow;
mod heads;
mod inner;
mod insured;
mod light;
mod posted;
mod promise;
mod proven;
mod reader;
mod records;
mod stats;
mod status;
mod stream;
mod wait;
mod writer;

pub use archive::{Archive, TxLocation};
pub use follow::{CannotFollow, Cursor, Retraction, Step};
pub use insured::{NoFork, Reverted};
pub use light::{LightSubject, NoLight};
pub use promise::NoPromise;
pub use proven::OtherProven;
pub use reader::{At, InBlock, PendingAccount, TxView};
pub use records::{
    BlockView, Decision, FORCED, Finalization, FrameRecord, FrameTx, FrameView, HeightRecord,
    OpenHeader, Posting, Problem, ProblemKind, ProvenStep, Span,
};
pub use stats::{Percentiles, Promises, Stats};
pub use status::{AckInfo, Progress};
pub use stream::{Event, EventKind, HeadRef, Heads, Lagged};
pub use wait::{Notice, Wait};

use alloy_primitives::{Address, B256};
use inner::Inner;
use parking_lot::RwLock;
use rota_execution::Head;
use rota_types::Domain;
use std::sync::{Arc, atomic::AtomicBool};
use stream::Stream;
use wait::Waiters;

/// Bounds of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewConfig {
    /// Chain id of the rollup.
    pub chain_id: u64,
    /// What signatures are for, named in every promise.
    pub domain: Domain,
    /// Final blocks kept with their states. Four times as many that are decided and not final are kept.
    pub retain_blocks: u64,
    /// Transactions kept that are in no block: waiting, dropped, rejected. Policy when full: drop the oldest.
    pub retain_loose: usize,
    /// Events kept for a slow counter before it misses some.
    pub stream_capacity: usize,
}

impl Default for ViewConfig {
    fn default() -> Self {
        Self {
            chain_id: 0,
            domain: Domain::new(0, 0, Address::ZERO, B256::ZERO, 0),
            retain_blocks: 1024,
            retain_loose: 131_072,
            stream_capacity: 8192,
        }
    }
}

/// The view. Shared as `Arc<View>`.
pub struct View {
    config: ViewConfig,
    inner: RwLock<Inner>,
    stream: Stream,
    waiters: Arc<Waiters>,
    archive: RwLock<Option<Arc<dyn Archive>>>,
    room: RwLock<Option<rota_preconf::Room>>,
    warranties: RwLock<(u64, insured::Warranties)>,
    proofs: AtomicBool,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("config", &self.config).finish_non_exhaustive()
    }
}

impl View {
    /// A view that knows the genesis block only.
    #[must_use]
    pub fn new(config: ViewConfig, genesis: &Head) -> Self {
        let inner = Inner::new(BlockView::genesis(genesis));
        let stream = Stream::new(config.stream_capacity);
        let waiters = Arc::new(Waiters::default());
        Self {
            config,
            inner: RwLock::new(inner),
            stream,
            waiters,
            archive: RwLock::new(None),
            room: RwLock::new(None),
            warranties: RwLock::default(),
            proofs: AtomicBool::new(false),
        }
    }

    /// Where to look for what is no longer in memory.
    pub fn set_archive(&self, archive: Arc<dyn Archive>) {
        *self.archive.write() = Some(archive);
    }

    /// The bounds.
    #[must_use]
    pub const fn config(&self) -> &ViewConfig {
        &self.config
    }

    pub(crate) fn archive(&self) -> Option<Arc<dyn Archive>> {
        self.archive.read().clone()
    }
}
