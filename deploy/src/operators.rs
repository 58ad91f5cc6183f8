//! `add`, `leave` and `travel`: an operator's way into the sets and out of them, by the commands that strangers use.
//!
//! Invariant: every transaction is sent by `rota set ..` and `rota rewards ..`, and what is told is
//! read from L1 and from the operator's own node.

use crate::{
    accounts::{ACCOUNTS, signer},
    cli::say,
    control::{Order, ask},
    layout::{Layout, NodeState, Snapshot, State},
    offence::{failed, until},
    rpc::{Asker, http, number},
    setup,
    teller::{Teller, eth, now},
    up::rota,
};
use alloy_primitives::U256;
use rota_node::{
    exit::{Exit, Failure},
    keys::{Keys, Needs, Password, Passwords, PublicKeys},
    network::Network,
    setup::{OnL1, OperatorOnL1},
};
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Two epochs, and more on a slow machine.
const EPOCHS: Duration = Duration::from_secs(400);
/// L1 blocks of an epoch after which a set that nobody froze is frozen by hand.
const OTHERS_FREEZE: u64 = 4;
/// From the first height of a set to everyone's turn.
const LEADS: Duration = Duration::from_secs(180);
/// L1 blocks that pass at once: nodes see each of them.
const STEP: u64 = 10;

/// The devnet, and the way to its contracts.
struct Net<'a> {
    layout: &'a Layout,
    network: Network,
    urls: [String; 1],
    before: Snapshot,
    teller: Teller,
}

impl<'a> Net<'a> {
    fn of(layout: &'a Layout, quiet: bool) -> Result<Self, Failure> {
        let none = || {
            Failure::new(Exit::Unreachable, "no devnet runs here")
                .hint("start one with: rota devnet up")
        };
        layout.supervisor().ok_or_else(none)?;
        let before = Snapshot::read(layout).filter(|s| s.ready).ok_or_else(none)?;
        let network = Network::load(&layout.network())?;
        let urls = [before.l1_url.clone()];
        let teller = Teller { quiet, since: now() };
        Ok(Self { layout, network, urls, before, teller })
    }

    async fn l1(&self) -> Result<OnL1<'_>, Failure> {
        Ok(OnL1::connect(&self.network, &self.urls).await?)
    }

    /// Runs the program that operators run; gives what it says.
    async fn rota(&self, args: &[&str]) -> Result<String, Failure> {
        let mut command = tokio::process::Command::new(rota()?);
        let done = command.args(args).kill_on_drop(true).output().await.map_err(failed)?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        let (args, said) = (args.join(" "), said.trim_start_matches("error: "));
        Err(Failure::new(Exit::Failed, format!("rota {args}\n{said}")))
    }

    fn sequencers(&self) -> impl Iterator<Item = &NodeState> {
        self.before.nodes.iter().filter(|n| n.role == "sequencer")
    }

    /// The operator whose keys a node has.
    async fn operator(&self, name: &str) -> Result<OperatorOnL1, Failure> {
        let own = PublicKeys::read(&self.layout.node(name))?.seq;
        let all = self.l1().await?.operators().await?;
        all.into_iter().find(|o| o.seq_key == own).ok_or_else(|| {
            Failure::new(Exit::Failed, format!("the keys of {name} are not registered"))
        })
    }

    /// Waits for a frozen set that has this operator, or has it not; gives its epoch and first L1 block. What was asked for
    /// at an L1 block counts in the sets after the next one: if nobody freezes that one, it is done here, as anyone may.
    async fn set_with(
        &self,
        operator: &OperatorOnL1,
        (inside, asked): (bool, u64),
    ) -> Result<(u64, u64), Failure> {
        let (l1, voter) = (self.l1().await?, operator.vote_key);
        let payer = signer(0).ok_or_else(|| failed("there is no test account 0"))?;
        let what = if inside { "a set with the operator" } else { "a set without the operator" };
        until(EPOCHS, what, async || {
            let (set, frozen) = (l1.set(None).await.ok()??, l1.frozen().await.ok()?);
            if set.by_vote_key(voter).is_some() == inside {
                return Some((set.epoch(), frozen.start(set.epoch())?));
            }
            let head = l1.head().await.ok()?;
            let epoch = frozen.current(head);
            let since = head.saturating_sub(frozen.start(epoch)?);
            let open = epoch > frozen.current(asked) && set.epoch() <= epoch;
            if open
                && since >= OTHERS_FREEZE
                && l1.freeze(&payer, epoch.saturating_add(1)).await.is_ok()
            {
                let next = epoch.saturating_add(1);
                self.teller.say(
                    "freeze",
                    format_args!("nobody froze the set of epoch {next}: done by hand"),
                );
            }
            None
        })
        .await
    }

    /// Waits until the rollup's own set is without an operator, at a node that is left, and everything before that is posted:
    /// the rollup's origin is behind L1, and until then the set that decides has the operator in it. Gives the height.
    async fn out(&self, operator: &OperatorOnL1) -> Result<u64, Failure> {
        let (asker, owner) = (Asker::new(), json!(operator.owner));
        let ask = async |method: &str| {
            for node in self.sequencers().filter(|n| n.state == State::Running) {
                if let Some(answer) = asker.ask(&http(node.rpc), method, json!([])).await {
                    return Some(answer);
                }
            }
            None
        };
        let height = until(EPOCHS, "the set without the operator to decide", async || {
            let set = ask("seq_validators").await?;
            let inside = set.as_array()?.iter().any(|v| v.get("address") == Some(&owner));
            let status = ask("seq_status").await?;
            number(status.get("height")).filter(|_| !inside)
        })
        .await?;
        until(EPOCHS, "the heights of the set before to be posted", async || {
            let status = ask("seq_status").await?;
            number(status.pointer("/heads/posted/height")).filter(|posted| *posted >= height)
        })
        .await?;
        Ok(height)
    }

    async fn reach(&self, block: u64, what: &str) -> Result<u64, Failure> {
        let l1 = self.l1().await?;
        until(EPOCHS, what, async || l1.head().await.ok().filter(|head| *head >= block)).await
    }

    /// The cold account of the operator of a node, as a file that `rota set` reads.
    fn owner_key(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.layout.data().join(format!("owner-{name}.key"));
        let number = name.strip_prefix('n').and_then(|n| n.parse::<usize>().ok());
        let key = number.and_then(|n| ACCOUNTS.get(n)).map(|(_, key)| key);
        let key = key.ok_or_else(|| failed(format!("{name} has no owner")))?;
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut f| writeln!(f, "{key}")).map_err(failed)?;
        Ok(path)
    }
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| failed("the path of the devnet is no text"))
}

pub(crate) async fn add(layout: &Layout, quiet: bool) -> Result<(), Failure> {
    let net = Net::of(layout, quiet)?;
    let name = format!("n{}", net.sequencers().count().saturating_add(1));
    let operator = join(&net, &name).await?;
    let asked = net.l1().await?.head().await?;
    let queued_ms = net.teller.ms();
    net.teller.say("queued", format_args!("operator {} at L1 block {asked}", operator.id));
    let (epoch, start) = net.set_with(&operator, (true, asked)).await?;
    let frozen_ms = net.teller.ms();
    net.teller.say(
        "frozen",
        format_args!("in the set of epoch {epoch}, which begins at L1 block {start}"),
    );
    net.reach(start, "the epoch to begin").await?;
    let active_ms = net.teller.ms();
    net.teller.say("active", format_args!("epoch {epoch} has begun on L1"));
    let height = leads(layout, &name).await?;
    let leads_ms = net.teller.ms();
    net.teller.say("leads", format_args!("height {height}"));
    if quiet {
        say(json!({
            "v": 1, "node": name, "operator": operator.id, "queuedAt": asked, "epoch": epoch, "start": start,
            "queuedMs": queued_ms, "frozenMs": frozen_ms, "activeMs": active_ms, "leadsMs": leads_ms,
            "height": height
        }));
    }
    Ok(())
}

/// Keys, stake, process: as `rota init`, `rota set join` and `rota run` do it anywhere.
async fn join(net: &Net<'_>, name: &str) -> Result<OperatorOnL1, Failure> {
    let layout = net.layout;
    let (datadir, password, network) = (layout.node(name), layout.password(), layout.network());
    let [datadir, password, network] = [text(&datadir)?, text(&password)?, text(&network)?];
    let url = &net.urls[0];
    net.rota(&[
        "init",
        "--datadir",
        datadir,
        "--password-file",
        password,
        "--network",
        network,
        "--role",
        "sequencer",
        "--moniker",
        name,
        "--l1.rpc",
        url,
        "--l1.beacon",
        url,
        // As the other nodes' keys here: what they are worth is known to everyone.
        "--work",
        "10",
    ])
    .await?;
    net.teller.say("keys", format_args!("of {name} made by rota init, in {datadir}"));
    ask(layout, &Order::Adopt(name.to_owned())).await?;
    pay_poster(net, name).await?;
    let (owner, stake) = (net.owner_key(name)?, setup::STAKE.to_string());
    let join = ["set", "join", "--datadir", datadir, "--owner-key-file", text(&owner)?, "--stake"];
    let said = net.rota(&[&join[..], &[&stake]].concat()).await?;
    net.teller.say("joined", said);
    let posting = ["rewards", "posting", "name", "--datadir", datadir, "--owner-key-file"];
    net.rota(&[&posting[..], &[text(&owner)?]].concat()).await?;
    ask(layout, &Order::Start(name.to_owned())).await?;
    net.operator(name).await
}

/// Batches are paid for by an account of the node, which its owner fills.
async fn pay_poster(net: &Net<'_>, name: &str) -> Result<(), Failure> {
    let passwords = Passwords::known(Password::read(&net.layout.password())?);
    let needs = Needs { sequencer: false, poster: true };
    let keys = Keys::load(&net.layout.node(name), needs, &passwords)?;
    let poster = keys.poster.ok_or_else(|| failed("the node has no poster key"))?;
    let number = name.strip_prefix('n').and_then(|n| n.parse().ok()).unwrap_or_default();
    let owner = signer(number).ok_or_else(|| failed("there is no owner"))?;
    net.l1().await?.pay(&owner, poster.address(), crate::accounts::eth(setup::POSTING)).await?;
    Ok(())
}

/// Waits until a node leads; gives the height.
async fn leads(layout: &Layout, name: &str) -> Result<u64, Failure> {
    let asker = Asker::new();
    let url = |s: Snapshot| s.nodes.into_iter().find(|n| n.name == name).map(|n| http(n.rpc));
    let url = Snapshot::read(layout).and_then(url).ok_or_else(|| failed("the node is gone"))?;
    until(LEADS, &format!("{name} to lead"), async || {
        let status = asker.ask(&url, "seq_status", json!([])).await?;
        let leading = status.get("state").and_then(Value::as_str) == Some("leading");
        number(status.get("height")).filter(|_| leading)
    })
    .await
}

pub(crate) async fn leave(
    layout: &Layout,
    who: &str,
    (withdraw, quiet): (bool, bool),
) -> Result<(), Failure> {
    let net = Net::of(layout, quiet)?;
    let is = |n: &&NodeState| n.name == who || n.name.strip_prefix('n') == Some(who);
    let node = net.sequencers().find(is).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("there is no sequencer {who}"))
            .hint("rota devnet status shows them")
    })?;
    let (name, running) = (node.name.clone(), node.state == State::Running);
    let operator = net.operator(&name).await?;
    let (datadir, owner) = (layout.node(&name), net.owner_key(&name)?);
    let (datadir, owner) = (text(&datadir)?, text(&owner)?);
    let who = operator.id.to_string();
    let owner = ["--datadir", datadir, "--owner-key-file", owner, "--operator", &who];
    let asked = net.l1().await?.head().await?;
    net.teller.say("asked", net.rota(&[&["set", "leave"], &owner[..]].concat()).await?);
    let (epoch, start) = net.set_with(&operator, (false, asked)).await?;
    net.teller.say(
        "frozen",
        format_args!("the set of epoch {epoch} is without it, from L1 block {start} on"),
    );
    net.reach(start, "the epoch to begin").await?;
    let height = net.out(&operator).await?;
    let out_ms = net.teller.ms();
    net.teller.say(
        "out",
        format_args!("from height {height} on, which is posted; {name} signs nothing any more"),
    );
    let mut told = json!({
        "v": 1, "node": name, "operator": operator.id, "askedAt": asked, "epoch": epoch, "start": start,
        "height": height, "outMs": out_ms
    });
    if withdraw {
        if running {
            // Its work is done: what it signed stays punishable, so its keys are kept.
            ask(layout, &Order::Kill(name.clone())).await?;
        }
        let unlocks = net.operator(&name).await?.unlocks;
        let unlocks = unlocks.ok_or_else(|| failed("the operator is in the newest set"))?;
        net.teller.say("locked", format_args!("the stake is free at L1 block {unlocks}"));
        travel_to(&net, unlocks).await?;
        net.teller.say("withdrawn", net.rota(&[&["set", "withdraw"], &owner[..]].concat()).await?);
        let gone = net.operator(&name).await?;
        let left = gone.stake;
        net.teller.say("gone", format_args!("{:?}, stake {}", gone.standing, eth(left)));
        if let Value::Object(told) = &mut told {
            told.insert("unlocksAt".into(), unlocks.into());
            told.insert("state".into(), json!(gone.standing));
            let withdrawn = operator.stake.saturating_sub(left).to_string();
            told.insert("withdrawnWei".into(), withdrawn.into());
        }
    }
    if quiet {
        say(told);
    }
    Ok(())
}

/// Lets L1 blocks pass until there is this one.
async fn travel_to(net: &Net<'_>, block: u64) -> Result<(), Failure> {
    let l1 = net.l1().await?;
    loop {
        let head = l1.head().await?;
        let left = block.saturating_sub(head);
        if left == 0 {
            return Ok(());
        }
        mine(&net.urls[0], left.min(STEP)).await?;
    }
}

pub(crate) async fn travel(layout: &Layout, blocks: u64) -> Result<(), Failure> {
    let net = Net::of(layout, false)?;
    let head = net.l1().await?.head().await?;
    travel_to(&net, head.saturating_add(blocks)).await?;
    say(format_args!("L1 is at block {}", net.l1().await?.head().await?));
    Ok(())
}

async fn mine(url: &str, blocks: u64) -> Result<(), Failure> {
    let blocks = U256::from(blocks);
    let done = Asker::new().call(url, "anvil_mine", json!([blocks])).await;
    done.map(drop).ok_or_else(|| failed("the L1 does not let blocks pass"))
}
