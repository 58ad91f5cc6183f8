//! `rota set`: the set of sequencers on L1, and an operator's way through it in words.
//!
//! Not for: what an owner signs (`owner`). Invariant: times are said as L1 blocks first, which are exact, and as hours second,
//! which are estimates.

use super::{
    Done,
    args::Where,
    node::settings_on_l1,
    out,
    owner::{self, JoinArgs, OperatorArgs, TopUpArgs, UpdateArgs, WithdrawArgs},
    schedule,
    warranty::{self, WarrantyCommand},
};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    keys::{KeyFileError, Passwords, Secret},
    setup::{Calendar, OnL1, OperatorOnL1, Standing},
};
use alloy::signers::local::PrivateKeySigner;
use clap::{Args, Subcommand};
use rota_l1::Outcome;
use rota_types::ReceiptSet;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// `rota set ..`
#[derive(Debug, Subcommand)]
pub enum SetCommand {
    /// Register keys with a stake.
    Join(JoinArgs),
    /// Add to the stake.
    TopUp(TopUpArgs),
    /// Change where fees go and where peers dial.
    Update(UpdateArgs),
    /// Ask to leave. The stake is released much later.
    Leave(OperatorArgs),
    /// Take the stake out after leaving.
    Withdraw(WithdrawArgs),
    /// All operators and where they are on their way.
    List(ListArgs),
    /// One operator in full.
    Show(ShowArgs),
    /// Terms of the registry, and the epoch now.
    Params(Where),
    /// Epochs: which set signs, in whose slots, which is next and when it starts.
    Schedule(Where),
    /// What is given back for frames that are lost with their leader, and the bond for it.
    #[command(subcommand)]
    Warranty(WarrantyCommand),
    /// Freeze a set; anyone may. Sequencers freeze the later ones by themselves.
    Freeze(FreezeArgs),
}

/// `rota set list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// The set of this epoch in place of the newest one.
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// Also write the frozen set to a file, for `rota preconf verify`.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `rota set show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// Its number [default: the operator with the vote key of this node].
    #[arg(value_name = "N")]
    pub operator: Option<u64>,
}

/// `rota set freeze`.
#[derive(Debug, Args)]
pub struct FreezeArgs {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// File with the key of the account that pays (encrypted, or 32 bytes in hex with mode 0600).
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// File with the password of that key file, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub key_password_file: Option<PathBuf>,
    /// Which epoch's.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub epoch: u64,
}

pub(super) async fn run(command: &SetCommand, json: bool) -> Done {
    match command {
        SetCommand::Join(args) => owner::join(args, json).await,
        SetCommand::TopUp(args) => owner::top_up(args, json).await,
        SetCommand::Update(args) => owner::update(args, json).await,
        SetCommand::Leave(args) => owner::leave(args, json).await,
        SetCommand::Withdraw(args) => owner::withdraw(args, json).await,
        SetCommand::List(args) => list(args, json).await,
        SetCommand::Show(args) => show(args, json).await,
        SetCommand::Params(at) => params(at, json).await,
        SetCommand::Schedule(at) => schedule::schedule(at, json).await,
        SetCommand::Warranty(command) => warranty::run(command, json).await,
        SetCommand::Freeze(args) => freeze(args, json).await,
    }
}

/// Reads the key of an L1 or L2 account.
pub(super) fn account(path: &Path, password: Option<&Path>) -> Result<PrivateKeySigner, Failure> {
    let hint =
        "a key file is an encrypted one (geth, cast), or holds 32 bytes in hex and has mode 0600";
    let malformed = || Failure::new(Exit::Key, format!("{} is no account's key", path.display()));
    let passwords = Passwords::new(password.map(Path::to_path_buf));
    let secret = Secret::open(path, &passwords).map_err(|e| match e {
        KeyFileError::NoPassword(_) => Failure::from(e).hint("give --key-password-file FILE"),
        e => Failure::from(e).hint(hint),
    })?;
    secret.signer().ok_or_else(malformed)
}

async fn freeze(args: &FreezeArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let payer = account(&args.key_file, args.key_password_file.as_deref())?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let outcome = l1.freeze(&payer, args.epoch).await?;
    sent(&format!("set of epoch {} frozen", args.epoch), &outcome, json)
}

async fn list(args: &ListArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let (c, operators) = (l1.calendar().await?, l1.operators().await?);
    let set = l1.set(args.epoch).await?;
    if let Some(path) = &args.output {
        let Some(set) = &set else {
            return Err(Failure::new(Exit::Failed, "there is no frozen set to write")
                .hint("freeze it first: rota set freeze"));
        };
        let text = serde_json::to_string_pretty(set).map_err(|e| Failure::new(Exit::Failed, e))?;
        std::fs::write(path, text + "\n").map_err(|e| {
            Failure::new(Exit::Failed, format!("cannot write {}: {e}", path.display()))
        })?;
    }
    if json {
        let hash = set.as_ref().map(rota_types::ValidatorSet::hash);
        let id = set.as_ref().map(|s| ReceiptSet::of(s).id());
        let operators: Vec<Value> = operators.iter().map(|o| shape(o, &c)).collect();
        return out::json(&json!({
            "v": 1, "operators": operators, "frozen": set.is_some(),
            "epoch": set.as_ref().map(rota_types::ValidatorSet::epoch), "setHash": hash, "setId": id, "calendar": c
        }));
    }
    for o in &operators {
        out::line(format_args!(
            "{:>3}  {}  {:>10}  {}  {}",
            o.id,
            o.owner,
            out::eth(o.stake),
            o.vote_key,
            standing(o, &c)
        ))?;
    }
    match set {
        Some(set) => eprintln!(
            "epoch {} now; set of epoch {} frozen: {} members, hash on L1 {}, id {}",
            c.epoch,
            set.epoch(),
            set.len(),
            set.hash(),
            ReceiptSet::of(&set).id()
        ),
        None => eprintln!("{} operators; that set is not frozen", operators.len()),
    }
    Ok(())
}

async fn show(args: &ShowArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let (c, o) = (l1.calendar().await?, owner::find(&l1, &config, (args.operator, None)).await?);
    if json {
        return out::json(&json!({ "v": 1, "operator": shape(&o, &c), "calendar": c }));
    }
    out::line(format_args!("operator       {}", o.id))?;
    out::line(format_args!("state          {}", standing(&o, &c)))?;
    out::line(format_args!("stake          {}", out::eth(o.stake)))?;
    out::line(format_args!("owner          {}", o.owner))?;
    out::line(format_args!("sequencer key  {}", o.seq_key))?;
    out::line(format_args!("vote key       {}", o.vote_key))?;
    if let Some((vote, seq, epoch)) = o.rotating {
        let when = out::at_block(&c, c.start(epoch));
        out::line(format_args!(
            "new keys       {seq} and {vote}, in sets of epoch {epoch} and later, {when}"
        ))?;
    }
    out::line(format_args!("fees to        {}", o.fee_recipient))?;
    out::line(format_args!("dialled at     {}", o.peer))
}

async fn params(at: &Where, json: bool) -> Done {
    let (config, network) = settings_on_l1(at)?;
    let c = OnL1::connect(&network, &config.l1.rpc).await?.calendar().await?;
    if json {
        return out::json(&json!({ "v": 1, "registry": network.registry, "calendar": c }));
    }
    let epoch = out::duration(c.epoch_blocks.saturating_mul(c.block_ms) / 1_000);
    out::line(format_args!("registry       {}", network.registry))?;
    out::line(format_args!("least stake    {}", out::eth(c.min_stake)))?;
    out::line(format_args!("largest share  {} hundredths of a percent", c.max_share_bps))?;
    out::line(format_args!("an epoch       {} L1 blocks, about {epoch}", c.epoch_blocks))?;
    out::line(format_args!("leaving takes  {} epochs", c.unbond_epochs))?;
    if c.base == 0 {
        return out::line("epoch          none: the first set is not frozen");
    }
    let next = c.epoch.saturating_add(1);
    out::line(format_args!(
        "epoch          {}, with the set of epoch {}",
        c.epoch,
        c.last_frozen.min(c.epoch)
    ))?;
    out::line(format_args!("next epoch     {next}, {}", out::at_block(&c, c.start(next))))
}

/// Where an operator is on its way, in words.
pub(super) fn standing(o: &OperatorOnL1, c: &Calendar) -> String {
    match (o.standing, o.unlocks) {
        (Standing::Queued, _) if c.base == 0 => "queued: waits for the first set".into(),
        (Standing::Queued, _) if o.from_epoch > c.last_frozen => {
            let when = out::at_block(c, c.start(o.from_epoch));
            format!("queued: can be in the set of epoch {} or later, {when}", o.from_epoch)
        }
        (Standing::Queued, _) => "queued: waits for a seat".into(),
        (Standing::Active, _) => format!("active: in the set of epoch {}", c.last_frozen),
        (Standing::Exiting, None) => {
            let when = out::at_block(c, c.start(o.until_epoch));
            format!("exiting: still in the set; can be out from epoch {} on, {when}", o.until_epoch)
        }
        (Standing::Exiting, Some(block)) => {
            let free = out::at_block(c, block);
            let out = block.saturating_sub(c.unbond_epochs.saturating_mul(c.epoch_blocks));
            if c.block < out {
                let when = out::at_block(c, out);
                format!("exiting: still in force; in no set {when}; withdrawable {free}")
            } else {
                format!(
                    "exiting: in no set since L1 block {out}, which the rollup reaches a little later; withdrawable {free}"
                )
            }
        }
        (Standing::Withdrawable, _) => "withdrawable: rota set withdraw".into(),
        (Standing::Gone, _) => "gone: paid out".into(),
        (Standing::Jailed, _) => "jailed: slashed, out for ever".into(),
    }
}

fn shape(o: &OperatorOnL1, c: &Calendar) -> Value {
    let next = o
        .rotating
        .map(|(vote, seq, epoch)| json!({ "vote_key": vote, "seq_key": seq, "epoch": epoch }));
    let waits = o.unlocks.filter(|b| *b > 0).map(|b| c.seconds_until(b));
    json!({
        "operator": o.id, "owner": o.owner, "stake": o.stake, "vote_key": o.vote_key, "seq_key": o.seq_key,
        "fee_recipient": o.fee_recipient, "peer": o.peer, "state": o.standing, "words": standing(o, c),
        "rotation": next, "fromEpoch": o.from_epoch, "untilEpoch": o.until_epoch,
        "unlocksAt": o.unlocks.unwrap_or(u64::MAX), "withdrawableInSeconds": waits
    })
}

pub(super) fn sent(what: &str, outcome: &Outcome, json: bool) -> Done {
    let at = outcome.inclusion;
    if json {
        return out::json(&json!({
            "v": 1, "transactionHash": at.hash, "l1Block": at.block, "gasUsed": at.gas_used
        }));
    }
    out::line(format_args!("{what}: {} in L1 block {}, {} gas", at.hash, at.block, at.gas_used))
}

/// The address given, or the first one listened on that means this machine to others.
pub(super) fn dialable(given: Option<&str>, config: &Config) -> Result<String, Failure> {
    if let Some(given) = given {
        let address = given.parse::<rota_p2p::Multiaddr>().map_err(|e| {
            Failure::new(Exit::Usage, format!("--peer: {given} is no multiaddress ({e})"))
                .hint("write it like /ip4/203.0.113.9/udp/27000/quic-v1")
        })?;
        return Ok(address.to_string());
    }
    let everywhere = |a: &&String| !a.contains("/ip4/0.0.0.0/") && !a.contains("/ip6/::/");
    config.p2p.listen.iter().find(everywhere).cloned().ok_or_else(|| {
        Failure::new(
            Exit::Config,
            "p2p.listen says on which port, not under which address others reach this node",
        )
        .hint("give --peer /ip4/<public address>/udp/27000/quic-v1")
    })
}
