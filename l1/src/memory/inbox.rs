//! The rules of `Inbox`, in Rust, for the chain in memory.
//!
//! Invariant: the same checks in the same order with the same names as `contracts/src`; the test against a real chain holds
//! both to one list of cases.

mod fallback;

use super::MemoryParams;
use super::contracts::Effect;
use super::queue::Queue;
use super::registry::{Message, Registry, no_function};
use crate::bindings::Inbox as Abi;
use crate::chain::PostedBatch;
use crate::post::Submitted;
use crate::sets::FrozenSets;
use crate::{L1Error, Refusal, TurnKind};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolInterface;
use rota_types::{CommitCertificate, Decode, Domain, HEADER_LEN, Header};
use std::collections::BTreeSet;

/// As `Inbox.CERT_GRACE`, epochs.
const CERT_GRACE: u64 = 4;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tip {
    height: u64,
    l1_number: u64,
    value_id: B256,
}

/// The newest fallback.
#[derive(Debug, Clone, Copy, Default)]
struct Stall {
    since: u64,
    /// Epoch and first L1 block of its emergency set.
    set: Option<(u64, u64)>,
}

/// What the inbox holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    tip: Tip,
    forked: bool,
    generation: u32,
    resuming: bool,
    stall: Stall,
    answered: BTreeSet<(u32, U256)>,
}

/// What the inbox asks and whom it changes.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) params: &'a MemoryParams,
    pub(super) registry: &'a mut Registry,
    pub(super) queue: &'a Queue,
    pub(super) blob_hashes: &'a [B256],
}

impl Inbox {
    pub(super) const fn forked(&self) -> bool {
        self.forked
    }

    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn call(
        &mut self,
        around: &mut Around<'_>,
        m: Message,
        input: &[u8],
    ) -> Result<Effect, L1Error> {
        use Abi::InboxCalls as C;
        let call = C::abi_decode(input).map_err(|_| no_function())?;
        if !m.value.is_zero() {
            return Err(L1Error::Reverted("not payable".into()));
        }
        let done = match call {
            C::submitBatch(c) => self.submit(around, m, input, c.header.len()),
            C::submitUncertified(c) => self.submit_uncertified(around, m, &c),
            C::activateFallback(_) => self.activate(around, m),
            C::rollCall(c) => self.roll_call(around, m, (c.generation_, c.operator)),
            C::formEmergencySet(_) => self.form(around, m),
            _ => return Err(no_function()),
        };
        done.map_err(L1Error::Refused)
    }

    fn submit(
        &mut self,
        around: &Around<'_>,
        m: Message,
        input: &[u8],
        length: usize,
    ) -> Result<Effect, Refusal> {
        let wrong = Refusal::HeaderLength(u64::try_from(length).unwrap_or(u64::MAX));
        let submitted = Submitted::decode(input).filter(|_| length == HEADER_LEN).ok_or(wrong)?;
        self.accept(around, m, &submitted)
    }

    fn accept(
        &mut self,
        around: &Around<'_>,
        m: Message,
        s: &Submitted,
    ) -> Result<Effect, Refusal> {
        let (b, header) = (&s.call.b, &s.header);
        self.check_header(m, b, header)?;
        let domain = self.domain(around.params);
        let value_id = header.value_id(&domain);
        let tip = self.tip;
        let another = b.toHeight == tip.height && tip.height != 0 && value_id != tip.value_id;
        let conflict = another && !self.resuming;
        let moves = self.check_place(b, header, conflict)?;
        let sets = around.registry.frozen_sets(around.params);
        self.check_epoch(&sets, header, m.block, moves)?;
        if moves {
            check_forced(around, header)?;
        }
        if around.blob_hashes.is_empty() {
            return Err(Refusal::NoBlob);
        }
        let certificate = check_certificate(around.registry, &domain, s, value_id)?;
        if conflict {
            self.forked = true;
            let batch = posted(around, b, header, certificate);
            return Ok(Effect::Turn(TurnKind::Forked(Box::new(batch))));
        }
        if moves {
            self.tip = Tip { height: b.toHeight, l1_number: header.env.l1_number, value_id };
            self.resuming = false;
        }
        Ok(Effect::Batch(Box::new(posted(around, b, header, certificate))))
    }

    /// Context of the present generation.
    fn domain(&self, params: &MemoryParams) -> Domain {
        let d = &params.domain;
        Domain::new(d.l1_chain_id, d.l2_chain_id, d.registry, d.genesis_hash, self.generation)
    }

    fn check_header(&self, m: Message, b: &Abi::Batch, header: &Header) -> Result<(), Refusal> {
        if header.close.generation != self.generation {
            return Err(Refusal::WrongGeneration(header.close.generation));
        }
        let height = header.height();
        if height != b.toHeight || b.fromHeight > b.toHeight || b.fromHeight == 0 {
            return Err(Refusal::WrongHeight(height));
        }
        if header.env.l1_number >= m.block {
            return Err(Refusal::OriginAhead(header.env.l1_number));
        }
        Ok(())
    }

    /// Whether the batch becomes the tip.
    fn check_place(
        &self,
        b: &Abi::Batch,
        header: &Header,
        conflict: bool,
    ) -> Result<bool, Refusal> {
        let tip = self.tip;
        if !self.resuming {
            let expected = tip.height.saturating_add(1);
            if b.fromHeight > expected {
                return Err(Refusal::Gap(expected));
            }
            if b.toHeight <= tip.height {
                let known = b.repost || conflict;
                return if known { Ok(false) } else { Err(Refusal::Stale(tip.height)) };
            }
        }
        if header.env.l1_number < tip.l1_number {
            return Err(Refusal::OriginBackwards(tip.l1_number));
        }
        Ok(true)
    }

    fn check_epoch(
        &self,
        sets: &FrozenSets,
        header: &Header,
        block: u64,
        moves: bool,
    ) -> Result<(), Refusal> {
        let epoch = header.close.epoch;
        if self.resuming {
            let emergency = self.stall.set.map_or(0, |(e, _)| e);
            if emergency == 0 || epoch < emergency {
                return Err(Refusal::NoEmergencySet(emergency));
            }
        }
        let (start, end) = sets.in_force(epoch).ok_or(Refusal::UnknownEpoch(epoch))?;
        if start > header.env.l1_number {
            return Err(Refusal::EpochAhead(start));
        }
        let Some(end) = end else { return Ok(()) };
        if moves && end <= self.tip.l1_number {
            return Err(Refusal::EpochOver(end));
        }
        let grace = CERT_GRACE.saturating_mul(sets.epoch_blocks);
        if block.saturating_sub(end) > grace {
            return Err(Refusal::CertificateExpired(end));
        }
        Ok(())
    }
}

fn check_forced(around: &Around<'_>, header: &Header) -> Result<(), Refusal> {
    let Some((index, entry)) = around.queue.oldest_after(header.env.l1_number) else {
        return Ok(());
    };
    let until = entry.time.saturating_add(around.params.rules.forced_window_s);
    if header.env.timestamp_s > until { Err(Refusal::ForcedOverdue(index)) } else { Ok(()) }
}

fn check_certificate(
    registry: &Registry,
    domain: &Domain,
    s: &Submitted,
    value_id: B256,
) -> Result<CommitCertificate, Refusal> {
    let epoch = s.header.close.epoch;
    let set = registry.set(epoch).ok_or(Refusal::UnknownEpoch(epoch))?;
    let fits = s.call.bitmap.len() <= set.len().div_ceil(8);
    let certificate = s.certificate(value_id).filter(|_| fits).ok_or(Refusal::SignatureCount)?;
    let last = certificate.signers.iter().last();
    if last.is_some_and(|i| usize::from(i) >= set.len()) {
        return Err(Refusal::SignatureCount);
    }
    let mut weight = 0u64;
    for vote in certificate.votes() {
        let bad = Refusal::BadSignature(vote.signer.into());
        let signer = set.get(vote.signer).ok_or(Refusal::SignatureCount)?;
        vote.verify(signer.vote_key, domain).map_err(|_| bad)?;
        weight = weight.saturating_add(signer.power());
    }
    if set.is_quorum(weight) {
        Ok(certificate)
    } else {
        Err(Refusal::Quorum { weight, total: set.total() })
    }
}

fn posted(
    around: &Around<'_>,
    b: &Abi::Batch,
    header: &Header,
    certificate: CommitCertificate,
) -> PostedBatch {
    PostedBatch {
        block: crate::forced::NOWHERE,
        log_index: 0,
        tx_hash: B256::ZERO,
        from_height: b.fromHeight,
        to_height: b.toHeight,
        repost: b.repost,
        header: header.clone(),
        certificate,
        blob_hashes: around.blob_hashes.to_vec(),
    }
}

/// A header of the right length that decodes; the contract does not look at the other fields, whose encodings are all valid.
fn decode_header(bytes: &[u8]) -> Result<Header, Refusal> {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Header::decode(bytes).map_err(|_| Refusal::HeaderLength(length))
}
