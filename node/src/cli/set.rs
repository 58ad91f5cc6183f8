//! `rota set`: joining, leaving, listing and freezing the sets on L1.

use super::{
    Done,
    args::{FreezeArgs, JoinArgs, ListArgs, OwnerArgs, WithdrawArgs},
    node::settings_on_l1,
    out,
};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    keys::{KeyFileError, Keys, Needs, Passwords, Secret},
    setup::{OnL1, Operator},
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{B256, hex};
use rota_l1::{OperatorKeys, Outcome};
use rota_types::ReceiptSet;
use serde_json::{Value, json};
use std::path::Path;

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

pub(super) async fn join(args: &JoinArgs, json: bool) -> Done {
    let stake = out::parse_eth("stake", &args.stake)?;
    let (config, network) = settings_on_l1(&args.at)?;
    let keys = Keys::load(
        &config.data_root(),
        Needs { sequencer: true, poster: false },
        &config.passwords(),
    )?;
    let Some(hot) = &keys.sequencer else { return Ok(()) };
    let owner = account(&args.owner_key_file, args.key_password_file.as_deref())?;
    let peer =
        format!("{}/p2p/{}", dialable(args.peer.as_deref(), &config)?, keys.identity.peer_id());
    eprintln!(
        "registering sequencer key {} for owner {} with {} at {peer}",
        hex::encode_prefixed(hot.seq.public()),
        owner.address(),
        out::eth(stake)
    );
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let hot = OperatorKeys { seq: &hot.seq, vote: &hot.vote };
    let outcome = l1.join(&owner, hot, &peer, stake).await?;
    sent("joined", &outcome, json)
}

pub(super) async fn freeze(args: &FreezeArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let payer = account(&args.key_file, args.key_password_file.as_deref())?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let outcome = l1.freeze(&payer, args.epoch).await?;
    sent(&format!("set of epoch {} frozen", args.epoch), &outcome, json)
}

pub(super) async fn leave(args: &OwnerArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let owner = account(&args.owner_key_file, args.key_password_file.as_deref())?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let operator = owned(&l1, &owner, args.operator).await?;
    let outcome = l1.leave(&owner, operator).await?;
    sent(&format!("operator {operator} asks to leave"), &outcome, json)
}

pub(super) async fn withdraw(args: &WithdrawArgs, json: bool) -> Done {
    let WithdrawArgs { owner: args, to } = args;
    let (config, network) = settings_on_l1(&args.at)?;
    let owner = account(&args.owner_key_file, args.key_password_file.as_deref())?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let operator = owned(&l1, &owner, args.operator).await?;
    let outcome = l1.withdraw(&owner, operator, to.unwrap_or_else(|| owner.address())).await?;
    sent(&format!("stake of operator {operator} taken out"), &outcome, json)
}

/// The number given, or that of the only operator with a stake that the owner has.
async fn owned(
    l1: &OnL1<'_>,
    owner: &PrivateKeySigner,
    given: Option<u64>,
) -> Result<u64, Failure> {
    if let Some(number) = given {
        return Ok(number);
    }
    let me = owner.address();
    let mine = |o: &Operator| o.registered.owner == me && !o.registered.stake.is_zero();
    let mut numbers = l1.operators().await?.into_iter().filter(mine).map(|o| o.number);
    match (numbers.next(), numbers.next()) {
        (Some(number), None) => Ok(number),
        (None, _) => Err(Failure::new(Exit::Failed, format!("{me} owns no operator with a stake"))
            .hint("rota set list shows owners")),
        _ => Err(Failure::new(Exit::Usage, format!("{me} owns several operators"))
            .hint("say which with --operator N; rota set list shows the numbers")),
    }
}

pub(super) async fn list(args: &ListArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let (operators, set) = (l1.operators().await?, l1.set(args.epoch).await?);
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
        let operators: Vec<Value> = operators.iter().map(described).collect();
        return out::json(&json!({
            "v": 1, "operators": operators, "frozen": set.is_some(),
            "epoch": set.as_ref().map(rota_types::ValidatorSet::epoch), "setHash": hash, "setId": id
        }));
    }
    for o in &operators {
        out::line(format_args!(
            "{:>3}  {:<12}  {}  {:>10}  {}  {}",
            o.number,
            o.state,
            o.registered.owner,
            out::eth(o.registered.stake),
            B256::from(o.registered.seq_key),
            o.registered.peer
        ))?;
    }
    match set {
        Some(set) => eprintln!(
            "set of epoch {} frozen: {} members, hash on L1 {}, id {}",
            set.epoch(),
            set.len(),
            set.hash(),
            ReceiptSet::of(&set).id()
        ),
        None => eprintln!("{} operators; that set is not frozen", operators.len()),
    }
    Ok(())
}

fn described(o: &Operator) -> Value {
    let mut all = json!(o.registered);
    if let Some(fields) = all.as_object_mut() {
        fields.insert("operator".into(), o.number.into());
        fields.insert("state".into(), o.state.into());
        fields.insert("unlocksAt".into(), o.unlocks.into());
    }
    all
}

fn sent(what: &str, outcome: &Outcome, json: bool) -> Done {
    let at = outcome.inclusion;
    if json {
        return out::json(&json!({
            "v": 1, "transactionHash": at.hash, "l1Block": at.block, "gasUsed": at.gas_used
        }));
    }
    out::line(format_args!("{what}: {} in L1 block {}, {} gas", at.hash, at.block, at.gas_used))
}

/// The address given, or the first one listened on that means this machine to others.
fn dialable(given: Option<&str>, config: &Config) -> Result<String, Failure> {
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
