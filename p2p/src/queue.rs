//! The bounded queue in front of one outbound stream.
//!
//! Not for: sockets. Invariant: `push` never waits; a queue never holds more than its messages and
//! bytes allow; whatever is lost leaves a gap mark at the place of the loss, so that the receiver can ask.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::{
    error::SendError,
    framing::{put_gap, put_message},
};

/// What a full queue does with one more message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Keeps the newest: old votes and acks are superseded by newer ones.
    DropOldest,
    /// Keeps the oldest and marks the gap: a log is useful up to its first hole, which the receiver
    /// then requests. While the stream is down nothing is kept.
    DropNewest,
    /// Tells the caller `Busy`; while the stream is down, `NotConnected`.
    Refuse,
}

/// Size and policy of a queue.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Messages held at most.
    pub messages: usize,
    /// Bytes held at most.
    pub bytes: usize,
    /// What happens above either.
    pub overflow: Overflow,
}

#[derive(Debug)]
enum Item {
    Message(Bytes),
    Gap,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    messages: usize,
    bytes: usize,
    dropped: u64,
    open: bool,
    /// Something before the first item was lost.
    lost_in_front: bool,
    /// A stream was open before, so whatever it carried last may not have arrived.
    reopened: bool,
}

/// Messages waiting for one stream. Many threads push, one task drains.
#[derive(Debug)]
pub(crate) struct LaneQueue {
    limits: QueueLimits,
    state: Mutex<State>,
    ready: Notify,
}

impl LaneQueue {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self { limits, state: Mutex::default(), ready: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent after every statement that can panic, of which there is none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues one encoded message, or applies the policy. Never waits.
    pub(crate) fn push(&self, payload: Bytes) -> Result<(), SendError> {
        let mut state = self.lock();
        let bytes = payload.len();
        let full = |state: &State| {
            state.messages >= self.limits.messages
                || state.bytes.saturating_add(bytes) > self.limits.bytes
        };
        match self.limits.overflow {
            Overflow::DropOldest => {
                while full(&state) && state.messages > 0 {
                    state.drop_oldest();
                }
            }
            Overflow::DropNewest if !state.open || full(&state) => {
                state.dropped = state.dropped.saturating_add(1);
                state.mark_gap_at_end();
                return Ok(());
            }
            Overflow::Refuse if !state.open => return Err(SendError::NotConnected),
            Overflow::Refuse if full(&state) => {
                state.dropped = state.dropped.saturating_add(1);
                return Err(SendError::Busy);
            }
            Overflow::DropNewest | Overflow::Refuse => {}
        }
        state.bytes = state.bytes.saturating_add(bytes);
        state.messages = state.messages.saturating_add(1);
        state.items.push_back(Item::Message(payload));
        let wake = state.open;
        drop(state);
        if wake {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Moves queued messages into `out` as stream bytes, about `budget` bytes at most.
    /// Returns whether anything was written.
    pub(crate) fn drain(&self, out: &mut BytesMut, budget: usize) -> bool {
        let mut state = self.lock();
        let before = out.len();
        if std::mem::take(&mut state.lost_in_front) {
            put_gap(out);
        }
        while out.len().saturating_sub(before) < budget {
            match state.items.pop_front() {
                Some(Item::Message(payload)) => {
                    state.messages = state.messages.saturating_sub(1);
                    state.bytes = state.bytes.saturating_sub(payload.len());
                    put_message(out, &payload);
                }
                Some(Item::Gap) => put_gap(out),
                None => break,
            }
        }
        out.len() > before
    }

    /// Waits until something may have been pushed. One waiter only.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// The stream is up. A second opening begins with a gap mark.
    pub(crate) fn open(&self) {
        let mut state = self.lock();
        state.open = true;
        state.lost_in_front |= std::mem::replace(&mut state.reopened, true);
        drop(state);
        self.ready.notify_one();
    }

    /// The stream is down.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        if self.limits.overflow != Overflow::DropOldest {
            let lost = u64::try_from(state.messages).unwrap_or(u64::MAX);
            state.dropped = state.dropped.saturating_add(lost);
            state.lost_in_front |= !state.items.is_empty();
            state.items.clear();
            state.messages = 0;
            state.bytes = 0;
        }
    }

    /// Messages held, messages allowed, messages dropped so far.
    pub(crate) fn gauge(&self) -> (usize, usize, u64) {
        let state = self.lock();
        (state.messages, self.limits.messages, state.dropped)
    }
}

impl State {
    fn drop_oldest(&mut self) {
        match self.items.pop_front() {
            Some(Item::Message(payload)) => {
                self.messages = self.messages.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(payload.len());
                self.dropped = self.dropped.saturating_add(1);
                self.lost_in_front = true;
            }
            Some(Item::Gap) => self.lost_in_front = true,
            None => {}
        }
    }

    fn mark_gap_at_end(&mut self) {
        match self.items.back() {
            Some(Item::Gap) => {}
            Some(Item::Message(_)) => self.items.push_back(Item::Gap),
            None => self.lost_in_front = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{Deframer, Piece};

    fn queue(overflow: Overflow) -> LaneQueue {
        let queue = LaneQueue::new(QueueLimits { messages: 3, bytes: 10, overflow });
        queue.open();
        queue
    }

    /// What the receiver sees: the first byte of each message, `-` for a gap.
    fn seen(queue: &LaneQueue) -> String {
        let mut out = BytesMut::new();
        while queue.drain(&mut out, 1) {}
        let mut deframer = Deframer::new(1_000);
        deframer.extend(&out);
        let mut text = String::new();
        while let Ok(Some(piece)) = deframer.next_piece() {
            text.push(match piece {
                Piece::Message(m) => char::from(m[0]),
                Piece::Gap => '-',
            });
        }
        text
    }

    fn push(queue: &LaneQueue, text: &str) -> Vec<Result<(), SendError>> {
        text.bytes().map(|b| queue.push(Bytes::from(vec![b]))).collect()
    }

    #[test]
    fn the_newest_votes_survive() {
        let queue = queue(Overflow::DropOldest);
        push(&queue, "abcde");
        assert_eq!(queue.gauge(), (3, 3, 2));
        assert_eq!(seen(&queue), "-cde");
        push(&queue, "f");
        assert_eq!(seen(&queue), "f", "a gap is told once");
    }

    #[test]
    fn a_log_keeps_its_beginning_and_marks_the_hole() {
        let queue = queue(Overflow::DropNewest);
        push(&queue, "abcdefg");
        let mut out = BytesMut::new();
        assert!(queue.drain(&mut out, 1));
        push(&queue, "h");
        assert_eq!(seen(&queue), "bc-h");
        assert_eq!(queue.gauge(), (0, 3, 4));
    }

    #[test]
    fn bulk_is_refused() {
        let queue = queue(Overflow::Refuse);
        let results = push(&queue, "abcd");
        assert_eq!(results[2..], [Ok(()), Err(SendError::Busy)]);
        queue.close();
        assert_eq!(push(&queue, "e"), [Err(SendError::NotConnected)]);
        queue.open();
        push(&queue, "f");
        assert_eq!(seen(&queue), "-f");
    }

    #[test]
    fn bytes_are_bounded_too() {
        let queue = queue(Overflow::DropOldest);
        for byte in [b'a', b'b', b'c'] {
            assert_eq!(queue.push(Bytes::from(vec![byte; 5])), Ok(()));
        }
        assert_eq!(seen(&queue), "-bc");
    }

    #[test]
    fn a_down_stream_keeps_votes_but_no_frames() {
        let (votes, frames) = (queue(Overflow::DropOldest), queue(Overflow::DropNewest));
        for queue in [&votes, &frames] {
            push(queue, "a");
            queue.close();
            push(queue, "b");
            queue.open();
            push(queue, "c");
        }
        assert_eq!(seen(&votes), "-abc", "the last stream may have lost something");
        assert_eq!(seen(&frames), "-c");
    }
}
