//! A user whose insured transaction was acked and reverted is paid from the stake of who signed two histories.
//!
//! Invariant: all that the user has is the promise, a node and L1; the claim waits for whatever reports the offence.

use super::{balance, private, rpc_of, told_by};
use alloy_primitives::{Address, U256};
use rota_tests::live::{ACCOUNT, Devnet, LONG, text, until};
use serde_json::Value;
use std::{path::Path, process::Command};

/// Key of the last test account: whose transaction it is.
pub(super) const USER: &str = "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6";
/// What it insured.
const INSURED: &str = "1000000000000000000";

/// A claim with an account that only pays for gas, from before the offence is reported until the amount is credited.
pub(super) fn claim(net: &Devnet, promise: &Path) -> Command {
    let key = net.file("claims.key");
    private(&key, ACCOUNT);
    command(net, promise, &["--wait", "--key-file", key.to_str().unwrap()])
}

/// Runs it once the promise is there.
pub(super) fn claims(promise: &Path, claim: Command) -> Value {
    until(LONG, "a promise to be broken", || promise.exists().then_some(()));
    told_by(claim)
}

fn command(net: &Devnet, promise: &Path, args: &[&str]) -> Command {
    let mut command = net.rota();
    command.args(["preconf", "claim"]).arg(promise).args(args).arg("--json");
    command.args(["--rpc-url", &format!("http://{}", rpc_of(net, "n1"))]);
    command.arg("--datadir").arg(net.datadir("n1"));
    command
}

/// What the promise says, what was credited for it, and that the sender alone takes it out, once.
pub(super) fn is_paid(net: &Devnet, promise: &Path, credited: &Value) {
    let mut verify = net.rota();
    verify.args(["preconf", "verify", "--json"]).arg(promise);
    verify.arg("--datadir").arg(net.datadir("n1"));
    let verdict = told_by(verify);
    assert_eq!(verdict["verified"], true, "{verdict}");
    contradicts(net, promise);
    assert_eq!(
        (&credited["state"], &credited["insuredWei"], &credited["wei"]),
        (&"credited".into(), &INSURED.into(), &INSURED.into()),
        "{credited}"
    );
    let user: Address = serde_json::from_value(credited["sender"].clone()).unwrap();
    let before = balance(net, user);
    let key = net.file("user.key");
    private(&key, USER);
    let mut take = net.rota();
    take.args(["slash", "claim", "--json", "--key-file"]).arg(&key).args(super::court::l1(net));
    let taken = told_by(take);
    // The gas of this one transaction, at any price that the L1 of a devnet ever has.
    let most = U256::from(10u64).pow(U256::from(15));
    let got = balance(net, user) - before;
    let insured: U256 = INSURED.parse().unwrap();
    assert!(got <= insured && got + most > insured, "{got} wei {taken}");
    let again = told_by(command(net, promise, &["--key-file", key.to_str().unwrap()]));
    assert_eq!((&again["state"], &again["wei"]), (&"paid".into(), &"0".into()), "{again}");
    let mut twice = net.rota();
    twice.args(["slash", "claim", "--key-file"]).arg(&key).args(super::court::l1(net));
    let twice = twice.output().unwrap();
    assert!(text(&twice).contains("nothing is credited to"), "{}", text(&twice));
    println!("insured: {got} wei of {INSURED} reached {user}, less its gas");
}

/// The promise and the log alone are evidence against the leader, of the offence that it lost its stake for.
fn contradicts(net: &Devnet, promise: &Path) {
    let file = net.file("of-the-user.json");
    let mut evidence = net.rota();
    evidence.args(["preconf", "evidence"]).arg(promise).arg("-o").arg(&file);
    evidence.args(["--rpc-url", &format!("http://{}", rpc_of(net, "n1"))]);
    let done = evidence.output().unwrap();
    assert!(done.status.success() && text(&done).contains("FrameTwice"), "{}", text(&done));
    let mut submit = net.rota();
    submit.args(["slash", "submit"]).arg(&file).args(["--dry-run", "--json"]);
    let judged = told_by({
        submit.args(super::court::l1(net));
        submit
    });
    assert_eq!((&judged["kind"], &judged["processed"]), (&"FrameTwice".into(), &true.into()));
}
