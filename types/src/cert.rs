//! Certificates: many votes for one thing. The commit certificate is also the L1 certificate.
//!
//! Invariant (I-16): weight is counted with the set of the certificate's own epoch, each signer once,
//! more than two thirds of the stake.

use crate::{
    Decode, DecodeError, Domain, Encode, Reader, SignedVote, ValidatorSet, Vote, VoteKind,
    VoteSignature, Writer,
};
use alloy_primitives::{B256, Bytes};

/// Largest number of validators in a set (secp256k1 certificates).
pub(crate) const MAX_SET: usize = 256;

/// Why a certificate was refused. Whoever gave it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertError {
    /// Not counted with the set of its own epoch.
    #[error("certificate of epoch {got}, set of epoch {set}")]
    Epoch {
        /// Epoch of the certificate.
        got: u64,
        /// Epoch of the set.
        set: u64,
    },
    /// A signer outside the set.
    #[error("signer {0} is not in the set")]
    Signer(u16),
    /// A signature that does not verify.
    #[error("signature of validator {0} does not verify")]
    Signature(u16),
    /// Number of signatures and of signers differ.
    #[error("{signers} signers but {signatures} signatures")]
    Count {
        /// Bits set.
        signers: usize,
        /// Signatures given.
        signatures: usize,
    },
    /// Not more than two thirds of the stake.
    #[error("{weight} of {total} gwei signed, more than two thirds needed")]
    Quorum {
        /// Stake that signed, gwei.
        weight: u64,
        /// Stake of the set, gwei.
        total: u64,
    },
}

/// A set of validator indexes; bit `i % 8` of byte `i / 8` is index `i`.
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Bitmap(Vec<u8>);

impl Bitmap {
    /// The bitmap of some indexes.
    #[must_use]
    pub fn of(indexes: impl IntoIterator<Item = u16>) -> Self {
        let mut out = Self::default();
        for i in indexes {
            out.set(i);
        }
        out
    }
    /// Adds an index.
    pub fn set(&mut self, index: u16) {
        let byte = usize::from(index >> 3);
        if self.0.len() <= byte {
            self.0.resize(byte.saturating_add(1), 0);
        }
        if let Some(b) = self.0.get_mut(byte) {
            *b |= 1 << (index & 7);
        }
    }
    /// Whether an index is in.
    #[must_use]
    pub fn has(&self, index: u16) -> bool {
        self.0.get(usize::from(index >> 3)).is_some_and(|b| b & (1 << (index & 7)) != 0)
    }
    /// The indexes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        let end = u16::try_from(self.0.len().saturating_mul(8)).unwrap_or(u16::MAX);
        (0..end).filter(|i| self.has(*i))
    }
    /// How many indexes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter().count()
    }
    /// The bitmap of some bytes, which must not end with a zero.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.last() == Some(&0) {
            return Err(DecodeError::Invalid("bitmap with trailing zeros"));
        }
        Ok(Self(bytes.to_vec()))
    }
    /// The bytes, without trailing zero bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Encode for Bitmap {
    fn encode_to(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

impl Decode for Bitmap {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_bytes(&r.bytes("bitmap", MAX_SET / 8)?)
    }
}

macro_rules! certificate {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name {
            /// Epoch of the set.
            pub epoch: u64,
            /// The height.
            pub height: u64,
            /// The round of the votes.
            pub round: u32,
            /// The value.
            pub value_id: B256,
            /// Who voted.
            pub signers: Bitmap,
            /// Their signatures, in ascending index.
            pub signatures: Vec<VoteSignature>,
        }

        impl $name {
            /// The vote that every signer signed.
            #[must_use]
            pub const fn vote(&self) -> Vote {
                Vote {
                    epoch: self.epoch,
                    height: self.height,
                    round: self.round,
                    kind: $kind,
                    value_id: self.value_id,
                }
            }
            /// The single votes in it.
            pub fn votes(&self) -> impl Iterator<Item = SignedVote> + '_ {
                self.signers.iter().zip(&self.signatures).map(|(signer, signature)| SignedVote {
                    vote: self.vote(),
                    signer,
                    signature: *signature,
                })
            }
            /// Checks every signature and the quorum; returns the stake that signed, gwei.
            pub fn verify(&self, set: &ValidatorSet, domain: &Domain) -> Result<u64, CertError> {
                if self.epoch != set.epoch() {
                    return Err(CertError::Epoch { got: self.epoch, set: set.epoch() });
                }
                let signers = self.signers.count();
                if signers != self.signatures.len() {
                    return Err(CertError::Count { signers, signatures: self.signatures.len() });
                }
                let mut weight = 0u64;
                for vote in self.votes() {
                    let validator = set.get(vote.signer).ok_or(CertError::Signer(vote.signer))?;
                    vote.verify(validator.vote_key, domain)
                        .map_err(|_| CertError::Signature(vote.signer))?;
                    weight = weight.saturating_add(validator.power());
                }
                if set.is_quorum(weight) {
                    Ok(weight)
                } else {
                    Err(CertError::Quorum { weight, total: set.total() })
                }
            }
            /// The signatures one after the other, as the contract takes them.
            #[must_use]
            pub fn packed_signatures(&self) -> Bytes {
                self.signatures.concat().into()
            }
        }

        impl Encode for $name {
            fn encode_to(&self, w: &mut Writer) {
                w.u64(self.epoch).u64(self.height).u32(self.round).hash(&self.value_id);
                self.signers.encode_to(w);
                w.u32(u32::try_from(self.signatures.len()).unwrap_or(u32::MAX));
                for s in &self.signatures {
                    w.raw(s);
                }
            }
        }

        impl Decode for $name {
            fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let (epoch, height, round) = (r.u64("epoch")?, r.u64("height")?, r.u32("round")?);
                let value_id = r.hash("value_id")?;
                let signers = Bitmap::decode_from(r)?;
                let count = r.count("signatures", signers.count())?;
                let mut signatures = Vec::new();
                for _ in 0..count {
                    signatures.push(r.array("vote signature")?);
                }
                Ok(Self { epoch, height, round, value_id, signers, signatures })
            }
        }
    };
}

certificate!(
    /// More than two thirds of precommits for one value: the height is decided.
    CommitCertificate,
    VoteKind::Precommit
);
certificate!(
    /// More than two thirds of prevotes for one value.
    PolkaCertificate,
    VoteKind::Prevote
);

/// One vote inside a round certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundVote {
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// The value, zero for nil.
    pub value_id: B256,
    /// The signer's index.
    pub signer: u16,
    /// The signature over the vote.
    pub signature: VoteSignature,
}

/// Votes that show that a round was entered (more than 1/3) or that its precommits are complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundCertificate {
    /// Epoch of the set.
    pub epoch: u64,
    /// The height.
    pub height: u64,
    /// The round of the votes.
    pub round: u32,
    /// Whether precommits complete the round (else votes that let others skip to it).
    pub precommits: bool,
    /// The votes.
    pub votes: Vec<RoundVote>,
}

impl Encode for RoundVote {
    fn encode_to(&self, w: &mut Writer) {
        w.u8(self.kind as u8).hash(&self.value_id).u16(self.signer).raw(&self.signature);
    }
}

impl Decode for RoundVote {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = match r.u8("vote kind")? {
            1 => VoteKind::Prevote,
            2 => VoteKind::Precommit,
            _ => return Err(DecodeError::Invalid("unknown vote kind")),
        };
        Ok(Self {
            kind,
            value_id: r.hash("value_id")?,
            signer: r.u16("signer")?,
            signature: r.array("vote signature")?,
        })
    }
}

impl Encode for RoundCertificate {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.epoch).u64(self.height).u32(self.round).u8(u8::from(self.precommits));
        w.list(&self.votes);
    }
}

impl Decode for RoundCertificate {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: r.u64("epoch")?,
            height: r.u64("height")?,
            round: r.u32("round")?,
            precommits: match r.u8("precommits")? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError::Invalid("precommits must be 0 or 1")),
            },
            votes: r.list("round votes", MAX_SET.saturating_mul(2))?,
        })
    }
}
