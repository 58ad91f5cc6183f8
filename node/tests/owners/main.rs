//! An operator's way through the sets by the commands that it types, against real contracts on a real L1: words, exit codes,
//! and the shapes of `--json`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

mod posting;
mod support;
mod warranty;

use serde_json::{Map, Value, json};
use support::{L2_CHAIN, Net, genesis, owner, shape};

const PEER: [&str; 2] = ["--peer", "/ip4/203.0.113.7/udp/27000/quic-v1"];
const ETHER: &str = "1000000000000000000";

/// Rules of its own, by flags.
const RULES: [&str; 18] = [
    "--epoch-blocks",
    "20",
    "--unbond-epochs",
    "3",
    "--evidence-epochs",
    "2",
    "--forced-fee",
    "1000",
    "--forced-gas-price",
    "10",
    "--forced-window",
    "600",
    "--fallback-blocks",
    "400",
    "--roll-call-blocks",
    "10",
    "-o",
    "@network.json",
];

/// Shapes by name, to be compared at the end.
struct Shapes(Map<String, Value>);

impl Shapes {
    fn note(&mut self, name: &str, value: &Value) {
        assert_eq!(value["v"], 1, "{name}");
        self.0.insert(name.into(), shape(value));
    }

    /// They are an interface. `UPDATE_GOLDEN=1` writes them anew.
    fn check(self) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/owner_commands.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&Value::Object(self.0)).unwrap());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, text).unwrap();
            return;
        }
        let want = std::fs::read_to_string(path).unwrap_or_default();
        assert!(want == text, "what owners' programs read changed; was:\n{want}\nis:\n{text}");
    }
}

#[test]
fn an_owner_joins_tops_up_rotates_leaves_and_is_paid_out() {
    let Some(net) = Net::start() else { return };
    let mut shapes = Shapes(Map::new());
    deploys(&net, &mut shapes);
    joins(&net, &mut shapes);
    is_refused(&net);
    is_in(&net, &mut shapes);
    posting::names(&net, &mut shapes);
    warranty::offers(&net, &mut shapes);
    changes(&net, &mut shapes);
    leaves(&net, &mut shapes);
    forces(&net, &mut shapes);
    falls_back(&net, &mut shapes);
    shapes.check();
}

/// With rules of its own, by flags; and a directory for each operator.
fn deploys(net: &Net, shapes: &mut Shapes) {
    std::fs::write(net.path("genesis.json"), genesis()).unwrap();
    let base = [
        "l1",
        "deploy",
        "--l1.rpc",
        &net.url,
        "--key-file",
        "@owner0.key",
        "--genesis",
        "@genesis.json",
        "--min-stake",
        "1",
        "--min-operators",
        "3",
        "--max-share-bps",
        "10000",
    ];
    let wrong = ["--epoch-blocks", "0", "-o", "@network.json"];
    net.rota(&[&base[..], &wrong].concat()).fails(2, "--epoch-blocks is at least 1");
    let told = net.rota(&[&base[..], &RULES, &["--json"]].concat()).json();
    shapes.note("l1 deploy", &told);
    for i in 1..=4 {
        let at = format!("@op{i}");
        net.rota(&[
            "init",
            "--plain",
            "--datadir",
            &at,
            "--network",
            "@network.json",
            "--role",
            "sequencer",
            "--l1.rpc",
            &net.url,
            "--l1.beacon",
            &net.url,
        ])
        .ok();
    }
    let params = net.set(1, &["params", "--json"]).json();
    assert_eq!(params["calendar"]["epochBlocks"], 20);
    shapes.note("set params", &params);
    assert!(net.set(1, &["schedule"]).ok().contains("no set is frozen yet"));
    let show = ["l1", "fallback", "show", "--datadir", "@op1"];
    assert!(net.rota(&show).ok().contains("cannot start: no set is frozen yet"));
}

fn join<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["join", "--stake", "2"], &PEER[..], more].concat()
}

/// Three ways to register: the owner's key here, a proof taken to it, a call that another tool sends.
fn joins(net: &Net, shapes: &mut Shapes) {
    let account = owner(1).to_string();
    let said = net.set(1, &join(&["--dry-run", "--account", &account])).ok();
    assert!(said.starts_with("would register sequencer key 0x"), "{said}");
    assert!(said.contains("for owner") && said.contains("it can be in the first set"), "{said}");
    let sent = net.owned(1, &join(&["--json"])).json();
    shapes.note("set join", &sent);

    let second = owner(2).to_string();
    let proof = ["key", "prove", "--datadir", "@op2", "--account", &second, "-o", "@proof.json"];
    net.rota(&[&proof[..], &PEER].concat()).ok();
    // Where the owner is there are no hot keys: the directory of another operator, which has other ones.
    let elsewhere = ["set", "join", "--stake", "3", "--proof", "@proof.json", "--datadir", "@op4"];
    net.rota(&[&elsewhere[..], &["--owner-key-file", "@owner1.key"]].concat())
        .fails(7, "the owner is");
    net.rota(&[&elsewhere[..], &["--owner-key-file", "@owner2.key"]].concat()).ok();

    let third = owner(3).to_string();
    let printed = net.set(3, &join(&["--print-tx", "--account", &third])).json();
    shapes.note("set join --print-tx", &printed);
    assert_eq!(printed["from"], json!(owner(3)), "{printed}");
    by_another_tool(net, 3, &printed);
    for i in 1..=3 {
        assert_eq!(
            net.state(i),
            ("queued".into(), "queued: waits for the first set".into()),
            "{i}"
        );
    }
}

/// What `--print-tx` prints, signed and sent by cast.
fn by_another_tool(net: &Net, i: usize, tx: &Value) {
    let of = |key: &str| tx[key].as_str().unwrap().to_owned();
    let (to, data, value, gas) = (of("to"), of("data"), of("value"), tx["gas"].to_string());
    let sent = net.cast(&[
        "send",
        &to,
        &data,
        "--value",
        &value,
        "--gas-limit",
        &gas,
        "--private-key",
        support::KEYS[i],
        "--json",
    ]);
    assert_eq!(sent.json()["status"], "0x1");
}

/// Each refusal has its code and says what to do.
fn is_refused(net: &Net) {
    net.owned(4, &["join", "--stake", "0.5", "--peer", "/ip4/203.0.113.7/udp/27000/quic-v1"])
        .fails(11, "hint: put up at least the least stake");
    net.owned(4, &["join", "--stake", "many"]).fails(2, "--stake");
    net.owned(1, &["join", "--stake", "2", "--peer", "/ip4/203.0.113.7/udp/27000/quic-v1"])
        .fails(11, "Registry_");
    net.set(1, &["top-up", "--amount", "1"]).fails(2, "the key of the account that sends it");
    net.set(1, &["top-up", "--amount", "1", "--owner-key-file", "@owner3.key", "--operator", "0"])
        .fails(7, "the owner is");
    net.owned(1, &["withdraw", "--dry-run"]).fails(11, "hint: rota set show says");
    net.set(1, &["show", "9"]).fails(1, "no such operator");
    let dead = ["set", "list", "--datadir", "@op1", "--l1.rpc", "http://127.0.0.1:1"];
    net.rota(&dead).fails(4, "no L1 endpoint answered");
    net.rota(&["rewards", "show", "--datadir", "@op1", "--rpc-url", "http://127.0.0.1:1"])
        .fails(4, "127.0.0.1:1");
}

/// The first set: who is in it, in whose slots it signs, and what the doctor says.
fn is_in(net: &Net, shapes: &mut Shapes) {
    let frozen = net.set(1, &["freeze", "--key-file", "@owner0.key", "--json"]).json();
    shapes.note("set freeze", &frozen);
    assert_eq!(net.state(1), ("active".into(), "active: in the set of epoch 0".into()));
    let list = net.set(1, &["list", "--json"]).json();
    assert_eq!(list["operators"].as_array().unwrap().len(), 3);
    shapes.note("set list", &list);
    shapes.note("set show", &net.set(1, &["show", "--json"]).json());
    let plan = net.set(1, &["schedule", "--json"]).json();
    let members = plan["inForce"]["members"].as_array().unwrap();
    let slots: usize = members.iter().map(|m| m["slots"].as_array().unwrap().len()).sum();
    assert_eq!((members.len(), slots as u64), (3, plan["inForce"]["slots"].as_u64().unwrap()));
    assert_eq!((&plan["next"]["epoch"], &plan["next"]["frozen"]), (&json!(1), &json!(false)));
    shapes.note("set schedule", &plan);
    let said = net.set(1, &["schedule"]).ok();
    assert!(
        said.contains("in force       set of epoch 0") && said.contains("of 24 slots"),
        "{said}"
    );
    assert!(doctor(net, 1).contains("is not frozen yet: the set goes on with this node"));
    assert!(doctor(net, 4).contains("these keys are not registered on L1"));
}

fn doctor(net: &Net, i: usize) -> String {
    let said = net.rota(&["doctor", "--datadir", &format!("@op{i}")]);
    said.out + &said.err
}

/// More stake, another address, other keys: what counts from when is said.
fn changes(net: &Net, shapes: &mut Shapes) {
    let would = net.owned(1, &["top-up", "--amount", "1.5", "--dry-run"]).ok();
    assert!(would.starts_with("would add 1.5 ETH to the 2 ETH of operator 0"), "{would}");
    let tx = net.owned(1, &["top-up", "--amount", "1.5", "--dry-run", "--json"]).json();
    shapes.note("set top-up --dry-run", &tx);
    shapes.note("set top-up", &net.owned(1, &["top-up", "--amount", "1.5", "--json"]).json());
    let fees = owner(5).to_string();
    net.owned(1, &["update", "--fee-recipient", &fees]).ok();
    let shown = net.set(1, &["show"]).ok();
    assert!(shown.contains("stake          3.5 ETH") && shown.contains(&fees), "{shown}");

    let rotate =
        ["key", "rotate", "--plain", "--datadir", "@op1", "--owner-key-file", "@owner1.key"];
    let would = net.rota(&[&rotate[..], &["--dry-run"]].concat()).ok();
    assert!(would.starts_with("would change operator 0 to sequencer key 0x"), "{would}");
    net.rota(&rotate).ok();
    net.rota(&rotate).fails(11, "changes to vote key");
    let switch = ["key", "rotate", "--switch", "--datadir", "@op1"];
    net.rota(&switch).fails(1, "does not name the new keys yet");
    assert!(net.set(1, &["show"]).ok().contains("in sets of epoch 2 and later"));
    assert!(net.set(1, &["schedule"]).ok().contains("new keys from epoch 2 on"));
    // The set of epoch 2 has them: frozen during epoch 1.
    freeze(net, 2);
    assert!(doctor(net, 1).contains("the next set (epoch 2"), "{}", doctor(net, 1));
    net.rota(&switch).fails(1, "does not name the new keys yet");
    // What is final is two blocks behind, and decides.
    reach_epoch(net, 2);
    net.rota(&switch).fails(1, "does not name the new keys yet");
    let base = net.set(1, &["params", "--json"]).json()["calendar"]["base"].as_u64().unwrap();
    net.reach(base + 2 * 20 + 2);
    net.rota(&switch).ok();
    assert_eq!(net.state(1).0, "active");
}

/// Freezes the set of an epoch in the one before.
fn freeze(net: &Net, epoch: u64) {
    reach_epoch(net, epoch - 1);
    net.set(1, &["freeze", "--key-file", "@owner0.key", "--epoch", &epoch.to_string()]).ok();
}

fn reach_epoch(net: &Net, epoch: u64) {
    let base = net.set(1, &["params", "--json"]).json()["calendar"]["base"].as_u64().unwrap();
    net.reach(base + epoch * 20);
}

/// Out of the sets step by step, each with its words; nothing is paid before its time.
fn leaves(net: &Net, shapes: &mut Shapes) {
    let left = net.owned(3, &["leave", "--json"]).json();
    shapes.note("set leave", &left);
    warranty::stops(net);
    let (state, words) = net.state(3);
    assert!(
        state == "exiting" && words.contains("still in the set; can be out from epoch 4 on"),
        "{words}"
    );
    assert!(net.set(1, &["schedule"]).ok().contains("can be out from epoch 4 on"));
    freeze(net, 4);
    let (_, words) = net.state(3);
    assert!(words.starts_with("exiting: still in force; in no set at L1 block"), "{words}");
    assert!(doctor(net, 3).contains("does not include this node"), "{}", doctor(net, 3));
    net.owned(3, &["withdraw"]).fails(11, "Registry_");
    reach_epoch(net, 4);
    let (_, words) = net.state(3);
    assert!(words.starts_with("exiting: in no set since L1 block"), "{words}");
    reach_epoch(net, 7);
    assert_eq!(net.state(3), ("withdrawable".into(), "withdrawable: rota set withdraw".into()));
    warranty::is_paid_back(net);
    let to = "0x00000000000000000000000000000000000000aa";
    let paid = net.owned(3, &["withdraw", "--to", to, "--json"]).json();
    shapes.note("set withdraw", &paid);
    assert_eq!(net.cast(&["balance", to]).ok().trim(), format!("2{}", &ETHER[1..]));
    assert_eq!(net.state(3), ("gone".into(), "gone: paid out".into()));
    net.owned(3, &["withdraw", "--operator", "2"]).fails(11, "Registry_");
}

/// A transaction in the queue on L1: with its place, and when it is in at the latest.
fn forces(net: &Net, shapes: &mut Shapes) {
    let chain = L2_CHAIN.to_string();
    let signed = |chain: &str| {
        let to = "0x00000000000000000000000000000000000000bb";
        let args = [
            "mktx",
            to,
            "--value",
            "1",
            "--private-key",
            support::KEYS[5],
            "--chain",
            chain,
            "--nonce",
            "0",
            "--gas-limit",
            "21000",
            "--gas-price",
            "1000000000",
            "--priority-gas-price",
            "1",
        ];
        net.cast(&args).ok().trim().to_owned()
    };
    let (good, other) = (signed(&chain), signed("1"));
    let force = |tx: &str, more: &[&str]| {
        let base =
            ["tx", "force", tx, "--datadir", "@op1", "--no-wait", "--key-file", "@owner4.key"];
        net.rota(&[&base[..], more].concat())
    };
    force(&other, &[]).fails(1, "derivation would skip it");
    force(&good, &["--gas", "20999"]).fails(1, "derivation would skip it");
    let would = force(&good, &["--dry-run"]).ok();
    assert!(would.starts_with("would put transaction 0x") && would.contains("10 min"), "{would}");
    shapes.note("tx force --print-tx", &force(&good, &["--print-tx"]).json());
    let told = force(&good, &["--json"]).json();
    shapes.note("tx force", &told);
    assert_eq!((&told["index"], &told["feeWei"]), (&json!(0), &json!("211000")), "{told}");
    let said = force(&good, &[]).ok();
    assert!(said.contains("queued         entry 1 in L1 block"), "{said}");
    assert!(said.contains("at the latest"), "{said}");
}

/// The set never certified anything: it is given up, those who answer become the next one.
fn falls_back(net: &Net, shapes: &mut Shapes) {
    let fallback =
        |what: &[&str]| net.rota(&[&["l1", "fallback"], what, &["--datadir", "@op1"]].concat());
    let by = |i: &str, what: &[&str]| fallback(&[what, &["--owner-key-file", i]].concat());
    let state = || fallback(&["show", "--json"]).json();
    let before = state();
    assert_eq!((&before["generation"], &before["goesOn"]), (&json!(0), &json!(false)));
    by("@owner0.key", &["start"]).fails(1, "may not start before L1 block");
    by("@owner1.key", &["answer", "--operator", "0"]).fails(1, "there is no roll call");
    by("@owner0.key", &["form"]).fails(1, "there is no set to form");
    net.reach(before["mayStartAfter"].as_u64().unwrap() + 1);
    assert!(fallback(&["show"]).ok().contains("may be started by anyone"));
    let would = by("@owner0.key", &["start", "--dry-run"]).ok();
    assert!(would.starts_with("would start generation 1: nothing that was signed"), "{would}");
    by("@owner0.key", &["start"]).ok();

    let begun = state();
    assert_eq!((&begun["generation"], &begun["goesOn"]), (&json!(1), &json!(true)));
    by("@owner0.key", &["start"]).fails(1, "the roll call is open for");
    by("@owner2.key", &["answer", "--operator", "0"]).fails(7, "the owner is");
    by("@owner1.key", &["answer", "--operator", "9"]).fails(1, "no such operator");
    by("@owner1.key", &["answer", "--operator", "0"]).ok();
    let called = state();
    shapes.note("l1 fallback show", &called);
    let answers: Vec<(u64, bool)> = called["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["operator"].as_u64().unwrap(), m["answered"] == true))
        .collect();
    assert_eq!(answers, [(0, true), (1, false)]);
    by("@owner0.key", &["form"]).fails(1, "the roll call is open for");
    net.reach(called["rollCallUntil"].as_u64().unwrap() + 1);
    assert!(fallback(&["show"]).ok().contains("the set may be formed"));
    by("@owner0.key", &["form"]).ok();
    let formed = state();
    assert_eq!(formed["members"], called["members"], "who was called, and who answered");
    assert!(formed["start"].as_u64() > formed["l1Block"].as_u64(), "{formed}");
    assert!(fallback(&["show"]).ok().contains("is in force from L1 block"));
    by("@owner1.key", &["answer", "--operator", "0"]).fails(1, "there is no roll call");
}
