//! A contradiction signed with an operator's own keys, and shown to the members in its name: what a second machine with
//! the same keys does.
//!
//! Not for: any other network than a devnet, whose operators all belong to whoever runs it. Invariant: the tapes of the
//! members are read as a stranger, so what is found on them everyone can find.

use rota_node::{
    exit::{Exit, Failure},
    sets::entries_of,
    slash::{link, stranger},
};
use rota_p2p::{Handle, Identity, Network, Target, Topic};
use rota_types::{
    B256, Domain, Encode, Evidence, Flags, FrameBody, FrameHeader, SeqKey, Signed, SignedFrame,
    ValidatorSet,
    wire::{MAX_WITNESSED, Message, Request, Response},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Between two looks at the tapes, and at the connections.
const LOOK: Duration = Duration::from_millis(20);
/// How long members may take to answer or to connect.
const CONNECT: Duration = Duration::from_secs(30);

/// The frozen sets, by epoch.
pub(crate) type Sets = BTreeMap<u64, Arc<ValidatorSet>>;

/// The tapes of the members, read as a stranger.
pub(crate) struct Tapes {
    p2p: Handle,
    at: BTreeMap<u16, u64>,
}

impl Tapes {
    /// Connects to the members.
    pub(crate) async fn open(domain: &Domain, set: &ValidatorSet) -> Result<Self, Failure> {
        let identity = stranger().map_err(failed)?;
        let p2p = connect(domain, set, identity).await?;
        let tapes = Self { p2p, at: BTreeMap::new() };
        until(CONNECT, "a member that shows its tape", async || {
            (!tapes.p2p.validators_connected().is_empty()).then_some(())
        })
        .await?;
        Ok(tapes)
    }

    /// What is new on the tapes, with the member that shows it.
    pub(crate) async fn news(&mut self) -> Vec<(u16, Signed)> {
        let mut news = Vec::new();
        for member in self.p2p.validators_connected() {
            loop {
                let from = self.at.get(&member).copied().unwrap_or(0);
                let count = u32::try_from(MAX_WITNESSED).unwrap_or(u32::MAX);
                let request = Request::Witness { from, count };
                let answer = self.p2p.request(Target::Validator(member), &request).await;
                let Ok(Response::Witness { from, statements }) = answer else { break };
                let read = u64::try_from(statements.len()).unwrap_or(u64::MAX);
                self.at.insert(member, from.saturating_add(read));
                news.extend(statements.into_iter().map(|s| (member, s)));
                if read == 0 {
                    break;
                }
            }
        }
        news
    }

    /// Waits until every member that is connected shows a frame, and says how many those are.
    pub(crate) async fn show(&mut self, frame: &FrameHeader) -> Result<usize, Failure> {
        let mut seen = std::collections::BTreeSet::new();
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < CONNECT {
            let is_it = |s: &Signed| matches!(s, Signed::Frame(f, _) if f == frame);
            seen.extend(self.news().await.into_iter().filter(|(_, s)| is_it(s)).map(|(m, _)| m));
            let connected = self.p2p.validators_connected();
            if !seen.is_empty() && connected.iter().all(|m| seen.contains(m)) {
                return Ok(seen.len());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::new(Exit::Timeout, "no member has the contradiction on its tape"))
    }

    /// Gossips evidence, as anyone may.
    pub(crate) fn publish(&self, evidence: &Evidence) {
        // Without a peer that listens there is nobody to tell.
        let _ = self.p2p.publish(Topic::Evidence, evidence.encode());
    }

    pub(crate) async fn close(self) {
        self.p2p.shutdown().await;
    }
}

/// Frames of one operator, newest first in mind.
pub(crate) struct Leader<'a> {
    /// Its key for frames.
    pub(crate) key: &'a SeqKey,
    /// The frozen sets.
    pub(crate) sets: &'a Sets,
    /// What is signed for.
    pub(crate) domain: &'a Domain,
}

impl Leader<'_> {
    /// The newest frame of this operator among statements.
    pub(crate) fn newest(&self, said: Vec<(u16, Signed)>) -> Option<FrameHeader> {
        let public = self.key.public();
        let own = |f: &FrameHeader| {
            let set = self.sets.get(&f.epoch);
            set.and_then(|s| s.get(f.leader)).is_some_and(|v| v.seq_key == public)
        };
        let frames = said.into_iter().filter_map(|(_, s)| match s {
            Signed::Frame(f, _) => Some(f),
            _ => None,
        });
        frames.filter(own).max_by_key(|f| f.g)
    }

    /// Another frame for the same place: with this body, a millisecond later.
    pub(crate) fn contradict(&self, first: &FrameHeader, body: FrameBody) -> SignedFrame {
        let insured = body.insured.iter().copied().fold(first.insured_cum, u128::saturating_add);
        let header = FrameHeader {
            flags: Flags::default(),
            timestamp_ms: first.timestamp_ms.saturating_add(1),
            tx_count: u32::try_from(body.txs.len()).unwrap_or(u32::MAX),
            tx_root: body.root(),
            insured_cum: insured,
            env_hash: B256::ZERO,
            close_hash: B256::ZERO,
            ..first.clone()
        };
        SignedFrame::sign(header, body, self.key, self.domain)
    }
}

/// The operator's place in the network, taken by another process while its own does not run.
pub(crate) struct Impostor(Handle);

impl Impostor {
    /// Connects to at least so many members in the operator's name.
    pub(crate) async fn connect(
        domain: &Domain,
        set: &ValidatorSet,
        (identity, others): (Identity, usize),
    ) -> Result<Self, Failure> {
        let p2p = connect(domain, set, identity).await?;
        let what = "members that take the second machine for the operator";
        until(CONNECT, what, async || (p2p.validators_connected().len() >= others).then_some(()))
            .await?;
        Ok(Self(p2p))
    }

    /// Sends a frame to all of them.
    pub(crate) fn send(&self, frame: SignedFrame) -> Result<usize, Failure> {
        self.0.broadcast(&Message::Frame(frame)).map_err(failed)
    }

    pub(crate) async fn close(self) {
        self.0.shutdown().await;
    }
}

async fn connect(
    domain: &Domain,
    set: &ValidatorSet,
    identity: Identity,
) -> Result<Handle, Failure> {
    link(domain, entries_of(set), identity, Arc::new(|_| Ok(()))).await.map_err(failed)
}

pub(crate) fn failed(why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, why)
}

/// Asks again and again until there is an answer, or says what did not come.
pub(crate) async fn until<T>(
    patience: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Result<T, Failure> {
    let found = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(patience, found).await.map_err(|_| {
        let seconds = patience.as_secs();
        Failure::new(Exit::Timeout, format!("waited {seconds} s for {what}"))
            .hint("rota devnet status and logs show how the network is")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_types::{Term, Validator, VoteKey};

    #[test]
    fn what_is_signed_is_evidence_against_its_signer() {
        let key = SeqKey::from_seed(&[7; 32]);
        let vote = VoteKey::from_secret(&[9; 32]).unwrap();
        let member = Validator {
            owner: vote.address(),
            vote_key: vote.address(),
            seq_key: key.public(),
            stake: alloy_primitives::U256::from(10u64).pow(alloy_primitives::U256::from(18u64)),
            fee_recipient: vote.address(),
            peer: String::new(),
        };
        let set = Arc::new(ValidatorSet::new(0, vec![member]));
        let domain = Domain::new(1, 2, vote.address(), B256::repeat_byte(3), 0);
        let sets = Sets::from([(0, Arc::clone(&set))]);
        let leader = Leader { key: &key, sets: &sets, domain: &domain };
        let first = FrameHeader {
            epoch: 0,
            term: Term { height: 4, round: 0 },
            leader: 0,
            g: 9,
            seq: 2,
            prev_hash: B256::repeat_byte(1),
            init_hash: B256::ZERO,
            height: 4,
            flags: Flags::default(),
            timestamp_ms: 5,
            tx_count: 0,
            tx_root: B256::ZERO,
            gas_cum: 0,
            exec_commit: B256::ZERO,
            insured_cum: 0,
            env_hash: B256::ZERO,
            close_hash: B256::ZERO,
        };
        let signature = key.sign(&first.hash(&domain));
        let said = vec![(1, Signed::Frame(first.clone(), signature))];
        assert_eq!(leader.newest(said), Some(first.clone()));
        let second = leader.contradict(&first, FrameBody::default());
        assert!(second.check_body().is_ok());
        let mut watch =
            rota_preconf::Watch::new(domain.clone(), rota_preconf::WatchLimits::default());
        assert!(watch.observe(&Signed::Frame(first, signature)).is_empty());
        let found = watch.observe(&Signed::Frame(second.header, second.signature));
        assert_eq!(found.len(), 1);
        assert!(found[0].verify(&set, &domain).is_ok());
    }
}
