//! The world state: accounts, storage and code, as an immutable snapshot.
//!
//! Everything is a persistent structure, so `clone` is O(1) and is how a snapshot is taken, a
//! rollback is done and a reader is served: a `State` in somebody's hand never changes. It is not a
//! database (it lives in memory) and it does not know blocks.
//!
//! Invariant: `tries`, brought forward by the writes in `touched` that they have not seen, describe
//! the same accounts and slots as the maps. The EVM reads and writes the maps only; the tries catch
//! up when a root or a proof is asked for, once per block, or earlier on somebody else's thread.

mod commit;
mod database;
mod diff;
mod partial;
mod tries;

pub use diff::{AccountChange, StateDiff};
pub use tries::{AccountProof, SlotProof};

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use commit::Touch;
use imbl::{HashMap, Vector};
use partial::Known;
pub(crate) use partial::Recorder;
use revm::bytecode::Bytecode;
use tries::Tries;

use crate::ExecutionError;

/// An account without its storage and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// keccak256 of the code; of nothing for an account without code.
    pub code_hash: B256,
}

impl Account {
    /// Holds nothing, did nothing, is nothing: such an account does not exist (EIP-161).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK256_EMPTY
    }
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY }
    }
}

type Slots = HashMap<U256, U256>;

#[derive(Clone, Debug, Default)]
struct Entry {
    account: Account,
    slots: Slots,
}

/// A snapshot of the world.
#[derive(Clone, Debug, Default)]
pub struct State {
    // Behind an `Arc` because writing after a snapshot copies map nodes of 32 values.
    entries: HashMap<Address, Arc<Entry>>,
    codes: HashMap<B256, Bytecode>,
    tries: Tries,
    /// How many of the writes the tries have seen.
    seen: usize,
    /// Every write since the last block, each an allocation of its own: that is its identity.
    touched: Vector<Arc<[Touch]>>,
    /// Set where only a part is here.
    known: Option<Arc<Known>>,
    /// Set where somebody wants to know what is read.
    recorder: Option<Recorder>,
}

impl State {
    /// Rebuilds a state from what a store kept: accounts, non-zero slots and codes, in any order.
    ///
    /// # Errors
    /// [`ExecutionError::OrphanStorage`] and [`ExecutionError::MissingCode`] if the parts do not
    /// fit together.
    pub fn from_parts(
        accounts: impl IntoIterator<Item = (Address, Account)>,
        slots: impl IntoIterator<Item = (Address, U256, U256)>,
        codes: impl IntoIterator<Item = Bytes>,
    ) -> Result<Self, ExecutionError> {
        let mut state = Self::default();
        for code in codes {
            state.add_code(code);
        }
        for (address, account) in accounts {
            if account.code_hash != KECCAK256_EMPTY && !state.codes.contains_key(&account.code_hash)
            {
                return Err(ExecutionError::MissingCode(account.code_hash));
            }
            state.entries.insert(address, Entry { account, slots: Slots::new() }.into());
        }
        for (address, slot, value) in slots {
            let entry =
                state.entries.get_mut(&address).ok_or(ExecutionError::OrphanStorage(address))?;
            if !value.is_zero() {
                Arc::make_mut(entry).slots.insert(slot, value);
            }
        }
        state
            .touched
            .push_back(state.entries.keys().map(|address| Touch::whole(*address)).collect());
        state.start_over();
        Ok(state)
    }

    /// The account at an address; `None` if there is none.
    #[must_use]
    pub fn account(&self, address: &Address) -> Option<Account> {
        self.entries.get(address).map(|entry| entry.account)
    }

    /// The balance in wei; zero for an account that does not exist.
    #[must_use]
    pub fn balance(&self, address: &Address) -> U256 {
        self.account(address).unwrap_or_default().balance
    }

    /// The next nonce; zero for an account that does not exist.
    #[must_use]
    pub fn nonce(&self, address: &Address) -> u64 {
        self.account(address).unwrap_or_default().nonce
    }

    /// The value of a storage slot; zero if it was never set.
    #[must_use]
    pub fn storage(&self, address: &Address, slot: &U256) -> U256 {
        self.entries
            .get(address)
            .and_then(|entry| entry.slots.get(slot))
            .copied()
            .unwrap_or_default()
    }

    /// The storage slots of an account that are not zero, in no order.
    pub fn slots(&self, address: &Address) -> impl Iterator<Item = U256> + '_ {
        let slots = self.entries.get(address).map(|entry| entry.slots.keys().copied());
        slots.into_iter().flatten()
    }

    /// The code of an account; empty if it has none.
    #[must_use]
    pub fn code(&self, address: &Address) -> Bytes {
        let code =
            self.entries.get(address).and_then(|entry| self.codes.get(&entry.account.code_hash));
        code.map(Bytecode::original_bytes).unwrap_or_default()
    }

    /// How many accounts exist.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if no account exists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The state root. Free on a state that came out of a block; on a snapshot of an open block it
    /// costs a few microseconds for each account touched so far, at every call.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.settled_tries().accounts.root()
    }

    /// Shows an account and some of its slots against [`Self::root`] (EIP-1186), present or absent.
    #[must_use]
    pub fn proof(&self, address: Address, slots: &[U256]) -> AccountProof {
        self.settled_tries().proof(self, address, slots)
    }

    /// The same state with its tries up to date and hashed: roots and proofs on it are free.
    ///
    /// Meant for another thread than the one that executes: hand the result to
    /// [`crate::OpenBlock::adopt`], and the end of the block has only the last writes left to hash.
    #[must_use]
    pub fn settled(&self) -> Self {
        let mut state = self.clone();
        state.settle();
        state
    }

    /// Takes over the tries of `settled` if it is this state at an earlier moment, however far it
    /// has come.
    pub(crate) fn adopt(&mut self, settled: &Self) -> bool {
        let last = settled.seen.checked_sub(1);
        let is_ours = last.is_some_and(|last| {
            let (ours, theirs) = (self.touched.get(last), settled.touched.get(last));
            ours.zip(theirs).is_some_and(|(ours, theirs)| Arc::ptr_eq(ours, theirs))
        });
        let is_news = is_ours && settled.seen > self.seen;
        if is_news {
            self.tries = settled.tries.clone();
            self.seen = settled.seen;
        }
        is_news
    }

    /// Settles and forgets what was written: the next block starts here.
    pub(crate) fn start_over(&mut self) {
        self.settle();
        self.touched = Vector::new();
        self.seen = 0;
    }

    fn settle(&mut self) {
        self.tries = self.settled_tries();
        self.seen = self.touched.len();
        let _hashed = self.tries.accounts.root();
    }

    fn settled_tries(&self) -> Tries {
        let mut tries = self.tries.clone();
        if self.seen < self.touched.len() {
            tries.catch_up(self, &commit::merge(self.touched.iter().skip(self.seen)));
        }
        tries
    }
}
