//! Writing to a state: the result of one EVM run, or a plain change of one account.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use revm::{bytecode::Bytecode, state::EvmState};

use super::{Account, Entry, Slots, State};

/// What one write changed at one address.
#[derive(Clone, Debug)]
pub(super) struct Touch {
    pub(super) address: Address,
    /// All slots may have changed: the account was created, destroyed or loaded.
    pub(super) whole: bool,
    pub(super) slots: Box<[U256]>,
    /// A code that became known. It stays known even if the account soon drops it (EIP-7702), so a
    /// store has to learn of it here and now.
    pub(super) code: Option<B256>,
}

impl Touch {
    pub(super) fn whole(address: Address) -> Self {
        Self { address, whole: true, slots: Box::default(), code: None }
    }

    fn slots(address: Address, slots: impl Iterator<Item = U256>) -> Self {
        Self { address, whole: false, slots: slots.collect(), code: None }
    }
}

/// All touches of one address.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) whole: bool,
    pub(super) slots: BTreeSet<U256>,
    pub(super) codes: BTreeSet<B256>,
}

/// Joins the touches of many writes by address.
pub(super) fn merge<'a>(
    writes: impl Iterator<Item = &'a Arc<[Touch]>>,
) -> BTreeMap<Address, Touched> {
    let mut merged = BTreeMap::<Address, Touched>::new();
    for touch in writes.flat_map(|write| write.iter()) {
        let touched = merged.entry(touch.address).or_default();
        touched.whole |= touch.whole;
        touched.slots.extend(touch.slots.iter().copied());
        touched.codes.extend(touch.code);
    }
    merged
}

impl State {
    /// Takes over what an EVM run changed, with EIP-161: a touched account that is empty
    /// disappears.
    pub(crate) fn commit(&mut self, changes: EvmState) {
        let mut touches = Vec::with_capacity(changes.len());
        for (address, change) in changes {
            if !change.is_touched() {
                continue;
            }
            let account = Account {
                nonce: change.info.nonce,
                balance: change.info.balance,
                code_hash: change.info.code_hash,
            };
            if change.is_selfdestructed() || account.is_empty() {
                self.entries.remove(&address);
                touches.push(Touch::whole(address));
                continue;
            }
            let is_created = change.is_created();
            let written =
                || change.storage.iter().filter(|(_, slot)| is_created || slot.is_changed());
            let mut touch = if is_created {
                Touch::whole(address)
            } else {
                Touch::slots(address, written().map(|(slot, _)| *slot))
            };
            if account.code_hash != KECCAK256_EMPTY
                && let Some(code) = &change.info.code
                && !self.codes.contains_key(&account.code_hash)
            {
                self.codes.insert(account.code_hash, code.clone());
                touch.code = Some(account.code_hash);
            }
            touches.push(touch);
            let entry = self.entry(address);
            entry.account = account;
            if is_created {
                entry.slots = Slots::new();
            }
            for (slot, value) in written() {
                set_slot(&mut entry.slots, *slot, value.present_value);
            }
        }
        self.touched.push_back(touches.into());
    }

    /// Adds wei to an account (EIP-4895); an account that is still empty afterwards does not exist.
    pub(crate) fn credit(&mut self, address: Address, wei: U256) {
        let mut account = self.account(&address).unwrap_or_default();
        account.balance = account.balance.saturating_add(wei);
        self.put_account(address, account);
    }

    /// Replaces an account and keeps its slots.
    pub(crate) fn put_account(&mut self, address: Address, account: Account) {
        if account.is_empty() {
            self.entries.remove(&address);
            self.touched.push_back([Touch::whole(address)].into());
            return;
        }
        self.entry(address).account = account;
        self.touched.push_back([Touch::slots(address, std::iter::empty())].into());
    }

    /// Sets one slot; the account is made if need be.
    pub(crate) fn put_slot(&mut self, address: Address, slot: U256, value: U256) {
        set_slot(&mut self.entry(address).slots, slot, value);
        self.touched.push_back([Touch::slots(address, [slot].into_iter())].into());
    }

    /// Forgets all slots of an account.
    pub(crate) fn clear_slots(&mut self, address: Address) {
        if let Some(entry) = self.entries.get_mut(&address) {
            Arc::make_mut(entry).slots = Slots::new();
            self.touched.push_back([Touch::whole(address)].into());
        }
    }

    fn entry(&mut self, address: Address) -> &mut Entry {
        Arc::make_mut(self.entries.entry(address).or_default())
    }

    /// Makes a code known and gives its hash.
    pub(crate) fn add_code(&mut self, code: Bytes) -> B256 {
        if code.is_empty() {
            return KECCAK256_EMPTY;
        }
        let code =
            Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
        let hash = code.hash_slow();
        self.codes.insert(hash, code);
        hash
    }
}

fn set_slot(slots: &mut Slots, slot: U256, value: U256) {
    if value.is_zero() {
        slots.remove(&slot);
    } else {
        slots.insert(slot, value);
    }
}
