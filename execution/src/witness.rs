//! Executing one block with nothing but what it reads: who has the witness needs no state.
//!
//! The witness has the shape that other clients give to `debug_executionWitness`: trie nodes, codes, the names behind hashed
//! keys, and the parent's header. Not for: the statement that the block is the right one; that follows from L1.
//! Invariant: if [`reexecute`] gives a block, the rules of Ethereum lead from the parent's hash to that block's hash, whoever
//! made the witness. A witness that shows too little, or something else, is an error.

use std::collections::BTreeSet;

use alloy_consensus::{
    Block, Header, TxEnvelope, crypto::RecoveryError, transaction::SignerRecoverable,
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};
use serde::{Deserialize, Serialize};

use crate::{
    BlockEnv, ExecutedBlock, ExecutionError, Head, OpenBlock, Outcome, State, execute_block,
    trie::{BadNodes, Nodes},
};

/// What one block reads, and what its root is computed from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Nodes of the state trie and of storage tries, in the order of their hashes.
    pub state: Vec<Bytes>,
    /// Codes that run or are looked at.
    pub codes: Vec<Bytes>,
    /// Addresses (20 bytes) and slots (32 bytes) whose hashes are keys in the tries.
    pub keys: Vec<Bytes>,
    /// The header of the parent, RLP.
    pub headers: Vec<Bytes>,
}

/// Why a block does not follow from a witness. Whoever gave block and witness is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReexecuted {
    /// Something does not decode.
    #[error("the {0} does not decode")]
    Decode(&'static str),
    /// The header in the witness is not the parent's.
    #[error("the witness is for a block on {got}, the block is on {want}")]
    Parent {
        /// Hash of the header in the witness.
        got: B256,
        /// Parent of the block.
        want: B256,
    },
    /// The nodes do not belong together.
    #[error(transparent)]
    Nodes(#[from] BadNodes),
    /// Execution failed, or needed what is not shown.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// A transaction has no signer.
    #[error("transaction {0} has no valid signature")]
    Signature(usize),
    /// A transaction cannot be in the block.
    #[error("transaction {index} cannot be in the block: {why}")]
    NotIncluded {
        /// Its place.
        index: usize,
        /// The reason.
        why: String,
    },
    /// The new root needs nodes that are not shown.
    #[error("the witness does not show enough to compute the new state root")]
    Incomplete,
    /// It gives another block.
    #[error("execution gives block {got}, given is {want}")]
    Other {
        /// The hash that it gives.
        got: B256,
        /// The hash of the block given.
        want: B256,
    },
}

impl Witness {
    /// Its size in bytes, as far as the contents go.
    #[must_use]
    pub fn size(&self) -> usize {
        let all = [&self.state, &self.codes, &self.keys, &self.headers];
        all.into_iter().flatten().map(|bytes| bytes.len()).sum()
    }
}

/// Executes a block on a whole state, and gives its witness. The arguments are those of [`execute_block`].
///
/// # Errors
/// Those of [`execute_block`].
pub fn record<'a>(
    parent: &Head,
    env: BlockEnv,
    chain_id: u64,
    transactions: impl IntoIterator<Item = (&'a TxEnvelope, Address)>,
    extra_data: B256,
) -> Result<(ExecutedBlock, Witness), ExecutionError> {
    let (state, recorder) = parent.state.recorded();
    let watched = Head { state, ..parent.clone() };
    let block = execute_block(&watched, env, chain_id, transactions, extra_data)?;
    let mut seen = recorder.seen();
    for (address, change) in &block.diff.accounts {
        seen.accounts.entry(*address).or_default().extend(change.slots.keys());
    }
    for withdrawal in &block.withdrawals {
        seen.accounts.entry(withdrawal.address).or_default();
    }
    let mut header = Vec::new();
    parent.header.encode(&mut header);
    let slots: BTreeSet<U256> = seen.accounts.values().flatten().copied().collect();
    let addresses = seen.accounts.keys().map(|a| Bytes::copy_from_slice(a.as_slice()));
    let slots = slots.iter().map(|slot| Bytes::from(slot.to_be_bytes::<32>()));
    let (state, codes) = parent.state.shown(&seen, &block.diff);
    let witness = Witness {
        state: state.into_values().collect(),
        codes,
        keys: addresses.chain(slots).collect(),
        headers: vec![header.into()],
    };
    Ok((block, witness))
}

/// Executes a block with nothing but its witness.
///
/// # Errors
/// [`NotReexecuted`]: it does not follow, or cannot be seen to.
pub fn reexecute(
    witness: &Witness,
    block: &Block<TxEnvelope>,
    chain_id: u64,
) -> Result<ExecutedBlock, NotReexecuted> {
    let parent = parent(witness, &block.header)?;
    let env = env(block)?;
    for withdrawal in &env.withdrawals {
        parent.state.check_account(&withdrawal.address)?;
    }
    let mut open = OpenBlock::open(&parent, env, chain_id)?;
    for (index, tx) in block.body.transactions.iter().enumerate() {
        let sender: Result<Address, RecoveryError> = tx.recover_signer();
        let sender = sender.map_err(|_| NotReexecuted::Signature(index))?;
        if let Outcome::Skipped(why) = open.apply(tx, sender)? {
            return Err(NotReexecuted::NotIncluded { index, why: why.to_string() });
        }
    }
    let extra = B256::try_from(block.header.extra_data.as_ref());
    let done = open.seal(extra.map_err(|_| NotReexecuted::Decode("extra data"))?)?;
    if done.head.state.is_broken() {
        return Err(NotReexecuted::Incomplete);
    }
    let (got, want) = (done.hash(), block.header.hash_slow());
    if got == want { Ok(done) } else { Err(NotReexecuted::Other { got, want }) }
}

/// The part of the state before the block that is shown.
fn parent(witness: &Witness, header: &Header) -> Result<Head, NotReexecuted> {
    let wrong = NotReexecuted::Decode("parent's header");
    let raw = witness.headers.first().ok_or_else(|| wrong.clone())?;
    let (got, want) = (keccak256(raw), header.parent_hash);
    if got != want {
        return Err(NotReexecuted::Parent { got, want });
    }
    let parent = Header::decode(&mut raw.as_ref()).map_err(|_| wrong)?;
    let nodes: Nodes = witness.state.iter().map(|node| (keccak256(node), node.clone())).collect();
    let (mut addresses, mut slots) = (BTreeSet::new(), BTreeSet::new());
    for key in &witness.keys {
        match key.len() {
            20 => drop(addresses.insert(Address::from_slice(key))),
            32 => drop(slots.insert(U256::from_be_slice(key))),
            _ => return Err(NotReexecuted::Decode("name of a key")),
        }
    }
    let codes = witness.codes.iter().cloned();
    let state = State::partial(parent.state_root, &nodes, (addresses, slots), codes)?;
    Ok(Head::new(parent, state)?)
}

/// What the header says of the environment; that all of it is right is seen by the hash.
fn env(block: &Block<TxEnvelope>) -> Result<BlockEnv, NotReexecuted> {
    let header = &block.header;
    let withdrawals = block.body.withdrawals.clone();
    let withdrawals = withdrawals.ok_or(NotReexecuted::Decode("list of withdrawals"))?;
    Ok(BlockEnv {
        number: header.number,
        timestamp_s: header.timestamp,
        gas_limit: header.gas_limit,
        fee_recipient: header.beneficiary,
        prev_randao: header.mix_hash,
        parent_beacon_block_root: header
            .parent_beacon_block_root
            .ok_or(NotReexecuted::Decode("L1 origin"))?,
        withdrawals: withdrawals.into_inner(),
    })
}
