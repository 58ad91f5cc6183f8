//! Finding contradictions and taking them to L1.
//!
//! Not for: what is a contradiction (`rota_types::Evidence` and the contract decide the same). Invariant: nothing is
//! sent that was not verified here first, and no own key is ever reported by the program that holds it.

mod case;
mod source;
mod tape;

pub use case::{Case, Next, Offence, Seen, Windows};
pub use source::{Heard, read_own, read_tapes};
pub use tape::Tape;
