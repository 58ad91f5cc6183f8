//! Wallets, small contracts and a funded chain for the tests.

use std::collections::BTreeMap;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::{
    eip2930::AccessList,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use rota_execution::{
    Account, BlockEnv, ExecutedBlock, Head, Included, OpenBlock, Outcome, Skip, State, StateDiff,
    genesis, prague_genesis,
};
use secp256k1::{Message, SECP256K1, SecretKey};

pub(crate) const CHAIN_ID: u64 = 4_242;
pub(crate) const GAS_LIMIT: u64 = 30_000_000;
pub(crate) const GWEI: u128 = 1_000_000_000;
pub(crate) const FEE_VAULT: Address = Address::repeat_byte(0xfe);
pub(crate) const WALLETS: u8 = 8;

/// A signed transaction and its sender.
pub(crate) type Signed = (TxEnvelope, Address);

#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    key: SecretKey,
    pub(crate) address: Address,
}

impl Wallet {
    pub(crate) fn new(seed: u8) -> Self {
        let key = SecretKey::from_byte_array(keccak256([seed]).0).unwrap();
        let public = key.public_key(SECP256K1).serialize_uncompressed();
        Self { key, address: Address::from_raw_public_key(&public[1..]) }
    }

    fn sign(&self, hash: B256) -> Signature {
        let message = Message::from_digest(hash.0);
        let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(message, &self.key).serialize_compact();
        Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1)
    }

    pub(crate) fn legacy(&self, tx: TxLegacy) -> Signed {
        let signature = self.sign(tx.signature_hash());
        (tx.into_signed(signature).into(), self.address)
    }

    pub(crate) fn eip2930(&self, tx: TxEip2930) -> Signed {
        let signature = self.sign(tx.signature_hash());
        (tx.into_signed(signature).into(), self.address)
    }

    pub(crate) fn eip1559(&self, tx: TxEip1559) -> Signed {
        let signature = self.sign(tx.signature_hash());
        (tx.into_signed(signature).into(), self.address)
    }

    pub(crate) fn eip7702(&self, tx: TxEip7702) -> Signed {
        let signature = self.sign(tx.signature_hash());
        (tx.into_signed(signature).into(), self.address)
    }

    /// Signs that this account runs the code at `address`.
    pub(crate) fn delegate(&self, address: Address, nonce: u64) -> SignedAuthorization {
        let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address, nonce };
        let signature = self.sign(authorization.signature_hash());
        authorization.into_signed(signature)
    }

    pub(crate) fn transfer(&self, nonce: u64, to: Address, wei: u64) -> Signed {
        self.eip1559(TxEip1559 { gas_limit: 21_000, value: U256::from(wei), ..fees(nonce, to) })
    }

    pub(crate) fn call(&self, nonce: u64, to: Address, input: impl Into<Bytes>) -> Signed {
        self.eip1559(TxEip1559 { gas_limit: 200_000, input: input.into(), ..fees(nonce, to) })
    }

    pub(crate) fn create(&self, nonce: u64, init: impl Into<Bytes>) -> Signed {
        let to = TxKind::Create;
        self.eip1559(TxEip1559 {
            gas_limit: 500_000,
            input: init.into(),
            to,
            ..fees(nonce, Address::ZERO)
        })
    }
}

pub(crate) fn fees(nonce: u64, to: Address) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        max_fee_per_gas: 20 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: TxKind::Call(to),
        access_list: AccessList::default(),
        ..TxEip1559::default()
    }
}

pub(crate) fn wallet(seed: u8) -> Wallet {
    Wallet::new(seed)
}

/// Init code that deploys `runtime`.
pub(crate) fn deploy(runtime: &[u8]) -> Vec<u8> {
    let len = u16::try_from(runtime.len()).unwrap().to_be_bytes();
    let mut init = vec![
        0x61, len[0], len[1], 0x60, 0x0e, 0x60, 0x00, 0x39, 0x61, len[0], len[1], 0x60, 0x00, 0xf3,
    ];
    init.extend_from_slice(runtime);
    init
}

/// `(slot, value)`: stores it and logs it.
pub(crate) const STORE: &[u8] = &hex!("6020356000355560203560005260003560206000a100");
/// `(slot)`: returns what is stored there.
pub(crate) const LOAD: &[u8] = &hex!("6000355460005260206000f3");
/// `(number)`: stores BLOCKHASH(number) in slot number.
pub(crate) const HASHES: &[u8] = &hex!("600035406000355500");
/// Stores what it sees of the block in slots 0 to 6.
pub(crate) const SEE: &[u8] = &hex!("42600055446001554860025541600355466004554a6005554560065500");
/// Pays everything it holds to the caller by SELFDESTRUCT.
pub(crate) const PAY_OUT: &[u8] = &hex!("33ff");
/// Init code that stores, then destroys the contract it is creating.
pub(crate) const STILLBORN: &[u8] = &hex!("600160015533ff");
/// Logs, stores, reverts.
pub(crate) const REVERT: &[u8] = &hex!("60006000a0600160005560006000fd");
/// Never ends.
pub(crate) const LOOP: &[u8] = &hex!("5b600056");
/// CREATE2 of the calldata with the value sent; keeps the address in slot 0.
pub(crate) const FACTORY: &[u8] = &hex!("366000600037600036600034f560005500");

/// CREATE2 of the calldata with the value sent, and a call of what it created; the address in slot 0.
pub(crate) const MAYFLY: &[u8] =
    &hex!("366000600037600036600034f560006000600060006000855af15060005500");
/// Stores, then pays out and is gone if it was created in the same transaction.
pub(crate) const SHORT_LIVED: &[u8] = &hex!("600160015533ff");
/// Calls `STORE` with the calldata, then `REVERT`, and goes on.
pub(crate) const NEST: &[u8] = &hex!(
    "366000600037"
    "6000600036600060007311111111111111111111111111111111111111115af150"
    "6000600036600060007313131313131313131313131313131313131313135af15000"
);

pub(crate) fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect()
}

/// A chain with funded wallets, and the contracts above from 0x1010.. on.
pub(crate) fn genesis_file() -> Genesis {
    let rich = |seed| (wallet(seed).address, GenesisAccount::default().with_balance(ether(1_000)));
    let kept = BTreeMap::from([(B256::with_last_byte(7), B256::with_last_byte(9))]);
    let loaded = GenesisAccount::default()
        .with_nonce(Some(1))
        .with_code(Some(Bytes::from_static(LOAD)))
        .with_storage(Some(kept));
    let code = |(at, code): (u8, &'static [u8])| {
        let account = GenesisAccount::default().with_nonce(Some(1));
        (Address::repeat_byte(at), account.with_code(Some(Bytes::from_static(code))))
    };
    let codes = [STORE, PAY_OUT, REVERT, LOOP, FACTORY, HASHES, SEE, MAYFLY, NEST];
    let accounts = (0..WALLETS).map(rich).chain([(Address::repeat_byte(0x10), loaded)]);
    let accounts = accounts.chain((0x11..).zip(codes).map(code));
    prague_genesis(CHAIN_ID, 1_700_000_000, GAS_LIMIT, accounts)
}

pub(crate) fn first() -> Head {
    genesis(&genesis_file()).unwrap()
}

pub(crate) fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(10).pow(U256::from(18))
}

/// An ordinary second after `parent`.
pub(crate) fn env(parent: &Head) -> BlockEnv {
    let number = parent.header.number + 1;
    BlockEnv {
        number,
        timestamp_s: parent.header.timestamp + 1,
        gas_limit: parent.header.gas_limit,
        fee_recipient: FEE_VAULT,
        prev_randao: keccak256(number.to_be_bytes()),
        parent_beacon_block_root: keccak256([number as u8, 1]),
        withdrawals: Vec::new(),
    }
}

pub(crate) fn open(parent: &Head) -> OpenBlock {
    OpenBlock::open(parent, env(parent), CHAIN_ID).unwrap()
}

pub(crate) fn seal(block: OpenBlock) -> ExecutedBlock {
    block.seal(B256::repeat_byte(0x77)).unwrap()
}

/// Applies and demands inclusion.
pub(crate) fn include(block: &mut OpenBlock, tx: &Signed) -> std::sync::Arc<Included> {
    match block.apply(&tx.0, tx.1).unwrap() {
        Outcome::Included(included) => included,
        Outcome::Skipped(skip) => panic!("skipped: {skip}"),
    }
}

/// Applies and demands a skip.
pub(crate) fn skip(block: &mut OpenBlock, tx: &Signed) -> Skip {
    match block.apply(&tx.0, tx.1).unwrap() {
        Outcome::Included(included) => panic!("included: {included:?}"),
        Outcome::Skipped(skip) => skip,
    }
}

/// Makes varied transactions out of random numbers, with nonces that mostly fit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    nonces: BTreeMap<u8, u64>,
}

impl Traffic {
    /// Starts over from the nonces of a state; skipped transactions leave gaps behind them.
    pub(crate) fn follow(&mut self, state: &State) {
        self.nonces = (0..WALLETS).map(|seed| (seed, state.nonce(&wallet(seed).address))).collect();
    }

    pub(crate) fn make(&mut self, random: u64) -> Signed {
        let part = |shift: u32, below: u64| (random >> shift) % below;
        let seed = part(0, u64::from(WALLETS)) as u8;
        let from = wallet(seed);
        let next = self.nonces.entry(seed).or_default();
        let nonce = *next + u64::from(part(3, 16) == 15);
        let contract = |at: u64| Address::repeat_byte(0x10 + at as u8);
        let tx = match part(7, 12) {
            0 => from.transfer(nonce, Address::repeat_byte(part(11, 30) as u8), part(16, 3)),
            1 => from.transfer(nonce, wallet(part(11, 8) as u8).address, part(16, 1 << 40)),
            2 | 3 => from.call(nonce, contract(1), words(&[part(11, 6), part(16, 3)])),
            4 => from
                .create(nonce, if part(11, 2) == 0 { deploy(STORE) } else { STILLBORN.to_vec() }),
            5 => {
                let value = U256::from(part(11, 5));
                from.eip1559(TxEip1559 { gas_limit: 90_000, value, ..fees(nonce, contract(2)) })
            }
            6 => from.call(nonce, contract(3 + part(11, 2)), vec![]),
            7 => {
                let init = [deploy(LOAD), STILLBORN.to_vec(), deploy(SHORT_LIVED)];
                let input = init[part(11, 3) as usize].clone().into();
                let (value, to) = (U256::from(part(13, 3)), contract([5, 8][part(15, 2) as usize]));
                from.eip1559(TxEip1559 { gas_limit: 250_000, value, input, ..fees(nonce, to) })
            }
            8 => from.call(nonce, contract(6 + 3 * part(11, 2)), words(&[part(12, 12), 7])),
            9 => from.call(nonce, contract(7), vec![]),
            10 => self.delegation(seed, nonce, random),
            _ => from.call(
                nonce,
                wallet(part(11, 8) as u8).address,
                words(&[part(15, 4), part(19, 2)]),
            ),
        };
        if part(3, 16) != 15 {
            *self.nonces.entry(seed).or_default() += 1;
        }
        tx
    }

    /// Somebody else's account starts to run one of the contracts, or stops.
    fn delegation(&mut self, seed: u8, nonce: u64, random: u64) -> Signed {
        let other = (seed + 1) % WALLETS;
        let target = [Address::ZERO, Address::repeat_byte(0x11), Address::repeat_byte(0x17)];
        let target = target[(random >> 11) as usize % 3];
        let authority_nonce = self.nonces.entry(other).or_default();
        let authorization = wallet(other).delegate(target, *authority_nonce);
        *authority_nonce += 1;
        wallet(seed).eip7702(TxEip7702 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 200_000,
            max_fee_per_gas: 20 * GWEI,
            max_priority_fee_per_gas: GWEI,
            to: wallet(other).address,
            authorization_list: vec![authorization],
            input: words(&[random % 4, 5]).into(),
            ..TxEip7702::default()
        })
    }
}

/// The accounts of a store that only ever applied diffs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    accounts: BTreeMap<Address, Account>,
    slots: BTreeMap<(Address, U256), U256>,
    codes: BTreeMap<B256, Bytes>,
}

impl Shelf {
    pub(crate) fn apply(&mut self, diff: &StateDiff) {
        self.codes.extend(diff.codes.clone());
        for (address, change) in &diff.accounts {
            match change.account {
                Some(account) => self.accounts.insert(*address, account),
                None => self.accounts.remove(address),
            };
            for (slot, value) in &change.slots {
                if value.is_zero() {
                    self.slots.remove(&(*address, *slot)).expect("only what was there is deleted");
                } else {
                    self.slots.insert((*address, *slot), *value);
                }
            }
        }
    }

    pub(crate) fn load(self) -> State {
        let slots = self.slots.into_iter().map(|((address, slot), value)| (address, slot, value));
        State::from_parts(self.accounts, slots, self.codes.into_values()).unwrap()
    }
}

/// The root of everything a state holds, from scratch and by alloy-trie.
pub(crate) fn oracle_root(state: &State) -> B256 {
    let accounts = state.export().accounts.into_iter().map(|(address, change)| {
        let account = change.account.unwrap();
        let storage = change.slots.into_iter().map(|(slot, value)| (B256::from(slot), value));
        let account = TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root: storage_root_unhashed(storage),
            code_hash: account.code_hash,
        };
        (address, account)
    });
    state_root_unhashed(accounts)
}
