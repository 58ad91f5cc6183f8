//! The watch of a sequencer: it looks for contradictions in everything that its node sees, without being asked.
//!
//! One thread, one loop. Queue: `evidence`, bounded, policy drop (who gossips repeats, and everybody finds it on its own too).
//! Invariants: what is found is on disk before it is told to anyone; an own key in evidence ends the process, and nothing
//! is signed by it any more.

use super::{
    Found, Heard, Tape, Watcher, keep, local_name,
    post::{self, kept, read},
};
use alloy_primitives::{Address, B256};
use crossbeam_channel::{Receiver, Sender, bounded};
use rota_p2p::{GossipId, Handle, Judgement, Network, Topic};
use rota_types::{Decode, Domain, Encode, Evidence, ValidatorSet, Verdict, wire::MAX_WITNESSED};
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Gossiped evidence that waits.
const WAITING: usize = 64;
/// Without statements, gossip is looked at this often.
const PATIENCE: Duration = Duration::from_millis(200);

/// Why a sequencer's watch ends its node.
#[derive(Debug, thiserror::Error)]
pub enum SentryError {
    /// A key of this node is in evidence: another machine signs with it, or its disk went back in time. The operator's fault.
    #[error(
        "a key of this node signed a contradiction: {kind} at height {height}, round {round}; the evidence is in {}",
        file.display()
    )]
    Own {
        /// Kind of the evidence.
        kind: &'static str,
        /// Where.
        height: u64,
        /// Where.
        round: u32,
        /// The file.
        file: PathBuf,
    },
    /// Evidence cannot be written, or what is kept cannot be listed. The disk's fault.
    #[error("the directory of evidence: {0}")]
    Disk(#[from] io::Error),
}

/// Evidence that this node did not find in what members say.
#[derive(Debug)]
pub enum Shown {
    /// Gossiped, as it came.
    Gossip(Vec<u8>, GossipId),
    /// Judged here: what L1 shows.
    Judged(Box<Found>),
}

/// The queue of such evidence.
#[must_use]
pub fn shown() -> (Sender<Shown>, Receiver<Shown>) {
    bounded(WAITING)
}

/// The watch.
pub struct Sentry {
    /// What this node sees.
    pub tape: Arc<Tape>,
    /// The detector.
    pub watcher: Watcher,
    /// Evidence from others.
    pub shown: Receiver<Shown>,
    /// The network.
    pub p2p: Handle,
    /// Where evidence is kept.
    pub dir: PathBuf,
    /// The rollup.
    pub domain: Domain,
    /// Addresses of the vote keys of this node.
    pub own: BTreeSet<Address>,
    /// Takes what was found, for the replica.
    pub found: Box<dyn FnMut(&Found) -> bool + Send>,
}

impl std::fmt::Debug for Sentry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sentry").field("watcher", &self.watcher).finish_non_exhaustive()
    }
}

impl Sentry {
    /// Runs until the node stops.
    ///
    /// # Errors
    /// An own key in evidence, or the disk.
    pub fn run(mut self) -> Result<(), SentryError> {
        let (mut at, mut told) = (0, BTreeSet::new());
        loop {
            let (first, statements) = self.tape.wait(at, MAX_WITNESSED, PATIENCE);
            let missed = first.saturating_sub(at);
            if missed > 0 {
                tracing::warn!(missed, "the watch is too slow: statements were not looked at");
            }
            at = first.saturating_add(u64::try_from(statements.len()).unwrap_or(u64::MAX));
            let mut found = self.watcher.hear(&Heard { from: u16::MAX, statements, missed });
            while let Ok(shown) = self.shown.try_recv() {
                match shown {
                    Shown::Gossip(data, id) => found.extend(self.judge(&data, id)),
                    Shown::Judged(one) => found.push(*one),
                }
            }
            for one in found {
                if !self.tell(&one, &mut told)? {
                    return Ok(());
                }
            }
        }
    }

    fn judge(&mut self, data: &[u8], id: GossipId) -> Option<Found> {
        let Ok(evidence) = Evidence::decode(data) else {
            self.p2p.judge(id, Judgement::Reject);
            return None;
        };
        match self.watcher.review(evidence) {
            Ok(found) => {
                self.p2p.judge(id, Judgement::Accept);
                Some(found)
            }
            Err(why) => {
                tracing::warn!(%why, "a peer gossiped evidence that shows nothing here");
                self.p2p.judge(id, why.judgement());
                None
            }
        }
    }

    /// Keeps, tells, and stops if it is about this node. False if the node stops anyway.
    fn tell(&mut self, found: &Found, told: &mut BTreeSet<B256>) -> Result<bool, SentryError> {
        if !told.insert(local_name(found)) {
            return Ok(true);
        }
        let signed_in = self.domain.of_generation(found.evidence.generation);
        keep(&self.dir, found, &signed_in)?;
        let verdict = &found.verdict;
        let (kind, place) = (verdict.kind.name(), verdict.place);
        tracing::error!(
            kind, accused = ?verdict.accused, epoch = place.epoch, height = place.height,
            round = place.round, "a validator signed a contradiction"
        );
        if let Err(error) = self.p2p.publish(Topic::Evidence, found.evidence.encode()) {
            tracing::debug!(%error, "evidence not gossiped");
        }
        accused(verdict, &found.set, &self.own, &post::place(&self.dir, found))?;
        Ok((self.found)(found))
    }
}

/// Whether a key of this node is in evidence that it has seen before: it signs nothing more, whoever starts it again. What
/// rests on a block that L1 has proven is left to L1.
///
/// # Errors
/// It is, or the directory cannot be read. A file that is no evidence, or of another rollup, is passed over.
pub fn look_back(dir: &Path, own: &BTreeSet<Address>, domain: &Domain) -> Result<(), SentryError> {
    for path in kept(dir)? {
        let judged = read(&path).ok().and_then(|file| {
            let (evidence, verdict) = file.verify().ok()?;
            let here = domain.of_generation(evidence.generation).ctx() == file.ctx();
            here.then(|| (verdict, file.set.set()))
        });
        match judged {
            Some((verdict, set)) => accused(&verdict, &set, own, &path)?,
            None => tracing::warn!(path = %path.display(), "no evidence by itself: passed over"),
        }
    }
    Ok(())
}

/// Whether one of the own keys is.
fn accused(
    verdict: &Verdict,
    set: &ValidatorSet,
    own: &BTreeSet<Address>,
    file: &Path,
) -> Result<(), SentryError> {
    let mut guilty = verdict.accused.iter().filter_map(|i| set.get(*i));
    if !guilty.any(|v| own.contains(&v.vote_key)) {
        return Ok(());
    }
    let (kind, place) = (verdict.kind.name(), verdict.place);
    Err(SentryError::Own { kind, height: place.height, round: place.round, file: file.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slash::Found;
    use alloy_primitives::U256;
    use rota_types::{Proof, SealedVote, Validator, Vote, VoteKey, VoteKind};

    fn domain(generation: u32) -> Domain {
        Domain::new(1, 2, Address::repeat_byte(9), B256::repeat_byte(8), generation)
    }

    fn key(i: u8) -> VoteKey {
        VoteKey::from_secret(&[i; 32]).unwrap()
    }

    fn set() -> ValidatorSet {
        let member = |i: u8| Validator {
            owner: Address::repeat_byte(i),
            seq_key: [i; 32],
            vote_key: key(i).address(),
            stake: U256::from(32_000_000_000_000_000_000u128),
            fee_recipient: Address::ZERO,
            peer: String::new(),
        };
        ValidatorSet::new(0, (1..5).map(member).collect())
    }

    /// Member 1 votes for two values, in a generation.
    fn twice(generation: u32) -> Evidence {
        let vote = |value: u8| {
            let value_id = B256::repeat_byte(value);
            let vote = Vote { epoch: 0, height: 7, round: 0, kind: VoteKind::Prevote, value_id };
            let signature = key(2).sign(&vote.digest(&domain(generation)));
            SealedVote { content: vote, signature }
        };
        Evidence {
            generation,
            epoch: 0,
            accused: 1,
            proof: Proof::VoteTwice(Box::new([vote(1), vote(2)])),
        }
    }

    fn watcher(generation: u32) -> Watcher {
        let set = Arc::new(set());
        Watcher::new(domain(generation), Box::new(move |e| (e == 0).then(|| Arc::clone(&set))))
    }

    #[test]
    fn a_key_that_is_in_kept_evidence_signs_nothing_more() {
        let dir = tempfile::tempdir().unwrap();
        let [guilty, other] = [2, 3].map(|i| BTreeSet::from([key(i).address()]));
        look_back(&dir.path().join("none"), &guilty, &domain(0)).unwrap();
        let found = watcher(0).review(twice(0)).unwrap();
        keep(dir.path(), &found, &domain(0)).unwrap();
        std::fs::write(dir.path().join("torn.json"), "{").unwrap();
        look_back(dir.path(), &other, &domain(0)).unwrap();
        // Also after a fallback, and not for another rollup.
        for now in [0, 3] {
            let said = look_back(dir.path(), &guilty, &domain(now)).unwrap_err();
            assert!(matches!(said, SentryError::Own { height: 7, round: 0, .. }), "{said}");
        }
        let elsewhere = Domain::new(1, 3, Address::repeat_byte(9), B256::repeat_byte(8), 0);
        look_back(dir.path(), &guilty, &elsewhere).unwrap();
    }

    #[test]
    fn what_was_signed_before_a_fallback_is_judged_after_it() {
        let found: Found = watcher(2).review(twice(1)).unwrap();
        assert_eq!((found.verdict.accused, found.verdict.place.generation), (vec![1], 1));
        let ahead = watcher(1).review(twice(2)).unwrap_err();
        assert_eq!(ahead.judgement(), Judgement::Reject);
        let unknown = watcher(0).review(Evidence { epoch: 5, ..twice(0) }).unwrap_err();
        assert_eq!(unknown.judgement(), Judgement::Ignore);
    }
}
