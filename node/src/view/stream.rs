//! What happens, as it happens, and who is to be woken.

use super::{BlockView, FrameRecord, Retraction};
use alloy_primitives::B256;
use rota_types::{Millis, Stage, Tx};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

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
    Retract(Arc<Retraction>),
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

/// An event with its time.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at_ms: Millis,
    /// What.
    pub kind: EventKind,
}

/// A reader that fell behind what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged {
    /// The first position that it was not given: to resume from, at a node that keeps it.
    pub from_g: u64,
    /// The oldest position kept here.
    pub oldest: u64,
}

/// Events as they happen, for who counts them. Bounded; policy for slow readers: they miss the oldest and are told
/// how many. Readers who may miss nothing have a [`super::Cursor`].
pub(super) struct Stream {
    live: broadcast::Sender<Arc<Event>>,
    received: broadcast::Sender<Arc<Tx>>,
    changes: watch::Sender<u64>,
    beats: watch::Sender<u64>,
}

impl Stream {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(16);
        Self {
            live: broadcast::Sender::new(capacity),
            received: broadcast::Sender::new(capacity),
            changes: watch::Sender::new(0),
            beats: watch::Sender::new(0),
        }
    }

    pub(super) fn send(&self, at_ms: Millis, kind: EventKind) {
        let counter =
            if matches!(kind, EventKind::Heartbeat(_)) { &self.beats } else { &self.changes };
        // Nobody listening is no error.
        let _ = self.live.send(Arc::new(Event { at_ms, kind }));
        counter.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Something changed that is no event of its own.
    pub(super) fn touch(&self) {
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.live.subscribe()
    }

    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn beats(&self) -> watch::Receiver<u64> {
        self.beats.subscribe()
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
