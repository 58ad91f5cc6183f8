//! What belongs to the height that is open, and to its round; gone when it is decided.
//!
//! Invariant: the default is what a height begins with.

use super::{PeerNo, asks::Asks, justify::Logged, later::Later};
use alloy_primitives::B256;
use rota_preconf::Archive;
use rota_types::{PolkaCertificate, SignedProposal, SignedTermInit, wire::Message};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

#[derive(Debug, Default)]
pub(super) struct Open {
    /// The round for which consensus asked for a value.
    pub(super) need_value: Option<u32>,
    /// Values given to consensus.
    pub(super) offered: BTreeSet<B256>,
    /// Values prevoted or precommitted: acks must not contradict them.
    pub(super) prevoted: BTreeSet<B256>,
    /// The highest round in which a value was prevoted.
    pub(super) prevotes: BTreeMap<B256, u32>,
    /// Who precommitted nil, by round of this height.
    pub(super) nil_precommits: BTreeMap<u32, BTreeSet<u16>>,
    /// What was accepted in this round, above round 0.
    pub(super) accepted: Option<B256>,
    /// The re-proposal of this round that went to consensus: no opening is accepted beside it.
    pub(super) taken: Option<B256>,
    /// The highest round in which something was accepted, and what it rests on.
    pub(super) best: (i32, B256),
    /// This round's opening, accepted.
    pub(super) init: Option<Arc<SignedTermInit>>,
    /// Openings of this round that wait for what they name.
    pub(super) inits: Vec<Arc<SignedTermInit>>,
    /// This round's leader signed an opening that is not valid.
    pub(super) refused_init: bool,
    pub(super) archive: Archive,
    /// Polkas that re-proposals of this height rest on.
    pub(super) polkas: BTreeMap<(u32, B256), PolkaCertificate>,
    pub(super) logged: Logged,
    /// The own report of this round.
    pub(super) own_status: Option<Message>,
    pub(super) later: Later,
    /// Proposals of this round that wait for what justifies them, with their senders.
    pub(super) waiting: Vec<(PeerNo, SignedProposal)>,
    /// What is missing, and of whom it was asked.
    pub(super) asks: Asks,
    /// It may not report: what an earlier run accepted here is not known.
    pub(super) mute: bool,
}
