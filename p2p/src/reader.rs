//! Reads one inbound stream to its end.
//!
//! Not for: judging content. Invariant: memory is bounded by one message of the lane and one read; while the
//! node is busy or the peer too fast, nothing more is read, so the peer's own queue fills up.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::AsyncReadExt as _;
use libp2p::Stream;
use rota_types::{
    Decode as _,
    wire::{Lane, Message},
};
use tokio::time::sleep;

use crate::{
    framing::{Deframer, Piece},
    hub::{Counters, Hub},
    incoming::{Busy, Incoming, Peer},
    rate::Rate,
    score::PeerFault,
};

/// Bytes read at once.
const READ: usize = 32 << 10;
/// First and longest pause before a busy sink is asked again.
const RETRY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// Reads messages of one peer on one lane.
pub(crate) struct Reader<'a> {
    hub: &'a Arc<Hub>,
    from: Peer,
    lane: Lane,
    rate: Rate,
    /// A message was dropped here, and the node was not told yet.
    dropped: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(hub: &'a Arc<Hub>, from: Peer, lane: Lane) -> Self {
        let (limits, now_ms) = (hub.limits.lane(lane), hub.clock.now_ms());
        let rate = Rate::new(now_ms, limits.messages_per_second, limits.burst);
        Self { hub, from, lane, rate, dropped: false }
    }

    /// Returns why the stream ended.
    pub(crate) async fn run(mut self, stream: &mut Stream) -> &'static str {
        let mut deframer = Deframer::new(self.hub.limits.lane(self.lane).message_bytes);
        let mut chunk = vec![0; READ];
        loop {
            let count = match stream.read(&mut chunk).await {
                Ok(0) => return "closed by the peer",
                Ok(count) => count,
                Err(_) => return "connection lost",
            };
            deframer.extend(chunk.get(..count).unwrap_or_default());
            loop {
                let fault = match deframer.next_piece() {
                    Ok(None) => break,
                    Ok(Some(piece)) => self.take(piece).await.err(),
                    Err(_) => Some(PeerFault::Oversized),
                };
                if let Some(fault) = fault {
                    self.hub.report(self.from.id, fault);
                    return "broken by the peer";
                }
            }
        }
    }

    async fn take(&mut self, piece: Piece) -> Result<(), PeerFault> {
        self.keep_rate().await;
        let incoming = match piece {
            Piece::Gap => Incoming::Gap { from: self.from, lane: self.lane },
            Piece::Message(payload) => self.decode(&payload)?,
        };
        if std::mem::take(&mut self.dropped) {
            self.deliver(Incoming::Gap { from: self.from, lane: self.lane }).await;
        }
        self.deliver(incoming).await;
        Ok(())
    }

    fn decode(&self, payload: &Bytes) -> Result<Incoming, PeerFault> {
        let message = Message::decode(payload).map_err(|_| PeerFault::Garbage)?;
        let message = Box::new(message);
        if message.lane() != self.lane {
            return Err(PeerFault::Garbage);
        }
        Ok(Incoming::Message { from: self.from, message })
    }

    /// Slows the stream down to its rate.
    async fn keep_rate(&mut self) {
        while let Err(too_fast) = self.rate.pass(self.hub.clock.now_ms()) {
            if too_fast.score {
                self.hub.report(self.from.id, PeerFault::Flood);
            }
            sleep(Duration::from_millis(too_fast.wait_ms)).await;
        }
    }

    /// Gives something to the node, waiting while it is busy; votes and acks not for ever.
    async fn deliver(&mut self, incoming: Incoming) {
        let patience = self.hub.limits.lane(self.lane).patience;
        let (mut pause, mut waited) = (RETRY.0, Duration::ZERO);
        let mut given = self.hub.tell(incoming);
        while let Err(Busy(back)) = given {
            if patience.is_some_and(|patience| waited >= patience) {
                self.dropped = true;
                Counters::add(&self.hub.counters.inbound_dropped);
                return;
            }
            sleep(pause).await;
            waited = waited.saturating_add(pause);
            pause = pause.saturating_mul(2).min(RETRY.1);
            given = self.hub.tell(*back);
        }
    }
}
