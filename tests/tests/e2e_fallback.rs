//! The set is gone for good, with real processes: anyone gives it up on L1, what users send there is executed by whoever follows, a
//! sequencer that still runs stops instead of promising what nobody keeps; and those who answer the roll call order again,
//! in the next generation, on top of what L1 gave meanwhile.

use alloy_primitives::hex;
use rota_tests::live::{ACCOUNT, Devnet, L1, LONG, ask, quantity, text, transfer, until};
use rota_types::VoteKey;
use serde_json::{Value, json};
use std::{
    fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf, process::Command,
};

/// Key of the last test account.
const USER: &str = "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6";
/// The owners of n1, n2 and n3: the second to the fourth test account.
const OWNERS: [&str; 3] = [
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
];
/// They come back; n4 does not.
const BACK: [&str; 3] = ["n1", "n2", "n3"];

#[test]
fn the_rollup_lives_from_l1_alone_and_those_who_answer_order_again() {
    let net = Devnet::up(29_000, &["--block-time", "1"]);
    let follower = net.rpc_addr("follower");
    let head = || ask(&follower, "eth_blockNumber", json!([])).map(|n| quantity(&n));
    until(LONG, "a posted block", || head().filter(|n| *n > 2));
    for name in &net.sequencers()[1..] {
        net.kill(name);
    }
    let key = private(net.file("payer.key"), ACCOUNT);
    let town = Town { net, key, follower };

    town.give_up();
    town.stops("n1");
    town.is_forced_in();
    town.roll_call();
    town.order_again();
    town.goes_on_after_a_crash();
    town.is_watched();
}

/// A devnet, who pays, and who follows L1.
struct Town {
    net: Devnet,
    key: PathBuf,
    follower: String,
}

impl Town {
    fn fallback(&self, what: &[&str]) -> Command {
        let mut command = self.net.rota();
        command.args(["l1", "fallback"]).args(what).arg("--datadir").arg(self.net.datadir("n1"));
        command
    }

    fn state(&self) -> Value {
        told(self.fallback(&["show", "--json"]))
    }

    /// The slasher, which nobody told of the fallback, watches the new generation.
    fn is_watched(&self) {
        let log = self.net.log("slasher");
        until(LONG, "the slasher in generation 1", || {
            let said = std::fs::read_to_string(&log).ok()?;
            said.contains(", generation 1; slasher contract").then_some(())
        });
        println!("the slasher follows into the new generation");
    }

    /// Lets L1 blocks pass until this one is over; a few at a time, since a machine may be slow.
    fn mine_to(&self, block: u64) {
        let mut l1 = L1::of(&self.net);
        loop {
            let now = quantity(&l1.call("eth_blockNumber", json!([])));
            let Some(left) = (block + 1).checked_sub(now).filter(|left| *left > 0) else { return };
            l1.call("anvil_mine", json!([format!("{:#x}", left.min(200))]));
        }
    }

    /// Anyone may, but not before it is time.
    fn give_up(&self) {
        let mut early = self.fallback(&["start"]);
        let early = early.arg("--key-file").arg(&self.key).output().unwrap();
        assert!(
            !early.status.success() && text(&early).contains("may not start before"),
            "{early:?}"
        );
        until(LONG, "a fallback", || {
            // A batch that was under way puts it off.
            self.mine_to(self.state()["mayStartAfter"].as_u64().unwrap());
            let mut start = self.fallback(&["start", "--json"]);
            start.arg("--key-file").arg(&self.key).output().unwrap().status.success().then_some(())
        });
        let state = self.state();
        assert_eq!((&state["generation"], &state["goesOn"]), (&json!(1), &json!(true)));
    }

    /// It runs while that happens: its keys sign nothing of its generation any more.
    fn stops(&self, name: &str) {
        let ended = until(LONG, "the end of a sequencer of a generation that is over", || {
            let state = self.net.state();
            let node = state["nodes"].as_array()?.iter().find(|n| n["name"] == name)?;
            node["exit"].as_i64()
        });
        assert_eq!(ended, 12, "{}", self.net.logs());
    }

    /// No sequencer runs: the follower has it from L1.
    fn is_forced_in(&self) {
        let secret: [u8; 32] = hex::decode(USER).unwrap().try_into().unwrap();
        let user = VoteKey::from_secret(&secret).unwrap();
        let raw = transfer(&user, self.net.chain_id, 0).to_string();
        let mut force = self.net.rota();
        force.args(["tx", "force", &raw, "--json", "--no-wait", "--datadir"]);
        force.arg(self.net.datadir("n1")).arg("--key-file").arg(&self.key);
        let hash = told(force)["transactionHash"].clone();
        let receipt = self.receipt(&self.follower, &hash);
        let number = json!([receipt["blockNumber"], false]);
        let block = ask(&self.follower, "eth_getBlockByNumber", number).unwrap();
        assert_eq!(block["transactions"], json!([hash]), "a block of what L1 forced in alone");
    }

    fn receipt(&self, at: &str, hash: &Value) -> Value {
        let receipt = until(LONG, "a receipt", || {
            ask(at, "eth_getTransactionReceipt", json!([hash])).filter(|r| !r.is_null())
        });
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    /// Sequencers that come back wait and follow; their operators answer, and anyone makes them the next set.
    fn roll_call(&self) {
        for name in BACK {
            self.net.rota_devnet(&["start", name]);
        }
        self.waits("n2", "generation 1: waiting for the roll call; 0 of 4 answered");
        for (i, owner) in OWNERS.iter().enumerate() {
            let key = private(self.net.file(&format!("owner-{i}.key")), owner);
            let secret: [u8; 32] = hex::decode(owner).unwrap().try_into().unwrap();
            let address = json!(VoteKey::from_secret(&secret).unwrap().address());
            let state = self.state();
            let members = state["members"].as_array().unwrap();
            let member = members.iter().find(|m| m["owner"] == address).unwrap();
            let number = member["operator"].to_string();
            let mut answer = self.fallback(&["answer", "--operator", &number, "--json"]);
            answer.arg("--key-file").arg(&key);
            told(answer);
        }
        self.waits("n1", "generation 1: waiting for the roll call; 3 of 4 answered");
        self.mine_to(self.state()["rollCallUntil"].as_u64().unwrap());
        let mut form = self.fallback(&["form", "--json"]);
        form.arg("--key-file").arg(&self.key);
        told(form);
        self.mine_to(self.state()["start"].as_u64().unwrap());
    }

    fn waits(&self, name: &str, words: &str) {
        until(LONG, words, || {
            let status = self.net.status(name)?;
            assert_eq!(status["role"], "sequencer", "{status}");
            status["observing"].as_str().filter(|said| *said == words).map(drop)
        });
    }

    /// A transaction of a stock client, ordered by the new set, certified on L1, and the same for who follows L1.
    fn order_again(&self) {
        let hash = self.send("n1");
        let seen = self.receipt(&self.net.rpc_addr("n3"), &hash);
        let derived = self.receipt(&self.follower, &hash);
        assert_eq!(seen["blockNumber"], derived["blockNumber"]);
        self.same_block(&derived["blockNumber"]);
        let posted = self.state();
        assert_eq!((&posted["generation"], &posted["goesOn"]), (&json!(1), &json!(false)));
    }

    /// All three are needed for a quorum: it must come back with everything that it signed.
    fn goes_on_after_a_crash(&self) {
        self.net.kill("n2");
        self.net.rota_devnet(&["start", "n2"]);
        let hash = self.send("n3");
        let derived = self.receipt(&self.follower, &hash);
        self.receipt(&self.net.rpc_addr("n2"), &hash);
        self.same_block(&derived["blockNumber"]);
    }

    /// By every sequencer and by the follower.
    fn same_block(&self, number: &Value) {
        let hash = |at: &str| {
            let asked = ask(at, "eth_getBlockByNumber", json!([number, false]));
            asked.map(|block| block["hash"].clone()).filter(Value::is_string)
        };
        let derived = hash(&self.follower).unwrap();
        for name in BACK {
            let at = self.net.rpc_addr(name);
            let own = until(LONG, "the block", || hash(&at));
            assert_eq!(own, derived, "block {number} of {name}");
        }
    }

    /// With `cast`; gives the hash.
    fn send(&self, name: &str) -> Value {
        let url = format!("http://{}", self.net.rpc_addr(name));
        until(LONG, "a set that orders", || {
            let status = self.net.status(name)?;
            ["leading", "voting"].contains(&status["state"].as_str()?).then_some(())
        });
        let mut cast = self.net.cast();
        cast.args(["send", "--json", "--rpc-url", &url, "--private-key", USER]);
        cast.args(["--value", "1", "0x00000000000000000000000000000000000000aa"]);
        told(cast)["transactionHash"].clone()
    }
}

/// A file that only its owner can read.
fn private(path: PathBuf, key: &str) -> PathBuf {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    writeln!(file.unwrap(), "{key}").unwrap();
    path
}

fn told(mut command: Command) -> Value {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", text(&out));
    serde_json::from_slice(&out.stdout).unwrap()
}
