//! I-24: a receipt proves what it says with two hashes only, and no changed part passes.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "test code"
)]

mod cases;
#[path = "../../types/tests/common/mod.rs"]
mod common;

use cases::{Case, EPOCH, ETH, HEIGHT, case, init};
use rota_types::*;
use rota_verify::{Anchor, Invalid, Verdict, covered, verify};

fn check(case: &Case, receipt: &Receipt) -> Result<Verdict, Invalid> {
    verify(receipt, &case.anchor())
}

#[test]
fn each_part_lifts_the_stage_and_json_keeps_it() {
    let case = case();
    for (name, receipt) in case.stages() {
        let verdict = check(&case, &receipt).unwrap();
        let stage = match name.split([' ', ',']).next().unwrap() {
            "posted" | "finalized" => Stage::Decided,
            other => other.parse().unwrap(),
        };
        assert_eq!(verdict.stage, stage, "{name}");
        let claimed = name.split([' ', ',']).next().unwrap();
        assert_eq!(verdict.claimed.name(), claimed);
        let json = serde_json::to_string(&receipt).unwrap();
        assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
    }
}

/// Stakes are 32, 33, 34 and 35 ETH, two thirds of 134 ETH are 89 1/3.
#[test]
fn the_weight_is_that_of_the_signers_and_the_amount_is_exact() {
    let case = case();
    let stages = case.stages();
    let acked = |name: &str| {
        let receipt = &stages.iter().find(|s| s.0 == name).unwrap().1;
        check(&case, receipt).unwrap().acked.unwrap()
    };
    let wei = |text: &str| text.parse::<U256>().unwrap();
    let first = acked("acked");
    assert_eq!((first.weight_gwei, first.total_gwei), (101_000_000_000, 134_000_000_000));
    assert_eq!(
        (first.signers.as_slice(), first.g, first.round_leader),
        (&[0, 2, 3][..], 101, Some(1))
    );
    // 33 + (101 - 89 1/3)
    assert_eq!(first.secured_wei, wei("44666666666666666666"));
    // The round's leader has 32: 32 + (134 - 89 1/3)
    let round = acked("acked in a later round, whose leader has less stake");
    assert_eq!((round.round_leader, round.secured_wei), (Some(0), wei("76666666666666666666")));
    // 32 + (102 - 89 1/3), by the opening; without it the smallest stake counts, which is the same here.
    let opened = acked("acked in a later round, with its opening");
    assert_eq!((opened.round_leader, opened.secured_wei), (Some(0), wei("44666666666666666666")));
    let hidden = acked("acked in a later round, whose leader is not shown");
    assert_eq!((hidden.round_leader, hidden.secured_wei), (None, opened.secured_wei));
}

/// A receipt of the leader alone for the same transaction in a frame that insures another amount.
fn insuring(case: &Case, amount: u128) -> Receipt {
    let raw = case.leader.transaction.clone().unwrap();
    let hashes = [case.leader.transaction_hash];
    let body = FrameBody { txs: vec![raw], insured: vec![amount], ..FrameBody::default() };
    let header = FrameHeader { tx_count: 1, tx_root: body.root(), ..case.frames[0].clone() };
    let key = &case.f.seq[1];
    let signed = SignedFrame::sign(header, body, key, &case.f.domain);
    Receipt {
        insured: amount,
        frame: (&signed.header).into(),
        signature: signed.signature.into(),
        position: tx_proof(&hashes, &[amount], 0).unwrap(),
        ..case.leader.clone()
    }
}

/// Acks for the very frame of a receipt.
fn acks_of(case: &Case, receipt: &Receipt, round: u32, signers: &[u16]) -> AckProof {
    let frame = FrameHeader::decode(&receipt.frame).unwrap();
    let (init, init_hash) = match round {
        0 => (None, B256::ZERO),
        _ => (Some(init().encode().into()), init().hash(&case.f.domain)),
    };
    let place = (HEIGHT, round, frame.g);
    let cert = case.f.acks(place, frame.hash(&case.f.domain), init_hash, signers);
    AckProof { certificate: cert.encode().into(), headers: Vec::new(), init }
}

#[test]
fn what_is_insured_counts_from_acked_on_and_not_beyond_the_stake_of_who_led() {
    let case = case();
    let stages = case.stages();
    let of = |name: &str| check(&case, &stages.iter().find(|s| s.0 == name).unwrap().1).unwrap();
    let first = of("preconfirmed");
    let insured = first.insured.unwrap();
    assert_eq!((insured.amount_wei, insured.covered_wei, insured.claimable), (7 * ETH, 0, false));
    assert!(covered(&first).unwrap().contains("nothing is covered"));
    let acked = of("acked");
    let insured = acked.insured.unwrap();
    assert_eq!((insured.covered_wei, insured.claimable), (7 * ETH, true));
    assert!(covered(&acked).unwrap().starts_with("7 ETH are insured"));
    // 80 % of the 33 ETH of the leader, of the 32 ETH of who led the round of the acks.
    let much = insuring(&case, 50 * ETH);
    let with =
        |acked: AckProof| check(&case, &Receipt { acked: Some(acked), ..much.clone() }).unwrap();
    let capped = with(acks_of(&case, &much, 0, &[0, 2, 3]));
    assert_eq!(capped.insured.unwrap().covered_wei, 264 * ETH / 10);
    assert!(covered(&capped).unwrap().starts_with("26.4 of 50"));
    let round = with(acks_of(&case, &much, 2, &[1, 2, 3]));
    assert_eq!(round.insured.unwrap().covered_wei, 256 * ETH / 10);
    let none = check(&case, &insuring(&case, 0)).unwrap();
    assert_eq!((none.insured, covered(&none)), (None, None));
    let bare = Receipt { transaction: None, ..stages[1].1.clone() };
    assert!(!check(&case, &bare).unwrap().insured.unwrap().claimable);
    let other = Receipt { transaction: Some(Bytes::from_static(b"other")), ..case.leader.clone() };
    assert_eq!(check(&case, &other), Err(Invalid::Transaction));
}

/// Every receipt that differs from a good one in one bit of one part.
fn tampered(good: &Receipt) -> Vec<(String, Receipt)> {
    fn flips(
        out: &mut Vec<(String, Receipt)>,
        good: &Receipt,
        what: &str,
        part: impl Fn(&mut Receipt) -> &mut Bytes,
    ) {
        let length = part(&mut good.clone()).len();
        for at in 0..length {
            let mut bad = good.clone();
            let bytes = part(&mut bad);
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << (at % 8);
            *bytes = changed.into();
            out.push((format!("{what} at byte {at}"), bad));
        }
    }
    let mut out = Vec::new();
    flips(&mut out, good, "frame", |r| &mut r.frame);
    flips(&mut out, good, "signature", |r| &mut r.signature);
    flips(&mut out, good, "transaction", |r| r.transaction.as_mut().unwrap());
    flips(&mut out, good, "acks", |r| &mut r.acked.as_mut().unwrap().certificate);
    flips(&mut out, good, "acked header", |r| &mut r.acked.as_mut().unwrap().headers[0]);
    flips(&mut out, good, "header", |r| &mut r.decided.as_mut().unwrap().header);
    flips(&mut out, good, "commit", |r| &mut r.decided.as_mut().unwrap().certificate);
    let mut change = |what: &str, f: &dyn Fn(&mut Receipt)| {
        let mut bad = good.clone();
        f(&mut bad);
        out.push((what.to_owned(), bad));
    };
    for at in 0..32 {
        change("ctx", &|r| r.ctx.0[at] ^= 1);
        change("set id", &|r| r.set_id.0[at] ^= 1);
        change("transaction", &|r| r.transaction_hash.0[at] ^= 1);
        change("genesis", &|r| r.domain.genesis_hash.0[at] ^= 1);
        change("sequencer key", &|r| r.set.members[2].seq_key.0[at] ^= 1);
    }
    change("version", &|r| r.v = 1);
    change("L1 chain", &|r| r.domain.l1_chain_id += 1);
    change("L2 chain", &|r| r.domain.l2_chain_id += 1);
    change("registry", &|r| r.domain.registry.0[0] ^= 1);
    change("generation", &|r| r.domain.generation += 1);
    change("epoch", &|r| r.set.epoch += 1);
    change("owner", &|r| r.set.members[0].owner.0[0] ^= 1);
    change("vote key", &|r| r.set.members[0].vote_key.0[0] ^= 1);
    change("stake", &|r| r.set.members[1].stake_gwei += 1);
    change("one member less", &|r| {
        r.set.members.pop();
    });
    change("a member twice", &|r| r.set.members.push(r.set.members[0].clone()));
    change("insured", &|r| r.insured += 1);
    change("insured away", &|r| r.insured = 0);
    change("index", &|r| r.position.index = 0);
    change("count", &|r| r.position.count += 1);
    change("sibling less", &|r| {
        r.position.siblings.pop();
    });
    change("sibling more", &|r| r.position.siblings.push(B256::ZERO));
    change("ack header less", &|r| {
        r.acked.as_mut().unwrap().headers.pop();
    });
    change("frame index", &|r| r.decided.as_mut().unwrap().frame_proof.index = 1);
    change("frame count", &|r| r.decided.as_mut().unwrap().frame_proof.count = 2);
    change("frame sibling", &|r| r.decided.as_mut().unwrap().frame_proof.siblings[0] = B256::ZERO);
    change("batch without a decision", &|r| r.decided = None);
    change("batch before the height", &|r| r.posted.as_mut().unwrap().last_height = HEIGHT - 1);
    change("batch longer", &|r| r.posted.as_mut().unwrap().last_height += 1);
    change("batch header less", &|r| {
        r.posted.as_mut().unwrap().headers.pop();
    });
    change("batch headers swapped", &|r| r.posted.as_mut().unwrap().headers.reverse());
    change("batch header cut", &|r| {
        r.posted.as_mut().unwrap().headers[0].truncate(HEADER_LEN - 1);
    });
    out
}

#[test]
fn no_changed_part_passes() {
    let case = case();
    let (_, receipt) = case.stages().pop().unwrap();
    assert!(check(&case, &receipt).is_ok());
    for (what, bad) in tampered(&receipt) {
        let result = check(&case, &bad);
        assert!(result.is_err(), "a changed {what} passes as {result:?}");
    }
}

/// What a batch's last header says is not signed here, so a bit of it changes what L1 is asked for.
#[test]
fn a_changed_end_of_the_batch_changes_what_l1_must_have_accepted() {
    let case = case();
    let (_, receipt) = case.stages().pop().unwrap();
    let end = |r: &Receipt| check(&case, r).unwrap().posted.unwrap().last_value_id.unwrap();
    let mut other = receipt.clone();
    let last = other.posted.as_mut().unwrap().headers.last_mut().unwrap();
    let mut changed = last.to_vec();
    changed[479] ^= 1;
    *last = changed.into();
    assert_ne!(end(&receipt), end(&other));
    let mut untied = receipt;
    untied.posted.as_mut().unwrap().headers.clear();
    assert_eq!(check(&case, &untied).unwrap().posted.unwrap().last_value_id, None);
}

#[test]
fn other_networks_and_sets_are_told_apart() {
    let case = case();
    let good = case.anchor();
    let ask = |anchor: Anchor| verify(&case.leader, &anchor).unwrap_err();
    assert_eq!(ask(Anchor { ctx: B256::ZERO, ..good }), Invalid::Network);
    assert_eq!(ask(Anchor { set_id: B256::ZERO, ..good }), Invalid::Set);
    // A set of the same votes and stakes, and so of the same hash on L1, with another ed25519 key.
    let mut forged = case.leader.clone();
    forged.set.members[1].seq_key = SeqKey::from_seed(&[1; 32]).public().into();
    assert_eq!(forged.set.set().hash(), case.f.set.hash());
    forged.set_id = forged.set.id();
    assert_eq!(verify(&forged, &good), Err(Invalid::Set));
    // A frame of another epoch than the set's.
    let later = ValidatorSet::new(EPOCH + 1, case.f.set.iter().map(|(_, v)| v.clone()).collect());
    let mut moved = case.leader.clone();
    moved.set = ReceiptSet::of(&later);
    moved.set_id = moved.set.id();
    let anchor = Anchor { set_id: moved.set_id, ..good };
    assert_eq!(verify(&moved, &anchor), Err(Invalid::Epoch));
}

#[test]
fn two_of_four_are_no_quorum_of_acks_or_votes() {
    let case = case();
    let mut acked = case.leader.clone();
    acked.acked = Some(case.acks(1, 0, &[2, 3]));
    assert_eq!(check(&case, &acked), Err(Invalid::Acks));
    let mut decided = case.leader.clone();
    decided.decided = Some(case.decision(&[2, 3]));
    assert_eq!(check(&case, &decided), Err(Invalid::Commit));
}

/// Certified headers that put the same frames somewhere else.
#[test]
fn the_frame_must_stand_at_its_own_position_and_height() {
    let case = case();
    let with = |change: &dyn Fn(&mut Header)| {
        let mut header = case.header.clone();
        change(&mut header);
        let decided = Some(case.decision_of(&header, &[0, 1, 3]));
        check(&case, &Receipt { decided, ..case.leader.clone() })
    };
    assert!(with(&|_| ()).is_ok());
    let shifted = with(&|h| (h.first_g, h.last_g) = (99, 102));
    assert_eq!(shifted, Err(Invalid::NotDecided));
    assert_eq!(with(&|h| h.close.epoch += 1), Err(Invalid::NotDecided));
    assert_eq!(with(&|h| h.close.height += 1), Err(Invalid::Commit));
}

#[test]
fn acks_of_a_higher_round_name_their_opening() {
    let case = case();
    let with = |init: TermInit| {
        let acked = AckProof { init: Some(init.encode().into()), ..case.acks(1, 2, &[1, 2, 3]) };
        check(&case, &Receipt { acked: Some(acked), ..case.leader.clone() })
    };
    assert!(with(init()).is_ok());
    assert_eq!(with(TermInit { leader: 3, ..init() }), Err(Invalid::Init));
    assert_eq!(with(TermInit { carry_g: 1, ..init() }), Err(Invalid::Init));
}

#[test]
fn a_chain_with_a_gap_in_its_positions_is_no_chain() {
    let mut case = case();
    case.frames[1].g += 1;
    case.frames[2].prev_hash = case.frames[1].hash(&case.f.domain);
    let mut acked = case.leader.clone();
    acked.acked = Some(case.acks(2, 0, &[0, 2, 3]));
    assert_eq!(check(&case, &acked), Err(Invalid::Chain));
}
