//! The nouns of Rota, their bytes and their signatures.
//!
//! One struct serves the wire, the disk and L1: whatever is signed here is what a contract checks.
//! Not for: rules that need state (those are in `preconf` and `consensus`), and not for IO.
//! Invariant: `decode(encode(x)) == x`, lengths are exact, and no byte string is valid as two kinds
//! of message, on two chains, or in two generations (`docs/protocol.md`, "Domain separation").

mod ack;
#[cfg(feature = "native")]
mod batch;
mod cert;
mod claim;
mod codec;
#[cfg(feature = "native")]
mod deposit;
mod domain;
mod evidence;
#[cfg(feature = "native")]
mod forced;
mod frame;
mod header;
mod insurance;
mod justification;
mod keys;
mod lag;
mod light;
#[cfg(feature = "memo")]
mod memo;
mod merkle;
mod mmr;
mod params;
mod proposal;
mod receipt;
mod rewards;
mod secp;
mod set;
mod signed;
mod signer;
mod stage;
mod term;
#[cfg(feature = "native")]
mod tx;
mod vote;
mod warranty;
/// Messages between peers and their bounded encoding.
pub mod wire;

pub use ack::{ACK_LEN, Ack, AckCert, SignedAck};
#[cfg(feature = "native")]
pub use batch::{Batch, BatchError, BatchHeight, MAX_BATCH_HEIGHTS, MAX_BATCH_RAW};
pub use cert::{
    Bitmap, CertError, CommitCertificate, PolkaCertificate, RoundCertificate, RoundVote,
};
pub use claim::{Claim, ClaimError, Fork, Reversion};
pub use codec::{Decode, DecodeError, Encode, Reader, Writer};
#[cfg(feature = "native")]
pub use deposit::{Deposit, MAX_DEPOSITS, MIN_DEPOSIT_GWEI, due_deposits, follow_on};
pub use domain::{Domain, Tag};
pub use evidence::{
    ACCUSED_MANY, AckAgainstVote, CertVotes, EVIDENCE_VERSION, Evidence, EvidenceError,
    EvidenceFile, EvidenceFileError, EvidenceKind, FalseBlock, MAX_CHAIN, MAX_EVIDENCE,
    OffenceClass, OffencePlace, OtherCut, Proof, Sealed, SealedAck, SealedFrame, SealedInit,
    SealedProposal, SealedStatus, SealedVote, StatusHidesVote, Verdict,
};
#[cfg(feature = "native")]
pub use forced::{ForcedTx, MAX_FORCED_BYTES, MAX_FORCED_GAS, NotForced, forced_txs};
pub use frame::{
    FRAME_LEN, FRAME_VERSION, Flags, FrameBody, FrameHeader, MAX_BODY_BYTES, MAX_EVIDENCE_BYTES,
    MAX_FRAME_EVIDENCE, MAX_FRAME_TXS, SignedFrame,
};
pub use header::{CLOSE_LEN, Close, ENV_LEN, Env, HEADER_LEN, Header, jailed_hash};
pub use insurance::{KAPPA_BPS, RELEASE_BLOCKS, drained, leader_cap, premium, set_cap};
pub use justification::Justification;
pub use keys::{KeyError, SeqKey, SeqSignature, VoteKey, VoteSignature, recover_vote, verify_seq};
pub use lag::{EXEC_LAG, LAG_LEN, LagPoint};
pub use light::{
    Below, LIGHT_VERSION, LightProof, LightTx, SetProof, SlotProof, read_set_entry, set_entry_slot,
    set_id_slot,
};
#[cfg(feature = "memo")]
pub use memo::remember_signatures;
pub use merkle::{MerkleProof, hash_list_root, tx_leaf, tx_proof, tx_root, verify_tx};
pub use mmr::{Mmr, MmrPlace, MmrProof};
pub use params::ChainParams;
pub use proposal::{Proposal, SignedProposal};
pub use receipt::{
    AckProof, DecidedProof, PostedRef, RECEIPT_VERSION, Receipt, ReceiptDomain, ReceiptMember,
    ReceiptSet,
};
pub use rewards::{HeightFees, LEADER_BPS, LedBy, POSTING_BPS, RewardsBook, reward_leaf};
pub use set::{Validator, ValidatorSet};
pub use signed::Signed;
pub use signer::{LocalSigner, SeqMessage, SignError, Signer, VoteMessage};
pub use stage::Stage;
pub use term::{INIT_LEN, SignedStatus, SignedTermInit, Status, Term, TermInit};
#[cfg(feature = "native")]
pub use tx::{TX_GAS_CAP, Tx, TxError};
pub use vote::{SignedVote, Vote, VoteKind};
pub use warranty::{LostFrame, LostTx, WARRANTY_GAS_CAP, WarrantyError, WarrantyOffer};

pub use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// Milliseconds since the Unix epoch, always given by the caller.
pub type Millis = u64;

/// How many L1 blocks the origin may move forward from one height to the next: what they force in must fit into a block.
pub const MAX_ORIGIN_STEP: u64 = 8;

/// Largest transaction, bytes in EIP-2718 encoding.
pub const MAX_TX_BYTES: usize = 128 * 1024;
