//! Terms, and the two messages that carry promises over a round change: Status and TermInit
//! (`docs/protocol.md`, "Round change").
//!
//! Invariant: one Status per validator, height and round, ever; a TermInit names the chain that more
//! than two thirds of Status select.

use crate::{
    Decode, DecodeError, Domain, Encode, KeyError, Reader, SeqKey, SeqSignature, Tag, VoteKey,
    VoteSignature, Writer,
    cert::MAX_SET,
    domain::{signed_word, word},
    recover_vote, verify_seq,
};
use alloy_primitives::{Address, B256, Keccak256, keccak256};

/// Bytes of an encoded TermInit.
pub const INIT_LEN: usize = 99;
const INIT_VERSION: u16 = 1;

/// The height and round in which a leader's stream began. A leader keeps its term over its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Term {
    /// Height of the first frame.
    pub height: u64,
    /// Round of the first frame.
    pub round: u32,
}

/// What a validator reports when it enters a round above 0: the chain it last accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Epoch of the set.
    pub epoch: u64,
    /// The height.
    pub height: u64,
    /// The round being entered.
    pub round: u32,
    /// The signer's index.
    pub signer: u16,
    /// Highest earlier round in which a chain was accepted; 0 if none.
    pub best_round: i32,
    /// Position of that chain's tip.
    pub best_g: u64,
    /// Hash of that tip.
    pub best_hash: B256,
    /// TermInit digest or re-proposal digest that justifies it, zero for round 0.
    pub best_ref: B256,
}

impl Status {
    /// The EIP-712 digest.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        let mut h = Keccak256::new();
        h.update(keccak256(
            b"Status(uint64 epoch,uint64 height,uint32 round,uint16 signer,int32 bestRound,uint64 bestG,bytes32 bestHash,bytes32 bestRef)",
        ));
        h.update(word(self.epoch.into()));
        h.update(word(self.height.into()));
        h.update(word(self.round.into()));
        h.update(word(self.signer.into()));
        h.update(signed_word(self.best_round));
        h.update(word(self.best_g.into()));
        h.update(self.best_hash);
        h.update(self.best_ref);
        domain.eip712(h.finalize())
    }
}

impl Encode for Status {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.epoch).u64(self.height).u32(self.round).u16(self.signer).i32(self.best_round);
        w.u64(self.best_g).hash(&self.best_hash).hash(&self.best_ref);
    }
}

impl Decode for Status {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: r.u64("epoch")?,
            height: r.u64("height")?,
            round: r.u32("round")?,
            signer: r.u16("signer")?,
            best_round: r.i32("best_round")?,
            best_g: r.u64("best_g")?,
            best_hash: r.hash("best_hash")?,
            best_ref: r.hash("best_ref")?,
        })
    }
}

/// A Status with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatus {
    /// The report.
    pub status: Status,
    /// secp256k1 over the EIP-712 digest.
    pub signature: VoteSignature,
}

impl SignedStatus {
    /// Signs a report.
    #[must_use]
    pub fn sign(status: Status, key: &VoteKey, domain: &Domain) -> Self {
        let signature = key.sign(&status.digest(domain));
        Self { status, signature }
    }
    /// Checks that `address` signed.
    pub fn verify(&self, address: Address, domain: &Domain) -> Result<(), KeyError> {
        if recover_vote(&self.status.digest(domain), &self.signature)? == address {
            Ok(())
        } else {
            Err(KeyError::Signature)
        }
    }
}

impl Encode for SignedStatus {
    fn encode_to(&self, w: &mut Writer) {
        self.status.encode_to(w);
        w.raw(&self.signature);
    }
}

impl Decode for SignedStatus {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { status: Status::decode_from(r)?, signature: r.array("status signature")? })
    }
}

/// The opening of a term in a round above 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermInit {
    /// Epoch of the set.
    pub epoch: u64,
    /// The height.
    pub height: u64,
    /// The round, at least 1.
    pub round: u32,
    /// The leader's index.
    pub leader: u16,
    /// Position of the tip that is carried over.
    pub carry_g: u64,
    /// Its hash.
    pub carry_hash: B256,
    /// Whether the carried chain already closes the height.
    pub carry_closed: bool,
    /// Hash over the digests of the Status used, ordered by signer.
    pub j_root: B256,
    /// How many Status were used.
    pub j_count: u16,
}

impl TermInit {
    /// The identity of the term's opening: what K_seq signs.
    #[must_use]
    pub fn hash(&self, domain: &Domain) -> B256 {
        domain.digest(Tag::Init, &self.encode())
    }
    /// `j_root` of some reports, which must be ordered by signer.
    #[must_use]
    pub fn root_of(reports: &[SignedStatus], domain: &Domain) -> B256 {
        let mut h = Keccak256::new();
        for r in reports {
            h.update(r.status.digest(domain));
        }
        h.finalize()
    }
}

impl Encode for TermInit {
    fn encode_to(&self, w: &mut Writer) {
        w.u16(INIT_VERSION).u64(self.epoch).u64(self.height).u32(self.round).u16(self.leader);
        w.u64(self.carry_g).hash(&self.carry_hash).u8(u8::from(self.carry_closed));
        w.hash(&self.j_root).u16(self.j_count);
    }
}

impl Decode for TermInit {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if r.u16("init version")? != INIT_VERSION {
            return Err(DecodeError::Invalid("unknown init version"));
        }
        Ok(Self {
            epoch: r.u64("epoch")?,
            height: r.u64("height")?,
            round: r.u32("round")?,
            leader: r.u16("leader")?,
            carry_g: r.u64("carry_g")?,
            carry_hash: r.hash("carry_hash")?,
            carry_closed: match r.u8("carry_closed")? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError::Invalid("carry_closed must be 0 or 1")),
            },
            j_root: r.hash("j_root")?,
            j_count: r.u16("j_count")?,
        })
    }
}

/// A TermInit with the reports that justify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTermInit {
    /// The signed part.
    pub init: TermInit,
    /// ed25519 over its digest.
    pub signature: SeqSignature,
    /// The reports, ordered by signer.
    pub reports: Vec<SignedStatus>,
}

impl SignedTermInit {
    /// Signs an opening.
    #[must_use]
    pub fn sign(init: TermInit, reports: Vec<SignedStatus>, key: &SeqKey, domain: &Domain) -> Self {
        let signature = key.sign(&init.hash(domain));
        Self { init, signature, reports }
    }
    /// Checks the leader's signature and that the reports are the ones named.
    pub fn verify(&self, public: &[u8; 32], domain: &Domain) -> Result<B256, KeyError> {
        let hash = self.init.hash(domain);
        verify_seq(public, &hash, &self.signature)?;
        if usize::from(self.init.j_count) != self.reports.len()
            || self.init.j_root != TermInit::root_of(&self.reports, domain)
        {
            return Err(KeyError::Signature);
        }
        Ok(hash)
    }
}

impl Encode for SignedTermInit {
    fn encode_to(&self, w: &mut Writer) {
        self.init.encode_to(w);
        w.raw(&self.signature).list(&self.reports);
    }
}

impl Decode for SignedTermInit {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            init: TermInit::decode_from(r)?,
            signature: r.array("init signature")?,
            reports: r.list("reports", MAX_SET)?,
        })
    }
}
