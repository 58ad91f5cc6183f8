//! What members signed, as this node saw it, numbered, for its own watch and for anyone who asks.
//!
//! Not for: evidence, which lasts; this holds some minutes. Policy when full: the oldest go, and who reads too slowly sees
//! the gap in the numbers. Statements of peers are kept unverified: who reads verifies.

use parking_lot::{Condvar, Mutex};
use rota_types::{Signed, wire::Message};
use std::{collections::VecDeque, time::Duration};

/// Statements kept, about 400 bytes each.
const KEEP: usize = 32_768;

/// The ring.
#[derive(Debug, Default)]
pub struct Tape {
    inner: Mutex<Inner>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    statements: VecDeque<Signed>,
    /// Number of the first one kept.
    first: u64,
}

impl Inner {
    fn end(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.statements.len()).unwrap_or(u64::MAX))
    }
}

impl Tape {
    /// Adds what a message says in its signer's name.
    pub fn write(&self, message: &Message) {
        self.extend(Signed::all_of(message));
    }

    /// Adds statements; the oldest go when it is full.
    pub fn extend(&self, statements: Vec<Signed>) {
        if statements.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        inner.statements.extend(statements);
        while inner.statements.len() > KEEP {
            inner.statements.pop_front();
            inner.first = inner.first.saturating_add(1);
        }
        drop(inner);
        self.grown.notify_all();
    }

    /// At most `count` statements from number `from` on, and the number of the first of them. A number beyond the end
    /// is of an earlier run of this node: reading starts over.
    #[must_use]
    pub fn read(&self, from: u64, count: usize) -> (u64, Vec<Signed>) {
        let inner = self.inner.lock();
        let from = if from > inner.end() { inner.first } else { from.max(inner.first) };
        let skip = usize::try_from(from.saturating_sub(inner.first)).unwrap_or(usize::MAX);
        (from, inner.statements.iter().skip(skip).take(count).cloned().collect())
    }

    /// As `read`; waits up to `patience` for the first one.
    #[must_use]
    pub fn wait(&self, from: u64, count: usize, patience: Duration) -> (u64, Vec<Signed>) {
        let mut inner = self.inner.lock();
        if from >= inner.end() {
            self.grown.wait_for(&mut inner, patience);
        }
        drop(inner);
        self.read(from, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_types::{B256, SignedVote, Vote, VoteKind};

    fn vote(height: u64) -> Message {
        let vote =
            Vote { epoch: 0, height, round: 0, kind: VoteKind::Prevote, value_id: B256::ZERO };
        Message::Vote(SignedVote { vote, signer: 1, signature: [0; 65] })
    }

    #[test]
    fn a_slow_reader_sees_the_gap_and_a_quick_one_misses_nothing() {
        let tape = Tape::default();
        assert_eq!(tape.read(0, 10), (0, Vec::new()));
        let many = u64::try_from(KEEP).unwrap() + 5;
        (0..many).for_each(|h| tape.write(&vote(h)));
        let (first, some) = tape.read(0, 3);
        assert_eq!((first, some.len(), some[0].height()), (5, 3, 5));
        let (first, rest) = tape.read(many - 1, 10);
        assert_eq!((first, rest.len()), (many - 1, 1));
        assert_eq!(tape.read(many + 7, 1).0, 5, "a number of an earlier run");
        assert_eq!(tape.wait(many, 10, Duration::from_millis(1)), (many, Vec::new()));
    }
}
