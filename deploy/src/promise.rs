//! A promise that is broken as soon as it is made: an insured transaction in the frame of a second history, acked by more than
//! two thirds of the set, while the log goes on without it.
//!
//! It takes a coalition: the leader and so many members that honest ones cannot make up for them. Here all keys belong to
//! whoever runs the devnet. Invariant: every signature is one that the contracts take; nothing of it is sent but the frame.

use crate::{
    accounts::{ACCOUNTS, signer},
    layout::{Layout, NodeState},
    offence::failed,
    rpc::http,
};
use alloy::{
    eips::eip2718::Encodable2718,
    network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder},
    providers::{Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
};
use alloy_primitives::{Bytes, U256, keccak256};
use rota_node::{
    exit::Failure,
    keys::{Keys, Needs, Passwords, SequencerKeys},
};
use rota_types::{
    Ack, AckCert, AckProof, B256, Bitmap, Domain, Encode, FrameBody, RECEIPT_VERSION, Receipt,
    ReceiptDomain, ReceiptSet, SignedAck, SignedFrame, ValidatorSet, tx_proof,
};
use std::path::Path;

/// The test account whose transaction it is, and who is paid.
const USER: usize = 9;
/// What it insures, wei: 1 ETH.
const INSURED: u128 = 1_000_000_000_000_000_000;
/// Tip and fee cap, wei; the frame is never executed.
const FEE: u128 = 2_000_000_000;

/// The body with the user's transaction: one wei to another test account, signed for this rollup and never sent.
pub(crate) async fn body(node: &NodeState, domain: &Domain) -> Result<FrameBody, Failure> {
    let user = signer(USER).ok_or_else(|| failed(format!("there is no test account {USER}")))?;
    let url = http(node.rpc).parse().map_err(failed)?;
    let nonces = ProviderBuilder::new().connect_http(url);
    let nonce = nonces.get_transaction_count(user.address()).pending().await.map_err(failed)?;
    let request = TransactionRequest::default()
        .with_chain_id(domain.l2_chain_id)
        .with_nonce(nonce)
        .with_to(ACCOUNTS[7].0)
        .with_value(U256::from(1))
        .with_gas_limit(21_000)
        .with_max_fee_per_gas(FEE)
        .with_max_priority_fee_per_gas(FEE);
    let signed = request.build(&EthereumWallet::from(user)).await.map_err(failed)?;
    Ok(FrameBody {
        txs: vec![Bytes::from(signed.encoded_2718())],
        insured: vec![INSURED],
        ..FrameBody::default()
    })
}

/// Keys of the sequencers of a devnet.
pub(crate) fn coalition<'a>(
    layout: &Layout,
    nodes: impl Iterator<Item = &'a NodeState>,
    passwords: &Passwords,
) -> Result<Vec<SequencerKeys>, Failure> {
    let needs = Needs { sequencer: true, poster: false };
    let mut all = Vec::new();
    for node in nodes.filter(|n| n.role == "sequencer") {
        all.extend(Keys::load(&layout.node(&node.name), needs, passwords)?.sequencer);
    }
    Ok(all)
}

/// Writes the promise of a frame's only transaction, acked with as many of the keys as more than two thirds take.
pub(crate) fn write(
    path: &Path,
    frame: &SignedFrame,
    set: &ValidatorSet,
    (keys, domain): (&[SequencerKeys], &Domain),
) -> Result<(), Failure> {
    let header = &frame.header;
    let hash = header.hash(domain);
    let ack = |signer| Ack {
        epoch: header.epoch,
        height: header.term.height,
        round: header.term.round,
        signer,
        g: header.g,
        frame_hash: hash,
        init_hash: header.init_hash,
    };
    let (mut weight, mut signed) = (0u64, Vec::new());
    for (index, member) in set.iter() {
        let key = keys.iter().find(|k| k.seq.public() == member.seq_key);
        if let Some(key) = key.filter(|_| !set.is_quorum(weight)) {
            weight = weight.saturating_add(member.power());
            signed.push((index, SignedAck::sign(ack(index), &key.seq, domain).signature));
        }
    }
    if !set.is_quorum(weight) {
        return Err(failed("the keys here are not of more than two thirds of the set"));
    }
    let acks = AckCert {
        epoch: header.epoch,
        height: header.term.height,
        round: header.term.round,
        g: header.g,
        frame_hash: hash,
        init_hash: header.init_hash,
        signers: Bitmap::of(signed.iter().map(|(index, _)| *index)),
        signatures: signed.into_iter().map(|(_, signature)| signature).collect(),
    };
    let receipt = promise(frame, set, (acks, domain))?;
    let text = serde_json::to_string_pretty(&receipt).map_err(failed)?;
    std::fs::write(path, text + "\n")
        .map_err(|e| failed(format!("cannot write {}: {e}", path.display())))
}

fn promise(
    frame: &SignedFrame,
    set: &ValidatorSet,
    (acks, domain): (AckCert, &Domain),
) -> Result<Receipt, Failure> {
    let body = &frame.body;
    let hashes: Vec<B256> = body.txs.iter().map(keccak256).collect();
    let (Some(transaction), Some(hash), Some(insured), Some(position)) = (
        body.txs.first(),
        hashes.first(),
        body.insured.first(),
        tx_proof(&hashes, &body.insured, 0),
    ) else {
        return Err(failed("the frame has no insured transaction"));
    };
    let of = ReceiptSet::of(set);
    Ok(Receipt {
        v: RECEIPT_VERSION,
        ctx: domain.ctx(),
        set_id: of.id(),
        domain: ReceiptDomain::of(domain),
        set: of,
        transaction_hash: *hash,
        insured: *insured,
        transaction: Some(transaction.clone()),
        frame: (&frame.header).into(),
        signature: frame.signature.to_vec().into(),
        position,
        acked: Some(AckProof {
            certificate: acks.encode().into(),
            headers: Vec::new(),
            init: None,
        }),
        decided: None,
        posted: None,
    })
}
