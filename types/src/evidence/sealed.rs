//! A signed content and its signature, for any content.
//!
//! Not for: the wire between validators (`wire::Message`), nor what nodes keep for watchers (`Signed`).

use crate::{
    Ack, Decode, DecodeError, Domain, Encode, FrameHeader, KeyError, Proposal, Reader, Status,
    TermInit, Validator, Vote, Writer, recover_vote, verify_seq,
};
use alloy_primitives::B256;

/// A signed content and its signature of `N` bytes: 64 by the sequencer key, 65 by the vote key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed<T, const N: usize> {
    /// What is signed.
    pub content: T,
    /// The signature.
    pub signature: [u8; N],
}

impl<T: Encode, const N: usize> Encode for Sealed<T, N> {
    fn encode_to(&self, w: &mut Writer) {
        self.content.encode_to(w);
        w.raw(&self.signature);
    }
}

impl<T: Decode, const N: usize> Decode for Sealed<T, N> {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { content: T::decode_from(r)?, signature: r.array("signature")? })
    }
}

/// A content that one validator signs.
pub(super) trait Content: Encode + PartialEq {
    /// Epoch of the signer's set.
    fn epoch(&self) -> u64;
    /// The signer's index, if the content says so.
    fn signer(&self) -> Option<u16>;
    /// What is signed.
    fn digest(&self, domain: &Domain) -> B256;
}

macro_rules! content {
    ($name:ty, $signer:expr, $digest:expr) => {
        impl Content for $name {
            fn epoch(&self) -> u64 {
                self.epoch
            }
            fn signer(&self) -> Option<u16> {
                let signer: fn(&Self) -> Option<u16> = $signer;
                signer(self)
            }
            fn digest(&self, domain: &Domain) -> B256 {
                let digest: fn(&Self, &Domain) -> B256 = $digest;
                digest(self, domain)
            }
        }
    };
}
content!(FrameHeader, |x| Some(x.leader), |x, d| x.hash(d));
content!(TermInit, |x| Some(x.leader), |x, d| x.hash(d));
content!(Ack, |x| Some(x.signer), |x, d| Self::digest(x, d));
content!(Status, |x| Some(x.signer), |x, d| Self::digest(x, d));
content!(Proposal, |x| Some(x.proposer), |x, d| Self::digest(x, d));
content!(Vote, |_| None, |x, d| Self::digest(x, d));

/// Checks a sequencer key's signature.
pub(super) fn seq_by<T: Content>(
    message: &Sealed<T, 64>,
    signer: &Validator,
    domain: &Domain,
) -> Result<(), KeyError> {
    verify_seq(&signer.seq_key, &message.content.digest(domain), &message.signature)
}

/// Checks a vote key's signature.
pub(super) fn vote_by<T: Content>(
    message: &Sealed<T, 65>,
    signer: &Validator,
    domain: &Domain,
) -> Result<(), KeyError> {
    let known = recover_vote(&message.content.digest(domain), &message.signature)?;
    if known == signer.vote_key { Ok(()) } else { Err(KeyError::Signature) }
}
