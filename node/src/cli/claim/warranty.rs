//! `rota preconf claim --warranty`: the refund of a leader whose frame was lost with it.
//!
//! Invariant: what is sent or written was checked here as the contract will, and was tried on L1 if that is asked at all.

use super::{Found, found, written};
use crate::{
    cli::{
        Done,
        args::ClaimArgs,
        call::{Call, make},
        client::Node,
        node::settings_on_l1,
        out, set,
    },
    exit::{Exit, Failure},
    network::Network,
    setup::OnL1,
};
use alloy::{eips::eip2718::Encodable2718, rpc::types::Transaction};
use alloy_primitives::{Address, Bytes};
use rota_l1::refund_request;
use rota_types::{Decode, Encode, FrameHeader, LostFrame, LostTx, Receipt, Tx, WarrantyError};
use serde_json::{Value, json};

/// A claim that holds, and who is paid.
struct Refund {
    generation: u32,
    lost: LostFrame,
    tx: LostTx,
    sender: Address,
}

pub(super) async fn claim(args: &ClaimArgs, receipt: &Receipt, json: bool) -> Done {
    let node = Node::new(&args.rpc.rpc_url)?;
    let frame = FrameHeader::decode(&receipt.frame).map_err(|e| wrong(&e))?;
    let parted = found(&node, &frame, receipt).await?;
    let raw = transaction(args, &node, receipt).await?;
    let refund = refund(receipt, &parted, raw)?;
    if args.calls() {
        return tell(args, &refund, json).await;
    }
    let request = refund_request(
        Address::ZERO,
        refund.generation,
        &refund.lost,
        std::slice::from_ref(&refund.tx),
    );
    let result = json!({
        "v": 1, "sender": refund.sender, "frame": frame.hash(&receipt.domain.domain()),
        "generation": refund.generation, "lost": Bytes::from(refund.lost.encode()),
        "transactions": [Bytes::from(refund.tx.encode())], "call": Bytes::from(request.input.to_vec())
    });
    written(
        args.output.as_deref(),
        &result,
        &format!("{} can claim its refund", refund.sender),
        json,
    )
}

/// Tries, prints or sends the claim.
async fn tell(args: &ClaimArgs, refund: &Refund, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let contract = contract(&network)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let txs = [refund.tx.clone()];
    let amount = match l1.refund(contract, refund.generation, (&refund.lost, &txs)).await {
        Ok(wei) => out::eth(wei),
        // `make` says why L1 would refuse it.
        Err(_) if args.call.print_tx => "what is due".to_owned(),
        Err(e) => return Err(e.into()),
    };
    let request = refund_request(contract, refund.generation, &refund.lost, &txs);
    let words = format!("refund {amount} to {}", refund.sender);
    match make(&args.call, &l1, Call { from: refund.sender, request, words }, json).await? {
        Some(outcome) => set::sent("refunded", &outcome, json),
        None => Ok(()),
    }
}

/// The Warranty contract of the network.
pub(in crate::cli) fn contract(network: &Network) -> Result<Address, Failure> {
    network.warranty.ok_or_else(|| {
        Failure::new(Exit::Network, "the network file names no Warranty contract")
            .hint("get the newest network file from whoever runs the network")
    })
}

/// The signed transaction: given, in the promise, or as the node has it, where it usually waits again.
async fn transaction(args: &ClaimArgs, node: &Node, receipt: &Receipt) -> Result<Bytes, Failure> {
    if let Some(raw) = args.transaction.clone().or_else(|| receipt.transaction.clone()) {
        return Ok(raw);
    }
    let answer = node.ask("eth_getTransactionByHash", json!([receipt.transaction_hash])).await?;
    let known = Some(answer).filter(|a| *a != Value::Null);
    let tx = known.and_then(|a| serde_json::from_value::<Transaction>(a).ok());
    let tx = tx.ok_or_else(|| {
        Failure::new(Exit::Failed, "the node does not have the signed transaction any more")
            .hint("give it with --transaction 0x..")
    })?;
    Ok(tx.inner.encoded_2718().into())
}

/// As the contract will. A certificate of another set than the receipt's is left to it.
fn refund(receipt: &Receipt, parted: &Found, raw: Bytes) -> Result<Refund, Failure> {
    let (set, domain) = (receipt.set.set(), receipt.domain.domain());
    let (below, fork) = parted.parts().map_err(|e| wrong(&e))?;
    let same = fork.commit.epoch == set.epoch();
    let lost = LostFrame::of(receipt, &below, fork).map_err(|e| not_lost(&e))?;
    let tx = LostTx::of(receipt, raw).map_err(|e| wrong(&e))?;
    if same {
        lost.verify(&set, &set, &domain).map_err(|e| not_lost(&e))?;
    }
    let frame = lost.chain.first().ok_or_else(|| wrong(&"a frame is missing"))?;
    tx.verify(frame).map_err(|e| wrong(&e))?;
    let sender = Tx::decode(&tx.raw, domain.l2_chain_id).map_err(|e| wrong(&e))?.sender;
    Ok(Refund { generation: domain.generation, lost, tx, sender })
}

fn not_lost(e: &WarrantyError) -> Failure {
    match e {
        WarrantyError::Equivocation => Failure::new(Exit::Verify, e).hint(
            "report both frames with rota slash; an insured amount is claimed without --warranty",
        ),
        e => wrong(e),
    }
}

fn wrong(e: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Verify, e).hint("rota preconf verify shows what the promise proves")
}
