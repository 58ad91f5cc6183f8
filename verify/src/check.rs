//! The check, part by part.

use crate::{
    secured_wei,
    verdict::{Acked, Decided, Insured, Leader, Posted, Verdict},
    words,
};
use alloc::string::String;
use rota_types::{
    AckCert, AckProof, B256, Bytes, CommitCertificate, DecidedProof, Decode, Domain, FrameHeader,
    Header, PostedRef, RECEIPT_VERSION, Receipt, SeqSignature, Stage, TermInit, Validator,
    ValidatorSet, keccak256, leader_cap, verify_seq, verify_tx,
};

/// Most headers between a frame and the acked one, or between a height and the end of its batch.
const MAX_HEADERS: usize = 4096;
/// Most members of a set.
const MAX_MEMBERS: usize = 256;

/// What the user trusts: where it comes from is the whole of the trust in a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Context of the network, from its network file (`Domain::ctx`).
    pub ctx: B256,
    /// Id of the set, from L1 or from whoever read it there (`ReceiptSet::id`).
    pub set_id: B256,
}

/// Why a receipt was refused. Whoever gave it out is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A format that this version does not know.
    #[error("receipt of version {0}, this is for version 2")]
    Version(u8),
    /// It is of another network, chain or generation.
    #[error("the receipt is of another network: its context is not the trusted one")]
    Network,
    /// It was signed by another set.
    #[error("the receipt names another set than the trusted one")]
    Set,
    /// A part does not decode.
    #[error("the {0} does not decode")]
    Decode(&'static str),
    /// Frame of another epoch than the set.
    #[error("the frame is of another epoch than the set")]
    Epoch,
    /// The leader is not in the set.
    #[error("the leader is not in the set")]
    Leader,
    /// The leader's signature does not verify.
    #[error("the leader's signature does not verify")]
    LeaderSignature,
    /// The transaction is not at that position in the frame.
    #[error("the transaction is not at that place in the frame")]
    Position,
    /// The transaction given is another one than the receipt's.
    #[error("the signed transaction is not the one that the receipt is for")]
    Transaction,
    /// The headers given do not link the frame to the acked one.
    #[error("the frame is not an ancestor of the acked one")]
    Chain,
    /// The ack certificate does not verify or is no quorum.
    #[error("the ack certificate does not verify")]
    Acks,
    /// The TermInit is not the one that the acks name.
    #[error("the acks name another term opening")]
    Init,
    /// The commit certificate does not verify.
    #[error("the commit certificate does not verify")]
    Commit,
    /// The frame is not in the decided height.
    #[error("the frame is not in the decided height")]
    NotDecided,
    /// The headers given do not link the decided height to the end of the batch.
    #[error("the decided height is not in the batch")]
    Batch,
}

/// Checks everything that is in a receipt.
///
/// # Errors
/// [`Invalid`]: some part does not hold; nothing in it is to be believed.
pub fn verify(receipt: &Receipt, anchor: &Anchor) -> Result<Verdict, Invalid> {
    let (set, domain) = trusted(receipt, anchor)?;
    let parts = Parts { set: &set, domain: &domain };
    let frame: FrameHeader = decode(&receipt.frame, "frame header")?;
    let (frame_hash, leader) = parts.frame(receipt, &frame)?;
    let acked =
        receipt.acked.as_ref().map(|proof| parts.acked(proof, &frame, frame_hash)).transpose()?;
    let (acked, least) = acked.map_or((None, None), |(acked, least)| (Some(acked), Some(least)));
    let decided = receipt.decided.as_ref();
    let decided = decided.map(|proof| parts.decided(proof, &frame, &frame_hash)).transpose()?;
    let posted = match (&receipt.posted, &decided) {
        (Some(place), Some((header, d))) => Some(parts.posted(place, header, d.value_id)?),
        (Some(_), None) => return Err(Invalid::Batch),
        (None, _) => None,
    };
    let stage = match (&decided, &acked) {
        (Some(_), _) => Stage::Decided,
        (None, Some(_)) => Stage::Acked,
        (None, None) => Stage::Preconfirmed,
    };
    let claimed = posted
        .as_ref()
        .map_or(stage, |p| if p.finalized { Stage::Finalized } else { Stage::Posted });
    let mut verdict = Verdict {
        stage,
        claimed,
        transaction_hash: receipt.transaction_hash,
        g: frame.g,
        index: receipt.position.index,
        height: frame.height,
        frame_hash,
        epoch: frame.epoch,
        leader,
        insured: insured(receipt, least),
        acked,
        decided: decided.map(|(_, d)| d),
        posted,
        worth: String::new(),
        lost_if: String::new(),
    };
    verdict.worth = words::worth(&verdict, stage);
    verdict.lost_if = words::lost_if(&verdict, stage);
    Ok(verdict)
}

/// What is insured, and what of it the stake of the leaders covers: nothing before it is acked.
fn insured(receipt: &Receipt, least_gwei: Option<u64>) -> Option<Insured> {
    (receipt.insured > 0).then(|| Insured {
        amount_wei: receipt.insured,
        covered_wei: least_gwei.map_or(0, |gwei| receipt.insured.min(leader_cap(gwei))),
        claimable: least_gwei.is_some() && receipt.transaction.is_some(),
    })
}

/// The set and the domain that the receipt brings, if they are the trusted ones.
fn trusted(receipt: &Receipt, anchor: &Anchor) -> Result<(ValidatorSet, Domain), Invalid> {
    if receipt.v != RECEIPT_VERSION {
        return Err(Invalid::Version(receipt.v));
    }
    let domain = receipt.domain.domain();
    if receipt.ctx != anchor.ctx || domain.ctx() != anchor.ctx {
        return Err(Invalid::Network);
    }
    let known = receipt.set.members.len() <= MAX_MEMBERS && receipt.set.id() == anchor.set_id;
    if receipt.set_id != anchor.set_id || !known {
        return Err(Invalid::Set);
    }
    Ok((receipt.set.set(), domain))
}

struct Parts<'a> {
    set: &'a ValidatorSet,
    domain: &'a Domain,
}

impl Parts<'_> {
    /// The leader's signature and the transaction's place.
    fn frame(&self, receipt: &Receipt, frame: &FrameHeader) -> Result<(B256, Leader), Invalid> {
        if frame.epoch != self.set.epoch() {
            return Err(Invalid::Epoch);
        }
        let hash = frame.hash(self.domain);
        let leader = self.set.get(frame.leader).ok_or(Invalid::Leader)?;
        let signature: SeqSignature =
            receipt.signature.as_ref().try_into().map_err(|_| Invalid::Decode("signature"))?;
        verify_seq(&leader.seq_key, &hash, &signature).map_err(|_| Invalid::LeaderSignature)?;
        let position = &receipt.position;
        if position.count != frame.tx_count
            || !verify_tx(&frame.tx_root, &receipt.transaction_hash, receipt.insured, position)
        {
            return Err(Invalid::Position);
        }
        let other = |raw: &Bytes| keccak256(raw) != receipt.transaction_hash;
        if receipt.transaction.as_ref().is_some_and(other) {
            return Err(Invalid::Transaction);
        }
        let stake_gwei = leader.power();
        Ok((hash, Leader { index: frame.leader, owner: leader.owner, stake_gwei }))
    }

    /// The chain of hashes up to the acked frame, and who acked it; with the least stake of those who led, gwei.
    fn acked(
        &self,
        proof: &AckProof,
        frame: &FrameHeader,
        hash: B256,
    ) -> Result<(Acked, u64), Invalid> {
        let cert: AckCert = decode(&proof.certificate, "ack certificate")?;
        if proof.headers.len() > MAX_HEADERS {
            return Err(Invalid::Chain);
        }
        let (mut tip, mut tip_hash) = (frame.clone(), hash);
        for bytes in &proof.headers {
            let next: FrameHeader = decode(bytes, "frame header")?;
            if next.prev_hash != tip_hash
                || Some(next.g) != tip.g.checked_add(1)
                || next.epoch != frame.epoch
            {
                return Err(Invalid::Chain);
            }
            tip_hash = next.hash(self.domain);
            tip = next;
        }
        if tip_hash != cert.frame_hash || tip.g != cert.g {
            return Err(Invalid::Chain);
        }
        let weight_gwei = cert.verify(self.set, self.domain).map_err(|_| Invalid::Acks)?;
        if !self.set.is_quorum(weight_gwei) {
            return Err(Invalid::Acks);
        }
        let round_leader = self.round_leader(&cert, &tip, proof)?;
        let stake = |index: u16| self.set.get(index).map_or(0, Validator::power);
        let least = || self.set.iter().map(|(_, v)| v.power()).min().unwrap_or(0);
        let leader = stake(frame.leader).min(round_leader.map_or_else(least, stake));
        let total_gwei = self.set.total();
        let acked = Acked {
            g: cert.g,
            height: cert.height,
            round: cert.round,
            signers: cert.signers.iter().collect(),
            weight_gwei,
            total_gwei,
            round_leader,
            secured_wei: secured_wei(leader, weight_gwei, total_gwei),
        };
        Ok((acked, leader))
    }

    /// Who led the round of the acks. In round 0 it is who led the acked frame; above, whoever opened the round,
    /// which the acked frame says if it is of that term, and else the TermInit.
    fn round_leader(
        &self,
        cert: &AckCert,
        acked: &FrameHeader,
        proof: &AckProof,
    ) -> Result<Option<u16>, Invalid> {
        let init: Option<TermInit> =
            proof.init.as_ref().map(|bytes| decode(bytes, "term opening")).transpose()?;
        if let Some(init) = &init
            && (init.hash(self.domain) != cert.init_hash
                || (init.height, init.round) != (cert.height, cert.round))
        {
            return Err(Invalid::Init);
        }
        if cert.round == 0 {
            return Ok((acked.height >= cert.height).then_some(acked.leader));
        }
        let same_term = (acked.term.height, acked.term.round) == (cert.height, cert.round);
        if same_term && acked.init_hash == cert.init_hash {
            return Ok(Some(acked.leader));
        }
        Ok(init.map(|i| i.leader))
    }

    /// The certificate, and the frame's place in the height.
    fn decided(
        &self,
        proof: &DecidedProof,
        frame: &FrameHeader,
        hash: &B256,
    ) -> Result<(Header, Decided), Invalid> {
        let header: Header = decode(&proof.header, "header")?;
        let cert: CommitCertificate = decode(&proof.certificate, "commit certificate")?;
        let weight_gwei = cert.verify(self.set, self.domain).map_err(|_| Invalid::Commit)?;
        let value_id = header.value_id(self.domain);
        if cert.value_id != value_id || cert.height != header.height() {
            return Err(Invalid::Commit);
        }
        let index = frame.g.checked_sub(header.first_g);
        let count = header.last_g.checked_sub(header.first_g).and_then(|n| n.checked_add(1));
        let place = &proof.frame_proof;
        let is_in = header.height() == frame.height
            && header.close.epoch == frame.epoch
            && index == Some(u64::from(place.index))
            && count == Some(u64::from(place.count))
            && verify_tx(&header.frames_root, hash, 0, place);
        if !is_in {
            return Err(Invalid::NotDecided);
        }
        let decided = Decided {
            round: cert.round,
            value_id,
            signers: cert.signers.iter().collect(),
            weight_gwei,
            total_gwei: self.set.total(),
        };
        Ok((header, decided))
    }

    /// The chain of headers from the decided height to the end of the batch: each names the one before.
    fn posted(
        &self,
        place: &PostedRef,
        header: &Header,
        value_id: B256,
    ) -> Result<Posted, Invalid> {
        let between = place.last_height.checked_sub(header.height()).ok_or(Invalid::Batch)?;
        let given = u64::try_from(place.headers.len()).unwrap_or(u64::MAX);
        if place.headers.len() > MAX_HEADERS || (given != 0 && given != between) {
            return Err(Invalid::Batch);
        }
        let (mut tip, mut height) = (value_id, header.height());
        for bytes in &place.headers {
            let next: Header = decode(bytes, "header of the batch")?;
            height = height.saturating_add(1);
            if next.close.parent_id != tip || next.height() != height {
                return Err(Invalid::Batch);
            }
            tip = next.value_id(self.domain);
        }
        Ok(Posted {
            l1_tx: place.l1_tx,
            l1_block: place.l1_block,
            last_height: place.last_height,
            last_value_id: (given == between).then_some(tip),
            finalized: place.finalized,
        })
    }
}

fn decode<T: Decode>(bytes: &[u8], what: &'static str) -> Result<T, Invalid> {
    T::decode(bytes).map_err(|_| Invalid::Decode(what))
}
