//! `rota preconf claim` of an insured amount on L1: from the report of the offence to the money.
//!
//! Not for: what shows the harm (`types`), nor for finding the offence (`rota slash`). Invariant: what to do next follows from
//! L1 and the receipt alone, so a command that was interrupted is simply given again.

use super::{insured_parts, reversion};
use crate::{
    cli::{
        Done,
        args::ClaimArgs,
        call::{Call, make, owner_key},
        client::Node,
        node::settings_on_l1,
        out,
    },
    exit::{Exit, Failure},
    setup::OnL1,
};
use alloy_primitives::{Address, B256, U256};
use rota_l1::{ClaimView, Court, L1Error, Refusal, TxRequest, claim_id};
use rota_types::{Claim, Receipt, Reversion};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};

/// Between two looks at L1.
const LOOK: Duration = Duration::from_secs(2);
/// How long the place of a frame may take to be decided, with `--wait`.
const DECIDED: Duration = Duration::from_secs(60);
/// Offences that are older than so many times for claims are found by their name only.
const PAST: u64 = 2;
/// Blocks that are read again: L1 may have changed its mind.
const AGAIN: u64 = 64;

/// What can be done for a claim against one offence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Register it, after the harm was shown.
    Register,
    /// It was not registered in time.
    Missed,
    /// Registered; others may claim until this block.
    Wait(u64),
    /// Share out the penalty.
    Settle,
    /// Have the share credited.
    Collect,
    /// It is.
    Collected,
}

impl Step {
    fn of(view: &ClaimView) -> Self {
        let over = view.block >= view.offence.settles;
        match view.claim {
            // The next block is the first that a claim sent now can be in.
            None if view.block.saturating_add(1) >= view.offence.settles => Self::Missed,
            None => Self::Register,
            Some(claim) if claim.amount.is_zero() => Self::Collected,
            Some(_) if view.offence.settled => Self::Collect,
            Some(_) if over => Self::Settle,
            Some(_) => Self::Wait(view.offence.settles),
        }
    }
}

/// What L1 shows.
enum Look {
    /// A call that it would take.
    Call(Call),
    /// There is nothing to call now.
    Nothing(Next),
}

/// How it goes on.
enum Next {
    /// A call is mined: look again.
    Sent,
    /// A call was printed or tried only.
    Shown,
    /// Nothing before this block.
    Wait(u64),
    /// No offence on record pays for it.
    NoCause,
    /// The amount is credited to the sender, whose key is not at hand.
    Credited(U256),
    /// Nothing is left to do.
    Paid,
}

/// A broken promise and the court that it is brought to.
struct Broken<'a> {
    args: &'a ClaimArgs,
    receipt: &'a Receipt,
    claim: Claim,
    /// Who signed the transaction, and is paid.
    sender: Address,
    /// Whose key is given.
    payer: Option<Address>,
    court: Court,
    reversion: Option<Reversion>,
    offences: BTreeSet<U256>,
    /// First L1 block whose offences were not read.
    unread: u64,
}

pub(super) async fn claim(args: &ClaimArgs, receipt: &Receipt, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    if receipt.domain.registry != network.registry {
        return Err(Failure::new(Exit::Network, "the promise is of another network")
            .hint("give the network file of the promise's network with --network"));
    }
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let (claim, sender) = insured_parts(receipt)?;
    let court = l1.court().await?;
    let past = court.windows().await?.claims.saturating_mul(PAST);
    let unread = l1.head().await?.saturating_sub(past).max(network.l1_deploy_block);
    let payer = owner_key(&args.call)?.map(|key| key.address());
    let (reversion, mut offences) = (None, BTreeSet::new());
    offences.extend(args.offence.map(|key| U256::from_be_bytes(key.0)));
    let mut broken =
        Broken { args, receipt, claim, sender, payer, court, reversion, offences, unread };
    broken.run(&l1, json).await
}

impl Broken<'_> {
    async fn run(&mut self, l1: &OnL1<'_>, json: bool) -> Done {
        let (mut paid, mut said, mut refused) = (U256::ZERO, String::new(), String::new());
        loop {
            let next = match self.act(l1, &mut paid, json).await {
                // L1 may have moved between the look and the call: another settles, or claims the same.
                Err(e) if e.exit == Exit::L1Tx && e.message != refused => {
                    refused = e.message;
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
                Err(e) if e.exit == Exit::Unreachable && self.args.wait => {
                    say(&mut said, format!("{}; trying again", e.message));
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
                next => next?,
            };
            let waits = match next {
                Next::Sent => {
                    refused.clear();
                    continue;
                }
                Next::Shown => return Ok(()),
                Next::Wait(block) if !self.args.wait => {
                    return self.tell(("claimed", U256::ZERO, Some(block)), json);
                }
                Next::NoCause if !self.args.wait => {
                    return Err(Failure::new(
                        Exit::Failed,
                        "no offence on L1 pays for it: none is on record, or its time for claims is over",
                    )
                    .hint("if its leader signed two histories, rota preconf evidence and rota slash submit report that; --wait waits for others to do it"));
                }
                Next::Wait(block) => format!(
                    "claimed; others may claim until L1 block {block}, then it can be taken out"
                ),
                Next::NoCause => "waits for an offence to be reported that pays for it".to_owned(),
                Next::Credited(wei) => return self.tell(("credited", wei, None), json),
                Next::Paid => return self.tell(("paid", paid, None), json),
            };
            say(&mut said, waits);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks, and makes the next call if there is one.
    async fn act(&mut self, l1: &OnL1<'_>, paid: &mut U256, json: bool) -> Result<Next, Failure> {
        let call = match self.look(l1).await? {
            Look::Call(call) => call,
            Look::Nothing(next) => return Ok(next),
        };
        let credit = self.court.credit(self.sender).await?;
        let Some(outcome) = make(&self.args.call, l1, call, json).await? else {
            return Ok(Next::Shown);
        };
        let at = outcome.inclusion;
        eprintln!("{} in L1 block {}, {} gas", at.hash, at.block, at.gas_used);
        let left = self.court.credit(self.sender).await?;
        *paid = paid.saturating_add(credit.saturating_sub(left));
        Ok(Next::Sent)
    }

    async fn look(&mut self, l1: &OnL1<'_>) -> Result<Look, Failure> {
        self.read_offences(l1).await?;
        let (mut soonest, mut collected) = (None::<u64>, false);
        for id in self.offences.clone() {
            let domain = self.receipt.domain.domain();
            let Some(claim) = claim_id(id, &self.claim, &domain) else { continue };
            let view = self.court.claim_view(id, claim).await?;
            let call = match Step::of(&view) {
                Step::Register => self.register(id).await?,
                Step::Settle => {
                    let words = format!("settle offence {}", B256::from(id));
                    Some(self.tried(self.court.settle(id), words).await?)
                }
                Step::Collect => {
                    let words = format!("credit the claim to {}", self.sender);
                    Some(self.tried(self.court.collect(claim), words).await?)
                }
                Step::Wait(block) => {
                    soonest = Some(soonest.map_or(block, |s| s.min(block)));
                    None
                }
                Step::Collected => {
                    collected = true;
                    None
                }
                Step::Missed => None,
            };
            if let Some(call) = call {
                return Ok(Look::Call(call));
            }
        }
        match soonest {
            Some(block) => Ok(Look::Nothing(Next::Wait(block))),
            None if collected => self.take_out().await,
            None => Ok(Look::Nothing(Next::NoCause)),
        }
    }

    /// Offences that came since, unless one was named.
    async fn read_offences(&mut self, l1: &OnL1<'_>) -> Result<(), Failure> {
        if self.args.offence.is_none() {
            let head = l1.head().await?;
            let found = self.court.offences(self.unread).await?;
            self.offences.extend(found.into_iter().map(|o| o.id));
            self.unread = self.unread.max(head.saturating_sub(AGAIN));
        }
        Ok(())
    }

    /// The claim, or first the proof that the frame was taken back because of the offence; none if it was not.
    async fn register(&mut self, id: U256) -> Result<Option<Call>, Failure> {
        let (name, amount) = (B256::from(id), out::eth(U256::from(self.claim.insured)));
        let words = format!("claim {amount} for {} from offence {name}", self.sender);
        match self.gas(self.court.claim(id, &self.claim)).await {
            Ok(request) => return Ok(Some(self.call(request, words))),
            Err(L1Error::Refused(Refusal::Slasher("Slasher_NotReverted"))) => {}
            Err(L1Error::Refused(Refusal::Slasher("Slasher_TooLate"))) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
        if self.reversion.is_none() {
            self.reversion = Some(self.parted().await?);
        }
        let Some(reversion) = &self.reversion else { return Ok(None) };
        let words = format!("show that the frame was taken back because of offence {name}");
        match self.gas(self.court.prove_reverted(id, reversion)).await {
            Ok(request) => Ok(Some(self.call(request, words))),
            Err(L1Error::Refused(Refusal::Slasher(
                "Claims_OtherCause" | "Slasher_Bounded" | "Slasher_TooLate",
            ))) if self.args.offence.is_none() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Where the log parts from the frame; with `--wait` that is waited for.
    async fn parted(&self) -> Result<Reversion, Failure> {
        let node = Node::new(&self.args.rpc.rpc_url)?;
        let begun = tokio::time::Instant::now();
        loop {
            match reversion(&node, self.receipt).await {
                Err(e) if self.args.wait && e.exit == Exit::Failed && begun.elapsed() < DECIDED => {
                    tokio::time::sleep(LOOK).await;
                }
                done => return done,
            }
        }
    }

    async fn take_out(&self) -> Result<Look, Failure> {
        let credit = self.court.credit(self.sender).await?;
        if credit.is_zero() {
            return Ok(Look::Nothing(Next::Paid));
        }
        if self.payer != Some(self.sender) && !self.args.call.print_tx && !self.args.call.dry_run {
            return Ok(Look::Nothing(Next::Credited(credit)));
        }
        let words = format!("take {} out for {}", out::eth(credit), self.sender);
        let request = self.court.withdraw(self.sender);
        Ok(Look::Call(Call { from: self.sender, request, words }))
    }

    async fn gas(&self, request: TxRequest) -> Result<TxRequest, L1Error> {
        self.court.with_gas(self.payer.unwrap_or(self.sender), request).await
    }

    async fn tried(&self, request: TxRequest, words: String) -> Result<Call, Failure> {
        Ok(self.call(self.gas(request).await?, words))
    }

    const fn call(&self, request: TxRequest, words: String) -> Call {
        Call { from: Address::ZERO, request, words }
    }

    fn tell(&self, (state, wei, settles): (&str, U256, Option<u64>), json: bool) -> Done {
        let (sender, insured) = (self.sender, U256::from(self.claim.insured));
        if json {
            return out::json(&json!({
                "v": 1, "state": state, "sender": sender, "insuredWei": insured.to_string(),
                "wei": wei.to_string(), "settlesAt": settles
            }));
        }
        match (state, settles) {
            ("credited", _) => out::line(format_args!(
                "{} credited to {sender}; it takes it out with: rota slash claim --key-file F",
                out::eth(wei)
            )),
            (_, Some(block)) => out::line(format_args!(
                "{} claimed for {sender}; repeat the command from L1 block {block} on",
                out::eth(insured)
            )),
            _ if wei.is_zero() => out::line(format_args!("{sender} was paid already")),
            _ => out::line(format_args!("{} paid to {sender}", out::eth(wei))),
        }
    }
}

/// Once each.
fn say(said: &mut String, words: String) {
    if *said != words {
        eprintln!("{words}");
        *said = words;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_l1::{CourtClaim, CourtOffence};

    const SETTLES: u64 = 100;

    fn view(block: u64, claim: Option<u64>, settled: bool) -> ClaimView {
        let offence = CourtOffence {
            id: U256::from(7),
            key: B256::with_last_byte(7),
            operator: U256::from(1),
            kind: 1,
            seized: U256::from(32),
            reporter: Address::ZERO,
            commit_block: 79,
            revealed: 80,
            settles: SETTLES,
            settled,
        };
        let beneficiary = Address::repeat_byte(1);
        let claim = claim.map(|wei| CourtClaim { beneficiary, amount: U256::from(wei) });
        ClaimView { block, offence, claim }
    }

    #[test]
    fn a_claim_goes_from_the_offence_to_the_credit_and_is_made_in_time_or_not_at_all() {
        let steps = [
            (view(81, None, false), Step::Register),
            (view(SETTLES - 2, None, false), Step::Register),
            (view(SETTLES - 1, None, false), Step::Missed),
            (view(SETTLES, None, true), Step::Missed),
            (view(90, Some(5), false), Step::Wait(SETTLES)),
            (view(SETTLES - 1, Some(5), false), Step::Wait(SETTLES)),
            (view(SETTLES, Some(5), false), Step::Settle),
            (view(SETTLES + 9, Some(5), true), Step::Collect),
            (view(SETTLES + 9, Some(0), true), Step::Collected),
        ];
        for (view, step) in steps {
            assert_eq!(Step::of(&view), step, "{view:?}");
        }
    }
}
