//! Who posts for an operator is named by its owner, so that what it spends comes back; the doctor says whether that was done.

use super::{Net, Shapes, doctor, json};

fn posting(net: &Net, what: &[&str], key: usize) -> super::support::Said {
    let file = format!("@owner{key}.key");
    let base = ["rewards", "posting"];
    net.rota(&[&base[..], what, &["--datadir", "@op1", "--owner-key-file", &file]].concat())
}

/// Operator 0, whose owner is the first one. Nothing was posted here, so nothing is due.
pub(crate) fn names(net: &Net, shapes: &mut Shapes) {
    let show = |more: &[&str]| {
        net.rota(&[&["rewards", "posting", "show", "--datadir", "@op1"], more].concat())
    };
    assert!(show(&[]).ok().contains("not named: rota rewards posting name"));
    assert!(doctor(net, 1).contains("does not get back what posting costs"), "{}", doctor(net, 1));
    posting(net, &["refund"], 1).fails(1, "operator 0 has named nobody who posts for it");
    posting(net, &["name", "--operator", "0"], 2).fails(7, "the owner is");
    let would = posting(net, &["name", "--dry-run"], 1).ok();
    assert!(would.contains("posts for operator 0, and gets back what that costs"), "{would}");
    shapes.note("rewards posting name", &posting(net, &["name", "--json"], 1).json());
    assert!(doctor(net, 1).contains("gets back what posting costs\n"), "{}", doctor(net, 1));
    let shown = show(&["--json"]).json();
    assert_eq!((&shown["operator"], &shown["dueWei"]), (&json!(0), &json!("0")), "{shown}");
    shapes.note("rewards posting show", &shown);
    // With the key of whoever pays for it: it is for the operator of these keys.
    posting(net, &["refund"], 2).fails(1, "nothing is due");
    // The poster of another machine.
    let other = "0x00000000000000000000000000000000000000aa";
    posting(net, &["name", other], 1).ok();
    let said = doctor(net, 1).to_lowercase();
    assert!(said.contains(&format!("{other} gets back what posting costs, and 0x")), "{said}");
    posting(net, &["name", "--off"], 1).ok();
    assert!(show(&[]).ok().contains("not named"));
}
