//! Ethereum as the rest of Rota sees it: blocks, the operator set, certified batches and their blobs, and one way to get
//! a transaction in.
//!
//! Not for: deciding what to post or when (`node`), nor for rebuilding blocks from batches (`derive`).
//! Two implementations answer the same traits: `RpcL1`/`RpcSender` (alloy, several endpoints) and `MemoryL1`
//! (deterministic, for simulation). Invariant: nothing read here is trusted beyond what L1 itself says; blobs are checked
//! against their versioned hashes, and a batch counts only if it was sent to the inbox directly.

#[expect(clippy::too_many_arguments, missing_docs, reason = "generated from the contracts' ABI")]
pub mod bindings;

mod blobs;
mod bridge;
mod chain;
mod court;
mod deploy;
mod deployment;
mod endpoints;
mod error;
mod forced;
mod memory;
mod oracle;
mod post;
mod register;
mod rewards;
mod rpc;
mod rules;
mod sender;
mod sets;
mod tokens;
mod tx;
mod warranty;

pub use blobs::{BlobSource, MAX_BLOBS_PER_TX, MAX_PAYLOAD, load_kzg};
pub use bridge::{
    Deposited, Withdrawal, WithdrawalProof, deposit_request, finalize_request, prove_request,
    seed_request,
};
pub use chain::{At, L1, L1Block, PostedBatch};
pub use court::{
    ClaimView, Court, CourtClaim, CourtOffence, CourtView, CourtWindows, Ruling, Worth, claim_id,
};
pub use deploy::{Contracts, Council, DeployParams, Ground, deploy, lay_ground};
pub use deployment::Deployment;
pub use endpoints::Endpoints;
pub use error::{L1Error, Refusal};
pub use forced::{
    Enqueued, Turn, TurnKind, activate_fallback_request, emergency_set_request, enqueue_request,
    roll_call_request, uncertified_request,
};
pub use memory::{MemoryL1, MemoryParams, MemorySender};
pub use oracle::{
    BondedOutput, Checkpoint, FinalOutput, OpenStep, OracleView, Output, Outputs, ProvenTip,
    SlotOnL1, checkpoint_request, claim_output_request, collect_bond_request, propose_request,
    resolve_request, settle_bond_request,
};
pub use post::BatchPost;
pub use register::{
    OperatorKeys, exit_request, freeze_request, nominate_request, register_request, registration,
    rejoin_request, rotate_request, top_up_request, update_request, withdraw_request,
};
pub use rewards::{
    RewardClaim, claim_rewards_request, fund_rewards_request, name_poster_request,
    refund_poster_request,
};
pub use rpc::{RpcConfig, RpcL1};
pub use rules::L1Rules;
pub use sender::RpcSender;
pub use sets::FrozenSets;
pub use tokens::{
    OriginProof, TokenDeposit, approve_request, bridge_error, give_back, released,
    token_deposit_request,
};
pub use tx::{
    Action, Attempt, Fees, Inclusion, Journal, JournalError, MemoryJournal, Observation, Outcome,
    Policy, Record, SendFault, SignedTx, Status, TxChain, TxCore, TxError, TxManager, TxRequest,
    UnsignedTx,
};
pub use warranty::{
    Warranted, offer_request, post_bond_request, refund_request, withdraw_bond_request,
};
