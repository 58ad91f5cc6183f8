//! Domain separation: what makes a signature valid for one chain, one generation and one kind of
//! message only.
//!
//! Invariant (I-18): the digest covers the kind, both chain ids, the registry, the genesis and the
//! generation, so no signature can be replayed elsewhere.

use alloy_primitives::{Address, B256, Keccak256, keccak256};
use std::sync::LazyLock;

/// Kind of a message that `digest` covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tag {
    /// A frame of the log (K_seq).
    Frame,
    /// The opening of a term in a round above 0 (K_seq).
    Init,
    /// An acknowledgement (K_seq).
    Ack,
    /// A height's header; its digest is the value id.
    Header,
    /// Proof of possession at registration.
    Possession,
}

const NAMES: [&str; 5] = ["frame", "init", "ack", "header", "pop"];
static TAGS: LazyLock<[B256; 5]> =
    LazyLock::new(|| NAMES.map(|n| keccak256(format!("rota/v1/{n}").as_bytes())));

/// The context of everything that is signed on one rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Chain id of Ethereum.
    pub l1_chain_id: u64,
    /// Chain id of the rollup.
    pub l2_chain_id: u64,
    /// The Registry contract.
    pub registry: Address,
    /// Hash of the genesis (`ChainParams::genesis_hash`).
    pub genesis_hash: B256,
    /// Raised only by the L1 fallback; 0 at start.
    pub generation: u32,
    ctx: B256,
    separator: B256,
}

impl Domain {
    /// The domain of a rollup, with its two hashes computed once.
    #[must_use]
    pub fn new(
        l1_chain_id: u64,
        l2_chain_id: u64,
        registry: Address,
        genesis_hash: B256,
        generation: u32,
    ) -> Self {
        let mut h = Keccak256::new();
        h.update(b"rota/ctx/v1");
        h.update(l1_chain_id.to_be_bytes());
        h.update(l2_chain_id.to_be_bytes());
        h.update(registry);
        h.update(genesis_hash);
        h.update(generation.to_be_bytes());
        let ctx = h.finalize();
        let mut s = Keccak256::new();
        s.update(keccak256(
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)",
        ));
        s.update(keccak256(b"Rota"));
        s.update(keccak256(b"1"));
        s.update([0u8; 24]);
        s.update(l1_chain_id.to_be_bytes());
        s.update([0u8; 12]);
        s.update(registry);
        s.update(ctx);
        let separator = s.finalize();
        Self { l1_chain_id, l2_chain_id, registry, genesis_hash, generation, ctx, separator }
    }

    /// The same rollup in another generation.
    #[must_use]
    pub fn of_generation(&self, generation: u32) -> Self {
        Self::new(self.l1_chain_id, self.l2_chain_id, self.registry, self.genesis_hash, generation)
    }

    /// `keccak256("rota/ctx/v1" || l1_chain_id || l2_chain_id || registry || genesis || generation)`.
    #[must_use]
    pub const fn ctx(&self) -> B256 {
        self.ctx
    }

    /// The EIP-712 domain separator, with `ctx` as its salt.
    #[must_use]
    pub const fn separator(&self) -> B256 {
        self.separator
    }

    /// `keccak256(TAG || ctx || keccak256(enc))`: what K_seq signs, and what identifies a message.
    #[must_use]
    pub fn digest(&self, tag: Tag, enc: &[u8]) -> B256 {
        let mut h = Keccak256::new();
        h.update(TAGS.get(tag as usize).unwrap_or(&B256::ZERO));
        h.update(self.ctx);
        h.update(keccak256(enc));
        h.finalize()
    }

    /// `keccak256(0x1901 || separator || struct_hash)`: what K_vote signs (EIP-712).
    #[must_use]
    pub fn eip712(&self, struct_hash: B256) -> B256 {
        let mut h = Keccak256::new();
        h.update([0x19, 0x01]);
        h.update(self.separator);
        h.update(struct_hash);
        h.finalize()
    }

    /// The digest that both keys sign to prove possession at registration.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "the fields of one signed message")]
    pub fn possession(
        &self,
        owner: Address,
        vote_key: Address,
        seq_key: &[u8; 32],
        fee_recipient: Address,
        peer: &[u8],
    ) -> B256 {
        let mut enc = Vec::with_capacity(124);
        enc.extend_from_slice(owner.as_slice());
        enc.extend_from_slice(vote_key.as_slice());
        enc.extend_from_slice(seq_key);
        enc.extend_from_slice(fee_recipient.as_slice());
        enc.extend_from_slice(keccak256(peer).as_slice());
        self.digest(Tag::Possession, &enc)
    }

    /// The EIP-712 digest of `Possession(bytes32 digest)` for K_vote.
    #[must_use]
    pub fn possession_vote(&self, digest: B256) -> B256 {
        let mut h = Keccak256::new();
        h.update(keccak256(b"Possession(bytes32 digest)"));
        h.update(digest);
        self.eip712(h.finalize())
    }
}

/// Pads an integer to the 32-byte word that EIP-712 hashes.
pub(crate) fn word(v: u128) -> [u8; 32] {
    let mut out = [0u8; 32];
    if let Some(tail) = out.last_chunk_mut::<16>() {
        *tail = v.to_be_bytes();
    }
    out
}

/// Sign-extends an `int32` to the 32-byte word that EIP-712 hashes.
pub(crate) fn signed_word(v: i32) -> [u8; 32] {
    let mut out = if v < 0 { [0xff; 32] } else { [0u8; 32] };
    if let Some(tail) = out.last_chunk_mut::<4>() {
        *tail = v.to_be_bytes();
    }
    out
}
