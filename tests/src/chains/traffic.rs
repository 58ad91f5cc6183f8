//! Random transactions of every kind that a rollup block may hold.
//!
//! Invariant: most of them fit (nonce, funds, gas), so that blocks are not empty; those that do not are left out by
//! execution, as by derivation.

use super::{program, word};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rota_execution::{Outcome, State, prague_genesis};
use secp256k1::{Message, SECP256K1, SecretKey};
use std::collections::BTreeMap;

/// Chain id of these chains.
pub const CHAIN_ID: u64 = 4_242;
/// Paid by every block.
pub(super) const FEE_VAULT: Address = Address::repeat_byte(0xfe);
const WALLETS: u8 = 12;
const CONTRACTS: u8 = 48;
const GWEI: u128 = 1_000_000_000;
/// Seed of the contracts: they are part of the genesis block, which is the same for every chain.
const CODE_SEED: u64 = 7;

pub(super) struct Wallet {
    key: SecretKey,
    pub(super) address: Address,
}

pub(super) fn wallet(seed: u8) -> Wallet {
    let key = SecretKey::from_byte_array(keccak256([seed % WALLETS]).0).unwrap();
    let public = key.public_key(SECP256K1).serialize_uncompressed();
    Wallet { key, address: Address::from_raw_public_key(&public[1..]) }
}

/// One of the contracts in the genesis block.
pub(super) fn contract(seed: u8) -> Address {
    Address::repeat_byte(0x20 + seed % CONTRACTS)
}

impl Wallet {
    fn sign(&self, hash: B256) -> Signature {
        let message = Message::from_digest(hash.0);
        let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(message, &self.key).serialize_compact();
        Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1)
    }

    fn signed<T: SignableTransaction<Signature>>(&self, tx: T) -> TxEnvelope
    where
        TxEnvelope: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.sign(tx.signature_hash());
        tx.into_signed(signature).into()
    }
}

/// The file that clients start from: funded wallets and random contracts.
pub fn genesis_file() -> Genesis {
    let ether = U256::from(10).pow(U256::from(18));
    let rich = |seed| {
        let account = GenesisAccount::default().with_balance(U256::from(100_000) * ether);
        (wallet(seed).address, account)
    };
    let mut rng = ChaCha8Rng::seed_from_u64(CODE_SEED);
    let mut code = |seed| {
        let stored = (0..3)
            .map(|i| (B256::with_last_byte(i), B256::from(word(&mut rng).max(U256::from(1)))));
        let account = GenesisAccount::default().with_nonce(Some(1)).with_balance(ether);
        let account = account.with_storage(Some(stored.collect()));
        (contract(seed), account.with_code(Some(program::random(&mut rng).into())))
    };
    let accounts: Vec<_> = (0..WALLETS).map(rich).chain((0..CONTRACTS).map(&mut code)).collect();
    prague_genesis(CHAIN_ID, 1_700_000_000, 30_000_000, accounts)
}

/// Makes transactions whose nonces mostly fit.
#[derive(Clone, Default)]
pub(super) struct Traffic {
    nonces: BTreeMap<u8, u64>,
    /// Contracts that transactions created.
    created: Vec<Address>,
}

/// What all kinds have.
struct Draft {
    nonce: u64,
    gas_limit: u64,
    to: TxKind,
    value: U256,
    input: Bytes,
    access_list: AccessList,
}

impl Traffic {
    pub(super) fn follow(&mut self, state: &State) {
        let nonce = |seed| (seed, state.nonce(&wallet(seed).address));
        self.nonces = (0..WALLETS).map(nonce).collect();
    }

    pub(super) fn included(&mut self, outcome: &Outcome) {
        if let Outcome::Included(included) = outcome {
            self.created.extend(included.contract);
        }
    }

    /// What it is, the transaction, and who signed it.
    pub(super) fn make(&mut self, rng: &mut ChaCha8Rng) -> (&'static str, TxEnvelope, Address) {
        let seed = rng.random_range(0..WALLETS);
        let (kind, to, input) = self.aim(rng);
        let next = self.nonces.entry(seed).or_default();
        let nonce = *next;
        *next += 1;
        let gas_limit = match rng.random_range(0..10) {
            0 => rng.random_range(21_000..60_000),
            1 => 2_000_000,
            _ => 400_000,
        };
        let value = match rng.random_range(0..3) {
            0 => word(rng) >> 170,
            // What a request costs while few are made.
            1 if kind == "request" => U256::from(1),
            _ => U256::ZERO,
        };
        let draft = Draft { nonce, gas_limit, to, value, input, access_list: access(rng) };
        let tx = match rng.random_range(0..8) {
            0 => legacy(seed, draft),
            1 => eip2930(seed, draft),
            2 | 3 if draft.to.to().is_some() => {
                let lists = self.delegations(rng);
                return ("set code", eip7702(seed, draft, lists), wallet(seed).address);
            }
            _ => eip1559(seed, draft, rng.random_range(0..3)),
        };
        (kind, tx, wallet(seed).address)
    }

    fn aim(&self, rng: &mut ChaCha8Rng) -> (&'static str, TxKind, Bytes) {
        let data = |rng: &mut ChaCha8Rng, most: usize| {
            let mut bytes = vec![0; rng.random_range(0..=most)];
            rng.fill_bytes(&mut bytes);
            Bytes::from(bytes)
        };
        match rng.random_range(0..16) {
            0 => ("transfer", wallet(rng.random()).address.into(), Bytes::new()),
            1 => ("transfer", Address::repeat_byte(rng.random()).into(), Bytes::new()),
            2 => ("create", TxKind::Create, program::deploy(&program::random(rng)).into()),
            3 => ("create", TxKind::Create, program::random(rng).into()),
            4 => {
                let at = Address::with_last_byte(rng.random_range(1..=0x11));
                ("precompile", at.into(), data(rng, 400))
            }
            5 => {
                let (at, len) = match rng.random_range(0..2) {
                    0 => (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, 56),
                    _ => (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, 96),
                };
                ("request", at.into(), vec![rng.random(); len].into())
            }
            6 if !self.created.is_empty() => {
                let at = self.created[rng.random_range(0..self.created.len())];
                ("call", at.into(), data(rng, 100))
            }
            _ => {
                let mut words: Vec<u8> = Vec::new();
                for _ in 0..rng.random_range(0..4) {
                    words.extend(word(rng).to_be_bytes::<32>());
                }
                ("call", contract(rng.random()).into(), words.into())
            }
        }
    }

    /// Accounts that begin or cease to run code, some of them with a signature that is no good.
    fn delegations(&mut self, rng: &mut ChaCha8Rng) -> Vec<SignedAuthorization> {
        let mut one = || {
            let seed = rng.random_range(0..WALLETS);
            let address = match rng.random_range(0..4) {
                0 => Address::ZERO,
                1 => wallet(rng.random()).address,
                _ => contract(rng.random()),
            };
            let next = self.nonces.entry(seed).or_default();
            let (chain_id, nonce) = match rng.random_range(0..6) {
                0 => (9, *next),
                1 => (0, *next + 5),
                _ => {
                    *next += 1;
                    (CHAIN_ID, *next - 1)
                }
            };
            let authorization = Authorization { chain_id: U256::from(chain_id), address, nonce };
            let signature = wallet(seed).sign(authorization.signature_hash());
            authorization.into_signed(signature)
        };
        let count = 1 + one().nonce % 3;
        (0..count).map(|_| one()).collect()
    }
}

fn access(rng: &mut ChaCha8Rng) -> AccessList {
    let count = rng.random_range(0..6u8).saturating_sub(3);
    let mut one = || {
        let keys = (0..rng.random_range(0..4)).map(B256::with_last_byte).collect();
        AccessListItem { address: contract(rng.random()), storage_keys: keys }
    };
    AccessList((0..count).map(|_| one()).collect())
}

fn legacy(seed: u8, draft: Draft) -> TxEnvelope {
    let Draft { nonce, gas_limit, to, value, input, .. } = draft;
    // Signed with and without a chain id (EIP-155).
    let chain_id = Some(CHAIN_ID).filter(|_| nonce % 2 == 0);
    wallet(seed).signed(TxLegacy {
        chain_id,
        nonce,
        gas_price: 30 * GWEI,
        gas_limit,
        to,
        value,
        input,
    })
}

fn eip2930(seed: u8, draft: Draft) -> TxEnvelope {
    let Draft { nonce, gas_limit, to, value, input, access_list } = draft;
    let gas_price = 30 * GWEI;
    wallet(seed).signed(TxEip2930 {
        chain_id: CHAIN_ID,
        nonce,
        gas_price,
        gas_limit,
        to,
        value,
        access_list,
        input,
    })
}

fn eip1559(seed: u8, draft: Draft, tip: u128) -> TxEnvelope {
    let Draft { nonce, gas_limit, to, value, input, access_list } = draft;
    wallet(seed).signed(TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit,
        max_fee_per_gas: 30 * GWEI,
        max_priority_fee_per_gas: tip * GWEI,
        to,
        value,
        access_list,
        input,
    })
}

fn eip7702(seed: u8, draft: Draft, authorization_list: Vec<SignedAuthorization>) -> TxEnvelope {
    let Draft { nonce, gas_limit, to, value, input, access_list } = draft;
    wallet(seed).signed(TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit,
        max_fee_per_gas: 30 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: to.to().copied().unwrap_or_default(),
        value,
        access_list,
        authorization_list,
        input,
    })
}

#[cfg(test)]
mod tests {
    use crate::chains::RandomChain;

    #[test]
    fn a_seed_gives_one_chain_with_every_kind_in_it() {
        let (mut one, mut other) = (RandomChain::new(3), RandomChain::new(3));
        for _ in 0..60 {
            assert_eq!(one.grow().hash(), other.grow().hash());
        }
        for kind in ["transfer", "create", "precompile", "request", "call", "set code"] {
            let done = one.counts.get(&format!("{kind} done")).copied().unwrap_or_default();
            assert!(done > 0, "{kind}: {:?}", one.counts);
        }
        assert!(one.counts.get("call failed").is_some_and(|n| *n > 10), "{:?}", one.counts);
        assert!(one.txs() > 250, "{:?}", one.counts);
        assert_ne!(RandomChain::new(4).grow().hash(), RandomChain::new(3).grow().hash());
    }
}
