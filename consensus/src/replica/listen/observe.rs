//! What listening found, in words: why a replica follows, and why it stopped.

use std::fmt;

/// This key signs elsewhere, or its guard is not the newest. Nothing is signed by this process any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Kind of message that shows it.
    pub what: &'static str,
    /// Where it was signed.
    pub height: u64,
    /// In which round.
    pub round: u32,
    /// The guard knows another content there, or two are known: a contradiction was signed already.
    pub contradicts: bool,
    /// A later run must not sign at this height or below.
    pub floor: u64,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, height, round, contradicts, .. } = self;
        write!(f, "this key signed a {what} at height {height} round {round} ")?;
        if *contradicts {
            write!(f, "that contradicts what this machine's sign guard knows: ")?;
        } else {
            write!(f, "that this machine's sign guard does not know: ")?;
        }
        write!(f, "another machine signs with it, or the guard is an old copy. Stopped signing")
    }
}

/// Why a replica with keys follows without signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observe {
    /// It has just started and hears where the others are.
    Starting,
    /// Others are ahead of it.
    CatchingUp,
    /// The guard is empty: new, or lost. Signs above this height; 0 while that is not known.
    NoGuard(u64),
    /// The key has signed what the guard does not know. Signs above this height.
    OldGuard(u64),
    /// The log of the height is missing, at which it may have signed. Signs above this height.
    NoLog(u64),
    /// Frames of a decided height are missing.
    NoFrames,
    /// None of its keys is in the set in force; the epoch in whose set one is, if that is known.
    NotInSet(Option<u64>),
}

impl Observe {
    /// All kinds, for labels.
    pub const NAMES: [&'static str; 7] =
        ["starting", "catching_up", "no_guard", "old_guard", "no_log", "no_frames", "not_in_set"];

    /// One word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::CatchingUp => "catching_up",
            Self::NoGuard(_) => "no_guard",
            Self::OldGuard(_) => "old_guard",
            Self::NoLog(_) => "no_log",
            Self::NoFrames => "no_frames",
            Self::NotInSet(_) => "not_in_set",
        }
    }
}

impl fmt::Display for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => write!(f, "just started: hearing where the others are"),
            Self::CatchingUp => write!(f, "others are ahead: catching up"),
            Self::NoGuard(0) => write!(
                f,
                "the sign guard is empty: listening, and asking the other members for signatures of this key, before signing"
            ),
            Self::NoGuard(h) => {
                write!(f, "the sign guard is empty or was lost: signs above height {h}")
            }
            Self::OldGuard(h) => write!(
                f,
                "the sign guard is an old copy, this key has signed more: signs above height {h}"
            ),
            Self::NoLog(h) => write!(
                f,
                "the consensus log of a height it signed at is missing: signs above height {h}"
            ),
            Self::NoFrames => write!(f, "frames of a decided height are missing: fetching them"),
            Self::NotInSet(None) => write!(f, "not in the set in force: follows and serves others"),
            Self::NotInSet(Some(epoch)) => {
                write!(f, "not in the set in force: signs from epoch {epoch} on")
            }
        }
    }
}
