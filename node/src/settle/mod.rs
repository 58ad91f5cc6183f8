//! The L1 side of a node: which L1 blocks may be origins, what the inbox holds, and posting batches.
//!
//! Not for: ordering, which never waits for anything here; with L1 gone the node goes on with the last origin.
//! Each task is one loop around a `step` that can be driven by hand. Invariant: what is told to the view as
//! posted can be derived from L1 by anyone, and is taken back when L1 drops it.

mod cursor;
mod freeze;
mod inbox;
mod judge;
mod origin;
mod pace;
mod payload;
mod poster;
mod proven;
mod turn;
mod walk;
mod warranties;
mod witness;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use cursor::{posted_upto, start_inbox};
pub use inbox::{Inbox, InboxEvent, InboxState, follow_inbox};
pub use origin::{L1News, OriginSettings, Origins, follow_origins, learn_sets};
pub use pace::{Backoff, L1Health, Pace, Throttle};
pub use payload::{Posting, build_post};
pub use poster::{
    PostError, Poster, PosterEvent, PosterStats, PosterTask, StoreJournal, posting_policy,
    run_poster,
};
pub use proven::follow_proven;
pub use turn::{Turn, Waiting};
pub use walk::{Progress, Walker};
pub use warranties::follow_warranties;
pub use witness::Witness;
