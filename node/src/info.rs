//! What a sequencer tells about itself by `seq_*` and `net_*`.

use crate::{
    clock::now_ms,
    engine::Facts,
    rpc::{LeaderSlot, NodeInfo, SeqStatus, SyncProgress, ValidatorInfo},
    submit::Submitter,
};
use alloy_primitives::{Address, B256, U64, U256};
use parking_lot::RwLock;
use rota_p2p::Handle;
use rota_preconf::{Cursor, Rules};
use rota_types::{Millis, ValidatorSet};
use std::sync::{Arc, atomic::Ordering};

/// Heights that others may be ahead before a node says that it is syncing.
const IN_STEP: u64 = 4;

/// Facts of a running sequencer.
pub struct SequencerInfo {
    /// Name.
    pub moniker: String,
    /// Own index.
    pub index: u16,
    /// The set.
    pub set: Arc<ValidatorSet>,
    /// The rules.
    pub rules: Arc<Rules>,
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
        f.debug_struct("SequencerInfo").field("index", &self.index).finish_non_exhaustive()
    }
}

impl SequencerInfo {
    /// Stake connected, this node included, and the whole, gwei.
    #[must_use]
    pub fn power(&self) -> (u64, u64) {
        let power = |i: u16| self.set.get(i).map_or(0, rota_types::Validator::power);
        let connected = self.p2p.validators_connected();
        let others = connected.iter().map(|i| power(*i)).fold(0, u64::saturating_add);
        (others.saturating_add(power(self.index)), self.set.total())
    }
    /// Milliseconds since the newest height was decided.
    #[must_use]
    pub fn head_age(&self) -> Option<Millis> {
        let at = self.facts.decided_at.load(Ordering::Relaxed);
        (at > 0).then(|| now_ms().saturating_sub(at))
    }
    fn owner(&self, index: u16) -> Address {
        self.set.get(index).map_or(Address::ZERO, |v| v.owner)
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
        let state = if facts.leading.load(Ordering::Relaxed) {
            "leading"
        } else if observe.is_some() {
            "observing"
        } else if self.behind().is_some() {
            "syncing"
        } else {
            "voting"
        };
        SeqStatus {
            moniker: self.moniker.clone(),
            role: "sequencer".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: Some(self.owner(self.index)),
            state: state.to_owned(),
            height: U64::from(facts.height.load(Ordering::Relaxed)),
            round: U64::from(facts.round.load(Ordering::Relaxed)),
            step: String::new(),
            leader: Some(self.owner(leader)),
            next_slot_ms: None,
            peers: self.peer_count(),
            power_connected: format!("{connected}/{total}"),
            observing: observe.map(|why| why.to_string()),
            failing_checks: Vec::new(),
        }
    }
    fn validators(&self, _height: Option<u64>) -> Option<Vec<ValidatorInfo>> {
        let connected = self.p2p.validators_connected();
        let infos = self.set.iter().map(|(i, v)| ValidatorInfo {
            index: U64::from(i),
            address: v.owner,
            seq_key: B256::from(v.seq_key),
            vote_key: v.vote_key,
            stake: v.stake.to_string(),
            moniker: None,
            connected: i == self.index || connected.contains(&i),
            jailed: false,
        });
        Some(infos.collect())
    }
    fn leader_schedule(&self, from: Option<u64>, count: u64) -> Vec<LeaderSlot> {
        let now = self.facts.cursor.read().unwrap_or_else(|| self.rules.schedule.start());
        let height = self.facts.height.load(Ordering::Relaxed);
        let window = u64::from(self.rules.schedule.window());
        let mut out = Vec::new();
        let mut start = height;
        for ahead in 0..count.min(256) {
            let length = if ahead == 0 { u64::from(now.window_left) } else { window };
            let cursor = Cursor { cursor: now.cursor.wrapping_add(ahead), window_left: 0 };
            let end = start.saturating_add(length.max(1)).saturating_sub(1);
            if from.is_none_or(|f| end >= f) {
                out.push(LeaderSlot {
                    from_height: U64::from(start),
                    to_height: U64::from(end),
                    leader: self.owner(self.rules.schedule.leader(cursor, 0)),
                    moniker: None,
                });
            }
            start = end.saturating_add(1);
        }
        out
    }
    fn moniker(&self, owner: &Address) -> Option<String> {
        (*owner == self.owner(self.index)).then(|| self.moniker.clone())
    }
    fn l1_head(&self) -> Option<(u64, B256)> {
        *self.l1_head.read()
    }
    fn queue(&self) -> (usize, usize) {
        let gauges = self.submitter.intake().gauges();
        (gauges.ready, gauges.gapped)
    }
    fn bonded_stake(&self) -> String {
        self.set.iter().fold(U256::ZERO, |sum, (_, v)| sum.saturating_add(v.stake)).to_string()
    }
}
