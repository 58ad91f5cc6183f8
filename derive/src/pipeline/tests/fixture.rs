//! A decided chain with its keys, posted in any way a test wants.

use crate::{AcceptedBatch, BlockParams, DerivedHeight, L1Ref, Pipeline, Start};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use rota_types::{
    Batch, BatchHeight, Bitmap, Close, CommitCertificate, Domain, Encode, Env, Header, Mmr,
    SignedVote, Term, Tx, Validator, ValidatorSet, Vote, VoteKey, VoteKind, tx_root,
};
use std::sync::Arc;

pub(super) const CHAIN: u64 = 42_069;
pub(super) const GENESIS_S: u64 = 1_000;
pub(super) const L1_START: u64 = 50;

/// A decided chain with the keys that certify it.
pub(super) struct Chain {
    pub(super) domain: Domain,
    pub(super) keys: Vec<VoteKey>,
    pub(super) heights: Vec<DerivedHeight>,
}

/// What a block must be: second, `extraData`, transactions, gas limit, first and last height.
pub(super) type Expected = (u64, B256, Vec<Bytes>, u64, u64, u64);

/// Seconds and epochs to go forward, and transactions, of one height.
pub(super) type Plan = (u64, u64, Vec<u8>);

pub(super) fn tx(seed: u8) -> Bytes {
    if seed >= 200 {
        return Bytes::from(vec![2, seed]);
    }
    let key = VoteKey::from_secret(&[0x55; 32]).unwrap();
    let tx = TxEip1559 {
        chain_id: if seed >= 150 { 1 } else { CHAIN },
        nonce: seed.into(),
        gas_limit: 21_000,
        to: TxKind::Call(Address::ZERO),
        ..TxEip1559::default()
    };
    let sig = Signature::from_raw_array(&key.sign(&tx.signature_hash())).unwrap();
    TxEnvelope::from(tx.into_signed(sig)).encoded_2718().into()
}

pub(super) fn chain(plan: &[Plan]) -> Chain {
    let domain = Domain::new(1, CHAIN, Address::repeat_byte(1), B256::repeat_byte(2), 0);
    let keys = (1u8..=4).map(|i| VoteKey::from_secret(&[i; 32]).unwrap()).collect();
    let (mut second, mut epoch) = (GENESIS_S + 1, 0);
    let (mut parent, mut history) = (B256::ZERO, Mmr::default());
    let mut heights = Vec::new();
    for (height, (seconds, epochs, seeds)) in (1u64..).zip(plan) {
        second += seconds;
        epoch += epochs;
        let txs: Vec<Bytes> = seeds.iter().map(|s| tx(*s)).collect();
        let hashes: Vec<B256> = txs.iter().map(keccak256).collect();
        let header = header([height, second, epoch], parent, history.root(), tx_root(&hashes, &[]));
        let value_id = header.value_id(&domain);
        history.push(value_id);
        parent = value_id;
        heights.push(DerivedHeight { header, value_id, txs: Arc::new(txs) });
    }
    Chain { domain, keys, heights }
}

fn header(at: [u64; 3], parent_id: B256, history_root: B256, txs_root: B256) -> Header {
    let [height, second, epoch] = at;
    let env = Env {
        timestamp_s: second,
        l1_number: second - GENESIS_S,
        l1_hash: keccak256(second.to_be_bytes()),
        gas_limit: 30_000_000 + height,
        prev_randao: keccak256(height.to_be_bytes()),
        fee_vault: Address::ZERO,
    };
    let close = Close {
        generation: 0,
        epoch,
        height,
        parent_id,
        term: Term { height, round: 0 },
        closer: 0,
        cursor: height,
        window_left: 1,
        jailed_bitmap_hash: B256::ZERO,
        evidence_root: B256::ZERO,
        next_set_hash: B256::ZERO,
        insured_total: 0,
        exec_lag_height: 0,
        exec_lag_root: B256::ZERO,
        history_root,
    };
    let frames_root = keccak256([7, u8::try_from(height % 251).unwrap()]);
    Header {
        env,
        close,
        first_g: height * 10,
        last_g: height * 10 + 9,
        txs_root,
        frames_root,
        last_frame_hash: frames_root,
    }
}

impl Chain {
    pub(super) fn set(&self, epoch: u64) -> ValidatorSet {
        let validator = |k: &VoteKey| Validator {
            owner: Address::ZERO,
            seq_key: [0; 32],
            vote_key: k.address(),
            stake: U256::from(32_000_000_000_000_000_000u128),
            fee_recipient: Address::ZERO,
            peer: String::new(),
        };
        ValidatorSet::new(epoch, self.keys.iter().map(validator).collect())
    }
    pub(super) fn pipeline(&self) -> Pipeline {
        let mut p = Pipeline::new(self.domain.clone(), PARAMS, start());
        for epoch in 0..=self.heights.last().map_or(0, |h| h.header.close.epoch) {
            p.insert_set(self.set(epoch));
        }
        p
    }
    pub(super) fn at(&self, height: u64) -> &DerivedHeight {
        &self.heights[usize::try_from(height).unwrap() - 1]
    }
    pub(super) fn certify(
        &self,
        height: u64,
        epoch: u64,
        value_id: B256,
        n: u16,
    ) -> CommitCertificate {
        let vote = Vote { epoch, height, round: 1, kind: VoteKind::Precommit, value_id };
        let sign = |i| {
            SignedVote::sign(vote.clone(), i, &self.keys[usize::from(i)], &self.domain).signature
        };
        CommitCertificate {
            epoch,
            height,
            round: 1,
            value_id,
            signers: Bitmap::of(0..n),
            signatures: (0..n).map(sign).collect(),
        }
    }
    pub(super) fn batch(&self, from: u64, to: u64, l1: u64) -> AcceptedBatch {
        let heights = (from..=to).map(|h| self.at(h));
        let heights = heights
            .map(|h| BatchHeight { header: h.header.clone(), txs: h.txs.to_vec() })
            .collect();
        let last = self.at(to);
        let epoch = last.header.close.epoch;
        AcceptedBatch {
            from_height: from,
            to_height: to,
            value_id: last.value_id,
            epoch,
            certificate: Some(self.certify(to, epoch, last.value_id, 3)),
            header: last.header.encode().into(),
            data: Batch { heights }.compress().unwrap().into(),
            l1: l1_ref(l1),
            l1_timestamp: time_of(l1),
        }
    }
    /// Block by block from the definition: one block for each second.
    pub(super) fn blocks(&self) -> Vec<Expected> {
        let mut out: Vec<Expected> = Vec::new();
        for h in &self.heights {
            let env = &h.header.env;
            let valid = h.txs.iter().filter(|t| Tx::decode(t, CHAIN).is_ok()).cloned();
            let height = h.header.height();
            match out.last_mut() {
                Some(b) if b.0 == env.timestamp_s => {
                    b.1 = h.value_id;
                    b.2.extend(valid);
                    b.5 = height;
                }
                _ => {
                    let first = (env.timestamp_s, h.value_id, valid.collect());
                    out.push((first.0, first.1, first.2, env.gas_limit, height, height));
                }
            }
        }
        out
    }
}

/// Height 0, with batches from L1 block 50 on.
pub(super) fn start() -> Start {
    let mut start = Start::genesis(GENESIS_S, L1_START);
    start.head.l1_number = 0;
    start
}

pub(super) const PARAMS: BlockParams =
    BlockParams { gas_limit: 30_000_000, fee_vault: Address::repeat_byte(8) };

/// Timestamp of an L1 block.
pub(super) const fn time_of(number: u64) -> u64 {
    GENESIS_S + number * 3
}

pub(super) fn l1_ref(number: u64) -> L1Ref {
    L1Ref { number, hash: keccak256(number.to_be_bytes()), tx_hash: B256::ZERO }
}
