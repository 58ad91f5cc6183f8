//! How fast the chain comes back from batches: `cargo run --release -p rota-tests --example derive`, or `make bench`.
//!
//! From accepted batches in memory to execution blocks ready to be executed. The limit in the same run is the recovery of the
//! senders of the same transactions on all cores, which derivation cannot do without. Not for: reading L1, executing.
#![expect(clippy::disallowed_methods, reason = "a bench takes the time of the real clock")]

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use rayon::prelude::*;
use rota_derive::{AcceptedBatch, BlockParams, L1Ref, Outcome, Pipeline, Start};
use rota_types::{
    Batch, BatchHeight, Bitmap, Close, CommitCertificate, Domain, Encode, Env, Header, Mmr,
    SignedVote, Term, Tx, Validator, ValidatorSet, Vote, VoteKey, VoteKind, tx_root,
};
use std::time::Instant;

const CHAIN: u64 = 42_069;
const GENESIS_S: u64 = 1_000;
const PARAMS: BlockParams = BlockParams { gas_limit: 30_000_000, fee_vault: Address::ZERO };
const MEMBERS: u8 = 4;
// Heights of a second, and of a batch; transactions of a height; batches.
const PER_SECOND: u64 = 20;
const PER_BATCH: u64 = 120;
const TXS: usize = 20;
const BATCHES: u64 = 25;

fn main() {
    let domain = Domain::new(1, CHAIN, Address::repeat_byte(1), B256::repeat_byte(2), 0);
    let keys: Vec<VoteKey> =
        (1..=MEMBERS).map(|i| VoteKey::from_secret(&[i; 32]).unwrap()).collect();
    let set = ValidatorSet::new(0, keys.iter().map(member).collect());
    let (batches, raw) = batches(&domain, &keys);
    let txs: usize = raw.iter().map(Vec::len).sum();
    let bytes: usize = raw.iter().flatten().map(|tx| tx.len()).sum();
    let posted: usize = batches.iter().map(|b| b.data.len()).sum();

    let recover = |tx: &Bytes| drop(Tx::decode(tx, CHAIN).expect("is signed"));
    let began = Instant::now();
    raw.iter().flatten().for_each(recover);
    let alone = began.elapsed().as_secs_f64();
    let began = Instant::now();
    raw.par_iter().flatten().for_each(recover);
    let limit = began.elapsed().as_secs_f64();

    let mut pipeline = Pipeline::new(domain, PARAMS, Start::genesis(GENESIS_S, 0));
    pipeline.insert_set(set);
    let (mut blocks, mut heights) = (0, 0);
    let began = Instant::now();
    for batch in &batches {
        match pipeline.accept(batch).expect("derivation is total") {
            Outcome::Derived(derived) => {
                blocks += derived.blocks.len();
                heights += derived.heights.len();
            }
            other => panic!("{other:?}"),
        }
    }
    let took = began.elapsed().as_secs_f64();
    let mb = |bytes: usize| bytes as f64 / 1e6 / took;
    println!(
        "{heights} heights, {blocks} blocks, {txs} transactions in {} batches: {took:.2} s on {} threads",
        batches.len(),
        rayon::current_num_threads()
    );
    println!("{:.1} MB/s of transactions, {:.1} MB/s as posted", mb(bytes), mb(posted));
    println!(
        "{:.0} blocks/s, {:.0} heights/s, {:.0} transactions/s",
        blocks as f64 / took,
        heights as f64 / took,
        txs as f64 / took
    );
    println!(
        "the recovery of their senders alone takes {:.2} of that (the limit in this run), {:.2} on one core",
        limit / took,
        alone / took
    );
}

fn member(key: &VoteKey) -> Validator {
    Validator {
        owner: Address::ZERO,
        seq_key: [0; 32],
        vote_key: key.address(),
        stake: U256::from(32_000_000_000_000_000_000u128),
        fee_recipient: Address::ZERO,
        peer: String::new(),
    }
}

/// A transfer, or a call with some data.
fn tx(rng: &mut StdRng, nonce: u64) -> Bytes {
    let key = VoteKey::from_secret(&[rng.random_range(0x21..0x60); 32]).unwrap();
    let mut input = vec![0; if rng.random_bool(0.5) { 0 } else { rng.random_range(4..200) }];
    rng.fill_bytes(&mut input);
    let tx = TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: rng.random_range(1_000_000_000..2_000_000_000),
        to: TxKind::Call(Address::from(rng.random::<[u8; 20]>())),
        value: U256::from(rng.random::<u64>()),
        input: input.into(),
        ..TxEip1559::default()
    };
    let signature = Signature::from_raw_array(&key.sign(&tx.signature_hash())).unwrap();
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

/// Batches as the Inbox would have accepted them, and the transactions of each.
fn batches(domain: &Domain, keys: &[VoteKey]) -> (Vec<AcceptedBatch>, Vec<Vec<Bytes>>) {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut parent, mut history) = (B256::ZERO, Mmr::default());
    let (mut out, mut raw) = (Vec::new(), Vec::new());
    for batch in 0..BATCHES {
        let (mut heights, mut all) = (Vec::new(), Vec::new());
        for height in batch * PER_BATCH + 1..=(batch + 1) * PER_BATCH {
            let txs: Vec<Bytes> = (0..TXS).map(|_| tx(&mut rng, height)).collect();
            let hashes: Vec<B256> = txs.iter().map(keccak256).collect();
            let header = header(height, parent, (history.root(), tx_root(&hashes, &[])));
            parent = header.value_id(domain);
            history.push(parent);
            all.extend(txs.iter().cloned());
            heights.push(BatchHeight { header, txs });
        }
        let last = heights.last().expect("there are some").header.clone();
        out.push(AcceptedBatch {
            from_height: batch * PER_BATCH + 1,
            to_height: last.height(),
            value_id: parent,
            epoch: 0,
            certificate: Some(certificate(&last, parent, (domain, keys))),
            header: last.encode().into(),
            data: Batch { heights }.compress().expect("is small").into(),
            l1: L1Ref {
                number: batch + 10,
                hash: keccak256(batch.to_be_bytes()),
                tx_hash: B256::ZERO,
            },
            l1_timestamp: last.env.timestamp_s + 5,
        });
        raw.push(all);
    }
    (out, raw)
}

fn header(height: u64, parent_id: B256, (history_root, txs_root): (B256, B256)) -> Header {
    let timestamp_s = GENESIS_S + 1 + (height - 1) / PER_SECOND;
    let env = Env {
        timestamp_s,
        l1_number: 1,
        l1_hash: B256::repeat_byte(3),
        gas_limit: PARAMS.gas_limit,
        prev_randao: B256::repeat_byte(4),
        fee_vault: PARAMS.fee_vault,
    };
    let close = Close {
        generation: 0,
        epoch: 0,
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
    let frames_root = keccak256(height.to_be_bytes());
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

fn certificate(
    last: &Header,
    value_id: B256,
    (domain, keys): (&Domain, &[VoteKey]),
) -> CommitCertificate {
    let height = last.height();
    let vote = Vote { epoch: 0, height, round: 0, kind: VoteKind::Precommit, value_id };
    let sign = |(i, key): (u16, &VoteKey)| SignedVote::sign(vote.clone(), i, key, domain).signature;
    CommitCertificate {
        epoch: 0,
        height,
        round: 0,
        value_id,
        signers: Bitmap::of(0..3),
        signatures: (0u16..).zip(keys).take(3).map(sign).collect(),
    }
}
