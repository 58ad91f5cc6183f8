//! A bond for lost frames: offered, shown, stopped, taken back when nothing can be claimed any more.

use super::{Net, Shapes, json};

fn warranty(net: &Net, what: &[&str]) -> super::support::Said {
    net.owned(3, &[&["warranty"], what].concat())
}

/// Operator 2 offers in epoch 0, before its frames of epoch 2.
pub(crate) fn offers(net: &Net, shapes: &mut Shapes) {
    let show = ["warranty", "show", "2"];
    assert!(net.set(1, &show).ok().contains("now            nothing is given back"));
    let set = ["set", "--bps", "100000", "--per-tx", "0.02"];
    warranty(net, &[&set[..], &["--per-term", "0.01"]].concat()).fails(11, "hint: give up to 100");
    warranty(net, &["withdraw"]).fails(11, "Warranty_NothingToPay");
    let would = warranty(net, &["post", "--amount", "0.5", "--dry-run"]).ok();
    assert_eq!(would.trim(), "would add 0.5 ETH to the bond of operator 2");
    shapes.note("set warranty post", &warranty(net, &["post", "--amount", "0.5", "--json"]).json());
    // Anyone may add to a bond, and only the owner says what it is for.
    let of = ["--operator", "2"];
    net.owned(1, &[&["warranty", "post", "--amount", "0.25"], &of[..]].concat()).ok();
    let good = [&set[..], &["--per-term", "0.05"]].concat();
    net.owned(1, &[&["warranty"], &good[..], &of].concat()).fails(7, "the owner is");
    let printed = warranty(net, &[&good[..], &["--print-tx"]].concat()).json();
    let words = "operator 2: from epoch 2 on 10 times the offered tip is given back, at most 0.02 ETH for a transaction and 0.05 ETH for a term";
    assert_eq!(printed["what"], json!(words));
    warranty(net, &good).ok();
    warranty(net, &["withdraw"]).fails(11, "hint: rota set warranty show says");
    let said = net.set(1, &show).ok();
    assert!(said.contains("bond           0.75 ETH") && said.contains("from epoch 2"), "{said}");
    shapes.note("set warranty show", &net.set(1, &["warranty", "show", "2", "--json"]).json());
}

/// In epoch 2: it is in force until the set of epoch 4.
pub(crate) fn stops(net: &Net) {
    let shown = net.set(1, &["warranty", "show", "2", "--json"]).json();
    assert_eq!(shown["offer"]["bps"], json!(100_000), "{shown}");
    warranty(net, &["set", "--off"]).ok();
    let shown = net.set(1, &["warranty", "show", "2", "--json"]).json();
    assert_eq!((&shown["last"]["bps"], &shown["lastFromEpoch"]), (&json!(0), &json!(4)), "{shown}");
    assert_eq!(
        (&shown["offer"]["bps"], &shown["bondFreeFromEpoch"]),
        (&json!(100_000), &json!(null))
    );
}

/// In epoch 7: the last set with the offer was in force in epoch 3, and claims end one epoch later.
pub(crate) fn is_paid_back(net: &Net) {
    let shown = net.set(1, &["warranty", "show", "2", "--json"]).json();
    assert_eq!(shown["bondFreeFromEpoch"], json!(5), "{shown}");
    let to = "0x00000000000000000000000000000000000000ab";
    warranty(net, &["withdraw", "--to", to]).ok();
    assert_eq!(net.cast(&["balance", to]).ok().trim(), "750000000000000000");
}
