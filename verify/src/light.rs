//! Checks a light proof: one L1 block hash in, one fact about the rollup out.
//!
//! Not for: finding out which L1 block is final; whoever trusts a hash is told what follows from it. No IO, no clock.
//! Invariant: nothing in a verdict rests on what gave out the proof. It rests on the L1 block, and on more than two thirds
//! of a set that this block names and whose stake was still bound there.

mod state;

use alloc::vec::Vec;
use rota_types::{
    B256, CommitCertificate, Decode, Domain, FrameHeader, Header, LIGHT_VERSION, LagPoint,
    LightProof, LightTx, verify_tx,
};
use serde::Serialize;
use state::Trusted;

/// Most members of a set.
const MAX_MEMBERS: usize = 256;
/// L1 blocks after which a set that has a successor is not believed any more: half of the time in which its stake can be
/// taken for what it signs (`docs/protocol.md`, "Slashing").
pub const TRUST_BLOCKS: u64 = 50_400;

/// What the user trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LightAnchor {
    /// Context of the network, from its network file (`Domain::ctx`).
    pub ctx: B256,
    /// Hash of an L1 block that is final and recent: the age of a set is counted up to it, and a set of years ago signs anything.
    pub l1_block: B256,
    /// L1 blocks for which a set is believed after the next one was frozen; [`TRUST_BLOCKS`].
    pub trust_blocks: u64,
}

/// Why a light proof was refused. Whoever gave it out is at fault, or it is of another network, or too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LightInvalid {
    /// A format that this version does not know.
    #[error("proof of version {0}, this is for version 1")]
    Version(u8),
    /// It is of another network, chain or generation.
    #[error("the proof is of another network: its context is not the trusted one")]
    Network,
    /// The part about L1 is missing.
    #[error("the proof does not show that L1 has the set; ask a node that has an L1 endpoint")]
    NoL1,
    /// It is under another L1 block.
    #[error("the proof is under another L1 block than the trusted one")]
    L1Block,
    /// A part does not decode.
    #[error("the {0} does not decode")]
    Decode(&'static str),
    /// The account or a word of storage is not what the L1 block says.
    #[error("the L1 block says something else about the {0}")]
    Storage(&'static str),
    /// The set is not the one on L1.
    #[error("the set is not the one that L1 froze")]
    Set,
    /// The set was replaced long ago: nothing can be taken any more from who signs for it.
    #[error(
        "the set was replaced {blocks} L1 blocks before the trusted one; its members may have left"
    )]
    Expired {
        /// L1 blocks since.
        blocks: u64,
    },
    /// The certificate does not verify.
    #[error("the commit certificate does not verify")]
    Commit,
    /// The earlier height is not in the history of the certified one.
    #[error("the height is not in the history of the certified one")]
    History,
    /// The transaction is not there.
    #[error("the transaction is not at that place in the height")]
    Transaction,
    /// The height names another state of execution.
    #[error("the height does not name this result of execution")]
    Checkpoint,
}

/// What a light proof shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LightVerdict {
    /// Number of the L1 block.
    pub l1_block: u64,
    /// Its time, seconds since the Unix epoch.
    pub l1_timestamp: u64,
    /// Epoch of the set.
    pub epoch: u64,
    /// L1 block in which a later set was frozen; none if it was the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_at: Option<u64>,
    /// The certified height.
    pub certified_height: u64,
    /// Stake that certified it, gwei.
    pub weight_gwei: u64,
    /// Stake of the set, gwei.
    pub total_gwei: u64,
    /// The height in question, the same or an earlier one.
    pub height: u64,
    /// Its value id.
    pub value_id: B256,
    /// Its time, seconds since the Unix epoch.
    pub timestamp_s: u64,
    /// A transaction of that height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<LightPlace>,
    /// What that height says of execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<LightCheckpoint>,
}

/// Where a transaction is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LightPlace {
    /// The transaction.
    pub hash: B256,
    /// Position of its frame in the log.
    pub g: u64,
    /// Its place in the frame.
    pub index: u32,
}

/// Execution as more than two thirds had it: with the block hash, `eth_getProof` of anyone can be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LightCheckpoint {
    /// The checkpoint height.
    pub height: u64,
    /// Number of the execution block.
    pub block_number: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Root of the rewards then.
    pub rewards_root: B256,
}

/// Checks everything that is in a light proof.
///
/// # Errors
/// [`LightInvalid`]: some part does not hold; nothing in it is to be believed.
pub fn verify_light(
    proof: &LightProof,
    anchor: &LightAnchor,
) -> Result<LightVerdict, LightInvalid> {
    if proof.v != LIGHT_VERSION {
        return Err(LightInvalid::Version(proof.v));
    }
    let domain = proof.domain.domain();
    if domain.ctx() != anchor.ctx {
        return Err(LightInvalid::Network);
    }
    let set_proof = proof.l1.as_ref().ok_or(LightInvalid::NoL1)?;
    let l1 = Trusted::block(set_proof, anchor.l1_block)?.registry(set_proof, domain.registry)?;
    if proof.set.members.len() > MAX_MEMBERS {
        return Err(LightInvalid::Set);
    }
    let superseded_at = l1.set(set_proof, proof.set.epoch, proof.set.id())?;
    let age = superseded_at.map_or(0, |at| l1.number.saturating_sub(at));
    if age > anchor.trust_blocks {
        return Err(LightInvalid::Expired { blocks: age });
    }
    let set = proof.set.set();
    let certified: Header = decode(&proof.header, "header")?;
    let cert: CommitCertificate = decode(&proof.certificate, "commit certificate")?;
    let weight_gwei = cert.verify(&set, &domain).map_err(|_| LightInvalid::Commit)?;
    let value_id = certified.value_id(&domain);
    let names = (cert.value_id, cert.height, certified.close.epoch);
    if names != (value_id, certified.height(), set.epoch()) {
        return Err(LightInvalid::Commit);
    }
    let (subject, of, value_id) = subject(proof, certified.clone(), (&domain, value_id))?;
    let place = |tx| transaction(tx, &subject, &of);
    Ok(LightVerdict {
        l1_block: l1.number,
        l1_timestamp: l1.timestamp,
        epoch: set.epoch(),
        superseded_at,
        certified_height: certified.height(),
        weight_gwei,
        total_gwei: set.total(),
        height: subject.height(),
        value_id,
        timestamp_s: subject.env.timestamp_s,
        transaction: proof.transaction.as_ref().map(place).transpose()?,
        checkpoint: proof.checkpoint.as_ref().map(|raw| checkpoint(raw, &subject)).transpose()?,
    })
}

/// The height in question with its domain and value id.
fn subject(
    proof: &LightProof,
    certified: Header,
    (domain, value_id): (&Domain, B256),
) -> Result<(Header, Domain, B256), LightInvalid> {
    let Some(below) = &proof.below else { return Ok((certified, domain.clone(), value_id)) };
    let header: Header = decode(&below.header, "earlier header")?;
    // Value ids of an earlier generation are of its domain.
    let of = domain.of_generation(header.close.generation);
    let value_id = header.value_id(&of);
    let history = &below.history;
    let is_there = Some(history.index) == header.height().checked_sub(1)
        && Some(history.count) == certified.height().checked_sub(1)
        && history.verifies(&certified.close.history_root, &value_id);
    if is_there { Ok((header, of, value_id)) } else { Err(LightInvalid::History) }
}

fn transaction(tx: &LightTx, height: &Header, domain: &Domain) -> Result<LightPlace, LightInvalid> {
    let frame: FrameHeader = decode(&tx.frame, "frame header")?;
    let index = frame.g.checked_sub(height.first_g);
    let count = height.last_g.checked_sub(height.first_g).and_then(|n| n.checked_add(1));
    let place = &tx.frame_proof;
    let is_in = frame.height == height.height()
        && index == Some(u64::from(place.index))
        && count == Some(u64::from(place.count))
        && verify_tx(&height.frames_root, &frame.hash(domain), 0, place)
        && tx.position.count == frame.tx_count
        && verify_tx(&frame.tx_root, &tx.hash, tx.insured, &tx.position);
    if !is_in {
        return Err(LightInvalid::Transaction);
    }
    Ok(LightPlace { hash: tx.hash, g: frame.g, index: tx.position.index })
}

fn checkpoint(raw: &[u8], height: &Header) -> Result<LightCheckpoint, LightInvalid> {
    let point: LagPoint = decode(raw, "checkpoint")?;
    let close = &height.close;
    if (close.exec_lag_height, close.exec_lag_root) != (point.height, point.root()) {
        return Err(LightInvalid::Checkpoint);
    }
    let LagPoint { height, block_number, block_hash, rewards_root } = point;
    Ok(LightCheckpoint { height, block_number, block_hash, rewards_root })
}

fn decode<T: Decode>(bytes: &[u8], what: &'static str) -> Result<T, LightInvalid> {
    T::decode(bytes).map_err(|_| LightInvalid::Decode(what))
}

/// The strings of a list in RLP, one level deep.
fn list(rlp: &[u8], what: &'static str) -> Result<Vec<Vec<u8>>, LightInvalid> {
    let wrong = |_| LightInvalid::Decode(what);
    let mut rest = alloy_rlp::Header::decode_bytes(&mut &*rlp, true).map_err(wrong)?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let item = alloy_rlp::Header::decode(&mut rest).map_err(wrong)?;
        let (bytes, after) =
            rest.split_at_checked(item.payload_length).ok_or(LightInvalid::Decode(what))?;
        out.push(bytes.to_vec());
        rest = after;
    }
    Ok(out)
}
