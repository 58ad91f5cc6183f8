//! From the view's stream of events to counters and latencies.
//!
//! Latencies of later stages are measured from the frame, by log position: one entry for each frame that holds
//! transactions and has not reached the stage. Bounded; policy when full: forget the oldest.

use super::Metrics;
use crate::view::{Event, EventKind, HeadRef};
use alloy_primitives::Address;
use rota_types::{Millis, Stage};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

const MAX_WAITING: usize = 65_536;
const LATER: [Stage; 4] = [Stage::Acked, Stage::Decided, Stage::Posted, Stage::Finalized];

/// A frame with transactions on its way up.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    at_ms: Millis,
    txs: u64,
    /// How many of `LATER` it has reached.
    reached: usize,
}

/// Turns events into numbers.
#[derive(Debug)]
pub(super) struct Collector {
    metrics: Arc<Metrics>,
    own: Option<Address>,
    waiting: BTreeMap<u64, Waiting>,
    done_to: [u64; LATER.len()],
}

impl Collector {
    pub(super) fn new(metrics: Arc<Metrics>, own: Option<Address>) -> Self {
        Self { metrics, own, waiting: BTreeMap::new(), done_to: [0; LATER.len()] }
    }

    pub(super) fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Frame(frame) => {
                self.metrics.record_frame(self.own == Some(frame.leader));
                let txs = u64::try_from(frame.included().count()).unwrap_or(u64::MAX);
                if txs > 0 {
                    self.metrics.record_promises("given", txs);
                    let waiting = Waiting { at_ms: event.at_ms, txs, reached: 0 };
                    self.waiting.insert(frame.g(), waiting);
                }
                if self.waiting.len() > MAX_WAITING {
                    self.waiting.pop_first();
                }
            }
            EventKind::Head { stage, head } => self.head(*stage, head, event.at_ms),
            EventKind::Retract(retraction) => {
                let (frames, reason) = (retraction.frames, retraction.reason);
                let count = frames.1.saturating_sub(frames.0).saturating_add(1);
                self.metrics.record_retraction(reason, count);
                let gone = self.waiting.split_off(&frames.0);
                let txs = gone.values().map(|w| w.txs).fold(0, u64::saturating_add);
                let outcome = if reason == "equivocation" { "broken" } else { "lost" };
                self.metrics.record_promises(outcome, txs);
            }
            EventKind::Sealed(_) | EventKind::Rejected { .. } | EventKind::Heartbeat(_) => {}
        }
    }

    fn head(&mut self, stage: Stage, head: &HeadRef, now: Millis) {
        self.metrics.set_head(stage, head.height, head.timestamp_s);
        let Some(at) = LATER.iter().position(|s| *s == stage) else { return };
        let Some(from) = self.done_to.get_mut(at) else { return };
        let range = from.saturating_add(1)..=head.g;
        if range.is_empty() {
            return;
        }
        *from = head.g;
        for waiting in self.waiting.range_mut(range).map(|(_, w)| w) {
            self.metrics.observe_latency(stage, now.saturating_sub(waiting.at_ms));
            if stage == Stage::Decided {
                self.metrics.record_promises("kept", waiting.txs);
            }
            waiting.reached = waiting.reached.max(at.saturating_add(1));
        }
        let is_done = |w: &Waiting| w.reached == LATER.len();
        while self.waiting.first_key_value().is_some_and(|(_, w)| is_done(w)) {
            self.waiting.pop_first();
        }
    }
}

/// Runs until told to stop. Frames led by `own` count as sent.
pub async fn collect(
    mut events: Receiver<Arc<Event>>,
    metrics: Arc<Metrics>,
    own: Option<Address>,
    stop: CancellationToken,
) {
    let mut collector = Collector::new(metrics, own);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => match event {
                Ok(event) => collector.take(&event),
                Err(RecvError::Lagged(missed)) => collector.metrics.record_missed(missed),
                Err(RecvError::Closed) => return,
            },
        }
    }
}
