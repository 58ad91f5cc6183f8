//! What a follower tells about itself over RPC.

use super::Standby;
use crate::{
    outputs::{BlockAt, Computed, Implementation},
    rpc::{LeaderSlot, NodeInfo, SeqStatus, SyncProgress, ValidatorInfo},
    view::View,
};
use alloy_primitives::{Address, B256, U64};
use parking_lot::Mutex;
use std::sync::Arc;

/// Where the derivation stands, as RPC threads read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    pub(super) l1_head: Option<(u64, B256)>,
    pub(super) height: u64,
    pub(super) block: u64,
    pub(super) caught_up: bool,
    pub(super) skipped: u64,
}

/// Facts about a follower.
#[derive(Debug)]
pub(super) struct FollowerInfo {
    pub(super) moniker: String,
    pub(super) view: Arc<View>,
    pub(super) position: Mutex<Position>,
    pub(super) computed: Computed,
    pub(super) role: &'static str,
    pub(super) standby: Option<Standby>,
}

impl NodeInfo for FollowerInfo {
    fn client_version(&self) -> String {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        format!("rota/v{}/{os}-{arch}", env!("CARGO_PKG_VERSION"))
    }
    fn peer_count(&self) -> u64 {
        0
    }
    fn is_listening(&self) -> bool {
        false
    }
    fn sync_progress(&self) -> Option<SyncProgress> {
        let position = *self.position.lock();
        // How far the chain is is known only when L1 is read to its end.
        (!position.caught_up).then(|| SyncProgress {
            starting_block: U64::ZERO,
            current_block: U64::from(position.block),
            highest_block: U64::from(position.block),
        })
    }
    fn status(&self) -> SeqStatus {
        let position = *self.position.lock();
        SeqStatus {
            moniker: self.moniker.clone(),
            role: self.role.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            address: None,
            state: if position.caught_up { "following" } else { "syncing" }.into(),
            height: U64::from(position.height),
            round: U64::ZERO,
            step: "none".into(),
            leader: None,
            next_slot_ms: None,
            peers: 0,
            power_connected: "0/0".into(),
            observing: self.standby.as_ref().map(Standby::words),
            failing_checks: Vec::new(),
        }
    }
    fn validators(&self, _height: Option<u64>) -> Option<Vec<ValidatorInfo>> {
        let set = self.view.set(0)?;
        let one = |(index, v): (u16, &rota_types::Validator)| ValidatorInfo {
            index: U64::from(index),
            address: v.owner,
            seq_key: B256::from(v.seq_key),
            vote_key: v.vote_key,
            stake: v.stake.to_string(),
            moniker: None,
            connected: false,
            jailed: false,
        };
        Some(set.iter().map(one).collect())
    }
    fn leader_schedule(&self, _from: Option<u64>, _count: u64) -> Vec<LeaderSlot> {
        Vec::new()
    }
    fn moniker(&self, _owner: &Address) -> Option<String> {
        None
    }
    fn l1_head(&self) -> Option<(u64, B256)> {
        self.position.lock().l1_head
    }
    fn block_at(&self, l1_block: u64, by: Option<Implementation>) -> Option<BlockAt> {
        self.computed.at(l1_block, by)
    }
    fn implementations(&self) -> Vec<Implementation> {
        self.computed.implementations()
    }
    fn queue(&self) -> (usize, usize) {
        (0, 0)
    }
    fn bonded_stake(&self) -> String {
        let set = self.view.set(0);
        let total = set.map(|s| {
            s.iter()
                .map(|(_, v)| v.stake)
                .fold(alloy_primitives::U256::ZERO, alloy_primitives::U256::saturating_add)
        });
        total.unwrap_or_default().to_string()
    }
}
