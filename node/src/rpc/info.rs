//! Facts about the node that the view does not hold.

use crate::outputs::{BlockAt, Implementation};
use alloy_primitives::{Address, B256, U64};
use serde::Serialize;

/// What the server asks the node. Called on RPC threads: it must not wait.
pub trait NodeInfo: Send + Sync {
    /// `rota/v0.1.0/linux-x86_64`.
    fn client_version(&self) -> String;
    /// Peers connected.
    fn peer_count(&self) -> u64;
    /// Whether peers can connect.
    fn is_listening(&self) -> bool;
    /// `None` when in step with the network.
    fn sync_progress(&self) -> Option<SyncProgress>;
    /// `seq_status`.
    fn status(&self) -> SeqStatus;
    /// The set at a height, or now. `None` if that height's set is not known.
    fn validators(&self, height: Option<u64>) -> Option<Vec<ValidatorInfo>>;
    /// Who leads from a height on.
    fn leader_schedule(&self, from: Option<u64>, count: u64) -> Vec<LeaderSlot>;
    /// The name that an operator gave itself.
    fn moniker(&self, owner: &Address) -> Option<String>;
    /// Number and hash of the newest L1 block seen.
    fn l1_head(&self) -> Option<(u64, B256)>;
    /// The newest block that L1 up to this block completes, as one implementation computed it, or all that there are here; none
    /// while it has not come so far, and at nodes that do not derive from L1.
    fn block_at(&self, _l1_block: u64, _by: Option<Implementation>) -> Option<BlockAt> {
        None
    }
    /// With what blocks are executed here.
    fn implementations(&self) -> Vec<Implementation> {
        vec![Implementation::Revm]
    }
    /// Waiting transactions: ready, behind a gap.
    fn queue(&self) -> (usize, usize);
    /// Sum of the stakes of the set, wei, decimal.
    fn bonded_stake(&self) -> String;
}

/// How far syncing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncProgress {
    /// Block where it began.
    pub starting_block: U64,
    /// Block reached.
    pub current_block: U64,
    /// Block of the network.
    pub highest_block: U64,
}

/// `seq_status` without the heads, which the server adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeqStatus {
    /// The operator's name for the node.
    pub moniker: String,
    /// `sequencer`, `follower`, ...
    pub role: String,
    /// Version of the program.
    pub version: String,
    /// The validator's owner address.
    pub address: Option<Address>,
    /// `leading`, `voting`, `syncing`, `draining`, `jailed` ...
    pub state: String,
    /// Height being decided.
    pub height: U64,
    /// Its round.
    pub round: U64,
    /// Consensus step.
    pub step: String,
    /// Who leads now.
    pub leader: Option<Address>,
    /// When this node leads next, ms from now.
    pub next_slot_ms: Option<u64>,
    /// Peers connected.
    pub peers: u64,
    /// Stake connected, of the whole set: `3/4` in gwei.
    pub power_connected: String,
    /// Why a sequencer follows without signing, in words; absent if it signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observing: Option<String>,
    /// Failing health checks by id.
    pub failing_checks: Vec<String>,
}

/// One validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidatorInfo {
    /// Index in the set.
    pub index: U64,
    /// Owner.
    pub address: Address,
    /// ed25519 key for frames and acks.
    pub seq_key: B256,
    /// Address of the key for votes.
    pub vote_key: Address,
    /// Stake, wei, decimal.
    pub stake: String,
    /// The operator's name.
    pub moniker: Option<String>,
    /// Whether it is connected.
    pub connected: bool,
    /// Whether it is jailed.
    pub jailed: bool,
}

/// Who leads a window of heights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaderSlot {
    /// First height.
    pub from_height: U64,
    /// Last height.
    pub to_height: U64,
    /// Owner of the leader.
    pub leader: Address,
    /// Its name.
    pub moniker: Option<String>,
}
