//! I-24: a receipt proves what it says with the set and the domain only, and no changed part passes.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::redundant_clone,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "test code"
)]

mod common;

use alloy_primitives::keccak256;
use common::{Four, Gen, four};
use rota_types::*;

const EPOCH: u64 = 3;

struct Case {
    f: Four,
    receipt: Receipt,
    certificates: (AckCert, CommitCertificate),
}

/// Three frames; the receipt is for the second transaction of the first, acked at the third.
fn case() -> Case {
    let f = four(EPOCH);
    let mut g = Gen(11);
    let txs: Vec<Bytes> = (0..5).map(|_| g.bytes(50)).collect();
    let hashes: Vec<B256> = txs.iter().map(keccak256).collect();
    let insured = vec![0, 7, 0, 0, 9];
    let body = FrameBody { txs, insured: insured.clone(), ..FrameBody::default() };
    let mut frames: Vec<FrameHeader> = Vec::new();
    for seq in 0u32..3 {
        let mut header = g.frame_header();
        header.epoch = EPOCH;
        header.leader = 1;
        header.g = 100 + u64::from(seq);
        header.prev_hash = frames.last().map_or(B256::ZERO, |p| p.hash(&f.domain));
        header.tx_count = if seq == 0 { 5 } else { 0 };
        header.tx_root = if seq == 0 { body.root() } else { B256::ZERO };
        frames.push(header);
    }
    let frame_hashes: Vec<B256> = frames.iter().map(|h| h.hash(&f.domain)).collect();
    let signed = SignedFrame::sign(frames[0].clone(), body, &f.seq[1], &f.domain);
    let ack_cert = ack_cert(&f, 102, frame_hashes[2], &[0, 2, 3]);
    let mut header = g.header();
    header.close.height = 9;
    header.first_g = 100;
    header.last_g = 102;
    header.frames_root = hash_list_root(&frame_hashes);
    let commit = f.certify(9, header.value_id(&f.domain), &[0, 1, 3]);
    let receipt = Receipt {
        v: 1,
        ctx: f.domain.ctx(),
        set_hash: f.set.hash(),
        transaction_hash: hashes[1],
        insured: 7,
        frame: (&frames[0]).into(),
        signature: signed.signature.into(),
        position: tx_proof(&hashes, &insured, 1).unwrap(),
        acked: Some(AckProof {
            certificate: ack_cert.encode().into(),
            headers: frames[1..].iter().map(Bytes::from).collect(),
        }),
        decided: Some(DecidedProof {
            header: header.encode().into(),
            certificate: commit.encode().into(),
            frame_proof: tx_proof(&frame_hashes, &[], 0).unwrap(),
        }),
    };
    Case { f, receipt, certificates: (ack_cert, commit) }
}

fn ack_cert(f: &Four, g: u64, frame_hash: B256, signers: &[u16]) -> AckCert {
    let sign = |i: &u16| {
        let ack = Ack {
            epoch: EPOCH,
            height: 9,
            round: 0,
            signer: *i,
            g,
            frame_hash,
            init_hash: B256::ZERO,
        };
        SignedAck::sign(ack, &f.seq[usize::from(*i)], &f.domain).signature
    };
    AckCert {
        epoch: EPOCH,
        height: 9,
        round: 0,
        g,
        frame_hash,
        init_hash: B256::ZERO,
        signers: Bitmap::of(signers.iter().copied()),
        signatures: signers.iter().map(sign).collect(),
    }
}

#[test]
fn each_part_lifts_the_stage_and_json_keeps_it() {
    let Case { f, receipt, .. } = case();
    let verify = |r: &Receipt| r.verify(&f.set, &f.domain);
    assert_eq!(verify(&receipt), Ok(Stage::Decided));
    let acked = Receipt { decided: None, ..receipt.clone() };
    assert_eq!(verify(&acked), Ok(Stage::Acked));
    assert_eq!(verify(&Receipt { acked: None, ..acked }), Ok(Stage::Preconfirmed));
    let json = serde_json::to_string(&receipt).unwrap();
    assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
}

/// Every receipt that differs from a good one in one bit of one part.
fn tampered(good: &Receipt) -> Vec<(&'static str, Receipt)> {
    let mut out = Vec::new();
    let flip = |bytes: &Bytes, at: usize| {
        let mut b = bytes.to_vec();
        b[at] ^= 1 << (at % 8);
        Bytes::from(b)
    };
    let hash = |h: &B256, at: usize| {
        let mut h = *h;
        h.0[at] ^= 1;
        h
    };
    for at in 0..good.frame.len() {
        out.push(("frame", Receipt { frame: flip(&good.frame, at), ..good.clone() }));
    }
    for at in 0..64 {
        out.push(("signature", Receipt { signature: flip(&good.signature, at), ..good.clone() }));
    }
    for at in 0..32 {
        let g = good.clone();
        out.push(("ctx", Receipt { ctx: hash(&g.ctx, at), ..g.clone() }));
        out.push(("set", Receipt { set_hash: hash(&g.set_hash, at), ..g.clone() }));
        out.push(("tx", Receipt { transaction_hash: hash(&g.transaction_hash, at), ..g }));
    }
    out.push(("insured", Receipt { insured: good.insured + 1, ..good.clone() }));
    for change in 0..4 {
        let mut r = good.clone();
        match change {
            0 => r.position.index = 0,
            1 => r.position.count += 1,
            2 => drop(r.position.siblings.pop()),
            _ => r.position.siblings.push(B256::ZERO),
        }
        out.push(("position", r));
    }
    let acked = good.acked.clone().unwrap();
    for at in 0..acked.certificate.len() {
        let acked = AckProof { certificate: flip(&acked.certificate, at), ..acked.clone() };
        out.push(("ack certificate", Receipt { acked: Some(acked), ..good.clone() }));
    }
    for at in 0..FRAME_LEN {
        let mut acked = acked.clone();
        acked.headers[0] = flip(&acked.headers[0], at);
        out.push(("ack headers", Receipt { acked: Some(acked), ..good.clone() }));
    }
    let decided = good.decided.clone().unwrap();
    for at in 0..decided.header.len() {
        let decided = DecidedProof { header: flip(&decided.header, at), ..decided.clone() };
        out.push(("header", Receipt { decided: Some(decided), ..good.clone() }));
    }
    for at in 0..decided.certificate.len() {
        let decided =
            DecidedProof { certificate: flip(&decided.certificate, at), ..decided.clone() };
        out.push(("certificate", Receipt { decided: Some(decided), ..good.clone() }));
    }
    for change in 0..3 {
        let mut decided = decided.clone();
        match change {
            0 => decided.frame_proof.index = 1,
            1 => decided.frame_proof.count = 2,
            _ => decided.frame_proof.siblings[0] = B256::ZERO,
        }
        out.push(("frame proof", Receipt { decided: Some(decided), ..good.clone() }));
    }
    out
}

#[test]
fn no_changed_part_passes() {
    let Case { f, receipt, .. } = case();
    for (what, bad) in tampered(&receipt) {
        let result = bad.verify(&f.set, &f.domain);
        assert!(result.is_err(), "a changed {what} passes as {result:?}");
    }
}

/// A certified header that puts the same frames at other positions of the log.
#[test]
fn the_frame_must_stand_at_its_own_position() {
    let Case { f, receipt, .. } = case();
    let mut header = Header::decode(&receipt.decided.as_ref().unwrap().header).unwrap();
    (header.first_g, header.last_g) = (99, 101);
    let certificate = f.certify(9, header.value_id(&f.domain), &[0, 1, 3]);
    let mut moved = receipt;
    let decided = moved.decided.as_mut().unwrap();
    decided.header = header.encode().into();
    decided.certificate = certificate.encode().into();
    assert_eq!(moved.verify(&f.set, &f.domain), Err(ReceiptError::NotDecided));
}

#[test]
fn two_of_four_are_no_quorum_and_nobody_counts_twice() {
    let Case { f, receipt, certificates: (acks, commit) } = case();
    let two = ack_cert(&f, 102, acks.frame_hash, &[0, 1]);
    let mut bad = receipt.clone();
    bad.acked.as_mut().unwrap().certificate = two.encode().into();
    assert_eq!(bad.verify(&f.set, &f.domain), Err(ReceiptError::Acks));
    let two = f.certify(9, commit.value_id, &[0, 1]);
    assert_eq!(
        two.verify(&f.set, &f.domain),
        Err(CertError::Quorum { weight: 65_000_000_000, total: 134_000_000_000 })
    );
    let twice = CommitCertificate {
        signatures: [commit.signatures.clone(), commit.signatures.clone()].concat(),
        ..commit.clone()
    };
    assert!(matches!(twice.verify(&f.set, &f.domain), Err(CertError::Count { .. })));
    let outside = CommitCertificate { signers: Bitmap::of([0, 1, 9]), ..commit.clone() };
    assert_eq!(outside.verify(&f.set, &f.domain), Err(CertError::Signer(9)));
    let swapped = CommitCertificate { signers: Bitmap::of([0, 1, 2]), ..commit.clone() };
    assert_eq!(swapped.verify(&f.set, &f.domain), Err(CertError::Signature(2)));
    let polka = PolkaCertificate {
        epoch: commit.epoch,
        height: commit.height,
        round: commit.round,
        value_id: commit.value_id,
        signers: commit.signers,
        signatures: commit.signatures,
    };
    assert!(polka.verify(&f.set, &f.domain).is_err(), "precommits are no polka");
}

#[test]
fn a_certificate_counts_only_with_the_set_of_its_epoch() {
    let Case { f, receipt, certificates: (acks, commit) } = case();
    let later = ValidatorSet::new(EPOCH + 1, f.set.iter().map(|(_, v)| v.clone()).collect());
    assert_eq!(
        commit.verify(&later, &f.domain),
        Err(CertError::Epoch { got: EPOCH, set: EPOCH + 1 })
    );
    assert!(acks.verify(&later, &f.domain).is_err());
    for stripped in [receipt.clone(), Receipt { acked: None, decided: None, ..receipt }] {
        assert!(stripped.verify(&later, &f.domain).is_err(), "a frame of another epoch");
    }
}
