//! A light proof shows what it says under one L1 block hash, and no changed part passes.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

#[expect(dead_code, reason = "shared with the tests of receipts")]
mod cases;
#[path = "../../types/tests/common/mod.rs"]
mod common;

use alloy_rlp::Encodable;
use alloy_trie::{HashBuilder, Nibbles, proof::ProofRetainer};
use cases::{Case, EPOCH, ETH, HEIGHT, case};
use common::Gen;
use rota_types::*;
use rota_verify::{LightAnchor, LightInvalid, LightVerdict, TRUST_BLOCKS, verify_light};
use serde_json::{Value, json};

const L1_NUMBER: u64 = 90_000;
const FROZEN: u64 = 500;
/// The height that is certified when an earlier one is asked for.
const LATER: u64 = 21;

/// A trie over hashed keys: its root, and the nodes to each of some keys, if they are there or not.
fn trie(leaves: &[(B256, Vec<u8>)], ask: &[B256]) -> (B256, Vec<Vec<Bytes>>) {
    let mut leaves: Vec<_> = leaves.iter().map(|(k, v)| (Nibbles::unpack(k), v)).collect();
    leaves.sort();
    let targets: Vec<Nibbles> = ask.iter().map(Nibbles::unpack).collect();
    let mut builder =
        HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets.clone()));
    leaves.iter().for_each(|(k, v)| builder.add_leaf(*k, v));
    let root = builder.root();
    let nodes = builder.take_proof_nodes();
    let to = |key: &Nibbles| {
        nodes.matching_nodes_sorted(key).into_iter().map(|(_, node)| node).collect()
    };
    (root, targets.iter().map(to).collect())
}

fn rlp(value: impl Encodable) -> Vec<u8> {
    alloy_rlp::encode(value)
}

fn listed(fields: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let payload_length = fields.iter().map(Vec::len).sum();
    alloy_rlp::Header { list: true, payload_length }.encode(&mut out);
    fields.iter().for_each(|f| out.extend(f));
    out
}

fn hashed(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

/// `keys || next || frozen_at`, as the contract packs it.
fn entry(next: u64, frozen_at: u64) -> U256 {
    U256::from(0xabcd) | (U256::from(next) << 160) | (U256::from(frozen_at) << 192)
}

/// An L1 block whose Registry froze this set, and maybe a later one.
fn on_l1(set: &ReceiptSet, registry: Address, next: Option<(u64, u64)>) -> SetProof {
    let id = U256::from_be_bytes(set.id().0);
    let own = entry(next.map_or(0, |n| n.0), FROZEN);
    let mut words = vec![(set_id_slot(set.epoch), id), (set_entry_slot(set.epoch), own)];
    let later = next.map(|(epoch, frozen)| (set_entry_slot(epoch), entry(0, frozen)));
    words.extend(later);
    words.extend((0..40).map(|n| (U256::from(n), U256::from(n + 1))));
    let leaves: Vec<_> = words.iter().map(|(slot, v)| (hashed(*slot), rlp(v))).collect();
    let ask: Vec<B256> = words.iter().take(3).map(|(slot, _)| hashed(*slot)).collect();
    let (storage_hash, nodes) = trie(&leaves, &ask);
    let slot = |at: usize| SlotProof { value: words[at].1, proof: nodes[at].clone() };
    let (nonce, balance, code_hash) = (1, U256::from(7 * ETH), B256::repeat_byte(0xc0));
    let account = listed(&[rlp(nonce), rlp(balance), rlp(storage_hash), rlp(code_hash)]);
    let others = (0..30u8).map(|n| (keccak256([n]), rlp(U256::from(n + 1))));
    let leaves: Vec<_> = others.chain([(keccak256(registry), account)]).collect();
    let (state_root, nodes) = trie(&leaves, &[keccak256(registry)]);
    // Twenty fields, as an Ethereum header has.
    let mut fields = vec![rlp(B256::repeat_byte(1)); 20];
    (fields[3], fields[8], fields[11]) = (rlp(state_root), rlp(L1_NUMBER), rlp(1_700_000_000u64));
    SetProof {
        header: listed(&fields).into(),
        nonce,
        balance,
        storage_hash,
        code_hash,
        account_proof: nodes[0].clone(),
        id: slot(0),
        entry: slot(1),
        next: next.map(|_| slot(2)),
    }
}

/// The height of `case` with a checkpoint, certified itself or below height 21.
fn proof(case: &Case, later: bool, next: Option<(u64, u64)>) -> (LightProof, LightAnchor) {
    let domain = &case.f.domain;
    let point = LagPoint {
        height: 64,
        block_number: 8,
        block_hash: B256::repeat_byte(8),
        rewards_root: B256::repeat_byte(9),
    };
    let mut header = case.header.clone();
    header.close.generation = domain.generation;
    (header.close.exec_lag_height, header.close.exec_lag_root) = (64, point.root());
    let set = ReceiptSet::of(&case.f.set);
    let l1 = on_l1(&set, domain.registry, next);
    let anchor = LightAnchor {
        ctx: domain.ctx(),
        l1_block: keccak256(&l1.header),
        trust_blocks: TRUST_BLOCKS,
    };
    let (mut certified, mut below) = (header.clone(), None);
    if later {
        let id = |height| match height {
            HEIGHT => header.value_id(domain),
            other => B256::left_padding_from(&other.to_be_bytes()),
        };
        let mut nodes = std::collections::BTreeMap::new();
        let mut history = Mmr::default();
        for height in 1..LATER {
            let stored = |at: MmrPlace| Ok::<_, ()>(nodes.get(&at).copied());
            let grown = MmrPlace::grow(height - 1, &id(height), stored).unwrap();
            nodes.extend(grown);
            history.push(id(height));
        }
        certified = Gen(5).header();
        (certified.close.height, certified.close.epoch) = (LATER, EPOCH);
        certified.close.history_root = history.root();
        let stored = |at: MmrPlace| Ok::<_, ()>(nodes.get(&at).copied());
        let history = MmrProof::of(HEIGHT - 1, LATER - 1, stored).unwrap().unwrap();
        below = Some(Below { header: (&header).into(), history });
    }
    let certificate = case.f.certify(certified.height(), certified.value_id(domain), &[0, 1, 3]);
    let decided = case.decision(&[0, 1, 3]);
    let transaction = LightTx {
        hash: case.leader.transaction_hash,
        insured: case.leader.insured,
        position: case.leader.position.clone(),
        frame: case.leader.frame.clone(),
        frame_proof: decided.frame_proof,
    };
    let proof = LightProof {
        v: LIGHT_VERSION,
        domain: ReceiptDomain::of(domain),
        set,
        l1: Some(l1),
        header: (&certified).into(),
        certificate: certificate.encode().into(),
        below,
        transaction: Some(transaction),
        checkpoint: Some(point.encode().into()),
    };
    (proof, anchor)
}

fn holds(proof: &LightProof, anchor: &LightAnchor) -> LightVerdict {
    let json = serde_json::to_string(proof).unwrap();
    verify_light(&serde_json::from_str(&json).unwrap(), anchor).unwrap()
}

#[test]
fn a_transaction_and_a_block_hash_follow_from_one_l1_block() {
    let case = case();
    for (later, next) in [(false, None), (true, None), (true, Some((EPOCH + 4, L1_NUMBER - 9)))] {
        let (proof, anchor) = proof(&case, later, next);
        let verdict = holds(&proof, &anchor);
        assert_eq!((verdict.l1_block, verdict.l1_timestamp), (L1_NUMBER, 1_700_000_000));
        assert_eq!(verdict.certified_height, if later { LATER } else { HEIGHT });
        assert_eq!((verdict.height, verdict.epoch), (HEIGHT, EPOCH));
        assert_eq!(verdict.superseded_at, next.map(|n| n.1));
        let place = verdict.transaction.unwrap();
        assert_eq!((place.hash, place.g, place.index), (case.leader.transaction_hash, 100, 1));
        assert_eq!(verdict.checkpoint.unwrap().block_hash, B256::repeat_byte(8));
    }
}

/// Whoever held an old set's keys and has left could sign anything: its set is believed for a while only.
#[test]
fn a_set_that_was_replaced_long_ago_is_not_believed() {
    let case = case();
    let frozen = L1_NUMBER - TRUST_BLOCKS;
    let (ok, anchor) = proof(&case, true, Some((EPOCH + 1, frozen)));
    holds(&ok, &anchor);
    let (old, anchor) = proof(&case, true, Some((EPOCH + 1, frozen - 1)));
    let expired = LightInvalid::Expired { blocks: TRUST_BLOCKS + 1 };
    assert_eq!(verify_light(&old, &anchor), Err(expired));
    // Leaving the successor out, or hiding it, does not help.
    let mut hidden = old;
    hidden.l1.as_mut().unwrap().next = None;
    assert!(matches!(verify_light(&hidden, &anchor), Err(LightInvalid::Storage(_))));
    hidden.l1.as_mut().unwrap().entry.value = entry(0, FROZEN);
    assert!(matches!(verify_light(&hidden, &anchor), Err(LightInvalid::Storage(_))));
    // Nor to say that there is no such word, with the way to it cut off.
    let cut = &mut hidden.l1.as_mut().unwrap().entry;
    cut.value = U256::ZERO;
    cut.proof.truncate(1);
    assert!(matches!(verify_light(&hidden, &anchor), Err(LightInvalid::Storage(_))));
}

#[test]
fn each_part_is_needed_and_belongs_to_the_others() {
    let case = case();
    let (good, anchor) = proof(&case, true, None);
    let refused = |change: &dyn Fn(&mut LightProof)| {
        let mut changed = good.clone();
        change(&mut changed);
        verify_light(&changed, &anchor).unwrap_err()
    };
    assert_eq!(refused(&|p| p.v = 2), LightInvalid::Version(2));
    assert_eq!(refused(&|p| p.domain.generation += 1), LightInvalid::Network);
    assert_eq!(refused(&|p| p.l1 = None), LightInvalid::NoL1);
    assert_eq!(refused(&|p| p.set.members[0].stake_gwei += 1), LightInvalid::Set);
    let other = on_l1(&good.set, Address::repeat_byte(9), None);
    assert_eq!(refused(&|p| p.l1 = Some(other.clone())), LightInvalid::L1Block);
    let two = case.f.certify(LATER, B256::repeat_byte(3), &[0, 1, 3]).encode();
    assert_eq!(refused(&|p| p.certificate = two.clone().into()), LightInvalid::Commit);
    let few = {
        let id = Header::decode(&good.header).unwrap().value_id(&case.f.domain);
        case.f.certify(LATER, id, &[0, 1]).encode()
    };
    assert_eq!(refused(&|p| p.certificate = few.clone().into()), LightInvalid::Commit);
    assert_eq!(refused(&|p| p.below.as_mut().unwrap().history.index += 1), LightInvalid::History);
    assert_eq!(
        refused(&|p| p.transaction.as_mut().unwrap().insured += 1),
        LightInvalid::Transaction
    );
    // Without the earlier header the rest is of the certified height, where none of it is.
    assert_eq!(refused(&|p| p.below = None), LightInvalid::Transaction);
    let checkpoint = |p: &mut LightProof| (p.below, p.transaction) = (None, None);
    assert_eq!(refused(&checkpoint), LightInvalid::Checkpoint);
}

/// Every byte string in the file, changed in a few places each.
#[test]
fn no_changed_byte_passes() {
    let case = case();
    let (good, anchor) = proof(&case, true, Some((EPOCH + 4, L1_NUMBER - 9)));
    let text = serde_json::to_string(&good).unwrap();
    let (mut changed, mut at) = (0, 0);
    let mut g = Gen(3);
    while let Some(found) = text[at..].find("\"0x") {
        let start = at + found + 3;
        let length = text[start..].find('"').unwrap();
        at = start + length + 1;
        for _ in 0..length.min(6) {
            let place = start + usize::try_from(g.u64() % length as u64).unwrap();
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
            let Ok(proof) = serde_json::from_slice::<LightProof>(&bytes) else { continue };
            assert!(proof == good || verify_light(&proof, &anchor).is_err(), "at {place}");
            changed += 1;
        }
    }
    assert!(changed > 150, "{changed}");
}

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/light.json");

/// What the WebAssembly build is held to: proofs that hold, and changes of the last that do not. `UPDATE_VECTORS=1` writes it.
#[test]
fn the_vectors_are_what_this_code_makes_and_judges() {
    let case = case();
    let kinds = [
        ("certified itself", false, None),
        ("below a later height", true, None),
        ("under a set that has a successor", true, Some((EPOCH + 4, L1_NUMBER - 9))),
    ];
    let made = kinds.map(|(name, later, next)| (name, proof(&case, later, next)));
    let answer = |proof: &LightProof, anchor: &LightAnchor| match verify_light(proof, anchor) {
        Ok(verdict) => json!({ "ok": verdict }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    let proofs = made.iter().map(|(name, (proof, anchor))| {
        json!({
            "name": name, "ctx": anchor.ctx, "l1Block": anchor.l1_block, "proof": proof,
            "answer": answer(proof, anchor),
        })
    });
    let (good, anchor) = &made[2].1;
    let paths = [
        "/header",
        "/certificate",
        "/below/header",
        "/transaction/hash",
        "/transaction/frame",
        "/checkpoint",
        "/l1/header",
        "/l1/storageHash",
        "/l1/accountProof/0",
        "/l1/id/proof/0",
        "/l1/entry/proof/1",
        "/l1/next/proof/0",
        "/domain/genesisHash",
        "/set/members/1/voteKey",
    ];
    let changes = paths.map(|path| {
        let mut bad = json!(good);
        let text = bad.pointer(path).unwrap().as_str().unwrap().to_owned();
        let byte = u8::from_str_radix(&text[22..24], 16).unwrap() ^ 1;
        *bad.pointer_mut(path).unwrap() =
            format!("{}{byte:02x}{}", &text[..22], &text[24..]).into();
        let bad = serde_json::from_value(bad).unwrap();
        json!({ "path": path, "flip": 10, "answer": answer(&bad, anchor) })
    });
    let built = json!({
        "about": "Light proofs with the answers that a verifier must give; then changes of the last of them, each of which must be refused.",
        "proofs": proofs.collect::<Vec<_>>(), "changes": changes,
    });
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(PATH, serde_json::to_string_pretty(&built).unwrap() + "\n").unwrap();
    }
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    assert_eq!(recorded, built, "proofs that users keep would be judged otherwise");
    for change in recorded["changes"].as_array().unwrap() {
        assert!(change["answer"]["error"].is_string(), "{change}");
    }
}
