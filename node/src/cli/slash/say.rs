//! What `rota slash` says, in words and as JSON.
//!
//! Invariant: both forms tell the same; a state of a case always says from which L1 block on something can be done.

use super::super::out;
use crate::slash::{Found, Next, Report, Told};
use rota_l1::{CourtOffence, Worth};
use rota_types::EvidenceKind;
use serde_json::{Value, json};
use std::path::PathBuf;

/// One report, in its form.
pub(super) fn tell(report: &Report, seq: &mut u64, json: bool) {
    *seq = seq.saturating_add(1);
    let said = if json {
        out::json(&described(report, *seq))
    } else {
        out::line(format_args!("{}", words(report)))
    };
    if said.is_err() {
        tracing::debug!("nobody reads what is told");
    }
}

fn words(report: &Report) -> String {
    match report {
        Report::Watching { deployment, members, reporter } => format!(
            "watching {members} members of chain {}, generation {}; slasher contract {}; {}",
            deployment.l2_chain_id,
            deployment.generation,
            deployment.slasher,
            reporter.map_or_else(
                || "no account given: evidence is kept, not sent".to_owned(),
                |a| format!("rewards go to {a}")
            )
        ),
        Report::Found(found, path) => format!(
            "FOUND {} by member {:?} of epoch {}, height {} round {}{}",
            found.verdict.kind.name(),
            found.verdict.accused,
            found.verdict.place.epoch,
            found.verdict.place.height,
            found.verdict.place.round,
            path.as_ref().map_or_else(String::new, |p| format!("; kept in {}", p.display()))
        ),
        Report::Told(told) => told_words(told),
        Report::Blind(ms) => format!(
            "BLIND: nothing heard for {} s. Contradictions are missed. Is this machine connected, and do the members run?",
            ms / 1000
        ),
        Report::Sighted(looked) => format!("hears again; {} statements verified", looked.verified),
        Report::Missed(count) => format!(
            "MISSED {count} statements: members had dropped them before they were read. Give this machine more speed, or run a second one"
        ),
        Report::Trouble(why) => format!("trouble: {why}; trying again"),
    }
}

fn told_words(told: &Told) -> String {
    match told {
        Told::Opened { key, operator, worth } => {
            let worth =
                worth.as_ref().map_or_else(String::new, |w| format!("; {}", worth_words(w)));
            format!("the contract agrees: operator {operator}, offence {key}{worth}")
        }
        Told::Refused { why } => format!("the contract would not slash for it: {why}"),
        Told::Late { key } => format!("offence {key} was slashed already"),
        Told::Sending { key, step, gas } => format!("{step} for {key}, at most {gas} gas"),
        Told::Mined { hash, block, success, gas } => format!(
            "{} in L1 block {block}: {hash}, {gas} gas",
            if *success { "mined" } else { "REVERTED" }
        ),
        Told::Moved { key, next, block } => {
            format!("{key} at L1 block {block}: {}", next_words(*next, *block))
        }
        Told::Paid(amount) => format!("reward of {} taken out", out::eth(*amount)),
    }
}

/// What a report costs and brings.
pub(super) fn worth_words(w: &Worth) -> String {
    let cost = format!("about {} for {} gas in all", out::eth(w.cost), w.gas);
    if w.penalty.is_zero() {
        return format!("its stake was taken before: the reward may be nothing; {cost}");
    }
    format!(
        "it costs at least {} of {}, of which {} are for the reporter; {cost}",
        out::eth(w.penalty),
        out::eth(w.stake),
        out::eth(w.reward)
    )
}

pub(super) fn worth_json(w: &Worth) -> Value {
    json!({
        "stakeWei": w.stake.to_string(), "leastPenaltyWei": w.penalty.to_string(),
        "leastRewardWei": w.reward.to_string(), "gas": w.gas, "costWei": w.cost.to_string()
    })
}

fn next_words(next: Next, block: u64) -> String {
    match next {
        Next::Commit => "to be committed".to_owned(),
        Next::Wait(until) => {
            format!("waits {} blocks, until {until}", until.saturating_sub(block))
        }
        Next::Reveal => "to be revealed".to_owned(),
        Next::Contest(_) => "revealed by a later committer: to be contested".to_owned(),
        Next::Settle(_) => "can be settled".to_owned(),
        Next::Won(_) => "settled; the reward is credited".to_owned(),
        Next::Lost(_) => "another reporter has it".to_owned(),
    }
}

fn described(report: &Report, seq: u64) -> Value {
    let (kind, data) = match report {
        Report::Watching { deployment, members, reporter } => (
            "watching",
            json!({"chainId": deployment.l2_chain_id, "generation": deployment.generation, "slasher": deployment.slasher,
                   "members": members, "reporter": reporter}),
        ),
        Report::Found(found, path) => ("found", found_json(found, path.as_ref())),
        Report::Told(told) => ("step", told_json(told)),
        Report::Blind(ms) => ("blind", json!({"silentMs": ms})),
        Report::Sighted(looked) => ("sighted", json!({"verified": looked.verified})),
        Report::Missed(count) => ("missed", json!({"statements": count})),
        Report::Trouble(why) => ("trouble", json!({"message": why})),
    };
    json!({"v": 1, "type": kind, "seq": seq, "data": data})
}

fn found_json(found: &Found, path: Option<&PathBuf>) -> Value {
    json!({
        "kind": found.verdict.kind.name(), "accused": found.verdict.accused,
        "epoch": found.verdict.place.epoch, "height": found.verdict.place.height,
        "round": found.verdict.place.round, "file": path
    })
}

fn told_json(told: &Told) -> Value {
    match told {
        Told::Opened { key, operator, worth } => json!({
            "step": "opened", "key": key, "operator": operator.to_string(),
            "worth": worth.as_ref().map(worth_json)
        }),
        Told::Refused { why } => json!({"step": "refused", "message": why}),
        Told::Late { key } => json!({"step": "late", "key": key}),
        Told::Sending { key, step, gas } => {
            json!({"step": "sending", "what": step, "key": key, "gasLimit": gas})
        }
        Told::Mined { hash, block, success, gas } => json!({
            "step": "mined", "transactionHash": hash, "l1Block": block, "success": success,
            "gasUsed": gas
        }),
        Told::Moved { key, next, block } => json!({
            "step": "moved", "key": key, "l1Block": block, "state": next_words(*next, *block)
        }),
        Told::Paid(amount) => json!({"step": "paid", "wei": amount.to_string()}),
    }
}

pub(super) fn offence_json(o: &CourtOffence) -> Value {
    json!({
        "key": o.key, "operator": o.operator.to_string(), "kind": kind_name(o.kind),
        "seizedWei": o.seized.to_string(), "reporter": o.reporter, "revealedAt": o.revealed,
        "settlesAt": o.settles, "settled": o.settled
    })
}

pub(super) fn kind_name(kind: u8) -> &'static str {
    let place = usize::from(kind).checked_sub(1);
    place.and_then(|i| EvidenceKind::ALL.get(i)).map_or("unknown", |k| k.name())
}
