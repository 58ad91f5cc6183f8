//! Words of the Registry's storage under the hash of an L1 block.
//!
//! Invariant: every word comes with its nodes, and its key is computed here.

use super::{LightInvalid, list};
use alloc::vec::Vec;
use alloy_rlp::Encodable;
use alloy_trie::{Nibbles, proof::verify_proof};
use rota_types::{
    Address, B256, Bytes, SetProof, SlotProof, U256, keccak256, read_set_entry, set_entry_slot,
    set_id_slot,
};

/// Places of fields in the RLP of an Ethereum header; later forks add at the end.
const STATE_ROOT: usize = 3;
const NUMBER: usize = 8;
const TIMESTAMP: usize = 11;

/// An L1 block that is what the trusted hash is of.
pub(super) struct Trusted {
    pub(super) number: u64,
    pub(super) timestamp: u64,
    state_root: B256,
    /// Of the Registry, once `registry` has shown it.
    storage_root: B256,
}

impl Trusted {
    pub(super) fn block(proof: &SetProof, hash: B256) -> Result<Self, LightInvalid> {
        if keccak256(&proof.header) != hash {
            return Err(LightInvalid::L1Block);
        }
        let wrong = LightInvalid::Decode("L1 header");
        let fields = list(&proof.header, "L1 header")?;
        let field = |at: usize| fields.get(at).ok_or(wrong);
        let number = |at| {
            let bytes = field(at)?;
            (bytes.len() <= 8).then_some(()).ok_or(wrong)?;
            Ok(bytes.iter().fold(0u64, |n, b| (n << 8) | u64::from(*b)))
        };
        Ok(Self {
            number: number(NUMBER)?,
            timestamp: number(TIMESTAMP)?,
            state_root: B256::try_from(field(STATE_ROOT)?.as_slice()).map_err(|_| wrong)?,
            storage_root: B256::ZERO,
        })
    }

    /// With the storage of the Registry.
    pub(super) fn registry(self, p: &SetProof, registry: Address) -> Result<Self, LightInvalid> {
        let mut fields = Vec::new();
        p.nonce.encode(&mut fields);
        p.balance.encode(&mut fields);
        p.storage_hash.encode(&mut fields);
        p.code_hash.encode(&mut fields);
        let mut account = Vec::new();
        alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut account);
        account.extend(fields);
        let key = keccak256(registry);
        is_under(self.state_root, key, Some(account), &p.account_proof)
            .ok_or(LightInvalid::Storage("Registry"))?;
        Ok(Self { storage_root: p.storage_hash, ..self })
    }

    /// The L1 block in which the set after this one was frozen, if one was; this one has `id`.
    pub(super) fn set(
        &self,
        p: &SetProof,
        epoch: u64,
        id: B256,
    ) -> Result<Option<u64>, LightInvalid> {
        if self.word(set_id_slot(epoch), &p.id, "id of the set")? != U256::from_be_bytes(id.0) {
            return Err(LightInvalid::Set);
        }
        let entry = self.word(set_entry_slot(epoch), &p.entry, "entry of the set")?;
        // Not of a frozen set: nothing may rest on the absence of a word.
        if entry.is_zero() {
            return Err(LightInvalid::Storage("entry of the set"));
        }
        let (next, _) = read_set_entry(entry);
        if next == 0 {
            return Ok(None);
        }
        let what = "entry of the set after it";
        let entry = p.next.as_ref().ok_or(LightInvalid::Storage(what))?;
        let (_, frozen) = read_set_entry(self.word(set_entry_slot(next), entry, what)?);
        Ok(Some(frozen))
    }

    fn word(&self, key: U256, p: &SlotProof, what: &'static str) -> Result<U256, LightInvalid> {
        let mut value = Vec::new();
        p.value.encode(&mut value);
        let key = keccak256(key.to_be_bytes::<32>());
        // A word of zero is in no trie.
        let value = (!p.value.is_zero()).then_some(value);
        is_under(self.storage_root, key, value, &p.proof).ok_or(LightInvalid::Storage(what))?;
        Ok(p.value)
    }
}

fn is_under(root: B256, key: B256, value: Option<Vec<u8>>, proof: &[Bytes]) -> Option<()> {
    verify_proof(root, Nibbles::unpack(key), value, proof).ok()
}
