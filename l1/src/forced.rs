//! What users force in through L1, and what the Inbox does when the set is gone.
//!
//! Not for: deciding what follows from it (`derive`, `node`). Invariant: as with batches, every item names its block, and
//! lists are of one chain.

use crate::bindings::{ForcedQueue, Inbox};
use crate::register::request;
use crate::{L1Block, L1Error, MAX_PAYLOAD, PostedBatch, TxRequest};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use rota_types::{Bitmap, CommitCertificate, Decode, Encode, ForcedTx, Header};

/// Gas of an entry: its bytes at the floor price, the event, three words.
const GAS_ENQUEUE: u64 = 250_000;
const GAS_PER_BYTE: u64 = 60;
/// Gas of the calls of a fallback that change a word or two.
const GAS_FALLBACK: u64 = 250_000;
/// Gas of forming an emergency set of 64.
const GAS_EMERGENCY: u64 = 6_000_000;

/// A transaction that the forced queue took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueued {
    /// The L1 block.
    pub block: L1Block,
    /// Position of the event in the block.
    pub log_index: u64,
    /// The L1 transaction.
    pub tx_hash: B256,
    /// Place in the queue, from 0.
    pub index: u64,
    /// Who paid for it.
    pub sender: Address,
    /// Gas paid for.
    pub gas: u64,
    /// Meant to be a signed transaction of the rollup.
    pub tx: Bytes,
}

impl Enqueued {
    /// Hash of the transaction that was put in.
    #[must_use]
    pub fn forced_hash(&self) -> B256 {
        keccak256(&self.tx)
    }

    /// As the rules take it.
    #[must_use]
    pub fn forced(&self) -> ForcedTx {
        ForcedTx {
            index: self.index,
            l1_number: self.block.number,
            gas: self.gas,
            tx: self.tx.clone(),
        }
    }
}

/// Something that the Inbox said besides certified batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The L1 block.
    pub block: L1Block,
    /// Position of the event in the block.
    pub log_index: u64,
    /// The L1 transaction.
    pub tx_hash: B256,
    /// What.
    pub what: TurnKind,
}

/// What the Inbox said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnKind {
    /// The set was given up: from here on the queue is executed by derivation.
    Fallback {
        /// The generation that began.
        generation: u32,
    },
    /// A new set is in force: sequencers of the new generation order again.
    EmergencySet {
        /// Its generation.
        generation: u32,
        /// Its epoch.
        epoch: u64,
        /// First L1 block that is not in the fallback any more.
        start: u64,
    },
    /// Heights without a certificate, which anyone may post in a fallback. The certificate in it is empty.
    Uncertified(Box<PostedBatch>),
    /// A second certified value of the newest height. It counts for nothing, and its certificate is half of a proof.
    Forked(Box<PostedBatch>),
}

/// Puts a signed transaction into the queue; `fee` is at least `forced_fee + gas * forced_gas_price` of the rules, wei.
#[must_use]
pub fn enqueue_request(queue: Address, tx: Bytes, gas: u64, fee: U256) -> TxRequest {
    let bytes = u64::try_from(tx.len()).unwrap_or(u64::MAX);
    let gas_limit = GAS_ENQUEUE.saturating_add(GAS_PER_BYTE.saturating_mul(bytes));
    let call = ForcedQueue::enqueueCall { transaction: tx, gas };
    TxRequest { value: fee, ..request(queue, &call, gas_limit) }
}

/// Starts a fallback; anyone may send it.
#[must_use]
pub fn activate_fallback_request(inbox: Address) -> TxRequest {
    request(inbox, &Inbox::activateFallbackCall {}, GAS_FALLBACK)
}

/// Answers the roll call for an operator, sent by its owner or its vote key.
#[must_use]
pub fn roll_call_request(inbox: Address, generation: u32, operator: u64) -> TxRequest {
    let operator = U256::from(operator);
    request(inbox, &Inbox::rollCallCall { generation_: generation, operator }, GAS_FALLBACK)
}

/// Makes those who answered the next set; anyone may send it.
#[must_use]
pub fn emergency_set_request(inbox: Address) -> TxRequest {
    request(inbox, &Inbox::formEmergencySetCall {}, GAS_EMERGENCY)
}

/// Posts heights without a certificate.
pub fn uncertified_request(
    inbox: Address,
    from_height: u64,
    header: &Header,
    payload: Bytes,
) -> Result<TxRequest, L1Error> {
    if payload.len() > MAX_PAYLOAD {
        return Err(L1Error::TooLarge { got: payload.len(), max: MAX_PAYLOAD });
    }
    let call = uncertified_call(from_height, header);
    Ok(TxRequest { payload: Some(payload), ..request(inbox, &call, GAS_FALLBACK) })
}

pub(crate) fn uncertified_call(from_height: u64, header: &Header) -> Inbox::submitUncertifiedCall {
    Inbox::submitUncertifiedCall {
        b: Inbox::Batch {
            fromHeight: from_height,
            toHeight: header.height(),
            round: 0,
            repost: false,
        },
        header: header.encode().into(),
    }
}

/// The batch that a transaction posted by calling `submitUncertified` itself; none for any other.
pub(crate) fn decode_uncertified(input: &[u8], blob_hashes: Vec<B256>) -> Option<PostedBatch> {
    let call = Inbox::submitUncertifiedCall::abi_decode(input).ok()?;
    let header = Header::decode(&call.header).ok()?;
    Some(uncertified(&call.b, header, blob_hashes))
}

/// A batch that nobody signed, without its place.
pub(crate) fn uncertified(b: &Inbox::Batch, header: Header, blob_hashes: Vec<B256>) -> PostedBatch {
    let certificate = CommitCertificate {
        epoch: header.close.epoch,
        height: header.height(),
        round: 0,
        value_id: B256::ZERO,
        signers: Bitmap::of([]),
        signatures: Vec::new(),
    };
    PostedBatch {
        block: NOWHERE,
        log_index: 0,
        tx_hash: B256::ZERO,
        from_height: b.fromHeight,
        to_height: b.toHeight,
        repost: b.repost,
        header,
        certificate,
        blob_hashes,
    }
}

/// Until an event has its block.
pub(crate) const NOWHERE: L1Block = L1Block {
    number: 0,
    hash: B256::ZERO,
    parent_hash: B256::ZERO,
    timestamp: 0,
    prev_randao: B256::ZERO,
};
