//! `equivocate`: what happens to an operator whose keys sign two different things in one place, from the second signature to
//! the empty stake.
//!
//! Nobody is told what was done: the members' tapes show it, and whoever watches finds it. Invariant: the operator's own
//! process does not run while its keys are used here, as on two machines.

use crate::{
    accounts::{ACCOUNTS, signer},
    cli::say,
    control::{Order, ask},
    layout::{Layout, NodeState, Snapshot, State},
    offence::{Impostor, Leader, Tapes, failed, until},
    onl1::{OnL1, Slashed},
    promise,
    rpc::{Asker, http, number},
    teller::{Teller, eth, ms_between, now},
};
use alloy::{
    network::{EthereumWallet, TransactionBuilder},
    providers::{Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
};
use alloy_primitives::{Address, U256};
use rota_node::{
    exit::{Exit, Failure},
    keys::{Keys, Needs, Password, Passwords},
    slash,
};
use rota_types::{FrameBody, FrameHeader, SignedFrame, ValidatorSet};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Until the operator led once: a window of the schedule at most, on a slow machine.
const LEADS: Duration = Duration::from_secs(180);
/// More than a tick of the kernel.
const TICK: Duration = Duration::from_millis(20);
/// For everything else that has to happen.
const SOON: Duration = Duration::from_secs(60);
/// How long the operator's own process may take to hear of it after its start.
const REFUSES: Duration = Duration::from_secs(20);

/// What is known before anything is done.
struct Scene<'a> {
    layout: &'a Layout,
    l1: OnL1,
    before: Snapshot,
    node: NodeState,
    keys: Keys,
    /// Where the promise goes that the second frame breaks.
    promise: Option<PathBuf>,
}

pub(crate) async fn equivocate(
    layout: &Layout,
    (who, promise): (&str, Option<PathBuf>),
    quiet: bool,
) -> Result<(), Failure> {
    let scene = Scene::of(layout, who, promise).await?;
    let name = &scene.node.name;
    let mut teller = Teller { quiet, since: now() };
    let (first, second, from) = scene.send(&mut teller).await?;
    let on_tapes = teller.ms();
    let Some(slasher) = scene.before.slasher.as_ref() else {
        teller.say("end", "no slasher runs here: nobody takes it to L1 (rota slash watch does)");
        return Ok(());
    };
    let operator = scene.l1.member(first.epoch, first.leader).await?;
    let (evidence, found_ms) = scene.found(&slasher.dir, &second, &teller).await?;
    let slashed = scene.l1.slashed((operator, from), |step, at| {
        teller.say(step, format_args!("in L1 block {}, {} gas", at.l1_block, at.gas_used));
    });
    let slashed = slashed.await?;
    let gone_ms = teller.ms();
    let after = scene.l1.standing(operator).await?;
    teller.say(
        "taken",
        format_args!(
            "{} ETH of operator {operator}: {}, stake {}",
            eth(slashed.seized_wei),
            after.state,
            eth(after.stake)
        ),
    );
    scene.found_by_others(&teller);
    let exit = scene.again(&evidence, &teller).await?;
    let heights = scene.goes_on(&teller).await?;
    if quiet {
        say(json!({
            "v": 1, "node": name, "operator": operator.to_string(), "l1Block": from,
            "place": { "epoch": first.epoch, "height": first.height, "round": first.term.round, "g": first.g },
            "onTapesMs": on_tapes, "foundMs": found_ms, "goneMs": gone_ms, "evidence": evidence,
            "slashed": slashed, "state": after.state, "stakeWei": after.stake.to_string(),
            "exit": exit, "heights": heights, "promise": scene.promise
        }));
    } else {
        summary(name, &slashed, (from, gone_ms));
    }
    Ok(())
}

fn summary(name: &str, slashed: &Slashed, (from, gone_ms): (u64, u64)) {
    let blocks = slashed.reveal.l1_block.saturating_sub(from);
    let gas = slashed.commit.gas_used.saturating_add(slashed.reveal.gas_used);
    say(format_args!(
        "\n  {name}'s stake was gone {:.1} s and {blocks} L1 blocks after the second signature; {gas} gas; reporter {}",
        seconds(gone_ms),
        slashed.reporter
    ));
    say(format_args!("  rota slash list shows it, as offence {}", slashed.offence));
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

impl<'a> Scene<'a> {
    async fn of(layout: &'a Layout, who: &str, promise: Option<PathBuf>) -> Result<Self, Failure> {
        let (l1, before) = OnL1::of(layout).await?;
        let is = |n: &&NodeState| {
            n.role == "sequencer" && (n.name == who || n.name.strip_prefix('n') == Some(who))
        };
        let node = before.nodes.iter().find(is).cloned().ok_or_else(|| {
            Failure::new(Exit::Usage, format!("there is no sequencer {who}"))
                .hint("rota devnet status shows them")
        })?;
        let passwords = Passwords::known(Password::read(&layout.password())?);
        let needs = Needs { sequencer: true, poster: false };
        let keys = Keys::load(&layout.node(&node.name), needs, &passwords)?;
        Ok(Self { layout, l1, before, node, keys, promise })
    }

    /// Ends the operator's process, and signs and sends a second frame for the place of its newest one. Gives both, and the
    /// newest L1 block just before.
    async fn send(&self, teller: &mut Teller) -> Result<(FrameHeader, SignedFrame, u64), Failure> {
        let name = &self.node.name;
        let sets = self.l1.sets().await?;
        let Some(set) = sets.last_key_value().map(|(_, set)| set) else {
            return Err(failed("no set is frozen"));
        };
        let domain = self.l1.deployment.domain();
        let hot = self.keys.sequencer.as_ref().ok_or_else(|| failed("the node has no keys"))?;
        let leader = Leader { key: &hot.seq, sets: &sets, domain: &domain };
        let mut tapes = Tapes::open(&domain, set).await?;
        teller
            .say("looking", format_args!("for a frame that {name} signed, on the members' tapes"));
        let what = format!("a frame of {name}: it leads now and then");
        let mut first = until(LEADS, &what, async || leader.newest(tapes.news().await)).await?;
        if self.node.state == State::Running {
            ask(self.layout, &Order::Kill(name.clone())).await?;
        }
        let later = leader.newest(tapes.news().await);
        first = later.filter(|f| f.g > first.g).unwrap_or(first);
        let others = self.others().filter(|n| n.state == State::Running).count();
        let identity = self.keys.identity.clone();
        let impostor = Impostor::connect(&domain, set, (identity, others)).await?;
        let second = self.second(&leader, &first).await?;
        let head = self.l1.head().await?;
        teller.since = now();
        let reached = impostor.send(second.clone())?;
        teller.say(
            "signed",
            format_args!(
                "frame {} of height {} a second time with {name}'s key; sent to {reached} members",
                first.g, first.height
            ),
        );
        self.say_promise(teller)?;
        let shown = tapes.show(&second.header).await?;
        teller.say("shown", format_args!("on the tapes of {shown} members, for everyone to read"));
        impostor.close().await;
        tapes.close().await;
        Ok((first, second, head))
    }

    /// The second frame; with a promise to break there is a user's transaction in it, which members ack.
    async fn second(
        &self,
        leader: &Leader<'_>,
        first: &FrameHeader,
    ) -> Result<SignedFrame, Failure> {
        let Some(path) = &self.promise else {
            return Ok(leader.contradict(first, FrameBody::default()));
        };
        let node = self.witness()?;
        let set = leader.sets.get(&first.epoch).ok_or_else(|| failed("the set is unknown"))?;
        let passwords = Passwords::known(Password::read(&self.layout.password())?);
        let keys = promise::coalition(self.layout, self.before.nodes.iter(), &passwords)?;
        let frame = leader.contradict(first, promise::body(node, leader.domain).await?);
        promise::write(path, &frame, set, (&keys, leader.domain))?;
        Ok(frame)
    }

    /// How the promise is claimed; any account's key will do to pay for gas.
    fn say_promise(&self, teller: &Teller) -> Result<(), Failure> {
        let (Some(path), node) = (&self.promise, self.witness()?) else { return Ok(()) };
        let (path, dir) = (path.display(), self.layout.node(&node.name));
        teller.say(
            "promised",
            format_args!(
                "1 ETH of the last test account, acked by a coalition; paid by: rota preconf claim {path} --wait --key-file KEY --datadir {} --rpc-url {}",
                dir.display(),
                http(node.rpc)
            ),
        );
        Ok(())
    }

    /// A sequencer that has the log.
    fn witness(&self) -> Result<&NodeState, Failure> {
        let running = self.others().find(|n| n.state == State::Running);
        running.ok_or_else(|| failed("no other sequencer runs"))
    }

    fn others(&self) -> impl Iterator<Item = &NodeState> {
        self.before.nodes.iter().filter(|n| n.role == "sequencer" && n.name != self.node.name)
    }

    /// Waits until the slasher kept evidence with this frame; gives the file and the milliseconds until then.
    async fn found(
        &self,
        dir: &Path,
        second: &SignedFrame,
        teller: &Teller,
    ) -> Result<(PathBuf, u64), Failure> {
        let (path, ms) = until(SOON, "the slasher to find it", async || {
            let file = newest_in(&dir.join("evidence"), teller.since)?;
            let at = std::fs::metadata(&file).ok()?.modified().ok()?;
            let shows = shows(&slash::read(&file).ok()?.evidence, second);
            shows.then(|| (file, ms_between(teller.since, at)))
        })
        .await?;
        teller.say("found", format_args!("after {ms} ms by the slasher: {}", path.display()));
        Ok((path, ms))
    }

    fn found_by_others(&self, teller: &Teller) {
        let kept = |n: &&NodeState| {
            newest_in(&self.layout.node(&n.name).join("evidence"), teller.since).is_some()
        };
        let names: Vec<&str> = self.others().filter(kept).map(|n| n.name.as_str()).collect();
        teller.say(
            "found too",
            format_args!("by {} of the members: {}", names.len(), names.join(" ")),
        );
    }

    /// Starts the operator's process again, and shows it the evidence: it must not go on.
    async fn again(&self, evidence: &Path, teller: &Teller) -> Result<Option<i32>, Failure> {
        let name = &self.node.name;
        let file = slash::read(evidence).map_err(failed)?;
        let (evidence, _) = file.verify().map_err(failed)?;
        let sets = self.l1.sets().await?;
        let own = self.keys.sequencer.as_ref().map(|k| k.seq.public());
        let of_epoch = sets.get(&file.set.epoch).into_iter().flat_map(|set| set.iter());
        let member = of_epoch.map(|(_, v)| v).find(|v| Some(v.seq_key) == own).cloned();
        ask(self.layout, &Order::Start(name.clone())).await?;
        // A stranger who knows this member only: nobody gossips the same twice, and the others have heard it.
        let alone = ValidatorSet::new(file.set.epoch, member.into_iter().collect());
        let gossip = Tapes::open(&self.l1.deployment.domain(), &alone).await.ok();
        let ended = until(REFUSES, "its end", async || {
            if let Some(gossip) = &gossip {
                gossip.publish(&evidence);
            }
            let now = Snapshot::read(self.layout)?;
            let node = now.nodes.into_iter().find(|n| n.name == *name)?;
            (node.state == State::Exited).then_some(node.exit)
        });
        let exit = ended.await.ok().flatten();
        if let Some(gossip) = gossip {
            gossip.close().await;
        }
        match exit {
            Some(code) => teller.say(
                "refused",
                format_args!(
                    "{name} ended by itself with exit code {code}: its key is in evidence"
                ),
            ),
            None => teller.say("runs", format_args!("{name} was started again and runs on")),
        }
        Ok(exit)
    }

    /// A transaction of a user is confirmed by those who are left, and heights rise.
    async fn goes_on(&self, teller: &Teller) -> Result<[u64; 2], Failure> {
        let asker = Asker::new();
        let running = Snapshot::read(self.layout).map(|s| s.nodes).unwrap_or_default();
        let node = running
            .into_iter()
            .find(|n| {
                n.role == "sequencer" && n.state == State::Running && n.name != self.node.name
            })
            .ok_or_else(|| failed("no sequencer is left"))?;
        let url = http(node.rpc);
        let height = async || {
            let status = asker.ask(&url, "seq_status", json!([])).await?;
            number(status.get("height"))
        };
        let before = until(SOON, "a sequencer that answers", async || height().await).await?;
        let receipt = transfer(&url).await?;
        let after = until(SOON, "heights that rise", async || {
            height().await.filter(|h| *h > before.saturating_add(1))
        });
        let after = after.await?;
        teller.say(
            "goes on",
            format_args!("a transfer is in block {receipt}; heights rose from {before} to {after}"),
        );
        Ok([before, after])
    }
}

/// The newest file in a directory that is not older than a time.
fn newest_in(dir: &Path, since: SystemTime) -> Option<PathBuf> {
    // A file's time is that of the kernel's last tick, which may lie before the clock's.
    let since = since.checked_sub(TICK)?;
    let files = std::fs::read_dir(dir).ok()?.filter_map(Result::ok);
    let dated = files.filter_map(|f| Some((f.metadata().ok()?.modified().ok()?, f.path())));
    let fresh =
        dated.filter(|(at, path)| *at >= since && path.extension().is_some_and(|e| e == "json"));
    fresh.max().map(|(_, path)| path)
}

/// Whether the evidence holds this signature.
fn shows(evidence: &[u8], second: &SignedFrame) -> bool {
    evidence.windows(second.signature.len()).any(|w| w == second.signature)
}

/// Sends a wei from one test account to another on the rollup; the block it is in.
async fn transfer(url: &str) -> Result<Value, Failure> {
    let from = signer(8).ok_or_else(|| failed("there is no test account 8"))?;
    let to: Address = ACCOUNTS[7].0;
    let provider = ProviderBuilder::new()
        .wallet(EthereumWallet::from(from))
        .connect_http(url.parse().map_err(failed)?);
    let request = TransactionRequest::default().with_to(to).with_value(U256::from(1));
    let pending = provider.send_transaction(request).await.map_err(failed)?;
    let sent = *pending.tx_hash();
    let block = until(SOON, "a transfer to be confirmed", async || {
        provider.get_transaction_receipt(sent).await.ok()??.block_number
    });
    Ok(block.await?.into())
}
