//! A transaction of the rollup, as the commands of the bridge make it: tried alone, printed for a wallet, or sent.

use super::args::SendOn;
use crate::{
    cli::{client::Node, out, set, tx},
    exit::{Exit, Failure},
};
use alloy::{network::TransactionBuilder, rpc::types::TransactionRequest};
use alloy_primitives::Address;
use serde_json::json;

impl SendOn {
    /// Whose key it is, if one is given.
    pub(super) fn sender(&self) -> Result<Option<Address>, Failure> {
        let signer = self.key_file.as_deref();
        let signer = signer.map(|f| set::account(f, self.key_password_file.as_deref()));
        Ok(signer.transpose()?.map(|s| s.address()))
    }
}

/// Prints, tries or sends `request`, whose sender is who holds the key, if one is given. Whether it was sent.
pub(super) async fn on_rollup(
    args: &SendOn,
    mut request: TransactionRequest,
    words: String,
    json: bool,
) -> Result<bool, Failure> {
    if let Some(from) = args.sender()? {
        request = request.with_from(from);
    }
    let node = Node::new(&args.rpc.rpc_url)?;
    if args.print_tx {
        eprintln!("{words}");
        return out::json(&json!({ "v": 1, "what": words, "tx": request })).map(|()| false);
    }
    if args.dry_run {
        node.ask("eth_call", json!([request, "latest"])).await?;
        return out::line(format_args!("would {words}")).map(|()| false);
    }
    let file = args.key_file.as_deref().ok_or_else(|| {
        Failure::new(Exit::Usage, "the sender's key is needed")
            .hint("give --key-file FILE, or take --print-tx to a wallet")
    })?;
    let signer = set::account(file, args.key_password_file.as_deref())?;
    eprintln!("{words}");
    tx::send_request(&node, request, &signer, (&args.until, json)).await?;
    Ok(true)
}
