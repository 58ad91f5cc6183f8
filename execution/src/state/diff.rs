//! What a block changed, flat and in order, for a store to write down.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256};

use super::{Account, Entry, Slots, State, commit};

/// New values of everything that differs between two states. Applying it is plain puts and deletes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateDiff {
    /// Accounts whose fields or slots changed.
    pub accounts: BTreeMap<Address, AccountChange>,
    /// Codes that were not known before, by hash.
    pub codes: BTreeMap<B256, Bytes>,
}

/// The new values of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// The account now; `None` if it no longer exists.
    pub account: Option<Account>,
    /// Slots that changed, each named even if the whole account went; zero means delete.
    pub slots: BTreeMap<U256, U256>,
}

impl State {
    /// Everything in this state, as the change from nothing: what a state snapshot or a genesis
    /// stores.
    #[must_use]
    pub fn export(&self) -> StateDiff {
        let accounts = self.entries.iter().map(|(address, entry)| {
            let slots = entry.slots.iter().map(|(slot, value)| (*slot, *value)).collect();
            (*address, AccountChange { account: Some(entry.account), slots })
        });
        let codes = self.codes.iter().map(|(hash, code)| (*hash, code.original_bytes()));
        StateDiff { accounts: accounts.collect(), codes: codes.collect() }
    }

    /// The state after a change: how a store or a peer brings an older state forward.
    #[must_use]
    pub fn with_diff(&self, diff: &StateDiff) -> Self {
        let mut state = self.clone();
        for code in diff.codes.values() {
            state.add_code(code.clone());
        }
        for (address, change) in &diff.accounts {
            match change.account {
                None => state.put_account(*address, Account::default()),
                Some(account) => {
                    state.put_account(*address, account);
                    for (slot, value) in &change.slots {
                        state.put_slot(*address, *slot, *value);
                    }
                }
            }
        }
        state.start_over();
        state
    }

    /// What changed since `parent`, the state this one grew from. Call before starting over.
    pub(crate) fn diff_since(&self, parent: &Self) -> StateDiff {
        let mut diff = StateDiff::default();
        for (address, touched) in commit::merge(self.touched.iter()) {
            for hash in &touched.codes {
                if let Some(code) = self.codes.get(hash) {
                    diff.codes.insert(*hash, code.original_bytes());
                }
            }
            let (old, new) = (parent.entries.get(&address), self.entries.get(&address));
            let none = Slots::new();
            let slots_of = |entry: Option<&Arc<Entry>>| {
                entry.map_or_else(|| none.clone(), |e| e.slots.clone())
            };
            let (old_slots, new_slots) = (slots_of(old), slots_of(new));
            let mut candidates = touched.slots;
            if touched.whole {
                candidates.extend(old_slots.keys().chain(new_slots.keys()).copied());
            }
            let value = |slots: &Slots, slot: &U256| slots.get(slot).copied().unwrap_or_default();
            let slots: BTreeMap<_, _> = candidates
                .into_iter()
                .filter(|slot| value(&old_slots, slot) != value(&new_slots, slot))
                .map(|slot| (slot, value(&new_slots, &slot)))
                .collect();
            let account = new.map(|entry| entry.account);
            if slots.is_empty() && account == old.map(|entry| entry.account) {
                continue;
            }
            diff.accounts.insert(address, AccountChange { account, slots });
        }
        diff
    }
}
