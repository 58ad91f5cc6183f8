//! `rota set join`, `top-up`, `update`, `leave`, `withdraw` and `rota key prove`: what the owner of a stake does.
//!
//! Invariant: every call is tried on L1 before it is sent, can be tried alone (`--dry-run`), and can be made by a wallet that
//! is somewhere else (`--print-tx`), so that the owner's key need not be on the node.

use super::{
    Done,
    args::Where,
    call::{Call, CallArgs, finish, owner_key},
    node::settings_on_l1,
    out, set,
};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    keys::{Keys, Needs, PublicKeys},
    network::Network,
    run::remote,
    setup::{OnL1, OperatorOnL1},
    signer::RemoteSigner,
};
use alloy_primitives::{Address, B256, Bytes};
use clap::Args;
use rota_l1::{OperatorKeys, TxRequest, bindings::Registry};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A call for an operator that is registered.
#[derive(Debug, Args)]
pub struct OperatorArgs {
    /// How the call is made.
    #[command(flatten)]
    pub call: CallArgs,
    /// Its number, as rota set list shows it [default: the only one of this owner, or the one with the vote key of this node].
    #[arg(long, value_name = "N")]
    pub operator: Option<u64>,
}

/// `rota set join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// How the call is made.
    #[command(flatten)]
    pub call: CallArgs,
    /// Stake in ETH.
    #[arg(long, visible_alias = "bond", value_name = "ETH")]
    pub stake: String,
    /// Proof of the keys, from rota key prove on the node [default: the keys here].
    #[arg(long, value_name = "FILE", conflicts_with = "peer")]
    pub proof: Option<PathBuf>,
    /// The account that will own the stake, where its key is not here.
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<Address>,
    /// Address that the others dial, without /p2p/<id> [default: the first of p2p.listen].
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Option<String>,
}

/// `rota set top-up`.
#[derive(Debug, Args)]
pub struct TopUpArgs {
    /// Which operator, and how.
    #[command(flatten)]
    pub of: OperatorArgs,
    /// What is added, in ETH.
    #[arg(long, value_name = "ETH")]
    pub amount: String,
}

/// `rota set update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Which operator, and how.
    #[command(flatten)]
    pub of: OperatorArgs,
    /// Account for fees on the rollup [default: as it is].
    #[arg(long, value_name = "ADDRESS")]
    pub fee_recipient: Option<Address>,
    /// Address that the others dial, with /p2p/<id> [default: as it is].
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Option<String>,
}

/// `rota set withdraw`.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    /// Which operator, and how.
    #[command(flatten)]
    pub of: OperatorArgs,
    /// Account that gets the stake [default: the owner].
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<Address>,
}

/// `rota key prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// The account that will own the stake.
    #[arg(long, value_name = "ADDRESS")]
    pub account: Address,
    /// Account for fees on the rollup [default: the owner].
    #[arg(long, value_name = "ADDRESS")]
    pub fee_recipient: Option<Address>,
    /// Address that the others dial, without /p2p/<id> [default: the first of p2p.listen].
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Option<String>,
    /// File to write [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What `rota key prove` writes: public, and good for one account on one network.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ProofFile {
    v: u32,
    /// Context of the network.
    context: B256,
    account: Address,
    seq_key: B256,
    vote_key: Address,
    fee_recipient: Address,
    peer: String,
    seq_r: B256,
    seq_s: B256,
    vote_sig: Bytes,
}

pub(super) fn prove(args: &ProveArgs, json: bool) -> Done {
    let config = super::node::settings(&args.at, Vec::new())?;
    let network = Network::load(&config.network_path())?;
    let file = proof(&config, &network, args.account, (args.fee_recipient, args.peer.as_deref()))?;
    let text = serde_json::to_string_pretty(&file).map_err(|e| Failure::new(Exit::Failed, e))?;
    let Some(path) = &args.output else { return out::line(text) };
    std::fs::write(path, text + "\n")
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot write {}: {e}", path.display())))?;
    eprintln!(
        "next, where the owner's key is: rota set join --proof {} --stake ETH",
        path.display()
    );
    if json {
        return out::json(&json!({ "v": 1, "file": path }));
    }
    out::line(path.display())
}

fn proof(
    config: &Config,
    network: &Network,
    account: Address,
    (fees, peer): (Option<Address>, Option<&str>),
) -> Result<ProofFile, Failure> {
    let needs = Needs { sequencer: true, poster: false };
    let keys = Keys::load(&config.data_root(), needs, &config.passwords())?;
    let missing = || Failure::new(Exit::Key, "there are no sequencer keys");
    let hot = keys.sequencer.as_ref().ok_or_else(missing)?;
    let id = keys.identity.peer_id();
    let peer = format!("{}/p2p/{id}", set::dialable(peer, config)?);
    let domain = network.domain()?;
    let hot = OperatorKeys { seq: &hot.seq, vote: &hot.vote };
    let r = rota_l1::registration(&domain, account, hot, fees.unwrap_or(account), &peer);
    Ok(ProofFile {
        v: 1,
        context: domain.ctx(),
        account,
        seq_key: r.seqKey,
        vote_key: r.voteKey,
        fee_recipient: r.feeRecipient,
        peer,
        seq_r: r.seqR,
        seq_s: r.seqS,
        vote_sig: r.voteSig,
    })
}

impl ProofFile {
    fn read(path: &Path, network: &Network) -> Result<Self, Failure> {
        let unusable = |why: String| {
            Failure::new(Exit::Verify, format!("{}: {why}", path.display()))
                .hint("make it anew on the node: rota key prove --account 0x<owner>")
        };
        let text = std::fs::read_to_string(path).map_err(|e| unusable(e.to_string()))?;
        let file: Self = serde_json::from_str(&text).map_err(|e| unusable(e.to_string()))?;
        if file.v != 1 || file.context != network.domain()?.ctx() {
            return Err(unusable("it is of another network or version".into()));
        }
        Ok(file)
    }

    fn registration(&self) -> Registry::Registration {
        Registry::Registration {
            seqKey: self.seq_key,
            voteKey: self.vote_key,
            feeRecipient: self.fee_recipient,
            peer: self.peer.clone().into_bytes().into(),
            seqR: self.seq_r,
            seqS: self.seq_s,
            voteSig: self.vote_sig.clone(),
        }
    }
}

pub(super) async fn join(args: &JoinArgs, json: bool) -> Done {
    let stake = out::parse_eth("stake", &args.stake)?;
    let (config, network) = settings_on_l1(&args.call.at)?;
    let file = match &args.proof {
        Some(path) => ProofFile::read(path, &network)?,
        None => {
            let owner = owner_key(&args.call)?.map(|k| k.address());
            let account = args.account.or(owner).ok_or_else(|| {
                Failure::new(Exit::Usage, "who will own the stake?").hint(
                    "give --owner-key-file FILE, or --account 0x<owner> with --print-tx or --dry-run",
                )
            })?;
            proof(&config, &network, account, (None, args.peer.as_deref()))?
        }
    };
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let c = l1.calendar().await?;
    let from = c.epoch.saturating_add(2);
    let when = if c.base == 0 {
        "it can be in the first set".to_owned()
    } else {
        format!("it can be in the set of epoch {from}, {}", out::at_block(&c, c.start(from)))
    };
    let words = format!(
        "register sequencer key {} and vote key {} for owner {} with {} at {}; {when}; leaving takes {} epochs; all of the \
         stake can be slashed",
        file.seq_key,
        file.vote_key,
        file.account,
        out::eth(stake),
        file.peer,
        c.unbond_epochs
    );
    let request = rota_l1::register_request(network.registry, file.registration(), stake);
    finish(&args.call, &l1, Call { from: file.account, request, words }, json).await?;
    if network.rewards.is_some() && !args.call.dry_run {
        eprintln!("next, so that what its poster spends comes back: rota rewards posting name");
    }
    Ok(())
}

pub(super) async fn top_up(args: &TopUpArgs, json: bool) -> Done {
    let amount = out::parse_eth("amount", &args.amount)?;
    call(&args.of, json, |network, o| {
        let words = format!(
            "add {} to the {} of operator {}; it counts from the next set on",
            out::eth(amount),
            out::eth(o.stake),
            o.id
        );
        (rota_l1::top_up_request(network.registry, o.id, amount), words)
    })
    .await
}

pub(super) async fn update(args: &UpdateArgs, json: bool) -> Done {
    call(&args.of, json, |network, o| {
        let fees = args.fee_recipient.unwrap_or(o.fee_recipient);
        let peer = args.peer.as_deref().unwrap_or(&o.peer);
        let words = format!("operator {}: fees to {fees}, dialled at {peer}", o.id);
        (rota_l1::update_request(network.registry, o.id, fees, peer), words)
    })
    .await
}

pub(super) async fn leave(args: &OperatorArgs, json: bool) -> Done {
    call(args, json, |network, o| {
        let words = format!(
            "operator {} asks to leave; keep the node running until rota status says that it only follows",
            o.id
        );
        (rota_l1::exit_request(network.registry, o.id), words)
    })
    .await
}

pub(super) async fn withdraw(args: &WithdrawArgs, json: bool) -> Done {
    call(&args.of, json, |network, o| {
        let to = args.to.unwrap_or(o.owner);
        let words = format!("pay {} of operator {} out to {to}", out::eth(o.stake), o.id);
        (rota_l1::withdraw_request(network.registry, o.id, to), words)
    })
    .await
}

async fn call(
    args: &OperatorArgs,
    json: bool,
    make: impl FnOnce(&Network, &OperatorOnL1) -> (TxRequest, String),
) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let operator = find(&l1, &config, args.which()?).await?;
    let (request, words) = make(&network, &operator);
    finish(&args.call, &l1, Call { from: operator.owner, request, words }, json).await
}

/// The operator with this number, or the only one of this owner, or the one with the keys of this node.
pub(super) async fn find(
    l1: &OnL1<'_>,
    config: &Config,
    (number, owner): (Option<u64>, Option<Address>),
) -> Result<OperatorOnL1, Failure> {
    let all = l1.operators().await?;
    let mut found: Vec<OperatorOnL1> = match (number, owner) {
        (Some(number), _) => all.into_iter().filter(|o| o.id == number).collect(),
        (None, Some(owner)) => {
            all.into_iter().filter(|o| o.owner == owner && !o.stake.is_zero()).collect()
        }
        (None, None) => {
            let own = signing_pairs(config)?;
            all.into_iter().filter(|o| own.iter().any(|(_, vote)| o.has(*vote))).collect()
        }
    };
    if found.len() > 1 {
        return Err(Failure::new(Exit::Usage, "this owner has several operators")
            .hint("say which with --operator N; rota set list shows the numbers"));
    }
    found.pop().ok_or_else(|| {
        Failure::new(Exit::Failed, "there is no such operator on L1")
            .hint("rota set list shows all of them, with their numbers")
    })
}

/// Sequencer and vote keys of a node, here or at its signer: those in force, and those that wait in `next` to be switched to.
/// L1 names the new ones from the freeze on.
pub(super) fn signing_pairs(config: &Config) -> Result<Vec<([u8; 32], Address)>, Failure> {
    if let Some((remote, identity)) = remote(config).map_err(|e| Failure::from_report(&e))? {
        let unknown = |e| {
            Failure::new(Exit::Key, format!("the signer at {}: {e}", remote.addr))
                .hint("start it, or say which operator with --operator N")
        };
        let pairs = RemoteSigner::keys(&remote, &identity).map_err(unknown)?;
        return Ok(pairs.into_iter().map(|pair| (pair.seq, pair.vote)).collect());
    }
    let root = config.data_root();
    let here = PublicKeys::signing(&root)?;
    Ok(std::iter::once(here).chain(PublicKeys::signing(&Keys::next_dir(&root))).collect())
}

impl OperatorArgs {
    /// Whom the call is for, and who is to sign it if that is known.
    pub(super) fn which(&self) -> Result<(Option<u64>, Option<Address>), Failure> {
        Ok((self.operator, owner_key(&self.call)?.map(|k| k.address())))
    }
}
