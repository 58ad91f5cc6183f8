//! A certified block hash against a proven one: everyone in the certificate signed a wrong result of execution.
//!
//! Not for: what is proven; that is the L1 oracle's, and an argument here. Invariant: who signed on a log that a fallback or a
//! fork made void is never accused. The evidence shows that the certified header's log has the last height of the proven
//! block, and goes on in another block; one log up to the end of a block has one block.

use super::{
    CertVotes, EvidenceError,
    judge::{guilty, must},
};
use crate::{
    CommitCertificate, Decode, DecodeError, Domain, Encode, Header, LagPoint, MmrProof, Reader,
    ValidatorSet, Writer,
};
use alloy_primitives::{B256, Bytes, keccak256};

/// Most hashes of a place in the history: 64 levels, 64 mountains.
const MAX_HASHES: u8 = 128;
/// Longest encoding of a block header that is read, bytes.
const MAX_BLOCK: usize = 1024;
/// Where a block's difficulty is, which is zero: before it everything has a fixed length.
const DIFFICULTY: usize = 448;

/// [`super::Proof::FalseBlock`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FalseBlock {
    /// The certified header, which names the checkpoint.
    pub header: Header,
    /// The checkpoint, which names the block.
    pub point: LagPoint,
    /// The height after the last one of the proven block.
    pub next: Header,
    /// Its place under the certified header's `history_root`: siblings, lowest first, then the other peaks, largest first.
    pub hashes: Vec<B256>,
    /// RLP of the proven block's header.
    pub block: Bytes,
    /// The certificate of `header`.
    pub votes: CertVotes,
}

impl FalseBlock {
    /// Puts the parts together. `below` is the height after the proven block with its place.
    #[must_use]
    pub fn new(
        (header, certificate): (Header, &CommitCertificate),
        point: LagPoint,
        (next, place): (Header, &MmrProof),
        block: Bytes,
    ) -> Self {
        let votes = CertVotes {
            height: certificate.height,
            round: certificate.round,
            value_id: certificate.value_id,
            signers: certificate.signers.clone(),
            signatures: certificate.signatures.clone(),
        };
        let hashes = place.siblings.iter().chain(&place.peaks).copied().collect();
        Self { header, point, next, hashes, block, votes }
    }

    /// Who signed; `proven` is the hash that L1 has for the block.
    pub(super) fn judge(
        &self,
        set: &ValidatorSet,
        domain: &Domain,
        proven: Option<B256>,
    ) -> Result<Vec<u16>, EvidenceError> {
        let named = (self.header.height(), self.header.value_id(domain));
        must((self.votes.height, self.votes.value_id) == named, "a certificate of another header")?;
        let close = &self.header.close;
        let named = (close.exec_lag_height, close.exec_lag_root);
        must(named == (self.point.height, self.point.root()), "the header names another point")?;
        let proven = proven.ok_or(EvidenceError::NotProven(self.point.block_number))?;
        must(self.point.block_hash != proven, "the certified block is the proven one")?;
        guilty(self.same_log(domain, proven).is_some(), EvidenceError::Path)?;
        let certificate = self.votes.certificate(set.epoch());
        certificate.verify(set, domain).map_err(|_| EvidenceError::Quorum)?;
        Ok(self.votes.signers.iter().collect())
    }

    fn same_log(&self, domain: &Domain, proven: B256) -> Option<()> {
        let (time, last) =
            time_and_extra(&self.block).filter(|_| keccak256(&self.block) == proven)?;
        let close = &self.next.close;
        let follows = close.parent_id == last && self.next.env.timestamp_s > time;
        // A height may be older than the newest fallback.
        let domain = domain.of_generation(close.generation);
        let (index, count) = (close.height.checked_sub(1)?, self.header.height().checked_sub(1)?);
        let place = MmrProof::of_hashes(index, count, &self.hashes)?;
        let there = place.verifies(&self.header.close.history_root, &self.next.value_id(&domain));
        (follows && there).then_some(())
    }
}

/// Seconds and extra data of a block header after the merge: the value id of the block's last height.
fn time_and_extra(rlp: &[u8]) -> Option<(u64, B256)> {
    let mut rest = rlp.get(DIFFICULTY.checked_add(1)?..)?;
    let mut time = 0;
    // Number, gas limit, gas used and time.
    for _ in 0..4 {
        let (first, tail) = rest.split_first()?;
        rest = tail;
        time = u64::from(*first);
        if let Some(size) = first.checked_sub(0x80) {
            let (number, tail) = rest.split_at_checked(size.into())?;
            (size <= 8).then_some(())?;
            time = number.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
            rest = tail;
        }
    }
    let (tag, rest) = rest.split_first()?;
    let extra = rest.first_chunk::<32>().filter(|_| *tag == 0xa0)?;
    Some((time, B256::from(extra)))
}

impl CertVotes {
    /// The certificate, in the epoch of the evidence.
    pub(super) fn certificate(&self, epoch: u64) -> CommitCertificate {
        let Self { height, round, value_id, signers, signatures } = self.clone();
        CommitCertificate { epoch, height, round, value_id, signers, signatures }
    }
}

impl Encode for FalseBlock {
    fn encode_to(&self, w: &mut Writer) {
        self.header.encode_to(w);
        self.point.encode_to(w);
        self.next.encode_to(w);
        w.u8(u8::try_from(self.hashes.len()).unwrap_or(u8::MAX));
        for hash in &self.hashes {
            w.hash(hash);
        }
        w.u16(u16::try_from(self.block.len()).unwrap_or(u16::MAX)).raw(&self.block);
        self.votes.encode_to(w);
    }
}

impl Decode for FalseBlock {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = Header::decode_from(r)?;
        let point = LagPoint::decode_from(r)?;
        let next = Header::decode_from(r)?;
        let count = super::codec::bounded(r, "place in the history", MAX_HASHES)?;
        let hashes = (0..count).map(|_| r.hash("hash")).collect::<Result<_, _>>()?;
        let length = usize::from(r.u16("block")?);
        if length > MAX_BLOCK {
            return Err(DecodeError::Bound { what: "block", max: MAX_BLOCK, got: length });
        }
        let block = Bytes::copy_from_slice(r.take(length, "block")?);
        Ok(Self { header, point, next, hashes, block, votes: CertVotes::decode_from(r)? })
    }
}
