//! What to do when a contract refuses, by the name of its error.
//!
//! Invariant: every error that an owner's or a user's own call can meet has a line here.

use super::Exit;
use crate::external::ExternalError;
use rota_l1::Refusal;

/// One line for whoever made the call; none for errors that only a wrong program meets.
pub(super) fn advice(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::Registry(name) => registry(name),
        Refusal::Forced(name) => forced(name),
        Refusal::Rewards(name) => Some(rewards(name)),
        Refusal::Oracle(name) => oracle(name),
        Refusal::Warranty(name) => warranty(name),
        Refusal::Portal(name) => portal(name),
        Refusal::Slasher(name) => slasher(name),
        _ => None,
    }
}

fn registry(name: &str) -> Option<&'static str> {
    Some(match name.trim_start_matches("Registry_") {
        "StakeTooLow" => "put up at least the least stake: rota set params shows it",
        "StakeTooHigh" => "so much does not fit one operator: give less",
        "ZeroFeeRecipient" => "give an account for the fees",
        "PeerTooLong" => "give a shorter address with --peer",
        "SeqKeyUsed" | "VoteKeyUsed" | "ZeroVoteKey" => {
            "keys are registered once and never again: rota set list shows who has them; make others with rota key new"
        }
        "BadSeqProof" | "BadVoteProof" | "HighS" => {
            "the proof is of another network, account or address: make it anew with rota key prove"
        }
        "EpochNotOpen" => {
            "a set is frozen during the epoch before its own: rota set schedule says when"
        }
        "AlreadyFrozen" => "somebody froze it already: rota set schedule shows it",
        "TooFewOperators" => {
            "more operators must join first: rota set list shows how many there are"
        }
        "UnknownOperator" => "rota set list shows all operators",
        "NotOwner" => "only the owner may do that: rota set show names it",
        "WrongState" => "rota set show says where the operator is and what comes next",
        "Locked" => "rota set show says from which L1 block on the stake is free",
        "TransferFailed" => "the receiver takes no ETH: choose another with --to",
        _ => return None,
    })
}

fn forced(name: &str) -> Option<&'static str> {
    Some(match name.trim_start_matches("Forced_") {
        "BlockFull" => "the queue takes no more in this L1 block: repeat the command",
        "Fee" => "the queue asks for more: repeat the command",
        "Length" => "the queue takes transactions of up to 32 KiB",
        "Gas" => "the queue takes transactions of up to 16777216 gas",
        _ => return None,
    })
}

fn oracle(name: &str) -> Option<&'static str> {
    Some(match name {
        "Oracle_TooEarly" => {
            "checkpoints keep their distance (--checkpoint-blocks of the deployment): repeat the command later"
        }
        "Oracle_NothingNew" => "nothing was posted since the last checkpoint",
        "Oracle_NotFinal" => "the checkpoint's L1 block is too young: repeat the command later",
        "Oracle_WrongStep" | "Oracle_WrongParent" | "Oracle_UnknownStep" => {
            "steps become final one by one: rota output list shows which is next"
        }
        "Oracle_Backwards" => "an output cannot fall behind what is proven: is the node in step?",
        "Oracle_Known" => "the oracle has this claim already: rota output list",
        "Oracle_NotShown" => {
            "the slot does not stand for it yet: rota output list says from when on"
        }
        "BondedSlot_Bonded" => "somebody put a bond on this output already: rota output list",
        "BondedSlot_WrongBond" => "the slot asks for another bond: repeat the command",
        "BondedSlot_Retired" => "the oracle does not ask this slot any more: rota output list",
        "BondedSlot_Open" => "the step is not final yet: rota output list",
        "BondedSlot_Settled" => "the bond was returned or divided already",
        _ => return None,
    })
}

fn portal(name: &str) -> Option<&'static str> {
    if let Some(name) = name.strip_prefix("Bridge_") {
        return Some(match name {
            "Nothing" => "give an amount above zero",
            "Target" => "give an account that gets them, with --to",
            "Short" => "that bridge on L1 has less of the token than the withdrawal says",
            _ => "only the portal calls that, for a withdrawal of the token's bridge on the rollup",
        });
    }
    if name == "SafeERC20FailedOperation" {
        return Some("the token refuses: check that it is an ERC-20 token, and the balance");
    }
    Some(match name.trim_start_matches("Portal_") {
        "NotWholeGwei" | "Amount" => "give a whole number of gwei, at least 0.0001 ETH",
        "Target" => "nothing can be sent to the portal itself or to the zero address",
        "BlockFull" => "this L1 block takes no more deposits: repeat the command",
        "NotProven" => "that block is not proven on L1: leave --block out",
        "AlreadyProven" => "it was shown already: rota bridge status",
        "Unknown" => "show it first: rota bridge prove",
        "Immature" => "it is not payable yet: rota bridge status --json says when (payableAt)",
        "NoLongerProven" => "show it again in another block: rota bridge prove",
        "AlreadyPaid" => "it was paid already",
        "Paused" => "payments are stopped for some days: repeat the command later",
        "Short" => "the portal holds too little until somebody deposits or seeds",
        "CallFailed" => "the target refuses the call: try again when it takes it",
        "Gas" => "give the transaction more gas",
        _ => return None,
    })
}

fn rewards(name: &str) -> &'static str {
    match name.trim_start_matches("Rewards_") {
        "NothingDue" => {
            "rota rewards show and rota rewards posting show say what is due and what the contract has"
        }
        "NotOwner" => "only the owner of the operator says who posts for it",
        "NoPoster" => "its owner names one first: rota rewards posting name",
        "NoOperator" => {
            "members are paid back, and those who were as long as their stake is locked: rota set show"
        }
        "NotPosted" => "wait until a batch with that height is on L1, and repeat the command",
        "CertificateExpired" | "WrongGeneration" | "Older" => {
            "ask a node that is in step for a newer one, with --rpc-url"
        }
        "PaymentFailed" => "the account takes no ETH, and nobody else can be paid for it",
        _ => "the node's proof does not fit what L1 knows: ask another with --rpc-url",
    }
}

fn slasher(name: &str) -> Option<&'static str> {
    Some(match name {
        "Slasher_Processed" => "the offence was slashed already: rota slash list",
        "Slasher_NoCommitment" => {
            "the commitment is not mined yet, or is of another account or salt: send commit first"
        }
        "Slasher_CommitmentExpired" => "too many L1 blocks since the commitment: commit again",
        "Slasher_UnknownOffence" | "Slasher_OtherOffence" => "rota slash list shows the offences",
        "Slasher_TooLate" => "the time for it is over: rota slash show says since when",
        "Slasher_TooEarly" => "rota slash show says from which L1 block on it can be settled",
        "Slasher_Settled" => "somebody settled it already: rota slash show",
        "Slasher_NothingToPay" => "a credit comes with the settlement: rota slash list",
        "Slasher_NothingToRelease" => "penalties took all of it, or it was given back already",
        "Slasher_Unsettled" => "the operator's other offences are settled first: rota slash list",
        "Slasher_TransferFailed" => "the account takes no ETH",
        "Slasher_NotReverted" => "show first that the frame was taken back",
        "Slasher_ClaimedBefore" => "somebody claimed it for the same account already",
        "Slasher_UnknownClaim" => "the claim was never made, or was collected",
        "Slasher_Bounded" => "a wrong result of execution does not pay for reverted frames",
        "Claims_OtherCause" => {
            "the frames were not taken back because of this offence: try another"
        }
        "Claims_NoFork" => {
            "the log does not part from the frames there: ask a node that is in step"
        }
        "Claims_Amount" => "the transaction was not insured",
        "Evidence_Expired" => "its set has been out of force for too long: it can cost nothing now",
        "Evidence_NotProven" => {
            "slots on L1 have agreed on no hash of that block: rota output list"
        }
        "Evidence_NoOracle" => "this network has no oracle: a false block cannot be shown here",
        "Evidence_Generation" => {
            "it is of a generation that L1 has not begun: ask another endpoint"
        }
        _ if name.starts_with("Evidence_") || name.starts_with("Claims_") => {
            "rota slash verify and rota preconf verify say what a file shows"
        }
        _ => return None,
    })
}

fn warranty(name: &str) -> Option<&'static str> {
    Some(match name.trim_start_matches("Warranty_") {
        "BadOffer" => {
            "give up to 100 times, and a cap for a transaction that is not above that for a term"
        }
        "NotOwner" => "only the owner may do that: rota set show names it",
        "Lapsed" => {
            "too many of its terms were lost: rota set warranty show says when it can offer again"
        }
        "Locked" => "rota set warranty show says in which epoch the bond is free",
        "NothingPosted" => "give an amount above 0",
        "None" => {
            "the leader of that frame gave no warranty; the insured amount is claimed without --warranty"
        }
        "Expired" => "it is too late: a lost frame can be claimed for during some epochs only",
        "NotLost" | "OtherTerm" | "NotLater" => {
            "the frame's own term was not cut short by a later one: rota preconf verify shows what the promise proves"
        }
        "Equivocation" | "TwoHistories" => {
            "the leader signed two histories: report it with rota slash, and claim the insured amount"
        }
        "NothingDue" => {
            "it was refunded already, offered no tip, or nothing is left: rota set warranty show"
        }
        "NothingToPay" => "there is nothing to be paid: rota set warranty show",
        "TransferFailed" => "the receiver takes no ETH: choose another with --to",
        _ => return None,
    })
}

/// Code and one line for an execution client that is led no further.
pub(super) const fn external(e: &ExternalError) -> (Exit, &'static str) {
    match e {
        ExternalError::Unauthorized(_) => (
            Exit::Key,
            "give --jwt the file that the client reads too (geth: --authrpc.jwtsecret), and set both clocks: they may be 60 s apart",
        ),
        ExternalError::NoEngine { .. } => (
            Exit::Config,
            "give --engine the authenticated port (geth: --authrpc.port, usually 8551) of a client that knows Prague",
        ),
        ExternalError::OtherChain { .. } | ExternalError::OtherGenesis { .. } => (
            Exit::Network,
            "start the client in an empty data directory with the file of: rota chain genesis --out genesis.json",
        ),
        ExternalError::Invalid(_) | ExternalError::Disagreed { .. } => (
            Exit::Verify,
            "keep the file and try the block on a third client: docs/follow.md. Do not restart blindly: the same block comes again",
        ),
        ExternalError::Stuck { .. } => (
            Exit::Failed,
            "look at the client's log; a client that will not go behind its final block needs an empty data directory",
        ),
        ExternalError::Io { .. } => (Exit::DataDir, "look at the disk, then start again"),
        ExternalError::Setup(_) => (Exit::Failed, "the log lines above say what came before"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_l1::bindings::{ClaimsChecker, ForcedQueue, Registry, Rewards, Slasher, Warranty};

    /// Met by programs of ours only, or by the deployment.
    const OURS: [&str; 9] = [
        "Registry_BadMinimum",
        "Registry_BadTerms",
        "Registry_NotInbox",
        "Registry_NotSlasher",
        "Registry_UnknownEpoch",
        "Registry_UnknownMember",
        "Forced_NoEntry",
        "Forced_TransferFailed",
        "Slasher_BadTerms",
    ];

    #[test]
    fn every_refusal_of_an_owners_call_says_what_to_do() {
        use alloy::sol_types::SolInterface;
        type R = Registry::RegistryErrors;
        type F = ForcedQueue::ForcedQueueErrors;
        type W = Rewards::RewardsErrors;
        type B = Warranty::WarrantyErrors;
        type S = Slasher::SlasherErrors;
        type C = ClaimsChecker::ClaimsCheckerErrors;
        let registry = R::selectors().filter_map(R::name_by_selector).map(Refusal::Registry);
        let forced = F::selectors().filter_map(F::name_by_selector).map(Refusal::Forced);
        let rewards = W::selectors().filter_map(W::name_by_selector).map(Refusal::Rewards);
        let ours = |n: &&str| n.starts_with("Warranty_");
        let warranty = B::selectors().filter_map(B::name_by_selector).filter(ours);
        let warranty = warranty.map(Refusal::Warranty);
        let slasher = S::selectors().filter_map(S::name_by_selector);
        let slasher = slasher.chain(C::selectors().filter_map(C::name_by_selector));
        let slasher = slasher.map(Refusal::Slasher);
        let mut seen = 0;
        for refusal in registry.chain(forced).chain(rewards).chain(warranty).chain(slasher) {
            let name = refusal.to_string();
            let ours = OURS.contains(&name.trim_end_matches("()")) || !name.contains('_');
            assert_eq!(advice(&refusal).is_none(), ours, "{name}");
            seen += 1;
        }
        assert!(seen > 60, "{seen}");
    }
}
