//! Faults that a plan places exactly: crashes at a boundary of persistence, and the fate of single messages.
//!
//! Invariant: a script is a pure function of the letter, so that a run stays a function of its plan.

use rota_types::wire::Message;
use std::{fmt, sync::Arc};

/// Where in one sync a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Everything is written, nothing synced.
    Written,
    /// Of each file some first part is on disk, chosen by this number.
    Within(u64),
    /// All is synced, nothing of what waited for it has left.
    Synced,
}

/// A crash at the n-th sync of a node's life, and how long it stays down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Who.
    pub node: u16,
    /// Which sync, counted from 0 over restarts.
    pub sync: u64,
    /// Where in it.
    pub phase: Phase,
    /// Milliseconds until it starts again.
    pub down_ms: u64,
}

/// A message on its way.
#[derive(Debug)]
pub struct Letter<'a> {
    /// Virtual milliseconds since the start.
    pub now_ms: u64,
    /// Sender.
    pub from: u16,
    /// Receiver.
    pub to: u16,
    /// Content; `None` for a request.
    pub message: Option<&'a Message>,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It travels as the link says.
    Pass,
    /// It is lost.
    Drop,
    /// It leaves at this virtual millisecond.
    Hold(u64),
}

type Judge = dyn Fn(&Letter<'_>) -> Fate + Send + Sync;

/// Decides over every message that correct nodes send.
#[derive(Clone, Default)]
pub struct Script(Option<Arc<Judge>>);

impl Script {
    /// A script from a pure function.
    pub fn new(judge: impl Fn(&Letter<'_>) -> Fate + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(judge)))
    }
    /// The fate of one message.
    #[must_use]
    pub fn judge(&self, letter: &Letter<'_>) -> Fate {
        self.0.as_ref().map_or(Fate::Pass, |judge| judge(letter))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Script(..)" } else { "Script(none)" })
    }
}
