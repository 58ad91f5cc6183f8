//! `rota set`: joining, listing and freezing the set on L1.

use super::{
    Done,
    args::{FreezeArgs, JoinArgs, ListArgs},
    node::settings_on_l1,
    out,
};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    keys::{KeyFileError, Keys, Needs, Passwords, Secret},
    setup::OnL1,
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{B256, hex};
use rota_l1::{OperatorKeys, Outcome};
use rota_types::ReceiptSet;
use serde_json::json;
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
    let outcome = l1.freeze(&payer).await?;
    sent("set of epoch 0 frozen", &outcome, json)
}

pub(super) async fn list(args: &ListArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let (operators, set) = l1.members().await?;
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
        return out::json(&json!({
            "v": 1, "operators": operators, "frozen": set.is_some(), "setHash": hash, "setId": id
        }));
    }
    let members = set.as_ref().map_or(0, rota_types::ValidatorSet::len);
    for (i, operator) in operators.iter().enumerate() {
        let place = if i < members { "member" } else { "waits " };
        out::line(format_args!(
            "{i:>3}  {place}  {}  {:>10}  {}  {}",
            operator.owner,
            out::eth(operator.stake),
            B256::from(operator.seq_key),
            operator.peer
        ))?;
    }
    match set {
        Some(set) => eprintln!(
            "set of epoch 0 frozen: {} members, hash on L1 {}, id {}",
            set.len(),
            set.hash(),
            ReceiptSet::of(&set).id()
        ),
        None => eprintln!("{} operators; the first set is not frozen", operators.len()),
    }
    Ok(())
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
