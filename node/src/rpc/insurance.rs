//! `preconf_getCoverage` and `preconf_getReversion`: what can be insured now, and what a claim needs afterwards.
//!
//! Not for: sending (`send`), and not for paying: the Slasher on L1 does.

use super::{Answer, Context, Module, args::Args, error};
use crate::view::NoFork;
use alloy_primitives::{Address, B256, Bytes, U256};
use jsonrpsee::{core::RegisterMethodError, types::ErrorObjectOwned};
use rota_preconf::Room;
use rota_types::{Decode, Encode, FrameHeader, RELEASE_BLOCKS, SeqSignature, Tx};
use rota_verify::eth;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("preconf_getCoverage", |_, ctx, _| ctx.coverage())?;
    module.register_method("preconf_getReversion", |p, ctx, _| {
        let mut args = Args::of(&p)?;
        let frame: B256 = args.need("frame hash")?;
        let given: Option<Given> = args.maybe("options")?;
        ctx.reversion(&frame, given.and_then(|g| g.frame))
    })?;
    Ok(())
}

/// `preconf_getCoverage`. Amounts are wei as decimal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CoverageJson {
    /// What can be insured now: the smaller of the next two.
    pub(super) free_wei: String,
    /// What the leader's stake leaves.
    pub(super) leader_free_wei: String,
    /// What the set's cap leaves.
    pub(super) set_free_wei: String,
    /// What may be insured on frames that are not decided.
    pub(super) leader_cap_wei: String,
    /// What the set may have insured and not released.
    pub(super) set_cap_wei: String,
    /// Released of the set's total with every L1 block.
    pub(super) release_per_l1_block_wei: String,
    /// Tip times gas limit that this node wants, in 1/10,000 of the amount; other leaders may want another.
    pub(super) premium_bps: u16,
    /// The stage from which the insurance counts.
    pub(super) counts_from: &'static str,
    /// Who leads, and whose stake pays first.
    pub(super) leader: PayerJson,
    /// What it gives back if its frame is lost with it; null for nothing, or if this node did not read it on L1.
    pub(super) warranty: Option<WarrantyJson>,
    /// All of it in words.
    pub(super) words: String,
}

/// A leader's warranty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WarrantyJson {
    /// In 1/10,000 of tip times gas limit.
    pub(super) bps: u32,
    /// Most for one transaction.
    pub(super) per_tx_wei: String,
    /// Most for all transactions of one term.
    pub(super) per_term_wei: String,
    /// What is left of its bond.
    pub(super) bond_wei: String,
}

impl WarrantyJson {
    fn of(w: &rota_l1::Warranted) -> Self {
        Self {
            bps: w.offer.bps,
            per_tx_wei: w.offer.claim_cap.to_string(),
            per_term_wei: w.offer.term_cap.to_string(),
            bond_wei: w.bond.to_string(),
        }
    }
}

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayerJson {
    /// Its index in the set.
    pub(super) index: u16,
    /// The account that owns the stake.
    pub(super) owner: Address,
    /// Its name.
    pub(super) moniker: Option<String>,
    /// Its stake, wei.
    pub(super) stake_wei: String,
}

/// Options of `preconf_getReversion`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// The encoded header, for a node that never had the frame.
    frame: Option<Bytes>,
}

/// `preconf_getReversion`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReversionJson {
    /// Encoded frame headers below the frame, downwards, to the first that is not on the log.
    pub(super) below: Vec<Bytes>,
    /// Encoded header of the frame that the log has in the place of the lowest of them.
    pub(super) frame: Bytes,
    /// Its place in the decided height.
    pub(super) branch: rota_types::MerkleProof,
    /// The decided height.
    pub(super) header: Bytes,
    /// Its commit certificate.
    pub(super) certificate: Bytes,
    /// What the log has from the fork up to the frame's position.
    pub(super) log: Vec<SealedJson>,
}

/// A frame header that its leader signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SealedJson {
    /// The encoded header.
    pub(super) frame: Bytes,
    /// The ed25519 signature over its hash.
    pub(super) signature: Bytes,
}

impl Context {
    fn room(&self) -> Answer<Room> {
        self.view.room().ok_or_else(|| {
            let message = "this node does not know what can be insured now";
            error::plain(error::NOT_INSURABLE, message, "try again in a second, or ask a sequencer")
        })
    }

    /// The transaction with the amount that its sender wants insured, if that much is free.
    pub(super) fn insured(&self, tx: Arc<Tx>, amount: U256) -> Answer<Arc<Tx>> {
        if amount.is_zero() {
            return Ok(tx);
        }
        let room = self.room()?;
        let wei = u128::try_from(amount).ok().filter(|wei| *wei <= room.free());
        wei.map(|wei| tx.insuring(wei)).ok_or_else(|| too_much(&room, amount))
    }

    fn coverage(&self) -> Answer<CoverageJson> {
        let room = self.room()?;
        let set = self.view.set(room.epoch);
        let leader = set.as_ref().and_then(|s| s.get(room.leader));
        let owner = leader.map_or(Address::ZERO, |v| v.owner);
        let per_block = room.set_cap.checked_div(RELEASE_BLOCKS.into()).unwrap_or(0);
        Ok(CoverageJson {
            free_wei: room.free().to_string(),
            leader_free_wei: room.leader_free().to_string(),
            set_free_wei: room.set_free().to_string(),
            leader_cap_wei: room.leader_cap.to_string(),
            set_cap_wei: room.set_cap.to_string(),
            release_per_l1_block_wei: per_block.to_string(),
            premium_bps: self.config.premium_bps,
            counts_from: "acked",
            leader: PayerJson {
                index: room.leader,
                owner,
                moniker: self.info.moniker(&owner),
                stake_wei: leader.map_or(U256::ZERO, |v| v.stake).to_string(),
            },
            warranty: self.view.warranted(room.epoch, room.leader).as_ref().map(WarrantyJson::of),
            words: words(&room, self.config.premium_bps),
        })
    }

    fn reversion(&self, frame: &B256, given: Option<Bytes>) -> Answer<ReversionJson> {
        let given = given.map(|bytes| FrameHeader::decode(&bytes)).transpose().map_err(|e| {
            error::invalid(format!("invalid frame: {e}"), "give the frame of the receipt")
        })?;
        let found = self.view.reverted(frame, given.as_ref()).map_err(not_reverted)?;
        Ok(ReversionJson {
            below: found.below.iter().map(Bytes::from).collect(),
            frame: (&found.fork.frame).into(),
            branch: found.fork.branch,
            header: (&found.fork.header).into(),
            certificate: found.fork.commit.encode().into(),
            log: found.log.iter().map(sealed).collect(),
        })
    }
}

fn sealed((frame, signature): &(FrameHeader, SeqSignature)) -> SealedJson {
    SealedJson { frame: frame.into(), signature: Bytes::copy_from_slice(signature) }
}

fn words(room: &Room, premium_bps: u16) -> String {
    let price = match premium_bps {
        0 => "It costs nothing here".to_owned(),
        bps => format!("It costs {bps}/10,000 of the amount here, paid by the tip"),
    };
    format!(
        "Up to {} ETH can be insured now. {price}. It counts from acked on and until the transaction is final on Ethereum: if the transaction loses its place, 80 % of the stake of whoever contradicted itself pays its sender there, claimed while the offence is open.",
        eth(U256::from(room.free()))
    )
}

fn too_much(room: &Room, amount: U256) -> ErrorObjectOwned {
    let ether = |wei: u128| eth(U256::from(wei));
    let message = format!(
        "{} ETH cannot be insured now, {} ETH can: the leader's stake leaves {} of {} ETH, the set {} of {} ETH",
        eth(amount),
        ether(room.free()),
        ether(room.leader_free()),
        ether(room.leader_cap),
        ether(room.set_free()),
        ether(room.set_cap),
    );
    let hint = if room.leader_free() < room.set_free() {
        "insure less, or try again in a second: a leader is free again when its frames are decided"
    } else {
        "insure less, or wait: the set releases its total over 96 L1 blocks"
    };
    let data = json!({ "freeWei": room.free().to_string(), "hint": hint });
    error::with_data(error::NOT_INSURABLE, message, data)
}

fn not_reverted(why: NoFork) -> ErrorObjectOwned {
    let hint = match why {
        NoFork::Unknown => "give the hash of the frame in the receipt; ask a node that was up then",
        NoFork::Undecided => "ask again when the next height is decided",
        NoFork::Pruned => "ask another node",
    };
    error::plain(error::NOT_REVERTED, why.to_string(), hint)
}
