//! `rota key rotate`: new hot keys for an operator, in three steps that each can be repeated.
//!
//! 1. New keys are made in `next/keys` and registered; the old ones sign until the set with the new ones is in force.
//! 2. A node (or a remote signer and then its node) that is started meanwhile has both pairs and signs with the one that the
//!    set in force names.
//! 3. `--switch`, after that: the new keys move to `keys`, the old ones to `retired`.
//!
//! Invariant: no key is deleted, and the old ones are not moved while a set that signs heights still, or will, names them.

use super::{
    Done,
    call::{Call, finish},
    key::keep,
    node::settings_on_l1,
    out,
    owner::{OperatorArgs, find},
};
use crate::{
    config::{Config, SignerKind},
    exit::{Exit, Failure},
    keys::{KeyKind, Keys, PublicKeys, Work},
    setup::OnL1,
};
use alloy_primitives::hex;
use clap::Args;
use rota_l1::OperatorKeys;
use rota_store::DataDir;
use serde_json::json;
use std::fs;

/// `rota key rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Which operator, and how.
    #[command(flatten)]
    pub of: OperatorArgs,
    /// Third step: put the new keys in the place of the old ones. The node is stopped.
    #[arg(long, conflicts_with_all = ["dry_run", "print_tx"])]
    pub switch: bool,
    /// Keep the new keys in plain files that only the owner can read.
    #[arg(long)]
    pub plain: bool,
    /// How hard a password is to guess, as the binary logarithm of scrypt's N [default: 17].
    #[arg(long, value_name = "10..20", value_parser = super::key::work)]
    pub work: Option<Work>,
}

pub(super) async fn rotate(args: &RotateArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.of.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    if config.signer.kind == SignerKind::Remote {
        let message = format!("the keys of this node are at the signer {}", config.signer.addr);
        return Err(Failure::new(Exit::Config, message)
            .hint("run rota key rotate on its machine, and restart the signer, then the node"));
    }
    if args.switch {
        return switch(&config, &l1, json).await;
    }
    let operator = find(&l1, &config, args.of.which()?).await?;
    if let Some((vote, ..)) = operator.rotating {
        let message = format!("operator {} changes to vote key {vote} already", operator.id);
        return Err(Failure::new(Exit::L1Tx, message)
            .hint("rota set show says from when on; then: rota key rotate --switch"));
    }
    let passwords = config.passwords();
    let next = Keys::next_dir(&config.data_root());
    let keep = keep((args.plain, args.work), &passwords, &Keys::dir(&next))?;
    Keys::create_pair(&next, keep)?;
    let hot = Keys::load_sequencer(&next, &passwords)?;
    let pair = OperatorKeys { seq: &hot.seq, vote: &hot.vote };
    let (owner, fees) = (operator.owner, operator.fee_recipient);
    let r = rota_l1::registration(&network.domain()?, owner, pair, fees, &operator.peer);
    let c = l1.calendar().await?;
    let from = c.epoch.saturating_add(2);
    let words = format!(
        "change operator {} to sequencer key {} and vote key {} in sets of epoch {from} and later, {}",
        operator.id,
        r.seqKey,
        r.voteKey,
        out::at_block(&c, c.start(from))
    );
    let request = rota_l1::rotate_request(network.registry, operator.id, r);
    finish(&args.of.call, &l1, Call { from: owner, request, words }, json).await?;
    eprintln!(
        "next: back up {}, restart the node (with a remote signer: the signer, then the node) before that epoch so that it has both pairs, and after it began: rota key rotate --switch",
        Keys::dir(&next).display()
    );
    Ok(())
}

/// The set in force names the new keys: they take the place of the old ones.
async fn switch(config: &Config, l1: &OnL1<'_>, json: bool) -> Done {
    let root = config.data_root();
    let next = Keys::next_dir(&root);
    let (seq, vote) = PublicKeys::signing(&next)?;
    let (_, old) = PublicKeys::signing(&root)?;
    let all = l1.operators().await?;
    let named = all.iter().any(|o| o.vote_key == vote && o.seq_key.0 == seq);
    if !named || l1.can_sign(old).await? {
        let message = "the set in force does not name the new keys yet";
        return Err(Failure::new(Exit::Failed, message).hint(
            "rota set show says from when on; the rollup is there a little later than L1, and a height of it has to be posted",
        ));
    }
    let _lock = DataDir::open(&root).map_err(|e| Failure::from_report(&e.into()))?;
    let retired = root.join("retired").join(hex::encode(old));
    let failed =
        |e: std::io::Error| Failure::new(Exit::Failed, format!("cannot move the keys: {e}"));
    fs::create_dir_all(&retired).map_err(failed)?;
    for kind in [KeyKind::Seq, KeyKind::Vote] {
        // Repeated after a crash: what has moved is not there any more.
        let from = kind.path(&next);
        let here = kind.path(&root);
        if from.exists() {
            if here.exists() {
                let name = here.file_name().unwrap_or_default();
                fs::rename(&here, retired.join(name)).map_err(failed)?;
            }
            let name = from.file_name().unwrap_or_default();
            fs::rename(&from, Keys::dir(&root).join(name)).map_err(failed)?;
        }
    }
    fs::remove_dir_all(&next).map_err(failed)?;
    if json {
        return out::json(&json!({ "v": 1, "voteKey": vote, "retired": retired }));
    }
    eprintln!(
        "keep {} until the stake's unbonding time is over: evidence is about keys",
        retired.display()
    );
    out::line(format_args!("this node signs with vote key {vote} from its next start on"))
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, args::Command, key::KeyCommand};
    use clap::Parser;

    #[test]
    fn switching_is_no_transaction() {
        let parse =
            |args: &[&str]| Cli::try_parse_from([&["rota", "key", "rotate"], args].concat());
        assert!(parse(&["--switch", "--dry-run"]).is_err());
        let cli = parse(&["--switch"]).unwrap();
        assert!(matches!(cli.command, Command::Key(KeyCommand::Rotate(a)) if a.switch));
    }
}
