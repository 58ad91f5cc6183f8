//! A state of which a witness shows a part, and what a block reads of a whole one.
//!
//! Invariant: what is read of a partial state is what the whole one would give, or it is an error. That something does not
//! exist is believed of the trie alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};

use revm::bytecode::Bytecode;

use super::{Account, Entry, Slots, State, StateDiff, tries::Tries};
use crate::{
    ExecutionError, Trie,
    trie::{BadNodes, Look, Nodes},
};

/// What the witness of a partial state says is known.
#[derive(Debug)]
pub(super) struct Known {
    /// As they were before the block.
    tries: Tries,
    /// Whose hashes are the keys in the tries.
    addresses: BTreeSet<Address>,
    slots: BTreeSet<U256>,
}

/// What a run of the EVM asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) accounts: BTreeMap<Address, BTreeSet<U256>>,
    pub(crate) codes: BTreeSet<B256>,
}

/// Shared by all versions of a state that is watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Seen>>);

impl Recorder {
    pub(crate) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    /// The state with this root, as far as the nodes are given, for the keys that are named.
    pub(crate) fn partial(
        root: B256,
        nodes: &Nodes,
        (addresses, slots): (BTreeSet<Address>, BTreeSet<U256>),
        codes: impl IntoIterator<Item = Bytes>,
    ) -> Result<Self, BadNodes> {
        let mut state = Self::default();
        for code in codes {
            state.add_code(code);
        }
        let names: BTreeMap<B256, Address> =
            addresses.iter().map(|address| (keccak256(address), *address)).collect();
        let by_hash: BTreeMap<B256, U256> =
            slots.iter().map(|slot| (keccak256(slot.to_be_bytes::<32>()), *slot)).collect();
        let accounts = Trie::partial(root, nodes)?;
        let mut leaves = Vec::new();
        accounts.each(|key, value| leaves.push((*key, value.to_vec())));
        for (key, value) in leaves {
            let Some(address) = names.get(&key) else { continue };
            let leaf = TrieAccount::decode(&mut value.as_slice())
                .map_err(|_| BadNodes::new("an account does not decode"))?;
            let (nonce, balance, code_hash) = (leaf.nonce, leaf.balance, leaf.code_hash);
            let account = Account { nonce, balance, code_hash };
            let mut entry = Entry { account, slots: Slots::new() };
            if leaf.storage_root != EMPTY_ROOT_HASH {
                let trie = Trie::partial(leaf.storage_root, nodes)?;
                load(&trie, &by_hash, &mut entry.slots)?;
                state.tries.put_storage(*address, trie);
            }
            state.entries.insert(*address, entry.into());
        }
        state.tries.accounts = accounts;
        let tries = state.tries.clone();
        state.known = Some(Arc::new(Known { tries, addresses, slots }));
        Ok(state)
    }

    /// The same state, and what is read of it and of whatever grows from it.
    pub(crate) fn recorded(&self) -> (Self, Recorder) {
        let recorder = Recorder::default();
        (Self { recorder: Some(recorder.clone()), ..self.clone() }, recorder)
    }

    /// The nodes and codes that a block needs which saw and changed this.
    pub(crate) fn shown(&self, seen: &Seen, diff: &StateDiff) -> (Nodes, Vec<Bytes>) {
        let mut nodes = Nodes::new();
        let mut add = |node: Bytes| drop(nodes.insert(keccak256(&node), node));
        let settled = self.settled();
        for (address, slots) in &seen.accounts {
            let slots: Vec<U256> = slots.iter().copied().collect();
            let proof = settled.proof(*address, &slots);
            proof.nodes.into_iter().for_each(&mut add);
            proof.slots.into_iter().flat_map(|slot| slot.nodes).for_each(&mut add);
        }
        // Where a key goes, what is beside it may have to move.
        for (address, change) in &diff.accounts {
            if change.account.is_none() {
                settled.tries.accounts.beside(&keccak256(address)).into_iter().for_each(&mut add);
            }
            let Some(trie) = settled.tries.storage_of(address) else { continue };
            for slot in change.slots.iter().filter(|(_, value)| value.is_zero()).map(|(s, _)| s) {
                let key = keccak256(slot.to_be_bytes::<32>());
                trie.beside(&key).into_iter().for_each(&mut add);
            }
        }
        let codes = seen.codes.iter().filter_map(|hash| self.codes.get(hash));
        (nodes, codes.map(Bytecode::original_bytes).collect())
    }

    /// Whether a change could not be made because of a hidden node: the root means nothing then.
    pub(crate) fn is_broken(&self) -> bool {
        self.tries.is_broken()
    }

    /// That there is no such account is known.
    pub(crate) fn check_account(&self, address: &Address) -> Result<(), ExecutionError> {
        let Some(known) = &self.known else { return Ok(()) };
        if self.entries.contains_key(address) {
            return Ok(());
        }
        let look = known.tries.accounts.look(&keccak256(address));
        decide(look, known.addresses.contains(address))
            .ok_or(ExecutionError::NotInWitness(*address, None))
    }

    /// That a slot is empty is known.
    pub(super) fn check_slot(&self, address: &Address, slot: &U256) -> Result<(), ExecutionError> {
        let Some(known) = &self.known else { return Ok(()) };
        if self.entries.get(address).is_some_and(|entry| entry.slots.contains_key(slot)) {
            return Ok(());
        }
        self.check_account(address)?;
        let key = keccak256(slot.to_be_bytes::<32>());
        let look = known.tries.storage_of(address).map_or(Look::Absent, |trie| trie.look(&key));
        decide(look, known.slots.contains(slot))
            .ok_or(ExecutionError::NotInWitness(*address, Some(*slot)))
    }
}

/// Nothing is in the maps: it was never there, or it was, under a name that is known, and the block took it away.
fn decide(look: Look, named: bool) -> Option<()> {
    (look == Look::Absent || (look == Look::Present && named)).then_some(())
}

fn load(trie: &Trie, names: &BTreeMap<B256, U256>, slots: &mut Slots) -> Result<(), BadNodes> {
    let mut bad = false;
    trie.each(|key, value| {
        let Some(slot) = names.get(key) else { return };
        match U256::decode(&mut &*value) {
            Ok(value) => drop(slots.insert(*slot, value)),
            Err(_) => bad = true,
        }
    });
    if bad { Err(BadNodes::new("a slot does not decode")) } else { Ok(()) }
}
