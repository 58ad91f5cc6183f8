//! One call of a contract, as every command makes it: tried alone, printed for a wallet that is somewhere else, or sent.
//!
//! Invariant: every call is tried on L1 before it is sent.

use super::{Done, args::Where, out, set};
use crate::{
    exit::{Exit, Failure},
    setup::OnL1,
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, hex};
use clap::Args;
use rota_l1::{Outcome, TxRequest};
use serde_json::json;
use std::path::PathBuf;

/// How a call is made.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// File with the key of the cold account that owns the stake (encrypted, or 32 bytes in hex with mode 0600).
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    pub owner_key_file: Option<PathBuf>,
    /// File with the password of that key file, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub key_password_file: Option<PathBuf>,
    /// Ask L1 what would happen, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the transaction for a Safe or a hardware wallet, and send nothing.
    #[arg(long, conflicts_with = "dry_run")]
    pub print_tx: bool,
}

/// A call: who sends it (zero if that is anybody's choice), what, and in words.
pub(super) struct Call {
    pub(super) from: Address,
    pub(super) request: TxRequest,
    pub(super) words: String,
}

pub(super) fn owner_key(args: &CallArgs) -> Result<Option<PrivateKeySigner>, Failure> {
    let file = args.owner_key_file.as_deref();
    file.map(|f| set::account(f, args.key_password_file.as_deref())).transpose()
}

/// Prints, tries or sends a call that only its sender may make.
pub(super) async fn finish(args: &CallArgs, l1: &OnL1<'_>, call: Call, json: bool) -> Done {
    let from = call.from;
    if let Some(owner) = owner_key(args)?
        && owner.address() != from
    {
        let message = format!("the key is of {}, and the owner is {from}", owner.address());
        return Err(Failure::new(Exit::Key, message).hint("give the key file of the owner"));
    }
    match make(args, l1, call, json).await? {
        Some(outcome) => set::sent("done", &outcome, json),
        None => Ok(()),
    }
}

/// Prints, tries or sends a call that anyone may make: from the account of the key, if one is given. The outcome, if it was
/// sent.
pub(super) async fn make(
    args: &CallArgs,
    l1: &OnL1<'_>,
    call: Call,
    json: bool,
) -> Result<Option<Outcome>, Failure> {
    let Call { from, request, words } = call;
    let key = owner_key(args)?;
    let from = key.as_ref().map_or(from, PrivateKeySigner::address);
    let mut tx = json!({
        "v": 1, "what": words, "chainId": l1.chain_id(), "from": from, "to": request.to,
        "value": request.value.to_string(), "data": hex::encode_prefixed(&request.input),
        "gas": request.gas_limit
    });
    if let Some(fields) = tx.as_object_mut().filter(|_| from.is_zero()) {
        fields.remove("from");
    }
    if args.print_tx {
        if let Err(e) = l1.attempt(from, &request).await {
            eprintln!("warning: as things are, L1 would refuse it: {e}");
        }
        eprintln!("{words}");
        return out::json(&tx).map(|()| None);
    }
    if args.dry_run {
        l1.attempt(from, &request).await?;
        let told = if json { out::json(&tx) } else { out::line(format_args!("would {words}")) };
        return told.map(|()| None);
    }
    let key = key.ok_or_else(|| {
        Failure::new(Exit::Usage, "the key of the account that sends it is needed").hint(
            "give --owner-key-file FILE, or take --print-tx to a wallet, or --dry-run to see what would happen",
        )
    })?;
    eprintln!("{words}");
    Ok(Some(l1.call(&key, request).await?))
}
