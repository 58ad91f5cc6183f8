//! Finding contradictions and taking them to L1.
//!
//! Not for: what is a contradiction (`rota_types::Evidence` and the contract decide the same). Invariant: nothing is
//! sent that was not verified here first, and no own key is ever reported by the program that holds it.

mod audit;
mod case;
mod certificates;
mod desk;
mod files;
mod known;
mod ledger;
mod link;
mod points;
mod post;
mod role;
mod sentry;
mod source;
mod tape;
mod watcher;

pub use case::{Case, Next, Offence, Seen, Windows, salt};
pub use certificates::Certificates;
pub use desk::{Desk, DeskError, Told};
pub use files::{CaseFileError, Cases, FileJournal};
pub use link::{link, stranger};
pub use post::{keep, local_name, read};
pub use role::{Report, SlasherArgs, run_slasher};
pub use sentry::{Sentry, SentryError, Shown, look_back, shown};
pub use source::{Heard, read_own, read_tapes};
pub use tape::Tape;
pub use watcher::{
    Found, Looked, ReviewError, Sets, WatchInput, WatchOutput, Watcher, run_watcher,
};
