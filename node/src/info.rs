//! What a sequencer tells about itself by `seq_*` and `net_*`.

use crate::{
    clock::now_ms,
    engine::Facts,
    rpc::{LeaderSlot, NodeInfo, SeqStatus, SyncProgress, ValidatorInfo},
    sets::Sets,
    settle::Turn,
    submit::Submitter,
};
use alloy_primitives::{Address, B256, U64, U256};
use parking_lot::RwLock;
use rota_consensus::PeerNo;
use rota_p2p::Handle;
use rota_preconf::{Epoch, is_jailed};
use rota_types::{Millis, Validator};
use std::sync::{Arc, atomic::Ordering};

/// Heights that others may be ahead before a node says that it is syncing.
const IN_STEP: u64 = 4;

/// Facts of a running sequencer.
pub struct SequencerInfo {
    /// Name.
    pub moniker: String,
    /// The own registrations, by vote key.
    pub voters: Vec<Address>,
    /// The sets.
    pub sets: Arc<Sets>,
    /// The replica's facts.
    pub facts: Arc<Facts>,
    /// The network.
    pub p2p: Handle,
    /// The queue.
    pub submitter: Arc<Submitter>,
    /// Newest L1 block seen.
    pub l1_head: Arc<RwLock<Option<(u64, B256)>>>,
    /// Height at start.
    pub started_at: u64,
}

impl std::fmt::Debug for SequencerInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SequencerInfo").field("voters", &self.voters).finish_non_exhaustive()
    }
}

impl SequencerInfo {
    /// Stake connected, this node included, and the whole, gwei.
    #[must_use]
    pub fn power(&self) -> (u64, u64) {
        let Some(now) = self.sets.now() else { return (0, 1) };
        let peers = self.sets.peers(now.number());
        let members = now.set().iter().zip(peers).filter(|(_, peer)| self.is_connected(*peer));
        let connected = members.map(|((_, v), _)| v.power()).fold(0, u64::saturating_add);
        (connected, now.total())
    }
    fn is_connected(&self, peer: PeerNo) -> bool {
        peer == self.sets.me() || self.p2p.validators_connected().contains(&peer.0)
    }
    /// The own entry in the set in force, or in the newest one that has it.
    #[must_use]
    pub fn registered(&self) -> Option<Validator> {
        let book = self.sets.book();
        let of = |epoch: &Arc<Epoch>| {
            let mut members = epoch.set().iter().map(|(_, v)| v);
            members.find(|v| self.voters.contains(&v.vote_key)).cloned()
        };
        let now = self.sets.now().and_then(|epoch| of(&epoch));
        let mut all: Vec<&Arc<Epoch>> = book.iter().collect();
        all.reverse();
        now.or_else(|| all.into_iter().find_map(of))
    }
    fn own_address(&self) -> Option<Address> {
        self.registered().map(|v| v.owner)
    }
    /// Whose turn it is to post, by the set in force. Outside the set it is after everyone else's.
    #[must_use]
    pub fn turn(&self) -> Turn {
        let Some(now) = self.sets.now() else { return Turn::last(0) };
        let members = u64::try_from(now.set().len()).unwrap_or(u64::MAX);
        let own = now.set().iter().find(|(_, v)| self.voters.contains(&v.vote_key));
        own.map_or_else(|| Turn::last(members), |(i, _)| Turn::new(u64::from(i), members))
    }
    /// Members of the set in force that lead no more in its epoch, by index.
    #[must_use]
    pub fn jailed(&self) -> u64 {
        self.facts.cursor.read().map_or(0, |cursor| cursor.jailed)
    }
    /// Milliseconds since the newest height was decided.
    #[must_use]
    pub fn head_age(&self) -> Option<Millis> {
        let at = self.facts.decided_at.load(Ordering::Relaxed);
        (at > 0).then(|| now_ms().saturating_sub(at))
    }
    fn owner(&self, index: u16) -> Address {
        self.sets.member(index).map_or(Address::ZERO, |v| v.owner)
    }
    fn behind(&self) -> Option<(u64, u64)> {
        let height = self.facts.height.load(Ordering::Relaxed);
        let network = self.facts.network.load(Ordering::Relaxed);
        (network > height.saturating_add(IN_STEP)).then_some((height, network))
    }
}

impl NodeInfo for SequencerInfo {
    fn client_version(&self) -> String {
        format!("rota/v{}/{}", env!("CARGO_PKG_VERSION"), std::env::consts::OS)
    }
    fn peer_count(&self) -> u64 {
        u64::try_from(self.p2p.peers().len()).unwrap_or(u64::MAX)
    }
    fn is_listening(&self) -> bool {
        !self.p2p.listen_addrs().is_empty()
    }
    fn sync_progress(&self) -> Option<SyncProgress> {
        let (height, network) = self.behind()?;
        Some(SyncProgress {
            starting_block: U64::from(self.started_at),
            current_block: U64::from(height),
            highest_block: U64::from(network),
        })
    }
    fn status(&self) -> SeqStatus {
        let facts = &self.facts;
        let (connected, total) = self.power();
        let leader = facts.leader.load(Ordering::Relaxed);
        let observe = *facts.observe.read();
        let jailed = self.jailed();
        let is_own = |v: &Validator| self.voters.contains(&v.vote_key);
        let own = self
            .sets
            .now()
            .and_then(|now| now.set().iter().find(|(_, v)| is_own(v)).map(|(index, _)| index));
        let state = if own.is_some_and(|index| is_jailed(jailed, index)) {
            "jailed"
        } else if facts.leading.load(Ordering::Relaxed) {
            "leading"
        } else if observe.is_some() || self.voters.is_empty() {
            "observing"
        } else if self.behind().is_some() {
            "syncing"
        } else {
            "voting"
        };
        SeqStatus {
            moniker: self.moniker.clone(),
            role: if self.voters.is_empty() { "follower" } else { "sequencer" }.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: self.own_address(),
            state: state.to_owned(),
            height: U64::from(facts.height.load(Ordering::Relaxed)),
            round: U64::from(facts.round.load(Ordering::Relaxed)),
            step: String::new(),
            leader: Some(self.owner(leader)),
            next_slot_ms: None,
            peers: self.peer_count(),
            power_connected: format!("{connected}/{total}"),
            observing: observe
                .map(|why| why.to_string())
                .or_else(|| self.voters.is_empty().then(|| "no keys: watches the set".to_owned())),
            failing_checks: Vec::new(),
        }
    }
    fn validators(&self, _height: Option<u64>) -> Option<Vec<ValidatorInfo>> {
        let now = self.sets.now()?;
        let peers = self.sets.peers(now.number());
        let jailed = self.jailed();
        let infos = now.set().iter().zip(peers).map(|((i, v), peer)| ValidatorInfo {
            index: U64::from(i),
            address: v.owner,
            seq_key: B256::from(v.seq_key),
            vote_key: v.vote_key,
            stake: v.stake.to_string(),
            moniker: None,
            connected: self.is_connected(peer),
            jailed: is_jailed(jailed, i),
        });
        Some(infos.collect())
    }
    fn leader_schedule(&self, from: Option<u64>, count: u64) -> Vec<LeaderSlot> {
        let Some(epoch) = self.sets.now() else { return Vec::new() };
        let schedule = epoch.schedule();
        let now = self.facts.cursor.read().unwrap_or_else(|| schedule.start());
        let height = self.facts.height.load(Ordering::Relaxed);
        let window = u64::from(schedule.window());
        let mut out = Vec::new();
        let mut start = height;
        for ahead in 0..count.min(256) {
            let length = if ahead == 0 { u64::from(now.window_left) } else { window };
            let round = u32::try_from(ahead).unwrap_or(u32::MAX);
            let end = start.saturating_add(length.max(1)).saturating_sub(1);
            if from.is_none_or(|f| end >= f) {
                out.push(LeaderSlot {
                    from_height: U64::from(start),
                    to_height: U64::from(end),
                    leader: self.owner(schedule.leader(now, round)),
                    moniker: None,
                });
            }
            start = end.saturating_add(1);
        }
        out
    }
    fn moniker(&self, owner: &Address) -> Option<String> {
        (Some(*owner) == self.own_address()).then(|| self.moniker.clone())
    }
    fn l1_head(&self) -> Option<(u64, B256)> {
        *self.l1_head.read()
    }
    fn queue(&self) -> (usize, usize) {
        let gauges = self.submitter.intake().gauges();
        (gauges.ready, gauges.gapped)
    }
    fn bonded_stake(&self) -> String {
        let set = self.sets.now().map(|epoch| Arc::clone(epoch.set()));
        let members = set.iter().flat_map(|set| set.iter());
        members.fold(U256::ZERO, |sum, (_, v)| sum.saturating_add(v.stake)).to_string()
    }
}
