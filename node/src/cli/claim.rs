//! `rota preconf coverage` and `rota preconf claim`: what can be insured, and how one is paid.
//!
//! Invariant: what is written is complete and was checked as the contract will: any account may send it, and the transaction's
//! sender is paid.

mod contradiction;
mod insured;
mod step;
mod warranty;

pub(super) use contradiction::evidence;
pub(super) use warranty::contract;

use super::{
    Done,
    args::{ClaimArgs, RpcArgs},
    client::Node,
    out,
    preconf::read,
};
use crate::exit::{Exit, Failure};
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, Bytes, U256};
use rota_l1::bindings::Slasher;
use rota_types::{
    Claim, ClaimError, CommitCertificate, Decode, DecodeError, Encode, Fork, FrameHeader, Header,
    MerkleProof, Receipt, Reversion, Tx,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// `preconf_getReversion`.
#[derive(Deserialize)]
struct Found {
    below: Vec<Bytes>,
    frame: Bytes,
    branch: MerkleProof,
    header: Bytes,
    certificate: Bytes,
    log: Vec<Sealed>,
}

/// A frame of the log as its leader signed it.
#[derive(Deserialize)]
struct Sealed {
    frame: Bytes,
    signature: Bytes,
}

pub(super) async fn coverage(args: &RpcArgs, json: bool) -> Done {
    let coverage = Node::new(&args.rpc_url)?.ask("preconf_getCoverage", json!([])).await?;
    if json {
        return out::json(&json!({ "v": 1, "coverage": coverage }));
    }
    let wei = |key: &str| {
        let text = coverage.get(key).and_then(Value::as_str).unwrap_or_default();
        text.parse::<U256>().map_or_else(|_| "?".to_owned(), out::eth)
    };
    let words = coverage.get("words").and_then(Value::as_str).unwrap_or_default();
    out::line(format_args!("free         {}", wei("freeWei")))?;
    out::line(format_args!("leader       {} of {}", wei("leaderFreeWei"), wei("leaderCapWei")))?;
    out::line(format_args!("set          {} of {}", wei("setFreeWei"), wei("setCapWei")))?;
    out::line(format_args!("words        {words}"))
}

pub(super) async fn claim(args: &ClaimArgs, json: bool) -> Done {
    let receipt: Receipt = read(&args.file, "a promise")?;
    if args.warranty {
        return warranty::claim(args, &receipt, json).await;
    }
    if args.calls() {
        return Box::pin(insured::claim(args, &receipt, json)).await;
    }
    let (claim, sender) = insured_parts(&receipt)?;
    let reversion = reversion(&Node::new(&args.rpc.rpc_url)?, &receipt).await?;
    let (proof, claimed) = (Bytes::from(reversion.encode()), Bytes::from(claim.encode()));
    let calls = args.offence.map(|key| {
        let id = U256::from_be_bytes(key.0);
        let prove = Slasher::proveRevertedCall { id, proof: proof.clone() }.abi_encode();
        let claim = Slasher::claimCall { id, claim_: claimed.clone() }.abi_encode();
        json!({ "proveReverted": Bytes::from(prove), "claim": Bytes::from(claim) })
    });
    let result = json!({
        "v": 1, "sender": sender, "insuredWei": claim.insured.to_string(),
        "tip": reversion.acks.frame_hash, "proof": proof, "claim": claimed, "calls": calls,
    });
    let amount = out::eth(U256::from(claim.insured));
    written(args.output.as_deref(), &result, &format!("{sender} can claim {amount}"), json)
}

/// The insured transaction of a receipt, and who signed it.
fn insured_parts(receipt: &Receipt) -> Result<(Claim, Address), Failure> {
    let claim = Claim::of(receipt).map_err(wrong)?;
    let tx = Tx::decode(&claim.raw, receipt.domain.l2_chain_id)
        .map_err(|e| Failure::new(Exit::Verify, format!("the transaction of the promise: {e}")))?;
    Ok((claim, tx.sender))
}

/// What shows that the frame of a receipt was taken back, by a node, checked as the contract does.
async fn reversion(node: &Node, receipt: &Receipt) -> Result<Reversion, Failure> {
    let frame = FrameHeader::decode(&receipt.frame).map_err(|e| wrong(e.into()))?;
    let found = found(node, &frame, receipt).await?;
    let (below, fork) = found.parts().map_err(|e| wrong(e.into()))?;
    let reversion = Reversion::of(receipt, &below, fork).map_err(wrong)?;
    check(receipt, &reversion, &Claim::of(receipt).map_err(wrong)?).map_err(wrong)?;
    Ok(reversion)
}

/// To the file, if there is one.
fn written(output: Option<&Path>, result: &Value, words: &str, json: bool) -> Done {
    let Some(path) = output else { return out::json(result) };
    std::fs::write(path, format!("{result:#}\n"))
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot write {}: {e}", path.display())))?;
    if json {
        return out::json(&json!({ "v": 1, "file": path }));
    }
    out::line(format_args!("{words}; written to {}", path.display()))
}

/// Where the log parts from the frame of a receipt, by a node. One that never had the frame takes it from here.
async fn found(node: &Node, frame: &FrameHeader, receipt: &Receipt) -> Result<Found, Failure> {
    let hash = frame.hash(&receipt.domain.domain());
    let found = node.ask("preconf_getReversion", json!([hash, { "frame": receipt.frame }])).await?;
    serde_json::from_value(found)
        .map_err(|e| Failure::new(Exit::Failed, format!("the node's answer is strange: {e}")))
}

impl Found {
    /// Headers below the frame, and the fork there.
    fn parts(&self) -> Result<(Vec<FrameHeader>, Fork), DecodeError> {
        let below: Result<_, _> =
            self.below.iter().map(|bytes| FrameHeader::decode(bytes)).collect();
        let fork = Fork {
            frame: FrameHeader::decode(&self.frame)?,
            branch: self.branch.clone(),
            header: Header::decode(&self.header)?,
            commit: CommitCertificate::decode(&self.certificate)?,
        };
        Ok((below?, fork))
    }
}

/// As the contract will. A certificate of another set than the receipt's is left to it.
fn check(receipt: &Receipt, reversion: &Reversion, claim: &Claim) -> Result<(), ClaimError> {
    let (set, domain) = (receipt.set.set(), receipt.domain.domain());
    if reversion.fork.commit.epoch == set.epoch() {
        reversion.verify(&set, &set, &domain)?;
    }
    let acked = (reversion.acks.g, reversion.acks.frame_hash);
    let from_g = reversion.chain.last().map_or(u64::MAX, |first| first.g);
    claim.verify(acked, from_g, &domain)
}

fn wrong(e: ClaimError) -> Failure {
    let hint = match e {
        ClaimError::NotAcked => "only a promise that was saved with its acks can be claimed",
        ClaimError::NotInsured => {
            "insure with rota tx send --insure, or preconf_sendInsuredTransaction"
        }
        _ => "rota preconf verify shows what the promise proves",
    };
    Failure::new(Exit::Verify, e).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_are_those_of_the_slasher() {
        let selector = |signature: &str| alloy_primitives::keccak256(signature)[..4].to_vec();
        assert_eq!(
            Slasher::proveRevertedCall::SELECTOR[..],
            selector("proveReverted(uint256,bytes)")
        );
        assert_eq!(Slasher::claimCall::SELECTOR[..], selector("claim(uint256,bytes)"));
    }
}
