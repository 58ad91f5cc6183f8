//! Which heights needed more than one round, and which of those were at a change of sets.
//!
//! Printed, not judged: members die in this test. That no height is missing is judged.

use rota_tests::live::{Devnet, quantity};
use serde_json::json;

/// Heights from a change of sets in which it may still be felt.
const AFTER: usize = 8;

pub(super) fn around_changes_of_sets(net: &Devnet) {
    let mut rpc = net.rpc("n1");
    let head = quantity(&rpc.call("seq_status", json!([])).unwrap()["height"]);
    let mut heights: Vec<(u64, u64)> = Vec::new();
    for height in 1..head {
        match rpc.call("seq_commitCertificate", json!([height])) {
            Ok(c) => heights.push((quantity(&c["epoch"]), quantity(&c["round"]))),
            // The oldest are not kept in memory.
            Err(why) => assert!(heights.is_empty(), "height {height} is missing: {why}"),
        }
    }
    let is_change = |at: usize| heights[at].0 != heights[at - 1].0;
    let changes: Vec<usize> = (1..heights.len()).filter(|at| is_change(*at)).collect();
    assert!(changes.len() >= 4, "{} changes of sets", changes.len());
    let late = heights.iter().filter(|(_, round)| *round > 0).count();
    let near = |at: &usize| heights.iter().skip(*at).take(AFTER);
    let felt = changes.iter().flat_map(near).filter(|(_, round)| *round > 0).count();
    let first = changes.iter().filter(|at| heights[**at].1 > 0).count();
    println!(
        "heights: {} read, none missing, {late} in a later round; {} changes of sets, {first} of them with a first height in a \
         later round, {felt} later rounds in the {AFTER} heights from a change on",
        heights.len(),
        changes.len()
    );
}
