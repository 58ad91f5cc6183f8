//! The numbered stream of events, with a ring for those who come back.

use super::{BlockView, FrameRecord};
use alloy_primitives::{Address, B256};
use parking_lot::Mutex;
use rota_types::{Millis, Stage, Tx};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::broadcast;

/// The newest block of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadRef {
    /// Block number.
    pub number: u64,
    /// Block hash; the newest frame's hash while the block is open.
    pub hash: B256,
    /// Seconds since the Unix epoch.
    pub timestamp_s: u64,
    /// Newest log position that reached the stage.
    pub g: u64,
    /// Newest height that reached the stage.
    pub height: u64,
}

/// All heads, as one consistent reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heads {
    /// Preconfirmed.
    pub pending: HeadRef,
    /// Acked by more than two thirds.
    pub acked: HeadRef,
    /// Decided.
    pub latest: HeadRef,
    /// Posted to L1.
    pub safe: HeadRef,
    /// Final on L1.
    pub finalized: HeadRef,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// A frame was executed: its transactions are preconfirmed.
    Frame(Arc<FrameRecord>),
    /// A block has its final content and hash.
    Sealed(Arc<BlockView>),
    /// The head of a stage moved.
    Head {
        /// The stage.
        stage: Stage,
        /// Where it is now.
        head: HeadRef,
    },
    /// Frames were taken back.
    Retract {
        /// Newest position that stays.
        to_g: u64,
        /// First and last position taken back.
        frames: (u64, u64),
        /// The leader whose frames they were.
        leader: Address,
        /// Why: `round_change`, `equivocation` or `leader_lost`.
        reason: &'static str,
        /// Transactions that are waiting again.
        txs: Vec<B256>,
        /// Sealed blocks that are gone.
        blocks: Vec<B256>,
    },
    /// A transaction was refused or thrown out.
    Rejected {
        /// Which.
        hash: B256,
        /// Why.
        reason: String,
    },
    /// Nothing happened, and this is where everything stands.
    Heartbeat(Box<Heads>),
}

/// An event with its number. Numbers have no gaps.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number, from 1.
    pub seq: u64,
    /// When.
    pub at_ms: Millis,
    /// What.
    pub kind: EventKind,
}

/// Events that can no longer be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// First one missed.
    pub from: u64,
    /// Last one missed.
    pub to: u64,
}

struct Ring {
    next: u64,
    events: VecDeque<Arc<Event>>,
}

/// Bounded; policy for slow readers: they miss the oldest and are told how many.
pub(super) struct Stream {
    capacity: usize,
    ring: Mutex<Ring>,
    live: broadcast::Sender<Arc<Event>>,
    received: broadcast::Sender<Arc<Tx>>,
}

impl Stream {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(16);
        Self {
            capacity,
            ring: Mutex::new(Ring { next: 1, events: VecDeque::new() }),
            live: broadcast::Sender::new(capacity),
            received: broadcast::Sender::new(capacity),
        }
    }

    pub(super) fn send(&self, at_ms: Millis, kind: EventKind) {
        // Sent under the lock, so that `subscribe` sees each event either in the ring or live.
        let mut ring = self.ring.lock();
        let event = Arc::new(Event { seq: ring.next, at_ms, kind });
        ring.next = ring.next.saturating_add(1);
        ring.events.push_back(event.clone());
        if ring.events.len() > self.capacity {
            ring.events.pop_front();
        }
        // Nobody listening is no error.
        let _ = self.live.send(event);
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.live.subscribe()
    }

    /// What came from `from_seq` on, what of it is gone, and what comes next.
    pub(super) fn resume(
        &self,
        from_seq: u64,
    ) -> (Option<Missed>, Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let ring = self.ring.lock();
        let oldest = ring.events.front().map_or(ring.next, |e| e.seq);
        let missed = (from_seq < oldest)
            .then(|| Missed { from: from_seq.max(1), to: oldest.saturating_sub(1) })
            .filter(|m| m.from <= m.to);
        let past = ring.events.iter().filter(|e| e.seq >= from_seq).cloned().collect();
        (missed, past, self.live.subscribe())
    }

    pub(super) fn announce(&self, tx: &Arc<Tx>) {
        if self.received.receiver_count() > 0 {
            let _ = self.received.send(tx.clone());
        }
    }

    pub(super) fn received(&self) -> broadcast::Receiver<Arc<Tx>> {
        self.received.subscribe()
    }
}
