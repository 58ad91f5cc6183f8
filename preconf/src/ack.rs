//! Counting acks: how far more than two thirds of the stake have stored the accepted chain.
//!
//! Acks are cumulative, but those of different rounds are no quorum together: who acked in an earlier round may
//! since have accepted an opening without the frame. Only rounds 0 of consecutive heights are joined, where one
//! stream goes on (`docs/protocol.md`, "Acks"; `docs/model.md`).
//! Invariant (I-26): one newest ack per validator, and for certificates a bounded number of signatures of
//! each, so that nobody pushes out what others signed.

use crate::{Chain, Mutation, Rules};
use alloy_primitives::B256;
use rota_types::{Ack, AckCert, Bitmap, SeqSignature, SignedAck, ValidatorSet};
use std::collections::{BTreeMap, BTreeSet};

/// Signatures of one validator that are kept.
const MAX_KEPT: usize = 256;
/// Rounds of one validator that are kept.
const MAX_ROUNDS: usize = 16;

/// What an ack brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckVerdict {
    /// New and counted.
    Counted,
    /// Not newer than what the validator said before.
    Old,
    /// The validator acked two frames at one position of one round: the pair is evidence.
    Conflict,
}

type Place = (u64, B256, u64, u32, B256);

/// Newest ack of every validator and round, and signatures by position.
#[derive(Debug, Default)]
pub struct AckTally {
    newest: BTreeMap<u16, BTreeMap<(u64, u32), Ack>>,
    places: BTreeMap<Place, BTreeMap<u16, SeqSignature>>,
    of: BTreeMap<u16, BTreeSet<Place>>,
}

impl AckTally {
    /// Takes a verified ack.
    pub fn add(&mut self, signed: &SignedAck) -> AckVerdict {
        let ack = &signed.ack;
        let rounds = self.newest.entry(ack.signer).or_default();
        if let Some(old) = rounds.get(&(ack.height, ack.round)) {
            if old.g == ack.g && old.frame_hash != ack.frame_hash {
                return AckVerdict::Conflict;
            }
            if ack.g <= old.g {
                return AckVerdict::Old;
            }
        }
        rounds.insert((ack.height, ack.round), ack.clone());
        if rounds.len() > MAX_ROUNDS {
            rounds.pop_first();
        }
        let place = (ack.g, ack.frame_hash, ack.height, ack.round, ack.init_hash);
        self.places.entry(place).or_default().insert(ack.signer, signed.signature);
        let own = self.of.entry(ack.signer).or_default();
        own.insert(place);
        if own.len() > MAX_KEPT
            && let Some(oldest) = own.pop_first()
        {
            self.forget(&oldest, ack.signer);
        }
        AckVerdict::Counted
    }

    /// The highest position of `chain` that more than two thirds stored, and their stake in gwei.
    #[must_use]
    pub fn acked(&self, chain: &Chain, set: &ValidatorSet, rules: &Rules) -> Option<(u64, u64)> {
        let mut groups: BTreeMap<(u64, u32, B256), BTreeMap<u16, u64>> = BTreeMap::new();
        for ack in self.newest.values().flat_map(BTreeMap::values) {
            if chain.contains(ack.g, &ack.frame_hash) {
                let round = if ack.round == 0 {
                    (0, 0, B256::ZERO)
                } else {
                    (ack.height, ack.round, ack.init_hash)
                };
                let g = groups.entry(round).or_default().entry(ack.signer).or_default();
                *g = ack.g.max(*g);
            }
        }
        groups.values().filter_map(|group| reached(group, set, rules)).max()
    }

    /// A certificate for the lowest position from `g` on that has more than two thirds by itself.
    #[must_use]
    pub fn certificate(&self, g: u64, chain: &Chain, set: &ValidatorSet) -> Option<AckCert> {
        let from = (g, B256::ZERO, 0, 0, B256::ZERO);
        self.places.range(from..).find_map(|((g, hash, height, round, init), signatures)| {
            let power = |i: &u16| set.get(*i).map_or(0, rota_types::Validator::power);
            let weight = signatures.keys().map(power).fold(0, u64::saturating_add);
            (set.is_quorum(weight) && chain.contains(*g, hash)).then(|| AckCert {
                epoch: set.epoch(),
                height: *height,
                round: *round,
                g: *g,
                frame_hash: *hash,
                init_hash: *init,
                signers: Bitmap::of(signatures.keys().copied()),
                signatures: signatures.values().copied().collect(),
            })
        })
    }

    /// Forgets positions up to a decided one.
    pub fn prune(&mut self, decided_g: u64) {
        for rounds in self.newest.values_mut() {
            rounds.retain(|_, ack| ack.g > decided_g);
        }
        self.places.retain(|place, _| place.0 > decided_g);
        for own in self.of.values_mut() {
            own.retain(|place| place.0 > decided_g);
        }
    }

    fn forget(&mut self, place: &Place, signer: u16) {
        if let Some(signatures) = self.places.get_mut(place) {
            signatures.remove(&signer);
            if signatures.is_empty() {
                self.places.remove(place);
            }
        }
    }
}

/// The highest position that more than two thirds of these signers reached, and their stake in gwei.
fn reached(group: &BTreeMap<u16, u64>, set: &ValidatorSet, rules: &Rules) -> Option<(u64, u64)> {
    let mut votes: Vec<(u64, u64)> =
        group.iter().filter_map(|(i, g)| Some((*g, set.get(*i)?.power()))).collect();
    votes.sort_unstable_by_key(|v| std::cmp::Reverse(v.0));
    let mut weight = 0u64;
    for (g, power) in votes {
        weight = weight.saturating_add(power);
        let third = rules.off(Mutation::AckThird)
            && u128::from(weight).saturating_mul(3) > u128::from(set.total());
        if third || set.is_quorum(weight) {
            return Some((g, weight));
        }
    }
    None
}
