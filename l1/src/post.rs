//! A batch on its way to the inbox, and back out of the calldata.
//!
//! Invariant: what `decode` reads from a transaction is what the contract checked, byte for byte.

use crate::bindings::Inbox;
use crate::{L1Error, MAX_PAYLOAD, TxRequest};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use rota_types::{Bitmap, CommitCertificate, Decode, Encode, Header};

/// Gas of a batch without its signatures, and per signature. Measured with three: 94,100 when the tip moves on, 146,700 for
/// the first of all, from an account of which nothing is noted yet.
const GAS_BASE: u64 = 160_000;
const GAS_PER_SIGNATURE: u64 = 8_000;

/// One batch, ready to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPost {
    /// First height.
    pub from_height: u64,
    /// Post heights again that are on L1 already.
    pub repost: bool,
    /// Header of the last height.
    pub header: Header,
    /// Certificate of that height.
    pub certificate: CommitCertificate,
    /// The data (`rota_types::Batch::compress`).
    pub payload: Bytes,
}

impl BatchPost {
    /// The transaction that posts it.
    pub fn request(&self, inbox: Address) -> Result<TxRequest, L1Error> {
        if self.payload.len() > MAX_PAYLOAD {
            return Err(L1Error::TooLarge { got: self.payload.len(), max: MAX_PAYLOAD });
        }
        let signatures = u64::try_from(self.certificate.signatures.len()).unwrap_or(u64::MAX);
        Ok(TxRequest {
            to: inbox,
            input: self.calldata(),
            value: U256::ZERO,
            gas_limit: GAS_BASE.saturating_add(GAS_PER_SIGNATURE.saturating_mul(signatures)),
            payload: Some(self.payload.clone()),
        })
    }

    /// `Inbox.submitBatch` with its arguments.
    #[must_use]
    pub fn calldata(&self) -> Bytes {
        let call = Inbox::submitBatchCall {
            b: Inbox::Batch {
                fromHeight: self.from_height,
                toHeight: self.header.height(),
                round: self.certificate.round,
                repost: self.repost,
            },
            header: self.header.encode().into(),
            bitmap: self.certificate.signers.as_bytes().to_vec().into(),
            sigs: self.certificate.packed_signatures(),
        };
        call.abi_encode().into()
    }
}

/// What the calldata of an accepted batch holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submitted {
    pub(crate) call: Inbox::submitBatchCall,
    pub(crate) header: Header,
}

impl Submitted {
    /// None if the input is no `submitBatch` with a decodable header: then the inbox was called in a roundabout way.
    pub(crate) fn decode(input: &[u8]) -> Option<Self> {
        let call = Inbox::submitBatchCall::abi_decode(input).ok()?;
        let header = Header::decode(&call.header).ok()?;
        Some(Self { call, header })
    }

    /// The certificate over `value_id`. None if bitmap and signatures do not fit.
    pub(crate) fn certificate(&self, value_id: B256) -> Option<CommitCertificate> {
        let (signatures, rest) = self.call.sigs.as_chunks::<65>();
        let signers = bitmap(&self.call.bitmap);
        if !rest.is_empty() || signers.count() != signatures.len() {
            return None;
        }
        Some(CommitCertificate {
            epoch: self.header.close.epoch,
            height: self.header.height(),
            round: self.call.b.round,
            value_id,
            signers,
            signatures: signatures.to_vec(),
        })
    }
}

fn bitmap(bytes: &[u8]) -> Bitmap {
    let bits = bytes.iter().flat_map(|byte| (0..8u8).map(move |bit| byte >> bit & 1 == 1));
    Bitmap::of((0u16..).zip(bits).filter_map(|(index, set)| set.then_some(index)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing;

    #[test]
    fn calldata_gives_the_batch_back() {
        let world = testing::World::new(11);
        let post = world.post(1, 4, 2);
        let read = Submitted::decode(&post.calldata()).unwrap();
        assert_eq!(read.header, post.header);
        assert_eq!((read.call.b.fromHeight, read.call.b.toHeight), (1, 4));
        let value_id = post.header.value_id(&world.domain);
        assert_eq!(read.certificate(value_id), Some(post.certificate.clone()));
        assert_eq!(Submitted::decode(&post.calldata()[..200]), None);
    }

    #[test]
    fn a_payload_beyond_one_transaction_is_refused() {
        let world = testing::World::new(4);
        let mut post = world.post(1, 1, 0);
        post.payload = vec![0; MAX_PAYLOAD].into();
        assert!(post.request(Address::ZERO).is_ok());
        post.payload = vec![0; MAX_PAYLOAD + 1].into();
        let refused = L1Error::TooLarge { got: MAX_PAYLOAD + 1, max: MAX_PAYLOAD };
        assert_eq!(post.request(Address::ZERO), Err(refused));
    }
}
