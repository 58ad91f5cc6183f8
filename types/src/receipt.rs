//! The preconfirmation as a file that a user keeps: it proves position and signers offline, and grows in
//! place with every stage (`docs/receipts.md`).
//!
//! Not for: Ethereum receipts (logs, gas), which are in `execution`, and not for checking one: that is
//! `rota-verify`.
//! Invariant (I-24): a receipt brings everything that a check needs except two hashes, the context and the
//! set's id, which the user has from a source that it trusts.

use crate::{Domain, Encode, FrameHeader, Header, MerkleProof, Validator, ValidatorSet};
use alloy_primitives::{Address, B256, Bytes, Keccak256, U256};
use serde::{Deserialize, Serialize};

/// Version of the format.
pub const RECEIPT_VERSION: u8 = 2;
const GWEI: u64 = 1_000_000_000;

/// A promise of one transaction's position, growing from the leader's word to a batch on L1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receipt {
    /// [`RECEIPT_VERSION`].
    pub v: u8,
    /// Context that all signatures are for; the hash of `domain`.
    pub ctx: B256,
    /// Id of the set, [`ReceiptSet::id`].
    pub set_id: B256,
    /// What `ctx` is the hash of.
    pub domain: ReceiptDomain,
    /// What `set_id` is the hash of.
    pub set: ReceiptSet,
    /// The transaction.
    pub transaction_hash: B256,
    /// Insured amount, wei; part of the transaction's leaf.
    #[serde(with = "quantity")]
    pub insured: u128,
    /// The signed transaction, if an amount is insured: a claim needs it, and its signer is who is paid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transaction: Option<Bytes>,
    /// Encoded frame header (273 bytes).
    pub frame: Bytes,
    /// The leader's signature over the frame hash (64 bytes).
    pub signature: Bytes,
    /// Place of the transaction in the frame.
    pub position: MerkleProof,
    /// Proof that more than two thirds stored it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acked: Option<AckProof>,
    /// Proof that it is decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided: Option<DecidedProof>,
    /// Where on L1 the batch is said to be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub posted: Option<PostedRef>,
}

/// The fields of a [`Domain`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiptDomain {
    /// Chain id of Ethereum.
    #[serde(with = "quantity")]
    pub l1_chain_id: u64,
    /// Chain id of the rollup.
    #[serde(with = "quantity")]
    pub l2_chain_id: u64,
    /// The Registry contract.
    pub registry: Address,
    /// Hash of genesis and parameters.
    pub genesis_hash: B256,
    /// Generation.
    #[serde(with = "quantity")]
    pub generation: u32,
}

impl ReceiptDomain {
    /// The parts of a domain.
    #[must_use]
    pub const fn of(domain: &Domain) -> Self {
        Self {
            l1_chain_id: domain.l1_chain_id,
            l2_chain_id: domain.l2_chain_id,
            registry: domain.registry,
            genesis_hash: domain.genesis_hash,
            generation: domain.generation,
        }
    }

    /// The domain that they give.
    #[must_use]
    pub fn domain(&self) -> Domain {
        let Self { l1_chain_id, l2_chain_id, registry, genesis_hash, generation } = *self;
        Domain::new(l1_chain_id, l2_chain_id, registry, genesis_hash, generation)
    }
}

/// A set of validators, as far as signatures and stake go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiptSet {
    /// Its epoch.
    #[serde(with = "quantity")]
    pub epoch: u64,
    /// Its members, in the order of their indexes.
    pub members: Vec<ReceiptMember>,
}

/// One member of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiptMember {
    /// Cold account that owns the stake.
    pub owner: Address,
    /// ed25519 public key for frames and acks.
    pub seq_key: B256,
    /// Address of the secp256k1 key for votes.
    pub vote_key: Address,
    /// Stake, whole gwei.
    #[serde(with = "quantity")]
    pub stake_gwei: u64,
}

impl ReceiptSet {
    /// The members of a set.
    #[must_use]
    pub fn of(set: &ValidatorSet) -> Self {
        let member = |v: &Validator| ReceiptMember {
            owner: v.owner,
            seq_key: v.seq_key.into(),
            vote_key: v.vote_key,
            stake_gwei: v.power(),
        };
        Self { epoch: set.epoch(), members: set.iter().map(|(_, v)| member(v)).collect() }
    }

    /// The set, without what signatures do not need.
    #[must_use]
    pub fn set(&self) -> ValidatorSet {
        let validator = |m: &ReceiptMember| Validator {
            owner: m.owner,
            seq_key: m.seq_key.0,
            vote_key: m.vote_key,
            stake: U256::from(m.stake_gwei).saturating_mul(U256::from(GWEI)),
            fee_recipient: Address::ZERO,
            peer: String::new(),
        };
        ValidatorSet::new(self.epoch, self.members.iter().map(validator).collect())
    }

    /// `keccak256("rota/set/v1" || epoch:u64 || count:u32 || (owner:20 || seq_key:32 || vote_key:20 || stake in
    /// gwei:u64)*)`. Unlike [`ValidatorSet::hash`], which L1 has, it binds the ed25519 keys too.
    #[must_use]
    pub fn id(&self) -> B256 {
        let mut h = Keccak256::new();
        h.update(b"rota/set/v1");
        h.update(self.epoch.to_be_bytes());
        h.update(u32::try_from(self.members.len()).unwrap_or(u32::MAX).to_be_bytes());
        for m in &self.members {
            h.update(m.owner);
            h.update(m.seq_key);
            h.update(m.vote_key);
            h.update(m.stake_gwei.to_be_bytes());
        }
        h.finalize()
    }
}

/// Ack certificate with the frame headers that lead from the receipt's frame to the acked one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AckProof {
    /// The encoded certificate.
    pub certificate: Bytes,
    /// Encoded headers after the receipt's frame, in order, the acked one last.
    pub headers: Vec<Bytes>,
    /// Encoded TermInit that the acks name (99 bytes), if the acked frame itself is of an earlier term: it says
    /// who led the round.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub init: Option<Bytes>,
}

/// Decided header, certificate, and the frame's place in `frames_root`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecidedProof {
    /// The encoded header.
    pub header: Bytes,
    /// The encoded commit certificate.
    pub certificate: Bytes,
    /// Place of the frame hash in `frames_root`.
    pub frame_proof: MerkleProof,
}

/// A batch on L1, and the headers that tie the decided height to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostedRef {
    /// Last height of the batch, whose value id the inbox stores.
    #[serde(with = "quantity")]
    pub last_height: u64,
    /// Encoded headers after the decided one up to `last_height`; none if that is far.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub headers: Vec<Bytes>,
    /// The L1 transaction.
    pub l1_tx: B256,
    /// Its L1 block.
    #[serde(with = "quantity")]
    pub l1_block: u64,
    /// Whether the giver of the receipt saw that block final.
    pub finalized: bool,
}

/// The encoded header, for building receipts.
impl From<&FrameHeader> for Bytes {
    fn from(header: &FrameHeader) -> Self {
        header.encode().into()
    }
}

/// The encoded header, for building receipts.
impl From<&Header> for Bytes {
    fn from(header: &Header) -> Self {
        header.encode().into()
    }
}

/// Integers as hex text, as Ethereum's RPC has them: JavaScript would round large numbers.
pub(crate) mod quantity {
    use alloy_primitives::U128;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<T: Copy + Into<u128>, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        U128::from((*value).into()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: TryFrom<u128>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let wide = U128::deserialize(deserializer)?;
        T::try_from(wide.to::<u128>()).map_err(|_| D::Error::custom("integer too large"))
    }
}
