//! Insured transactions: what is free, what is refused, what the receipt says, and what a claim needs.

use crate::{
    call,
    support::{Leader, OWNER, hash_of, plain, sign, user},
};
use alloy_consensus::TxEip1559;
use alloy_primitives::{B256, Bytes, U256};
use rota_l1::Warranted;
use rota_preconf::Room;
use rota_types::{
    Claim, CommitCertificate, Decode, Fork, FrameHeader, Header, MerkleProof, Receipt, Reversion,
    WarrantyOffer,
};
use rota_verify::{Anchor, covered, verify};
use serde_json::{Value, json};

const ETH: u128 = 1_000_000_000_000_000_000;
const GWEI: u64 = 1_000_000_000;

/// 32 ETH are at stake: 25.6 cover what a leader insures, 4.26 what the set does.
fn room(leader_used: u128, set_used: u128) -> Option<Room> {
    Some(Room::new((1, 0), (32 * GWEI, leader_used), (32 * GWEI, set_used)))
}

/// A transfer whose tip pays for an ether of insurance.
fn paying(from: u8, nonce: u64) -> Bytes {
    let tip = 24 * u128::from(GWEI);
    let fee = tip + plain(0).max_fee_per_gas;
    let tx = TxEip1559 { max_priority_fee_per_gas: tip, max_fee_per_gas: fee, ..plain(nonce) };
    sign(&user(from), tx)
}

#[tokio::test]
async fn users_are_told_what_is_free_who_pays_and_what_it_costs() {
    let leader = Leader::new();
    let rpc = leader.methods();
    let unknown = call(&rpc, "preconf_getCoverage", json!([])).await.unwrap_err();
    assert_eq!(unknown["code"], 7010);
    leader.view.set_room(room(5 * ETH, 0));
    let told = call(&rpc, "preconf_getCoverage", json!([])).await.unwrap();
    assert_eq!(told["leaderFreeWei"], "20600000000000000000");
    assert_eq!(told["leaderCapWei"], "25600000000000000000");
    assert_eq!(told["setFreeWei"], "4266666666666666666");
    assert_eq!(told["freeWei"], told["setFreeWei"]);
    assert_eq!(told["releasePerL1BlockWei"], "44444444444444444");
    assert_eq!((&told["premiumBps"], &told["countsFrom"]), (&json!(5), &json!("acked")));
    assert_eq!(told["leader"]["owner"], json!(OWNER));
    assert_eq!(told["leader"]["stakeWei"], "32000000000000000000");
    assert_eq!(told["warranty"], json!(null));
    let offer = WarrantyOffer { bps: 20_000, claim_cap: 5, term_cap: 9 };
    let warranted = Warranted { bond: U256::from(7), offer };
    let known = |epoch, member| leader.view.set_warranties(epoch, [(member, warranted)].into());
    // Of another set, or of who does not lead.
    known(0, 0);
    let none = call(&rpc, "preconf_getCoverage", json!([])).await.unwrap();
    known(1, 1);
    let other = call(&rpc, "preconf_getCoverage", json!([])).await.unwrap();
    assert_eq!((&none["warranty"], &other["warranty"]), (&json!(null), &json!(null)));
    known(1, 0);
    let given = call(&rpc, "preconf_getCoverage", json!([])).await.unwrap();
    let want = json!({ "bps": 20_000, "perTxWei": "5", "perTermWei": "9", "bondWei": "7" });
    assert_eq!(given["warranty"], want);
    assert!(told["words"].as_str().unwrap().starts_with("Up to 4.266666 ETH can be insured now."));
}

#[tokio::test]
async fn what_is_too_much_or_not_paid_for_is_refused_with_the_figure_that_would_do() {
    let leader = Leader::new();
    let rpc = leader.methods();
    let send = |raw: Bytes, wei: u128| {
        let options = json!({ "insured": wei.to_string() });
        call(&rpc, "preconf_sendInsuredTransaction", json!([raw, options]))
    };
    leader.view.set_room(room(25 * ETH, 0));
    let busy = send(paying(1, 0), ETH).await.unwrap_err();
    assert_eq!(
        (&busy["code"], &busy["data"]["freeWei"]),
        (&json!(7010), &json!("600000000000000000"))
    );
    let message = busy["message"].as_str().unwrap();
    assert!(message.starts_with("1 ETH cannot be insured now, 0.6 ETH can"), "{message}");
    leader.view.set_room(room(0, 4 * ETH));
    let full = send(paying(1, 0), ETH).await.unwrap_err();
    assert!(full["data"]["hint"].as_str().unwrap().contains("96 L1 blocks"));
    leader.view.set_room(room(0, 0));
    let cheap = send(sign(&user(1), plain(0)), ETH).await.unwrap_err();
    assert_eq!(cheap["data"]["premiumWei"], "500000000000000");
    leader.door.intake().set_insurable(ETH);
    let most = send(paying(1, 0), ETH + 1).await.unwrap_err();
    assert_eq!((&most["code"], &most["data"]["freeWei"]), (&json!(7010), &json!(ETH.to_string())));
    let none = send(paying(1, 0), 0).await.unwrap_err();
    assert_eq!(none["code"], -32602);
    assert!(leader.view.tx(&hash_of(&paying(1, 0))).is_none(), "nothing is sent without insurance");
}

/// A receipt as its user has it once the frame is acked.
async fn insured(leader: &mut Leader) -> Receipt {
    leader.view.set_room(room(0, 0));
    let rpc = leader.methods();
    let raw = paying(1, 0);
    let options = json!({ "insured": format!("{ETH:#x}"), "timeoutMs": 5000 });
    let send = call(&rpc, "preconf_sendInsuredTransaction", json!([raw, options]));
    let play = async {
        leader.woken();
        leader.frame();
        leader.ack();
    };
    let (sent, ()) = tokio::join!(send, play);
    let sent = sent.unwrap();
    assert_eq!(sent["stage"], "acked", "that is what insurance waits for");
    let status = call(&rpc, "preconf_getTransactionStatus", json!([hash_of(&raw)])).await.unwrap();
    assert_eq!(status["insuredWei"], ETH.to_string());
    serde_json::from_value(sent["promise"].clone()).unwrap()
}

#[tokio::test]
async fn a_receipt_names_the_amount_and_what_of_it_is_covered() {
    let mut leader = Leader::new();
    let receipt = insured(&mut leader).await;
    assert_eq!((receipt.insured, &receipt.transaction), (ETH, &Some(paying(1, 0))));
    let anchor = Anchor { ctx: leader.domain.ctx(), set_id: receipt.set_id };
    let verdict = verify(&receipt, &anchor).unwrap();
    let shown = verdict.insured.unwrap();
    assert_eq!((shown.amount_wei, shown.covered_wei, shown.claimable), (ETH, ETH, true));
    assert!(covered(&verdict).unwrap().starts_with("1 ETH are insured"));
}

#[tokio::test]
async fn a_reverted_insured_receipt_becomes_a_claim() {
    let mut leader = Leader::new();
    leader.frame();
    let receipt = insured(&mut leader).await;
    let rpc = leader.methods();
    let frame = FrameHeader::decode(&receipt.frame).unwrap();
    let hash = frame.hash(&leader.domain);
    let ask = |hash: B256| call(&rpc, "preconf_getReversion", json!([hash]));
    let early = ask(hash).await.unwrap_err();
    assert_eq!(early["code"], 7011);
    leader.rewind(frame.g - 1, "round_change");
    let open = ask(hash).await.unwrap_err();
    assert!(open["message"].as_str().unwrap().contains("may still come back"));
    // The log goes on without it: the same transaction comes a frame later.
    leader.tick(50);
    leader.close(true);
    leader.decide();
    let found = ask(hash).await.unwrap();
    let part = |key: &str| -> Bytes { serde_json::from_value(found[key].clone()).unwrap() };
    let fork = Fork {
        frame: FrameHeader::decode(&part("frame")).unwrap(),
        branch: serde_json::from_value::<MerkleProof>(found["branch"].clone()).unwrap(),
        header: Header::decode(&part("header")).unwrap(),
        commit: CommitCertificate::decode(&part("certificate")).unwrap(),
    };
    assert_eq!(found["below"], Value::Array(Vec::new()));
    let reversion = Reversion::of(&receipt, &[], fork).unwrap();
    reversion.verify(&leader.set, &leader.set, &leader.domain).unwrap();
    let claim = Claim::of(&receipt).unwrap();
    let tip = (reversion.acks.g, reversion.acks.frame_hash);
    claim.verify(tip, frame.g, &leader.domain).unwrap();

    // A header that anyone can make up: far above what it names as its parent, which the node took back.
    for _ in 0..8 {
        leader.frame();
    }
    leader.close(true);
    leader.decide();
    let made_up = FrameHeader { g: frame.g + 6, prev_hash: hash, ..frame.clone() };
    let given = json!([made_up.hash(&leader.domain), { "frame": Bytes::from(&made_up) }]);
    let refused = call(&rpc, "preconf_getReversion", given).await.unwrap_err();
    assert!(refused["message"].as_str().unwrap().contains("does not keep"), "{refused}");
}

/// What a leader showed to a user alone: the user brings the header.
#[tokio::test]
async fn a_frame_that_the_node_never_had_is_placed_by_its_header() {
    let mut leader = Leader::new();
    leader.frame();
    let receipt = insured(&mut leader).await;
    leader.close(true);
    leader.decide();
    let rpc = leader.methods();
    let there = FrameHeader::decode(&receipt.frame).unwrap();
    let mut lost = there.clone();
    lost.timestamp_ms += 1;
    let hash = lost.hash(&leader.domain);
    let ask = |given: Value| call(&rpc, "preconf_getReversion", json!([hash, given]));
    assert_eq!(ask(json!({})).await.unwrap_err()["code"], 7011);
    // Not the header of that hash.
    let other = ask(json!({ "frame": receipt.frame })).await.unwrap_err();
    assert_eq!(other["code"], 7011);
    assert!(ask(json!({ "frame": "0x00" })).await.unwrap_err()["message"].is_string());
    let found = ask(json!({ "frame": Bytes::from(&lost) })).await.unwrap();
    assert_eq!(found["frame"], json!(Bytes::from(&there)));
    assert_eq!(found["below"], Value::Array(Vec::new()));
    let log = json!([{ "frame": receipt.frame, "signature": receipt.signature }]);
    assert_eq!(found["log"], log, "signed, so that two frames of one place are evidence");
}
