//! One replica of a set of four, built from what a disk may hold.

use alloy_primitives::{Address, B256, U256, keccak256};
use rota_consensus::{Identity, PeerNo, Replica, Restored};
use rota_preconf::{Epoch, Epochs, HeightContext, Rules};
use rota_store::Watermarks;
use rota_types::{ChainParams, Domain, SeqKey, Validator, ValidatorSet, VoteKey};
use std::sync::Arc;

pub(crate) const ME: u16 = 0;
pub(crate) const NOW: u64 = 1_000_000;

pub(crate) fn domain() -> Domain {
    Domain::new(1, 7, Address::repeat_byte(0x52), B256::repeat_byte(0x47), 0)
}

pub(crate) fn keys(i: u16) -> (SeqKey, VoteKey) {
    let seed = |tag: &str| keccak256(format!("{tag}/{i}")).0;
    (SeqKey::from_seed(&seed("seq")), VoteKey::from_secret(&seed("vote")).unwrap())
}

/// The four as the set of an epoch.
pub(crate) fn epoch(number: u64) -> Arc<Epoch> {
    let validators = (0..4u16).map(|i| {
        let (seq, vote) = keys(i);
        Validator {
            owner: Address::left_padding_from(&[1, i.to_be_bytes()[1]]),
            seq_key: seq.public(),
            vote_key: vote.address(),
            stake: U256::from(32_000_000_000_000_000_000u128),
            fee_recipient: Address::ZERO,
            peer: String::new(),
        }
    });
    let set = ValidatorSet::new(number, validators.collect());
    Arc::new(Epoch::new(number, Arc::new(set), ChainParams::default().window_heights))
}

/// A replica at a height, after a restart, with what its key has signed and its log. It has not started.
pub(crate) fn replica_at(
    height: u64,
    guard: &Watermarks,
    wal: &[Vec<u8>],
    listen_ms: u64,
) -> Replica {
    let mut guard = guard.clone();
    guard.restarted();
    let (seq, vote) = keys(ME);
    replica_of(Identity::local(PeerNo(ME), seq, vote), height, (vec![guard], wal), listen_ms)
}

/// The same of anyone, with the guards of its keys.
pub(crate) fn replica_of(
    identity: Identity,
    height: u64,
    (guards, wal): (Vec<Watermarks>, &[Vec<u8>]),
    listen_ms: u64,
) -> Replica {
    let epoch = epoch(0);
    let mut context = HeightContext::genesis(&epoch, B256::repeat_byte(0x47));
    context.height = height;
    let restored = Restored {
        context,
        peers: [(0, (0..4).map(PeerNo).collect())].into(),
        guards,
        wal: wal.to_vec(),
        frames: Vec::new(),
        listen_ms,
    };
    let rules = Rules::new(Epochs::new(epoch), ChainParams::default(), domain());
    Replica::new(identity, rules, &restored)
}
