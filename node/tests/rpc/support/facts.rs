//! A node that says the same about itself every time.

use super::OWNER;
use alloy_primitives::{Address, B256};
use rota_node::{
    rpc::{LeaderSlot, NodeInfo, SeqStatus, SyncProgress, ValidatorInfo},
    submit::Submitter,
};
use std::sync::Arc;

pub(super) struct Facts {
    pub(super) door: Arc<Submitter>,
}

impl NodeInfo for Facts {
    fn client_version(&self) -> String {
        "rota/v0.1.0/test".to_owned()
    }
    fn peer_count(&self) -> u64 {
        3
    }
    fn is_listening(&self) -> bool {
        true
    }
    fn sync_progress(&self) -> Option<SyncProgress> {
        None
    }
    fn status(&self) -> SeqStatus {
        SeqStatus {
            moniker: "n1".to_owned(),
            role: "sequencer".to_owned(),
            version: "0.1.0".to_owned(),
            address: Some(OWNER),
            state: "leading".to_owned(),
            height: alloy_primitives::U64::from(1),
            round: alloy_primitives::U64::ZERO,
            step: "propose".to_owned(),
            leader: Some(OWNER),
            next_slot_ms: Some(0),
            peers: 3,
            power_connected: "32000000000/32000000000".to_owned(),
            observing: None,
            failing_checks: Vec::new(),
        }
    }
    fn validators(&self, height: Option<u64>) -> Option<Vec<ValidatorInfo>> {
        height.is_none_or(|h| h < 100).then(Vec::new)
    }
    fn leader_schedule(&self, from: Option<u64>, count: u64) -> Vec<LeaderSlot> {
        let from = from.unwrap_or(1);
        (from..from.saturating_add(count))
            .map(|h| LeaderSlot {
                from_height: alloy_primitives::U64::from(h),
                to_height: alloy_primitives::U64::from(h),
                leader: OWNER,
                moniker: Some("n1".to_owned()),
            })
            .collect()
    }
    fn moniker(&self, owner: &Address) -> Option<String> {
        (*owner == OWNER).then(|| "n1".to_owned())
    }
    fn l1_head(&self) -> Option<(u64, B256)> {
        Some((5, B256::repeat_byte(5)))
    }
    fn queue(&self) -> (usize, usize) {
        let gauges = self.door.intake().gauges();
        (gauges.ready, gauges.gapped)
    }
    fn bonded_stake(&self) -> String {
        "32000000000000000000".to_owned()
    }
}
