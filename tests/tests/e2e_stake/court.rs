//! Evidence in a file, brought to L1 by hand: what `rota slash` says of it, and what it brings a stranger.
//!
//! Invariant: the evidence is shown to nobody else, so that whatever happens on L1 happened by these commands.

use super::{afar, balance, devnet_keys, private, told_by};
use alloy_primitives::{Address, B256, U256};
use rota_tests::live::{Devnet, FRONT_RUNNER, L1, LONG, text, until};
use rota_types::{
    Evidence, EvidenceFile, Proof, ReceiptSet, SealedVote, ValidatorSet, Vote, VoteKey, VoteKind,
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// Key of a stranger: no test account, and nothing on the rollup.
const STRANGER: &str = "5f3c6f0b4a5e6d7c8b9a0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445aa";

/// What it has on L1 at first, wei.
const GAS_MONEY: u64 = 10_000_000_000_000_000;

/// Where the contracts are, as flags.
pub(super) fn l1(net: &Devnet) -> [String; 4] {
    let state = net.state();
    let field = |name: &str| state[name].as_str().unwrap().to_owned();
    ["--l1.rpc".into(), field("l1_url"), "--registry".into(), field("registry")]
}

fn slash(net: &Devnet, args: &[&str]) -> std::process::Command {
    let mut command = net.rota();
    command.arg("slash").args(args);
    command
}

fn asked(net: &Devnet, args: &[&str]) -> Value {
    let mut command = slash(net, args);
    command.args(l1(net)).arg("--json");
    told_by(command)
}

/// The offence on record: listed, shown by the first digits of its name, and its evidence good for anybody who trusts network
/// and set.
pub(super) fn is_on_record(net: &Devnet, told: &Value) {
    let name = told["slashed"]["offence"].as_str().unwrap();
    let list = asked(net, &["list"]);
    assert!(list["offences"].as_array().unwrap().iter().any(|o| o["key"] == name), "{list}");
    let shown = asked(net, &["show", &name[..10]])["offence"].clone();
    assert_eq!((&shown["key"], &shown["kind"]), (&json!(name), &json!("FrameTwice")), "{shown}");
    assert_eq!(shown["seizedWei"], "32000000000000000000", "{shown}");
    let none = slash(net, &["show", "0xffff"]).args(l1(net)).output().unwrap();
    assert_eq!(none.status.code(), Some(1), "{}", text(&none));

    let path = told["evidence"].as_str().unwrap();
    let file: EvidenceFile = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let (ctx, set) = (file.ctx().to_string(), file.set_id().to_string());
    let verdict = told_by(slash(net, &["verify", path, "--ctx", &ctx, "--set-id", &set, "--json"]));
    assert_eq!((&verdict["kind"], &verdict["trusted"]), (&json!("FrameTwice"), &json!(true)));
    let other = B256::repeat_byte(1).to_string();
    let foreign = slash(net, &["verify", path, "--ctx", &other]).output().unwrap();
    assert_eq!(foreign.status.code(), Some(10), "{}", text(&foreign));
    let again = asked(net, &["submit", path, "--dry-run"]);
    assert_eq!((&again["processed"], &again["worth"]), (&json!(true), &Value::Null), "{again}");
}

/// A stranger is told what it will bring, gets that much, and another account's wallet can do it too.
pub(super) fn is_brought_by_hand(net: &Devnet) {
    let mut ethereum = L1::of(net);
    let file = votes_twice(net, afar::DIR);
    let path = file.to_str().unwrap();
    let dry = asked(net, &["submit", path, "--dry-run"]);
    let worth = &dry["worth"];
    // A twentieth of the stake, for a vote, and of that a twentieth.
    assert_eq!(worth["leastPenaltyWei"], "1600000000000000000", "{dry}");
    assert_eq!(worth["leastRewardWei"], "80000000000000000", "{dry}");
    assert!(worth["gas"].as_u64().unwrap() > 100_000, "{dry}");

    let secret: [u8; 32] = alloy_primitives::hex::decode(STRANGER).unwrap().try_into().unwrap();
    let stranger = VoteKey::from_secret(&secret).unwrap().address();
    ethereum.call("anvil_setBalance", json!([stranger, format!("{GAS_MONEY:#x}")]));
    let key = net.file("stranger.key");
    private(&key, STRANGER);
    let mut submit = slash(net, &["submit", path, "--key-file"]);
    submit.arg(&key).arg("--dir").arg(net.file("stranger")).args(l1(net));
    let begun = std::time::Instant::now();
    let done = submit.output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let said = text(&done);
    assert!(said.contains("reward of") && said.contains("taken out"), "{said}");
    // Half of a set of two did it, three times that is everything: more than the least that was told.
    let reward = U256::from(1_600_000_000_000_000_000u64);
    let holds = balance(net, stranger);
    let money = U256::from(GAS_MONEY);
    assert!(holds > reward && holds < reward + money, "{holds} {said}");
    println!(
        "by hand: {reward} wei for a stranger {:?} after it began, {holds} with what is left of the gas money",
        begun.elapsed()
    );
    is_signed_elsewhere(net, &mut ethereum);
}

/// The two transactions for a wallet that is somewhere else; the account they are for is the reporter.
fn is_signed_elsewhere(net: &Devnet, ethereum: &mut L1) {
    let file = votes_twice(net, "n1");
    let path = file.to_str().unwrap();
    let printed = asked(net, &["submit", path, "--print-tx", FRONT_RUNNER]);
    for step in ["commit", "reveal"] {
        let tx = &printed[step];
        let tx =
            json!({ "from": FRONT_RUNNER, "to": tx["to"], "data": tx["data"], "gas": "0x200000" });
        let hash = ethereum.call("eth_sendTransaction", json!([tx]));
        let mined = ethereum.receipt(hash.as_str().unwrap());
        assert_eq!(mined["status"], "0x1", "{step}: {mined}");
        println!("two votes, {step}: {} gas", rota_tests::live::quantity(&mined["gasUsed"]));
    }
    let reporter: Address = FRONT_RUNNER.parse().unwrap();
    let list = until(LONG, "the offence of n1", || {
        let list = asked(net, &["list"])["offences"].as_array().unwrap().clone();
        let own = |o: &Value| serde_json::from_value::<Address>(o["reporter"].clone()).unwrap();
        list.iter().any(|o| own(o) == reporter).then_some(list)
    });
    assert!(list.iter().all(|o| o["kind"] != "unknown"), "{list:?}");
}

/// Two votes of one round, signed with the keys of a member of the newest set.
fn votes_twice(net: &Devnet, name: &str) -> PathBuf {
    let key = devnet_keys(net, name).vote;
    let set: ValidatorSet =
        serde_json::from_value(super::newest_set(net)).expect("the newest frozen set");
    let accused = set.by_vote_key(key.address()).expect("a member of the newest set");
    let domain = super::domain(net);
    let vote = |value: u8| {
        let value_id = B256::repeat_byte(value);
        let (epoch, kind) = (set.epoch(), VoteKind::Precommit);
        let content = Vote { epoch, height: 7, round: 0, kind, value_id };
        SealedVote { signature: key.sign(&content.digest(&domain)), content }
    };
    let proof = Proof::VoteTwice(Box::new([vote(1), vote(2)]));
    let evidence = Evidence { generation: 0, epoch: set.epoch(), accused, proof };
    let file = EvidenceFile::of(&evidence, &set, &domain);
    assert_eq!(file.set_id(), ReceiptSet::of(&set).id());
    let path = net.file(&format!("{name}-votes.json"));
    fs::write(&path, serde_json::to_string(&file).unwrap()).unwrap();
    path
}
