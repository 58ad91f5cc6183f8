//! Frames: build them, check them, count their acks, carry them over a round change.
//!
//! Everything here is pure: no clock, no IO, no randomness. Time and keys are arguments.
//! Not for: consensus votes (`consensus`), execution, persistence.
//! Invariant: two nodes with the same frames compute the same header (I-9), the same leader (I-13), the same carry
//! (I-11) and the same set (I-16).

mod ack;
mod archive;
mod builder;
mod carry;
mod chain;
mod context;
mod epochs;
mod frame;
mod insured;
mod intake;
mod jail;
mod lags;
mod mutation;
mod pool;
mod schedule;
mod watch;

pub use ack::{AckTally, AckVerdict};
pub use archive::{Archive, Choice, InitView, Need, Unjustified, gives};
pub use builder::{Cut, FrameBuilder, FrameCut, Pacing};
pub use carry::{BadInit, Select, StatusBook, check_signatures, make_init, select};
pub use chain::{BadFrame, Chain};
pub use context::{HeightContext, Link, Resumption, Rules, Stream};
pub use epochs::{Epoch, Epochs};
pub use frame::{Frame, InvalidFrame};
pub use insured::{Insured, Room};
pub use intake::{
    Admitted, Intake, IntakeConfig, IntakeGauges, Place, Reject, SenderState, TakeLimits,
};
pub use jail::{BadEvidence, Conviction, Docket, is_jailed};
pub use lags::{Lags, OtherExecution};
pub use mutation::Mutation;
pub use pool::FramePool;
pub use schedule::{Cursor, Schedule};
pub use watch::{Watch, WatchLimits};
