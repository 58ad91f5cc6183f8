//! The write-ahead log's entries: every consensus input that must survive a crash, and what this validator
//! accepted and reported in rounds above 0, each with its height.
//!
//! Not for: the file (`store::AppendLog`).
//! Invariant: an entry names its height, so that entries left by a torn reset are told apart; an entry
//! that does not decode stops the node.

use crate::{
    context::{Ctx, Cut, H, Index},
    convert,
};
use malachite_core::{Input, ProposedValue};
use malachite_types::{Timeout, TimeoutKind, Validity, ValueOrigin};
use rota_types::{
    Decode, DecodeError, Domain, Encode, Header, Justification, PolkaCertificate, Reader,
    SignedFrame, SignedProposal, SignedStatus, SignedVote, Writer,
};
use std::sync::Arc;

/// What an entry holds.
pub(crate) enum Entry {
    /// An input of the consensus core.
    Input(Input<Ctx>),
    /// What was accepted in a round above 0.
    Accepted(Justification),
    /// The own report on entering a round.
    Reported(SignedStatus),
    /// A justification that an accepted opening rests on.
    Held(Justification),
    /// A frame that an accepted opening rests on, and that was not accepted itself.
    HeldFrame(SignedFrame),
}

/// The entry of an acceptance.
pub(crate) fn accepted(height: u64, justification: &Justification) -> Vec<u8> {
    let mut w = Writer::default();
    justification.encode_to(w.u64(height).u8(6));
    w.finish()
}

/// The entry of an own report.
pub(crate) fn reported(status: &SignedStatus) -> Vec<u8> {
    let mut w = Writer::default();
    status.encode_to(w.u64(status.status.height).u8(7));
    w.finish()
}

/// The entry of what an accepted opening rests on.
pub(crate) fn held(height: u64, justification: &Justification) -> Vec<u8> {
    let mut w = Writer::default();
    justification.encode_to(w.u64(height).u8(8));
    w.finish()
}

/// The entry of a frame that an accepted opening rests on.
pub(crate) fn held_frame(height: u64, frame: &SignedFrame) -> Vec<u8> {
    let mut w = Writer::default();
    frame.encode_to(w.u64(height).u8(9));
    w.finish()
}

/// Encodes an input that belongs into the log; `None` for one that does not.
pub(crate) fn encode(
    height: u64,
    input: &Input<Ctx>,
    epoch: u64,
    domain: &Domain,
) -> Option<Vec<u8>> {
    let mut w = Writer::default();
    w.u64(height);
    match input {
        Input::Vote(v) => convert::vote_out(v, epoch).encode_to(w.u8(1)),
        Input::Proposal(p) => {
            let init = convert::fresh_init(&p.message);
            let hash = init.map(|i| i.init.hash(domain)).unwrap_or_default();
            convert::proposal_out(p, epoch, hash).encode_to(w.u8(2));
        }
        Input::ProposedValue(v, origin) => {
            w.u8(3).u32(convert::unround(v.round)).i32(convert::unpol(v.valid_round));
            w.u16(v.proposer.0).u8(u8::from(v.validity.is_valid())).u8(u8::from(origin.is_sync()));
            v.value.header.encode_to(&mut w);
        }
        Input::TimeoutElapsed(t) => {
            let kind = match t.kind {
                TimeoutKind::Propose => 0,
                TimeoutKind::Prevote => 1,
                TimeoutKind::Precommit => 2,
                TimeoutKind::Rebroadcast => 3,
                TimeoutKind::FinalizeHeight(_) => return None,
            };
            w.u8(4).u8(kind).u32(convert::unround(t.round));
        }
        Input::PolkaCertificate(c) => convert::polka_out(c, epoch).encode_to(w.u8(5)),
        _ => return None,
    }
    Some(w.finish())
}

/// The height of an entry, without decoding it.
pub(crate) fn height(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk::<8>().map(|b| u64::from_be_bytes(*b))
}

/// Decodes an entry into its height and content.
pub(crate) fn decode(bytes: &[u8], domain: &Domain) -> Result<(u64, Entry), DecodeError> {
    let mut r = Reader::new(bytes);
    let height = r.u64("wal height")?;
    let entry = Entry::Input(match r.u8("wal kind")? {
        1 => Input::Vote(convert::vote_in(&SignedVote::decode_from(&mut r)?)),
        2 => Input::Proposal(convert::proposal_in(SignedProposal::decode_from(&mut r)?)),
        3 => {
            let round = convert::round(r.u32("round")?);
            let valid_round = convert::pol(r.i32("valid round")?);
            let proposer = Index(r.u16("proposer")?);
            let validity = Validity::from_bool(r.u8("validity")? == 1);
            let sync = r.u8("origin")? == 1;
            let header = Header::decode_from(&mut r)?;
            let value = Cut::new(header.value_id(domain), Arc::new(header), None);
            let height = H(height);
            let origin = if sync { ValueOrigin::Sync } else { ValueOrigin::Consensus };
            Input::ProposedValue(
                ProposedValue { height, round, valid_round, proposer, value, validity },
                origin,
            )
        }
        4 => {
            let kind = match r.u8("timeout kind")? {
                0 => TimeoutKind::Propose,
                1 => TimeoutKind::Prevote,
                2 => TimeoutKind::Precommit,
                3 => TimeoutKind::Rebroadcast,
                _ => return Err(DecodeError::Invalid("unknown timeout kind")),
            };
            Input::TimeoutElapsed(Timeout::new(convert::round(r.u32("round")?), kind))
        }
        5 => Input::PolkaCertificate(convert::polka_in(&PolkaCertificate::decode_from(&mut r)?)),
        6 => return own(height, r, |r| Justification::decode_from(r).map(Entry::Accepted)),
        7 => return own(height, r, |r| SignedStatus::decode_from(r).map(Entry::Reported)),
        8 => return own(height, r, |r| Justification::decode_from(r).map(Entry::Held)),
        9 => return own(height, r, |r| SignedFrame::decode_from(r).map(Entry::HeldFrame)),
        _ => return Err(DecodeError::Invalid("unknown wal entry")),
    });
    r.end()?;
    Ok((height, entry))
}

fn own(
    height: u64,
    mut r: Reader<'_>,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<Entry, DecodeError>,
) -> Result<(u64, Entry), DecodeError> {
    let entry = decode(&mut r)?;
    r.end()?;
    Ok((height, entry))
}
