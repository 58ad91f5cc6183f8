//! What readers ask. Every answer is a snapshot: it does not change in the reader's hand.

use super::{
    BlockView, Event, FORCED, FrameRecord, Heads, HeightRecord, OpenHeader, Problem, Progress,
    Span, Stats, View, Wait,
    inner::{Inner, TxRecord, tx_of},
};
use alloy_eips::{BlockNumberOrTag, eip1559::BaseFeeParams};
use alloy_primitives::{Address, B256, U256};
use rota_execution::{Included, State};
use rota_types::{Stage, Tx, ValidatorSet};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// By number or standard tag.
    Number(BlockNumberOrTag),
    /// By block hash, or by the hash of a frame in it.
    Hash(B256),
    /// The newest block with a quorum of acks.
    Acked,
}

/// A sender in the newest state, with the fee that its transactions must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingAccount {
    /// Next nonce.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Base fee of the block that the next frame goes into, wei.
    pub base_fee: u64,
}

/// Where a transaction is in its block.
#[derive(Debug, Clone)]
pub struct InBlock {
    /// Block number; final from the first frame on.
    pub number: u64,
    /// Block hash; the frame hash while the block is open.
    pub hash: B256,
    /// Seconds since the Unix epoch.
    pub timestamp_s: u64,
    /// Base fee of the block, wei.
    pub base_fee: u64,
    /// Whether the block and its hash have their final form.
    pub sealed: bool,
    /// Index, receipt, gas.
    pub result: Arc<Included>,
}

/// Everything about a transaction.
#[derive(Debug, Clone)]
pub struct TxView {
    /// The transaction.
    pub tx: Arc<Tx>,
    /// Its block.
    pub block: Option<InBlock>,
    /// Its frame and its place there; missing for what was restored, archived or forced through L1.
    pub frame: Option<(Arc<FrameRecord>, u32)>,
    /// Whether L1 forced it in, as far as that is in memory.
    pub forced: bool,
    /// Its stages.
    pub progress: Progress,
    /// What went wrong, if it is in no block.
    pub problem: Option<Problem>,
}

impl View {
    /// All heads.
    #[must_use]
    pub fn heads(&self) -> Heads {
        self.inner.read().heads()
    }

    /// Latencies and promises. Sorts some thousand samples, so ask now and then, not per request.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let samples = self.inner.read().stats.clone();
        samples.read()
    }

    /// A block, `None` if there is none.
    #[must_use]
    pub fn block(&self, at: At) -> Option<Arc<BlockView>> {
        match at {
            At::Number(tag) => self.block_by_tag(tag),
            At::Hash(hash) => self.block_by_hash(&hash),
            At::Acked => {
                let heads = self.heads();
                self.block_by_number(heads.acked.number)
            }
        }
    }

    fn block_by_tag(&self, tag: BlockNumberOrTag) -> Option<Arc<BlockView>> {
        let number = {
            let inner = self.inner.read();
            match tag {
                BlockNumberOrTag::Pending => {
                    let parts = inner.pending_parts();
                    drop(inner);
                    return parts.and_then(PendingParts::assemble);
                }
                BlockNumberOrTag::Latest => inner.latest,
                BlockNumberOrTag::Safe => inner.safe,
                BlockNumberOrTag::Finalized => inner.finalized,
                BlockNumberOrTag::Earliest => 0,
                BlockNumberOrTag::Number(number) => number,
            }
        };
        self.block_by_number(number)
    }

    fn block_by_number(&self, number: u64) -> Option<Arc<BlockView>> {
        let open = {
            let inner = self.inner.read();
            if let Some(block) = inner.blocks.get(&number) {
                return Some(block.clone());
            }
            let is_open = inner.open.as_ref().is_some_and(|o| o.header.number == number);
            is_open.then(|| inner.pending_parts()).flatten()
        };
        match open {
            Some(parts) => parts.assemble(),
            None => self.archive()?.block(number),
        }
    }

    fn block_by_hash(&self, hash: &B256) -> Option<Arc<BlockView>> {
        let frames = {
            let inner = self.inner.read();
            if let Some(number) = inner.numbers.get(hash) {
                return inner.blocks.get(number).cloned();
            }
            match inner.frame_gs.get(hash).and_then(|g| inner.frames.get(g)) {
                Some(frame) => match inner.blocks.get(&frame.block.number) {
                    Some(block) => return Some(block.clone()),
                    None => {
                        let state = inner.frame_states.get(&frame.g()).cloned();
                        Some((inner.open_frames(frame.g()), state))
                    }
                },
                None => None,
            }
        };
        if let Some((frames, state)) = frames {
            return BlockView::open(&frames, state?).map(Arc::new);
        }
        let archive = self.archive()?;
        archive.block(archive.block_number(hash)?)
    }

    /// The newest state, with every preconfirmed transaction in it.
    #[must_use]
    pub fn pending_state(&self) -> State {
        self.inner.read().pending_state().cloned().unwrap_or_default()
    }

    /// A sender in the newest state.
    #[must_use]
    pub fn pending_account(&self, address: &Address) -> PendingAccount {
        let inner = self.inner.read();
        let account = inner.pending_state().and_then(|s| s.account(address)).unwrap_or_default();
        PendingAccount {
            nonce: account.nonce,
            balance: account.balance,
            base_fee: inner.base_fee(),
        }
    }

    /// Base fee of the block that the next frame goes into, wei.
    #[must_use]
    pub fn base_fee(&self) -> u64 {
        self.inner.read().base_fee()
    }

    /// Everything about a transaction.
    #[must_use]
    pub fn tx(&self, hash: &B256) -> Option<TxView> {
        {
            let inner = self.inner.read();
            if let Some(record) = inner.txs.get(hash) {
                return Some(inner.tx_view(record));
            }
        }
        self.archived_tx(hash)
    }

    /// The height that had a transaction in a generation that is over, if it is void.
    #[must_use]
    pub fn voided(&self, hash: &B256) -> Option<u64> {
        self.archive()?.voided(hash)
    }

    fn archived_tx(&self, hash: &B256) -> Option<TxView> {
        let archive = self.archive()?;
        let location = archive.tx_location(hash)?;
        let block = archive.block(location.number)?;
        let result = block.txs.get(usize::try_from(location.index).ok()?)?.clone();
        let (stage, proven) = {
            let inner = self.inner.read();
            let stage = inner.block_stage(location.number).max(Stage::Decided);
            (stage, inner.proof_of(location.number))
        };
        Some(TxView {
            tx: Arc::new(tx_of(&result)),
            block: Some(InBlock {
                number: location.number,
                hash: block.hash,
                timestamp_s: block.header.timestamp,
                base_fee: block.header.base_fee_per_gas.unwrap_or_default(),
                sealed: true,
                result,
            }),
            frame: None,
            forced: false,
            progress: Progress { stage: Some(stage), proven, ..Progress::default() },
            problem: None,
        })
    }

    /// The stage of a block that exists.
    #[must_use]
    pub fn block_stage(&self, number: u64) -> Stage {
        self.inner.read().block_stage(number)
    }

    /// The header of the open block, if one is open.
    #[must_use]
    pub fn open_header(&self) -> Option<OpenHeader> {
        self.inner.read().open.as_ref().map(|o| o.header)
    }

    /// Frames and heights of the block that is open now: what [`super::BlockView::from_executed`] wants.
    #[must_use]
    pub fn open_span(&self) -> Option<Span> {
        let inner = self.inner.read();
        let open = inner.open.as_ref()?;
        let first = inner.frames.get(&open.first_g)?;
        let (last_g, last) = inner.frames.last_key_value()?;
        Some(Span {
            first_g: open.first_g,
            last_g: *last_g,
            first_height: first.frame.header.height,
            last_height: last.frame.header.height,
        })
    }

    /// A decided height that is still in memory.
    #[must_use]
    pub fn height(&self, height: u64) -> Option<Arc<HeightRecord>> {
        self.inner.read().heights.get(&height).cloned()
    }

    /// The set of an epoch.
    #[must_use]
    pub fn set(&self, epoch: u64) -> Option<Arc<ValidatorSet>> {
        self.inner.read().sets.get(&epoch).cloned()
    }

    /// A frame that is still in memory.
    #[must_use]
    pub fn frame_at(&self, g: u64) -> Option<Arc<FrameRecord>> {
        self.inner.read().frames.get(&g).cloned()
    }

    /// Live events from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.stream.subscribe()
    }

    /// Transactions as they are admitted, from now on.
    #[must_use]
    pub fn admissions(&self) -> broadcast::Receiver<Arc<Tx>> {
        self.stream.received()
    }

    /// Waits for a transaction. Make this first, then submit, then look up once, then await.
    #[must_use]
    pub fn wait(&self, hash: B256, until: Stage) -> Wait {
        self.waiters.wait(hash, until)
    }
}

/// What the pending block is made of, so that it is put together outside the lock.
enum PendingParts {
    Open(Vec<Arc<FrameRecord>>, Box<State>),
    Sealed(Arc<BlockView>),
}

impl PendingParts {
    fn assemble(self) -> Option<Arc<BlockView>> {
        match self {
            Self::Open(frames, state) => BlockView::open(&frames, *state).map(Arc::new),
            Self::Sealed(block) => Some(block),
        }
    }
}

impl Inner {
    fn pending_parts(&self) -> Option<PendingParts> {
        match &self.open {
            Some(open) => {
                Some(PendingParts::Open(self.open_frames(u64::MAX), Box::new(open.state.clone())))
            }
            None => self.newest().cloned().map(PendingParts::Sealed),
        }
    }

    pub(super) fn base_fee(&self) -> u64 {
        if let Some(open) = &self.open {
            return open.header.base_fee;
        }
        let next = |b: &Arc<BlockView>| b.header.next_block_base_fee(BaseFeeParams::ethereum());
        self.newest().and_then(next).unwrap_or_default()
    }

    fn tx_view(&self, record: &TxRecord) -> TxView {
        let block = record.place.as_ref().and_then(|place| {
            let (hash, timestamp_s, base_fee, sealed) = self.place_hash(place)?;
            let result = place.result.clone();
            Some(InBlock { number: place.number, hash, timestamp_s, base_fee, sealed, result })
        });
        let frame = record.place.as_ref().and_then(|p| p.frame.clone());
        let forced = frame.as_ref().is_some_and(|(_, at)| *at == FORCED);
        let frame = frame.filter(|(_, at)| *at != FORCED).map(|(f, at)| {
            let slot = usize::try_from(at).unwrap_or(usize::MAX);
            let position = f.txs.get(slot).map_or(0, |t| t.position);
            (f, position)
        });
        TxView {
            tx: record.tx.clone(),
            block,
            frame,
            forced,
            progress: self.progress(record),
            problem: record.problem.clone(),
        }
    }
}
