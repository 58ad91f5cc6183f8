//! A transaction of the rollup, as the commands of the bridge make it: tried alone, printed for a wallet, or sent; and what
//! contracts there answer.

use super::{args::SendOn, read};
use crate::{
    cli::{client::Node, out, set, tx},
    exit::{Exit, Failure},
};
use alloy::{network::TransactionBuilder, rpc::types::TransactionRequest, sol_types::SolCall};
use alloy_primitives::{Address, Bytes};
use serde_json::json;

impl SendOn {
    /// Whose key it is, if one is given.
    pub(in crate::cli) fn sender(&self) -> Result<Option<Address>, Failure> {
        let signer = self.key_file.as_deref();
        let signer = signer.map(|f| set::account(f, self.key_password_file.as_deref()));
        Ok(signer.transpose()?.map(|s| s.address()))
    }
}

/// Prints, tries or sends `request`, whose sender is who holds the key, if one is given. Whether it was sent.
pub(in crate::cli) async fn on_rollup(
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

/// What a contract of the rollup answers, with what is preconfirmed.
pub(in crate::cli) async fn ask<C: SolCall>(
    node: &Node,
    to: Address,
    call: &C,
) -> Result<C::Return, Failure> {
    let request = json!({ "to": to, "data": Bytes::from(call.abi_encode()) });
    let answer: Bytes = read(node.ask("eth_call", json!([request, "pending"])).await?)?;
    C::abi_decode_returns(&answer).map_err(|_| {
        Failure::new(Exit::Failed, format!("there is no such contract at {to} on the rollup"))
            .hint("ask a node of this network with --rpc-url")
    })
}
