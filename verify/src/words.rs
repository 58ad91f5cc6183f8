//! What each stage is worth, in plain words (`docs/receipts.md`; protocol study, "Statement per tier").
//!
//! Invariant: a sentence promises nothing that the verdict does not hold.

use crate::{Acked, Insured, Verdict, percent};
use alloc::{format, string::String};
use rota_types::{Stage, U256};

/// What is said wherever stake at fault is named.
pub const SLASHING: &str = "At fault means provable from signatures: the slasher on L1 takes the stake, and keeps what the penalty is.";

/// What the receipt is worth at a stage.
#[must_use]
pub fn worth(verdict: &Verdict, stage: Stage) -> String {
    let stake = eth(gwei(verdict.leader.stake_gwei));
    match (stage, &verdict.acked) {
        (Stage::Received, _) => String::from("Nothing yet: a node has the transaction."),
        (Stage::Acked, Some(acked)) => format!(
            "{} % of the stake stored it and signed so; {}{} ETH are provably at fault if it is lost all the same.",
            percent(acked.weight_gwei, acked.total_gwei),
            if acked.round_leader.is_some() { "" } else { "at least " },
            eth(acked.secured_wei),
        ),
        (Stage::Preconfirmed | Stage::Acked, _) => format!(
            "Promised by {}, who has {stake} ETH at stake: if it signed something else for this place too, the two signatures prove it.",
            verdict.leader.owner
        ),
        (Stage::Decided, _) => String::from(
            "Final in the sequencer network: more than two thirds of the stake signed the height.",
        ),
        (Stage::Posted, _) => String::from("On Ethereum, for anyone to rebuild the chain from."),
        (Stage::Finalized, _) => String::from("Final on Ethereum."),
        (Stage::Proven, _) => String::from("Proven to contracts on Ethereum."),
    }
}

/// What would have to happen for it to be lost at a stage.
#[must_use]
pub fn lost_if(verdict: &Verdict, stage: Stage) -> String {
    match (stage, &verdict.acked) {
        (Stage::Received, _) => String::from("The node drops it."),
        (Stage::Acked, Some(acked)) => lost_acked(acked),
        (Stage::Preconfirmed | Stage::Acked, _) => String::from(
            "The leader fails, or is cut off, before a third of the stake has the frame: then nobody is at fault. Otherwise the leader must sign a second history.",
        ),
        (Stage::Decided, _) => String::from(
            "A third of the stake or more provably signs two things that exclude each other.",
        ),
        (Stage::Posted, _) => String::from(
            "Ethereum reorganises the block away; then anyone can post the same batch again, and it is as decided as before.",
        ),
        (Stage::Finalized | Stage::Proven, _) => {
            String::from("Ethereum itself goes back behind its finality.")
        }
    }
}

/// What the insured amount is worth, if there is one.
#[must_use]
pub fn covered(verdict: &Verdict) -> Option<String> {
    let Insured { amount_wei, covered_wei, .. } = verdict.insured?;
    let (amount, covered) = (eth(U256::from(amount_wei)), eth(U256::from(covered_wei)));
    Some(if verdict.acked.is_none() {
        format!(
            "{amount} ETH are insured once the receipt has acks: this one has none, so nothing is covered by it."
        )
    } else if covered_wei < amount_wei {
        format!("{covered} of {amount} insured ETH are covered by the stake of who led.")
    } else {
        format!(
            "{amount} ETH are insured: if the transaction loses its place, the slashed stake pays that to its sender on Ethereum."
        )
    })
}

fn lost_acked(acked: &Acked) -> String {
    let liars = u128::from(acked.weight_gwei)
        .saturating_mul(3)
        .saturating_sub(u128::from(acked.total_gwei).saturating_mul(2))
        .wrapping_div(3);
    format!(
        "Its leader provably signs two histories, and members with at least {} ETH provably lie about what they stored; a third of the stake or more could do it by other contradictions, also provable.",
        eth(U256::from(liars).saturating_mul(U256::from(1_000_000_000u64)))
    )
}

fn gwei(amount: u64) -> U256 {
    U256::from(amount).saturating_mul(U256::from(1_000_000_000u64))
}

/// Wei as ETH with six decimals at most, rounded down.
#[must_use]
pub fn eth(wei: U256) -> String {
    let micro = wei.wrapping_div(U256::from(1_000_000_000_000u64));
    let million = U256::from(1_000_000u64);
    let (whole, rest) = (micro.wrapping_div(million), micro.wrapping_rem(million));
    let text = format!("{whole}.{:06}", rest.saturating_to::<u64>());
    String::from(text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short_and_not_rounded_up() {
        assert_eq!(eth(gwei(32_000_000_000)), "32");
        assert_eq!(eth(gwei(1_999_999_999)), "1.999999");
        assert_eq!(eth(U256::ZERO), "0");
    }
}
