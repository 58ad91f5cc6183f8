//! The rules of `Registry` and `Inbox`, in Rust, for the chain in memory.
//!
//! Invariant: the same checks in the same order with the same names as `contracts/src`; the test against a real chain holds
//! both to one list of cases.

use super::MemoryParams;
use crate::bindings::{Inbox, Registry};
use crate::chain::PostedBatch;
use crate::post::Submitted;
use crate::tx::UnsignedTx;
use crate::{L1Error, Refusal};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use rota_types::{
    Domain, HEADER_LEN, Header, Validator, ValidatorSet, VoteSignature, recover_vote, verify_seq,
};
use std::collections::BTreeMap;

/// As `Registry.MAX_SET`.
const MAX_SET: usize = 64;
/// As `Registry.MAX_PEER_LENGTH`.
const MAX_PEER_LENGTH: usize = 256;
/// Wei of an account that never paid anything: a million ether.
const START_BALANCE: U256 = U256::from_limbs([0x1bce_cced_a100_0000, 0xd3c2, 0, 0]);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tip {
    height: u64,
    l1_number: u64,
    epoch: u64,
    value_id: B256,
}

/// What both contracts and all accounts hold after a block.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    operators: Vec<Validator>,
    sets: BTreeMap<u64, ValidatorSet>,
    tip: Tip,
    forked: bool,
    nonces: BTreeMap<Address, u64>,
    spent: BTreeMap<Address, U256>,
}

/// What a transaction did.
#[derive(Debug)]
pub(super) enum Effect {
    /// Nothing that concerns batches.
    Other,
    /// A batch was accepted.
    Batch(Box<PostedBatch>),
}

impl World {
    pub(super) fn new(operators: Vec<Validator>) -> Self {
        let mut world = Self { operators, ..Self::default() };
        if !world.operators.is_empty() {
            world.freeze();
        }
        world
    }

    pub(super) fn operators(&self) -> &[Validator] {
        &self.operators
    }

    pub(super) fn set(&self, epoch: u64) -> Option<&ValidatorSet> {
        self.sets.get(&epoch)
    }

    pub(super) const fn forked(&self) -> bool {
        self.forked
    }

    pub(super) fn nonce(&self, account: Address) -> u64 {
        self.nonces.get(&account).copied().unwrap_or(0)
    }

    pub(super) fn balance(&self, account: Address) -> U256 {
        START_BALANCE.saturating_sub(self.spent.get(&account).copied().unwrap_or(U256::ZERO))
    }

    /// Runs a transaction. An error is a revert: the nonce and the gas are used all the same.
    pub(super) fn execute(
        &mut self,
        params: &MemoryParams,
        account: Address,
        tx: &UnsignedTx,
        blob_hashes: &[B256],
    ) -> Result<Effect, L1Error> {
        let nonce = self.nonces.entry(account).or_default();
        *nonce = nonce.saturating_add(1);
        let gas = U256::from(super::GAS_USED).saturating_mul(U256::from(params.fees.max_fee));
        self.spend(account, gas);
        let effect = self.call(params, account, tx, blob_hashes)?;
        self.spend(account, tx.request.value);
        Ok(effect)
    }

    fn spend(&mut self, account: Address, wei: U256) {
        let spent = self.spent.entry(account).or_default();
        *spent = spent.saturating_add(wei);
    }

    fn call(
        &mut self,
        params: &MemoryParams,
        account: Address,
        tx: &UnsignedTx,
        blob_hashes: &[B256],
    ) -> Result<Effect, L1Error> {
        let (to, input) = (tx.request.to, &tx.request.input);
        if to == params.inbox {
            return self.submit(&params.domain, input, blob_hashes);
        }
        if to != params.domain.registry {
            return Ok(Effect::Other);
        }
        if let Ok(call) = Registry::registerCall::abi_decode(input) {
            self.register(params, account, &call.r, tx.request.value)?;
        } else if let Ok(call) = Registry::freezeSetCall::abi_decode(input) {
            self.freeze_set(params, call.epoch)?;
        } else {
            return Err(L1Error::Reverted("no such function".into()));
        }
        Ok(Effect::Other)
    }

    fn register(
        &mut self,
        params: &MemoryParams,
        owner: Address,
        r: &Registry::Registration,
        stake: U256,
    ) -> Result<(), L1Error> {
        let known = |same: &dyn Fn(&Validator) -> bool| self.operators.iter().any(same);
        refuse(
            "Registry_StakeTooLow",
            stake < params.min_stake || stake < U256::from(1_000_000_000u64),
        )?;
        refuse("Registry_StakeTooHigh", stake.bit_len() > 88)?;
        refuse("Registry_ZeroVoteKey", r.voteKey.is_zero())?;
        refuse("Registry_ZeroFeeRecipient", r.feeRecipient.is_zero())?;
        refuse("Registry_PeerTooLong", r.peer.len() > MAX_PEER_LENGTH)?;
        refuse("Registry_SeqKeyUsed", known(&|v| v.seq_key == r.seqKey.0))?;
        refuse("Registry_VoteKeyUsed", known(&|v| v.vote_key == r.voteKey))?;
        let digest =
            params.domain.possession(owner, r.voteKey, &r.seqKey.0, r.feeRecipient, &r.peer);
        let typed = params.domain.possession_vote(digest);
        let vote_sig: Option<VoteSignature> = r.voteSig.as_ref().try_into().ok();
        refuse("Registry_HighS", vote_sig.as_ref().is_some_and(is_high_s))?;
        let signer = vote_sig.and_then(|s| recover_vote(&typed, &s).ok());
        refuse("Registry_BadVoteProof", signer != Some(r.voteKey))?;
        let seq_sig = [r.seqR.0, r.seqS.0].concat().try_into().unwrap_or([0; 64]);
        refuse("Registry_BadSeqProof", verify_seq(&r.seqKey.0, &digest, &seq_sig).is_err())?;
        self.operators.push(Validator {
            owner,
            seq_key: r.seqKey.0,
            vote_key: r.voteKey,
            stake,
            fee_recipient: r.feeRecipient,
            peer: String::from_utf8_lossy(&r.peer).into_owned(),
        });
        Ok(())
    }

    fn freeze_set(&mut self, params: &MemoryParams, epoch: u64) -> Result<(), L1Error> {
        refuse("Registry_EpochNotOpen", epoch != 0)?;
        refuse("Registry_AlreadyFrozen", self.sets.contains_key(&0))?;
        refuse("Registry_TooFewOperators", self.operators.len() < params.min_operators)?;
        self.freeze();
        Ok(())
    }

    fn freeze(&mut self) {
        let members = self.operators.iter().take(MAX_SET).cloned().collect();
        self.sets.insert(0, ValidatorSet::new(0, members));
    }

    fn submit(
        &mut self,
        domain: &Domain,
        input: &[u8],
        blob_hashes: &[B256],
    ) -> Result<Effect, L1Error> {
        let call = Inbox::submitBatchCall::abi_decode(input)
            .map_err(|_| L1Error::Reverted("no such function".into()))?;
        let length = u64::try_from(call.header.len()).unwrap_or(u64::MAX);
        let submitted = Submitted::decode(input)
            .filter(|_| call.header.len() == HEADER_LEN)
            .ok_or(L1Error::Refused(Refusal::HeaderLength(length)))?;
        let value_id = submitted.header.value_id(domain);
        self.accept(domain, &submitted, value_id, blob_hashes).map_err(L1Error::Refused)
    }

    fn accept(
        &mut self,
        domain: &Domain,
        s: &Submitted,
        value_id: B256,
        blob_hashes: &[B256],
    ) -> Result<Effect, Refusal> {
        let (b, header) = (&s.call.b, &s.header);
        check_header(domain, b, header)?;
        let tip = self.tip;
        let conflict = b.toHeight == tip.height && tip.height != 0 && value_id != tip.value_id;
        check_place(b, header, tip, conflict)?;
        if blob_hashes.is_empty() {
            return Err(Refusal::NoBlob);
        }
        let certificate = self.check_certificate(domain, s, value_id)?;
        if conflict {
            self.forked = true;
            return Ok(Effect::Other);
        }
        if b.toHeight > tip.height {
            self.tip = Tip {
                height: b.toHeight,
                l1_number: header.env.l1_number,
                epoch: header.close.epoch,
                value_id,
            };
        }
        Ok(Effect::Batch(Box::new(PostedBatch {
            block: super::ZERO_BLOCK,
            log_index: 0,
            tx_hash: B256::ZERO,
            from_height: b.fromHeight,
            to_height: b.toHeight,
            repost: b.repost,
            header: header.clone(),
            certificate,
            blob_hashes: blob_hashes.to_vec(),
        })))
    }

    fn check_certificate(
        &self,
        domain: &Domain,
        s: &Submitted,
        value_id: B256,
    ) -> Result<rota_types::CommitCertificate, Refusal> {
        let epoch = s.header.close.epoch;
        let set = self.sets.get(&epoch).ok_or(Refusal::UnknownEpoch(epoch))?;
        let fits = s.call.bitmap.len() <= set.len().div_ceil(8);
        let certificate =
            s.certificate(value_id).filter(|_| fits).ok_or(Refusal::SignatureCount)?;
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
}

fn check_header(domain: &Domain, b: &Inbox::Batch, header: &Header) -> Result<(), Refusal> {
    if header.close.generation != domain.generation {
        return Err(Refusal::WrongGeneration(header.close.generation));
    }
    let height = header.height();
    if height != b.toHeight || b.fromHeight > b.toHeight || b.fromHeight == 0 {
        return Err(Refusal::WrongHeight(height));
    }
    Ok(())
}

fn check_place(b: &Inbox::Batch, header: &Header, tip: Tip, conflict: bool) -> Result<(), Refusal> {
    let expected = tip.height.saturating_add(1);
    if b.fromHeight > expected {
        return Err(Refusal::Gap(expected));
    }
    if b.toHeight <= tip.height {
        return if b.repost || conflict { Ok(()) } else { Err(Refusal::Stale(tip.height)) };
    }
    if header.env.l1_number < tip.l1_number {
        return Err(Refusal::OriginBackwards(tip.l1_number));
    }
    if header.close.epoch < tip.epoch {
        return Err(Refusal::EpochBackwards(tip.epoch));
    }
    Ok(())
}

/// Whether s lies in the upper half of the curve's order.
fn is_high_s(sig: &VoteSignature) -> bool {
    const HALF_ORDER: U256 = U256::from_limbs([
        0xdfe9_2f46_681b_20a0,
        0x5d57_6e73_57a4_501d,
        0xffff_ffff_ffff_ffff,
        0x7fff_ffff_ffff_ffff,
    ]);
    sig.get(32..64).is_some_and(|s| U256::from_be_slice(s) > HALF_ORDER)
}

fn refuse(name: &'static str, when: bool) -> Result<(), L1Error> {
    if when { Err(L1Error::Refused(Refusal::Registry(name))) } else { Ok(()) }
}
