//! Known bytes for every signed format, shared with the contracts' tests (`tests/vectors/formats.json`).
//!
//! `UPDATE_VECTORS=1 cargo test -p rota-types --test vectors` writes the file; otherwise it is compared.
//! Keys are flat; byte strings are `0x` hex; integers that fit 53 bits are numbers, wider ones 32-byte hex.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::redundant_clone,
    clippy::unwrap_used,
    reason = "test code"
)]

mod common;

use alloy_primitives::{hex, keccak256};
use common::{
    Four, four,
    sample::{EPOCH, HEIGHT, digest_of, frame, header},
    seq_seed, vote_secret,
};
use rota_types::*;
use serde_json::{Map, Value, json};

#[derive(Default)]
struct Out(Map<String, Value>);

impl Out {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        assert!(self.0.insert(key.to_owned(), value.into()).is_none(), "{key} twice");
    }
    fn hex(&mut self, key: &str, bytes: impl AsRef<[u8]>) {
        self.set(key, hex::encode_prefixed(bytes));
    }
    fn wide(&mut self, key: &str, v: u128) {
        self.hex(key, U256::from(v).to_be_bytes::<32>());
    }
    fn hexes<T: AsRef<[u8]>>(&mut self, key: &str, items: impl IntoIterator<Item = T>) {
        self.set(key, items.into_iter().map(hex::encode_prefixed).collect::<Vec<_>>());
    }
}

fn network(o: &mut Out, f: &Four) {
    let d = &f.domain;
    o.set("l1_chain_id", d.l1_chain_id);
    o.set("l2_chain_id", d.l2_chain_id);
    o.hex("registry", d.registry);
    o.hex("genesis_hash", d.genesis_hash);
    o.set("generation", d.generation);
    o.hex("ctx", d.ctx());
    o.hex("domain_separator", d.separator());
    for (name, tag) in [
        ("frame", Tag::Frame),
        ("init", Tag::Init),
        ("ack", Tag::Ack),
        ("header", Tag::Header),
        ("pop", Tag::Possession),
    ] {
        o.hex(&format!("tag_{name}"), keccak256(format!("rota/v1/{name}")));
        o.hex(&format!("digest_abc_{name}"), d.digest(tag, b"abc"));
    }
    o.hexes("seq_seeds", (0..4).map(seq_seed));
    o.hexes("vote_secrets", (0..4).map(vote_secret));
    o.hexes("seq_keys", f.seq.iter().map(SeqKey::public));
    o.hexes("vote_keys", f.vote.iter().map(VoteKey::address));
}

fn frames(o: &mut Out, f: &Four) {
    let a = frame();
    o.set("frame_epoch", a.epoch);
    o.set("frame_term_height", a.term.height);
    o.set("frame_term_round", a.term.round);
    o.set("frame_leader", a.leader);
    o.set("frame_g", a.g);
    o.set("frame_seq", a.seq);
    o.hex("frame_prev_hash", a.prev_hash);
    o.hex("frame_init_hash", a.init_hash);
    o.set("frame_height", a.height);
    o.set("frame_flags", a.flags.bits());
    o.set("frame_timestamp_ms", a.timestamp_ms);
    o.set("frame_tx_count", a.tx_count);
    o.hex("frame_tx_root", a.tx_root);
    o.set("frame_gas_cum", a.gas_cum);
    o.hex("frame_exec_commit", a.exec_commit);
    o.wide("frame_insured_cum", a.insured_cum);
    o.hex("frame_env_hash", a.env_hash);
    o.hex("frame_close_hash", a.close_hash);
    // A second frame for the same position of the same term: E1a evidence.
    let b = FrameHeader { timestamp_ms: a.timestamp_ms + 1, ..a.clone() };
    // Two that follow each other, the second linked wrongly: E1d evidence.
    let c = FrameHeader { g: a.g + 1, seq: a.seq + 1, prev_hash: digest_of(99), ..a.clone() };
    let d = FrameHeader { prev_hash: a.hash(&f.domain), ..c.clone() };
    for (name, header) in
        [("frame", a), ("frame_conflict", b), ("frame_broken_link", c), ("frame_next", d)]
    {
        let signed = SignedFrame::sign(header, FrameBody::default(), &f.seq[1], &f.domain);
        o.hex(&format!("{name}_enc"), signed.header.encode());
        o.hex(&format!("{name}_hash"), signed.header.hash(&f.domain));
        o.hex(&format!("{name}_sig"), signed.signature);
    }
}

fn acks(o: &mut Out, f: &Four) {
    for (name, hash) in [("ack", digest_of(20)), ("ack_conflict", digest_of(21))] {
        let ack = Ack {
            epoch: EPOCH,
            height: HEIGHT,
            round: 2,
            signer: 3,
            g: 900_005,
            frame_hash: hash,
            init_hash: digest_of(13),
        };
        let signed = SignedAck::sign(ack, &f.seq[3], &f.domain);
        o.hex(&format!("{name}_enc"), signed.ack.encode());
        o.hex(&format!("{name}_digest"), signed.ack.digest(&f.domain));
        o.hex(&format!("{name}_sig"), signed.signature);
    }
}

fn status_and_init(o: &mut Out, f: &Four) {
    let status = |signer: u16, best: u8| Status {
        epoch: EPOCH,
        height: HEIGHT,
        round: 2,
        signer,
        best_round: i32::from(best) - 1,
        best_g: 900_004,
        best_hash: digest_of(30 + best),
        best_ref: B256::ZERO,
    };
    let sign = |s: Status| {
        let key = &f.vote[usize::from(s.signer)];
        SignedStatus::sign(s, key, &f.domain)
    };
    for (name, s) in [("status", status(2, 1)), ("status_conflict", status(2, 0))] {
        o.hex(&format!("{name}_enc"), s.encode());
        o.set(&format!("{name}_best_round"), s.best_round);
        o.hex(&format!("{name}_best_hash"), s.best_hash);
        o.hex(&format!("{name}_digest"), s.digest(&f.domain));
        o.hex(&format!("{name}_sig"), sign(s).signature);
    }
    o.set("status_epoch", EPOCH);
    o.set("status_height", HEIGHT);
    o.set("status_round", 2);
    o.set("status_signer", 2);
    o.set("status_best_g", 900_004);
    o.hex("status_best_ref", B256::ZERO);
    let reports: Vec<SignedStatus> = [0, 2, 3].map(|i| sign(status(i, 1))).to_vec();
    for (name, carry_g) in [("init", 900_004), ("init_conflict", 900_003)] {
        let init = TermInit {
            epoch: EPOCH,
            height: HEIGHT,
            round: 2,
            leader: 1,
            carry_g,
            carry_hash: digest_of(31),
            carry_closed: false,
            j_root: TermInit::root_of(&reports, &f.domain),
            j_count: 3,
        };
        let signed = SignedTermInit::sign(init, reports.clone(), &f.seq[1], &f.domain);
        o.hex(&format!("{name}_enc"), signed.init.encode());
        o.hex(&format!("{name}_hash"), signed.init.hash(&f.domain));
        o.hex(&format!("{name}_sig"), signed.signature);
    }
    o.hexes("init_status_digests", reports.iter().map(|r| r.status.digest(&f.domain)));
}

fn votes(o: &mut Out, f: &Four) {
    let id = header().value_id(&f.domain);
    let kinds = [
        ("vote_prevote", VoteKind::Prevote, id),
        ("vote_precommit", VoteKind::Precommit, id),
        ("vote_nil", VoteKind::Prevote, B256::ZERO),
    ];
    for (name, kind, value_id) in kinds {
        let vote = Vote { epoch: EPOCH, height: HEIGHT, round: 2, kind, value_id };
        let signed = SignedVote::sign(vote, 0, &f.vote[0], &f.domain);
        o.hex(&format!("{name}_enc"), signed.vote.encode());
        o.set(&format!("{name}_kind"), kind as u8);
        o.hex(&format!("{name}_value_id"), value_id);
        o.hex(&format!("{name}_digest"), signed.vote.digest(&f.domain));
        o.hex(&format!("{name}_sig"), signed.signature);
    }
    o.set("vote_epoch", EPOCH);
    o.set("vote_height", HEIGHT);
    o.set("vote_round", 2);
    o.set("vote_signer", 0);
    for (name, pol_round) in [("proposal", -1), ("proposal_conflict", 1)] {
        let proposal = Proposal {
            epoch: EPOCH,
            height: HEIGHT,
            round: 2,
            pol_round,
            proposer: 1,
            value_id: id,
            init_hash: digest_of(13),
        };
        let signed = SignedProposal::sign(proposal, header(), None, &f.vote[1], &f.domain);
        o.set(&format!("{name}_pol_round"), pol_round);
        o.hex(&format!("{name}_enc"), signed.proposal.encode());
        o.hex(&format!("{name}_digest"), signed.proposal.digest(&f.domain));
        o.hex(&format!("{name}_sig"), signed.signature);
    }
    o.set("proposal_epoch", EPOCH);
    o.set("proposal_height", HEIGHT);
    o.set("proposal_round", 2);
    o.set("proposal_proposer", 1);
    o.hex("proposal_value_id", id);
    o.hex("proposal_init_hash", digest_of(13));
}

fn headers(o: &mut Out, f: &Four) {
    let h = header();
    o.hex("env_enc", h.env.encode());
    o.hex("close_enc", h.close.encode());
    o.hex("header_enc", h.encode());
    o.hex("header_value_id", h.value_id(&f.domain));
    o.set("header_generation", h.close.generation);
    o.set("header_epoch", h.close.epoch);
    o.set("header_height", h.close.height);
    o.set("header_timestamp_s", h.env.timestamp_s);
    o.set("header_l1_number", h.env.l1_number);
    o.hex("header_l1_hash", h.env.l1_hash);
    o.hex("header_parent_id", h.close.parent_id);
    o.hex("header_next_set_hash", h.close.next_set_hash);
    o.wide("header_insured_total", h.close.insured_total);
    o.hex("header_history_root", h.close.history_root);
    o.set("header_first_g", h.first_g);
    o.set("header_last_g", h.last_g);
    o.hex("header_txs_root", h.txs_root);
    o.hex("header_frames_root", h.frames_root);
    let mut mmr = Mmr::default();
    let ids: Vec<B256> = (0..7).map(|i| digest_of(50 + i)).collect();
    let mut roots = vec![mmr.root()];
    for id in &ids {
        mmr.push(*id);
        roots.push(mmr.root());
    }
    o.hexes("mmr_leaves", &ids);
    o.hexes("mmr_roots", &roots);
}

fn registration(o: &mut Out, f: &Four) {
    let v = f.set.get(2).unwrap();
    let (seq, vote) = (&f.seq[2], &f.vote[2]);
    let digest =
        f.domain.possession(v.owner, v.vote_key, &v.seq_key, v.fee_recipient, v.peer.as_bytes());
    o.hex("possession_owner", v.owner);
    o.hex("possession_vote_key", v.vote_key);
    o.hex("possession_seq_key", v.seq_key);
    o.hex("possession_fee_recipient", v.fee_recipient);
    o.set("possession_peer", v.peer.clone());
    o.hex("possession_digest", digest);
    o.hex("possession_seq_sig", seq.sign(&digest));
    let vote_digest = f.domain.possession_vote(digest);
    o.hex("possession_vote_digest", vote_digest);
    o.hex("possession_vote_sig", vote.sign(&vote_digest));
}

fn set_and_certificate(o: &mut Out, f: &Four) {
    let record =
        |v: &Validator| [v.vote_key.as_slice(), &[0; 4], &v.power().to_be_bytes()].concat();
    let records: Vec<Vec<u8>> = f.set.iter().map(|(_, v)| record(v)).collect();
    o.set("set_epoch", EPOCH);
    o.hexes("set_stakes_wei", f.set.iter().map(|(_, v)| v.stake.to_be_bytes::<32>()));
    o.set("set_powers_gwei", f.set.iter().map(|(_, v)| v.power()).collect::<Vec<_>>());
    o.hexes("set_records", &records);
    o.hex("set_packed", records.concat());
    o.hex("set_hash", f.set.hash());
    o.set("set_total_gwei", f.set.total());
    let id = header().value_id(&f.domain);
    for (name, signers) in [("cert", &[0u16, 1, 3][..]), ("cert_no_quorum", &[0, 1])] {
        let cert = f.certify(HEIGHT, id, signers);
        o.set(&format!("{name}_signers"), json!(signers));
        o.hex(&format!("{name}_bitmap"), cert.signers.as_bytes());
        o.hex(&format!("{name}_signatures"), cert.packed_signatures());
        o.hex(&format!("{name}_digest"), cert.vote().digest(&f.domain));
        o.hex(&format!("{name}_enc"), cert.encode());
        let weight = cert.verify(&f.set, &f.domain);
        assert_eq!(weight.is_ok(), signers.len() == 3);
        if let Ok(weight) = weight {
            o.set(&format!("{name}_weight_gwei"), weight);
        }
    }
    o.set("cert_epoch", EPOCH);
    o.set("cert_height", HEIGHT);
    o.set("cert_round", 0);
    o.hex("cert_value_id", id);
}

fn merkle(o: &mut Out) {
    let hashes: Vec<B256> = (0..7).map(|i| digest_of(70 + i)).collect();
    let insured: Vec<u128> = (0..7).map(|i| i * 1_000_000_000_000_000_000).collect();
    let root = tx_root(&hashes, &insured);
    o.hexes("merkle_tx_hashes", &hashes);
    o.hexes("merkle_insured_wei", insured.iter().map(|i| U256::from(*i).to_be_bytes::<32>()));
    o.set("merkle_count", 7);
    o.hex("merkle_root", root);
    o.hex("merkle_root_single", tx_root(&hashes[..1], &insured[..1]));
    o.hex("merkle_root_hash_list", hash_list_root(&hashes));
    o.hexes(
        "merkle_leaves",
        (0u32..).zip(&hashes).zip(&insured).map(|((i, h), a)| tx_leaf(i, h, *a)),
    );
    for i in 0u32..7 {
        let proof = tx_proof(&hashes, &insured, i).unwrap();
        let at = usize::try_from(i).unwrap();
        assert!(verify_tx(&root, &hashes[at], insured[at], &proof));
        o.hexes(&format!("merkle_proof_{i}"), &proof.siblings);
    }
}

#[test]
fn the_bytes_are_the_ones_on_record() {
    let f = four(EPOCH);
    let mut o = Out::default();
    network(&mut o, &f);
    frames(&mut o, &f);
    acks(&mut o, &f);
    status_and_init(&mut o, &f);
    votes(&mut o, &f);
    headers(&mut o, &f);
    registration(&mut o, &f);
    set_and_certificate(&mut o, &f);
    merkle(&mut o);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/formats.json");
    let text = serde_json::to_string_pretty(&Value::Object(o.0.clone())).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let recorded: Map<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (key, value) in &o.0 {
        assert_eq!(
            recorded.get(key),
            Some(value),
            "{key} changed; every signature ever made breaks"
        );
    }
    assert_eq!(recorded.len(), o.0.len());
}
