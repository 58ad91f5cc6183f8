//! The tries behind a state: one for the accounts, one for each account with storage.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::TrieAccount;
use imbl::HashMap;

use super::{Account, Entry, State, commit::Touched};
use crate::Trie;

/// An account and some of its slots, with the nodes that show them against a state root (EIP-1186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// Whose account.
    pub address: Address,
    /// The account; empty if it does not exist.
    pub account: Account,
    /// The root of its storage trie.
    pub storage_root: B256,
    /// Nodes from the state root towards the account.
    pub nodes: Vec<Bytes>,
    /// The slots asked for, in that order.
    pub slots: Vec<SlotProof>,
}

/// One slot, with the nodes from its account's storage root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotProof {
    /// Which slot.
    pub slot: U256,
    /// Its value; zero if it was never set.
    pub value: U256,
    /// Nodes from the storage root towards the slot.
    pub nodes: Vec<Bytes>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tries {
    pub(super) accounts: Trie,
    /// Only accounts with at least one slot.
    storage: HashMap<Address, Trie>,
    broken: bool,
}

impl Tries {
    /// The storage of an account, if it has any.
    pub(super) fn storage_of(&self, address: &Address) -> Option<&Trie> {
        self.storage.get(address)
    }
    /// As a witness shows it.
    pub(super) fn put_storage(&mut self, address: Address, trie: Trie) {
        self.storage.insert(address, trie);
    }
    /// Whether some change could not be made.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken || self.accounts.is_broken()
    }

    /// Takes over what changed in `state` at the touched places.
    pub(super) fn catch_up(&mut self, state: &State, touched: &BTreeMap<Address, Touched>) {
        let mut leaf = Vec::new();
        for (address, touched) in touched {
            let entry = state.entries.get(address).map(|entry| &**entry);
            let storage_root = self.catch_up_storage(*address, entry, touched);
            let key = keccak256(address);
            match entry {
                None => self.accounts.remove(&key),
                Some(Entry { account, .. }) => {
                    leaf.clear();
                    TrieAccount {
                        nonce: account.nonce,
                        balance: account.balance,
                        storage_root,
                        code_hash: account.code_hash,
                    }
                    .encode(&mut leaf);
                    self.accounts.insert(key, &leaf);
                }
            }
        }
    }

    fn catch_up_storage(
        &mut self,
        address: Address,
        entry: Option<&Entry>,
        touched: &Touched,
    ) -> B256 {
        let mut trie = match (touched.whole, self.storage.get(&address)) {
            (false, Some(trie)) => trie.clone(),
            _ => Trie::default(),
        };
        let mut put = |slot: &U256, value: U256| {
            let key = keccak256(slot.to_be_bytes::<32>());
            if value.is_zero() {
                trie.remove(&key);
            } else {
                trie.insert(key, &alloy_rlp::encode_fixed_size(&value));
            }
        };
        match entry {
            Some(entry) if touched.whole => {
                entry.slots.iter().for_each(|(slot, value)| put(slot, *value))
            }
            Some(entry) => {
                for slot in &touched.slots {
                    put(slot, entry.slots.get(slot).copied().unwrap_or_default());
                }
            }
            None => {}
        }
        self.broken |= trie.is_broken();
        let root = trie.root();
        if entry.is_none() || trie.is_empty() {
            self.storage.remove(&address);
        } else if touched.whole || !touched.slots.is_empty() {
            self.storage.insert(address, trie);
        }
        root
    }

    pub(super) fn proof(&self, state: &State, address: Address, slots: &[U256]) -> AccountProof {
        let storage = self.storage.get(&address).cloned().unwrap_or_default();
        let slots = slots.iter().map(|slot| SlotProof {
            slot: *slot,
            value: state.storage(&address, slot),
            nodes: storage.proof(&keccak256(slot.to_be_bytes::<32>())),
        });
        AccountProof {
            address,
            account: state.account(&address).unwrap_or_default(),
            storage_root: storage.root(),
            slots: slots.collect(),
            nodes: self.accounts.proof(&keccak256(address)),
        }
    }
}
