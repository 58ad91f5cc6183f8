//! `rota preconf claim` of an insured amount on L1: from the report of the offence to the money.
//!
//! Not for: what shows the harm (`types`), nor for finding the offence (`rota slash`). Invariant: what to do next follows from
//! L1 and the receipt alone, so a command that was interrupted is simply given again.

use super::{insured_parts, reversion, step::Step};
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
/// Of a penalty, at most, to claims (`SlasherLedger`).
const CLAIMS_PERCENT: u64 = 80;
/// Blocks that are read again: L1 may have changed its mind.
const AGAIN: u64 = 64;

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
    /// The endpoint has not seen the newest call yet.
    Behind,
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
    /// Block of the newest own call: an endpoint that has not seen it is asked again.
    mined: u64,
    /// Why the newest offence that was tried does not pay.
    refusal: Option<String>,
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
    let mut broken = Broken {
        args,
        receipt,
        claim,
        sender,
        payer,
        court,
        reversion,
        offences,
        unread,
        mined: 0,
        refusal: None,
    };
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
                Err(e) if self.args.wait && matches!(e.exit, Exit::Unreachable | Exit::Timeout) => {
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
                Next::Behind => {
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
                Next::NoCause if !self.args.wait || self.args.offence.is_some() => {
                    let why = self
                        .refusal
                        .as_deref()
                        .unwrap_or("none is on record, or the time for claims is over");
                    return Err(Failure::new(
                        Exit::Failed,
                        format!("no offence on L1 pays for it: {why}"),
                    )
                    .hint("if its leader signed two histories, rota preconf evidence and rota slash submit report that; --wait waits for others to do it"));
                }
                Next::Wait(block) => format!(
                    "claimed; others may claim until L1 block {block}, then it can be taken out"
                ),
                Next::NoCause => {
                    // What the log still has is waited for in vain.
                    match self.parted_once().await {
                        Err(e) if e.exit != Exit::Unreachable => return Err(e),
                        Err(e) => format!("{}; trying again", e.message),
                        Ok(()) => "waits for an offence to be reported that pays for it".to_owned(),
                    }
                }
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
        let request = call.request.input.clone();
        let Some(outcome) = make(&self.args.call, l1, call, json).await? else {
            return Ok(Next::Shown);
        };
        let at = outcome.inclusion;
        eprintln!("{} in L1 block {}, {} gas", at.hash, at.block, at.gas_used);
        self.mined = self.mined.max(at.block);
        if request == self.court.withdraw(self.sender).input {
            *paid = credit;
        }
        Ok(Next::Sent)
    }

    async fn look(&mut self, l1: &OnL1<'_>) -> Result<Look, Failure> {
        let head = l1.head().await?;
        if head < self.mined {
            return Ok(Look::Nothing(Next::Behind));
        }
        self.read_offences(head).await?;
        let domain = self.receipt.domain.domain();
        let (mut views, mut covered) = (Vec::new(), false);
        for id in self.offences.clone() {
            let Some(claim) = claim_id(id, &self.claim, &domain) else { continue };
            let Some(view) = self.court.claim_view(id, claim).await? else { continue };
            if view.block < self.mined {
                return Ok(Look::Nothing(Next::Behind));
            }
            covered |= view.claim.is_some() && self.covers(&view);
            views.push((claim, view));
        }
        let (mut soonest, mut collected) = (None::<u64>, false);
        for (claim, view) in views {
            let id = view.offence.id;
            let call = match Step::of(&view) {
                Step::Register => self.register(id, covered).await?,
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

    /// Whether the claims' part of a whole stake is the amount at least. Others may share it.
    fn covers(&self, view: &ClaimView) -> bool {
        let part = view.offence.seized.saturating_mul(U256::from(CLAIMS_PERCENT));
        part >= U256::from(self.claim.insured).saturating_mul(U256::from(100))
    }

    /// Offences that came since, unless one was named.
    async fn read_offences(&mut self, head: u64) -> Result<(), Failure> {
        if self.args.offence.is_none() {
            let found = self.court.offences(self.unread).await?;
            self.offences.extend(found.into_iter().map(|o| o.id));
            self.unread = self.unread.max(head.saturating_sub(AGAIN));
        }
        Ok(())
    }

    /// The claim, or first the proof that the frame was taken back because of the offence; none if it was not. What is covered
    /// by another claim is claimed here too only if somebody else has shown the harm: a proof costs more than it can bring.
    async fn register(&mut self, id: U256, covered: bool) -> Result<Option<Call>, Failure> {
        let (name, amount) = (B256::from(id), out::eth(U256::from(self.claim.insured)));
        let words = format!("claim {amount} for {} from offence {name}", self.sender);
        match self.gas(self.court.claim(id, &self.claim)).await {
            Ok(request) => return Ok(Some(call(request, words))),
            Err(L1Error::Refused(Refusal::Slasher("Slasher_NotReverted"))) if !covered => {}
            Err(L1Error::Refused(why @ Refusal::Slasher(_))) => return Ok(self.not_it(&why)),
            Err(e) => return Err(e.into()),
        }
        self.parted_once().await?;
        let Some(reversion) = &self.reversion else { return Ok(None) };
        let words = format!("show that the frame was taken back because of offence {name}");
        match self.gas(self.court.prove_reverted(id, reversion)).await {
            Ok(request) => Ok(Some(call(request, words))),
            // Of another generation, another term, or another class: each refuses in its own words.
            Err(L1Error::Refused(why @ Refusal::Slasher(_))) => Ok(self.not_it(&why)),
            Err(e) => Err(e.into()),
        }
    }

    fn not_it(&mut self, why: &Refusal) -> Option<Call> {
        self.refusal = Some(why.to_string());
        None
    }

    async fn parted_once(&mut self) -> Result<(), Failure> {
        if self.reversion.is_none() {
            self.reversion = Some(self.parted().await?);
        }
        Ok(())
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
        if self.payer.is_some_and(|payer| payer != self.sender) {
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
        Ok(call(self.gas(request).await?, words))
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
            _ if wei.is_zero() => out::line(format_args!(
                "nothing is credited to {sender}: it was taken out before, or nothing was left to share"
            )),
            _ => out::line(format_args!("{} taken out for {sender}", out::eth(wei))),
        }
    }
}

/// A call that any account may make.
const fn call(request: TxRequest, words: String) -> Call {
    Call { from: Address::ZERO, request, words }
}

/// Once each.
fn say(said: &mut String, words: String) {
    if *said != words {
        eprintln!("{words}");
        *said = words;
    }
}
