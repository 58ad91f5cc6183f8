//! What a user brings to L1 when a promise died with its leader: that the frame is not on the decided log, that nobody can
//! be shown to be at fault for it, and the transaction in it (`docs/insurance.md`, "Warranty"; protocol row E8).
//!
//! Not for: contradictions (`Evidence`), and not for what the operator promised or has left (the Warranty contract).
//! Invariant: `verify` accepts exactly what the contract accepts, and the bytes have one form.

use crate::{
    ClaimError, Decode, DecodeError, Domain, Encode, Fork, FrameHeader, MAX_TX_BYTES, MerkleProof,
    Reader, Receipt, SeqSignature, ValidatorSet, Writer,
    claim::linked,
    evidence::{get_branch, get_chain, put_branch, put_chain},
    verify_seq, verify_tx,
};
use alloy_primitives::{Bytes, keccak256};

/// Gas of a transaction that counts at most, as in the contract.
pub const WARRANTY_GAS_CAP: u64 = 100_000;

/// Why there is no refund. Whoever built the claim is at fault, but for the last two: they say whose the loss is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WarrantyError {
    /// A part does not hang together.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The frame's leader did not sign it.
    #[error("the frame is not signed by the leader of its term")]
    Signature,
    /// A frame before this one was lost too, and another leader or term had signed it.
    #[error("a frame of another term was lost before it: who signed that one is to be asked")]
    OtherTerm,
    /// The log's frame in its place is of an earlier term.
    #[error("the log went on with an earlier term, which is no loss of this kind")]
    NotLater,
    /// The log's frame in its place is of the same term.
    #[error("the leader signed both histories: that is an offence, not a loss")]
    Equivocation,
}

/// Shows that a frame which its leader signed is not on the decided log, because that went on with a later term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostFrame {
    /// The leader's, over the first header of `chain`.
    pub signature: SeqSignature,
    /// Frame headers from the frame down to the first of its term that is not on the log; at least one, all of one term.
    pub chain: Vec<FrameHeader>,
    /// Where the log parts from them.
    pub fork: Fork,
}

/// A transaction in a lost frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostTx {
    /// The transaction, EIP-2718: its signer is paid.
    pub raw: Bytes,
    /// Its insured amount, wei: part of its leaf.
    pub insured: u128,
    /// Its place in the frame.
    pub position: MerkleProof,
}

/// What an operator gives back when a frame of its is lost. All zero: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WarrantyOffer {
    /// Hundredths of a percent of what a transaction offered for its order.
    pub bps: u32,
    /// Most for one transaction, wei.
    pub claim_cap: u128,
    /// Most for all transactions of one term, wei.
    pub term_cap: u128,
}

#[cfg(feature = "native")]
impl WarrantyOffer {
    /// Wei for a transaction, if that much is left of the term's cap and of the bond. Before the fee market the gas price is
    /// both fees (EIP-1559).
    #[must_use]
    pub fn refund(&self, tx: &crate::Tx) -> u128 {
        use alloy_consensus::Transaction;
        let most = tx.envelope.max_fee_per_gas();
        let tip = tx.envelope.max_priority_fee_per_gas().map_or(most, |tip| tip.min(most));
        let gas = u128::from(tx.gas_limit().min(WARRANTY_GAS_CAP));
        let offered = tip.saturating_mul(gas).saturating_mul(self.bps.into());
        offered.wrapping_div(10_000).min(self.claim_cap).min(self.term_cap)
    }
}

impl LostFrame {
    /// From a receipt, the headers from below its frame down to the first that is not on the log, and the fork there.
    ///
    /// # Errors
    /// The receipt does not decode.
    pub fn of(receipt: &Receipt, below: &[FrameHeader], fork: Fork) -> Result<Self, WarrantyError> {
        let mut chain = vec![FrameHeader::decode(&receipt.frame).map_err(ClaimError::from)?];
        chain.extend_from_slice(below);
        let signature: Result<SeqSignature, _> = receipt.signature.as_ref().try_into();
        Ok(Self { signature: signature.map_err(|_| WarrantyError::Signature)?, chain, fork })
    }

    /// Checks everything in it and gives the frame. `promised` is the set of the frame, `decided` that of the certificate.
    ///
    /// # Errors
    /// [`WarrantyError`] names the part that does not hold.
    pub fn verify(
        &self,
        promised: &ValidatorSet,
        decided: &ValidatorSet,
        domain: &Domain,
    ) -> Result<&FrameHeader, WarrantyError> {
        let frame = self.chain.first().ok_or(ClaimError::Chain)?;
        let hash = frame.hash(domain);
        let same = |f: &FrameHeader| {
            (f.epoch, f.term, f.leader) == (frame.epoch, frame.term, frame.leader)
        };
        // Positions begin at 1: a chain cannot be longer than its tip is high.
        if u64::try_from(self.chain.len()).map_or(true, |n| n > frame.g) {
            return Err(ClaimError::Chain.into());
        }
        let first = linked(&self.chain, (frame.g, hash), domain)?;
        if !self.chain.iter().all(same) {
            return Err(WarrantyError::OtherTerm);
        }
        self.fork.verify(first, decided, domain)?;
        match self.fork.frame.term.cmp(&frame.term) {
            std::cmp::Ordering::Greater => {}
            std::cmp::Ordering::Equal => return Err(WarrantyError::Equivocation),
            std::cmp::Ordering::Less => return Err(WarrantyError::NotLater),
        }
        let leader = promised.get(frame.leader).filter(|_| promised.epoch() == frame.epoch);
        let signed = leader.map(|v| verify_seq(&v.seq_key, &hash, &self.signature));
        if matches!(signed, Some(Ok(()))) { Ok(frame) } else { Err(WarrantyError::Signature) }
    }

    /// Reads one that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`DecodeError`]: not the one form of it.
    pub fn decode(bytes: &[u8], domain: &Domain) -> Result<Self, DecodeError> {
        let r = &mut Reader::new(bytes);
        let signature = r.array("signature")?;
        let (chain, fork) = (get_chain(r)?, Fork::get(r, domain)?);
        r.end()?;
        Ok(Self { signature, chain, fork })
    }
}

impl LostTx {
    /// The transaction of a receipt, which may not bring it.
    ///
    /// # Errors
    /// [`ClaimError::Transaction`]: another one.
    pub fn of(receipt: &Receipt, raw: Bytes) -> Result<Self, ClaimError> {
        if keccak256(&raw) != receipt.transaction_hash {
            return Err(ClaimError::Transaction);
        }
        Ok(Self { raw, insured: receipt.insured, position: receipt.position.clone() })
    }

    /// Checks that the transaction is in the frame; whether it is one of the rollup's is for `Tx::decode`.
    ///
    /// # Errors
    /// [`ClaimError::Position`].
    pub fn verify(&self, frame: &FrameHeader) -> Result<(), ClaimError> {
        let hash = keccak256(&self.raw);
        let placed = self.position.count == frame.tx_count
            && verify_tx(&frame.tx_root, &hash, self.insured, &self.position);
        if placed { Ok(()) } else { Err(ClaimError::Position) }
    }
}

impl Encode for LostFrame {
    fn encode_to(&self, w: &mut Writer) {
        w.raw(&self.signature);
        put_chain(w, &self.chain);
        self.fork.put(w);
    }
}

impl Encode for LostTx {
    fn encode_to(&self, w: &mut Writer) {
        w.bytes(&self.raw).u128(self.insured);
        put_branch(w, &self.position);
    }
}

impl Decode for LostTx {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (raw, insured) = (r.bytes("transaction", MAX_TX_BYTES)?, r.u128("insured amount")?);
        Ok(Self { raw, insured, position: get_branch(r)? })
    }
}
