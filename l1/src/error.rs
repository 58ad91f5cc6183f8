//! What can go wrong with L1, and whose fault it is.
//!
//! Invariant: texts name an endpoint by scheme, host and port only; paths and queries may hold API keys.

use crate::bindings::BondedSlot::BondedSlotErrors;
use crate::bindings::ClaimsChecker::ClaimsCheckerErrors;
use crate::bindings::ForcedQueue::ForcedQueueErrors;
use crate::bindings::Inbox::InboxErrors;
use crate::bindings::Oracle::OracleErrors;
use crate::bindings::Portal::PortalErrors;
use crate::bindings::Registry::RegistryErrors;
use crate::bindings::Rewards::RewardsErrors;
use crate::bindings::Slasher::SlasherErrors;
use crate::bindings::TokenBridgeL1::TokenBridgeL1Errors;
use crate::bindings::Warranty::WarrantyErrors;
use alloy_primitives::B256;
use alloy_sol_types::SolInterface;

/// Why a read or a write on L1 failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum L1Error {
    /// No endpoint answered; each is named with its reason. The endpoints' fault: try again later.
    #[error("no L1 endpoint answered: {0}")]
    Unavailable(String),
    /// An endpoint answered something that cannot be. That endpoint's fault.
    #[error("L1 endpoint {endpoint} answered nonsense: {what}")]
    Nonsense {
        /// The endpoint.
        endpoint: String,
        /// What does not fit.
        what: String,
    },
    /// The block is not on the chain that the endpoints follow (they lag, or L1 reorganised). Nobody's fault.
    #[error("L1 block {number} with hash {hash} is not on the chain that the endpoints follow")]
    NotCanonical {
        /// Its number.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// No such block yet. Nobody's fault.
    #[error("L1 has no block {0} yet")]
    NoBlock(u64),
    /// A contract refused. The sender's fault.
    #[error("refused on L1: {0}")]
    Refused(Refusal),
    /// A contract reverted without one of our errors. The sender's fault, or a wrong address in our configuration.
    #[error("reverted on L1: {0}")]
    Reverted(String),
    /// The blobs are not to be had anywhere (expired, or the sources fail). Look at another source or an archive.
    #[error("blobs of L1 block {block} are not available: {why}")]
    Blobs {
        /// The L1 block.
        block: u64,
        /// Each source with its reason.
        why: String,
    },
    /// The blobs are there and hold no payload. The poster's fault: skip the batch.
    #[error("the blobs of the batch hold no payload")]
    Payload,
    /// Too much data for one transaction. Our fault: split the batch.
    #[error("payload of {got} bytes, at most {max} fit one transaction")]
    TooLarge {
        /// Bytes given.
        got: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// A configuration that cannot work. Our fault.
    #[error("L1 configuration: {0}")]
    Config(String),
    /// Local cryptography or encoding failed. Our fault.
    #[error("building an L1 transaction: {0}")]
    Build(String),
}

/// Why a contract refused. The names are those of the contracts' errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header has the wrong length.
    #[error("Inbox_HeaderLength({0})")]
    HeaderLength(u64),
    /// Signed before or after a fallback.
    #[error("Inbox_WrongGeneration({0})")]
    WrongGeneration(u32),
    /// The header is of this height, or the range is empty.
    #[error("Inbox_WrongHeight({0})")]
    WrongHeight(u64),
    /// Heights are missing; this one comes next.
    #[error("Inbox_Gap({0})")]
    Gap(u64),
    /// The heights were posted already; this is the tip.
    #[error("Inbox_Stale({0})")]
    Stale(u64),
    /// The origin is older than the tip's.
    #[error("Inbox_OriginBackwards({0})")]
    OriginBackwards(u64),
    /// The origin is no L1 block of the past.
    #[error("Inbox_OriginAhead({0})")]
    OriginAhead(u64),
    /// The epoch starts at this L1 block, after the origin.
    #[error("Inbox_EpochAhead({0})")]
    EpochAhead(u64),
    /// Another set is in force from this L1 block on, which the tip's origin has reached.
    #[error("Inbox_EpochOver({0})")]
    EpochOver(u64),
    /// The set went out of force at this L1 block, too long ago.
    #[error("Inbox_CertificateExpired({0})")]
    CertificateExpired(u64),
    /// This forced transaction had to be included.
    #[error("Inbox_ForcedOverdue({0})")]
    ForcedOverdue(u64),
    /// After a fallback only its emergency set (0: none yet) goes on.
    #[error("Inbox_NoEmergencySet({0})")]
    NoEmergencySet(u64),
    /// No blob in the transaction.
    #[error("Inbox_NoBlob()")]
    NoBlob,
    /// No set is frozen for the epoch.
    #[error("Inbox_UnknownEpoch({0})")]
    UnknownEpoch(u64),
    /// Bitmap and signatures do not fit each other or the set.
    #[error("Inbox_SignatureCount()")]
    SignatureCount,
    /// The signature of this signer is bad.
    #[error("Inbox_BadSignature({0})")]
    BadSignature(u64),
    /// Not more than two thirds of the stake.
    #[error("Inbox_Quorum({weight}, {total})")]
    Quorum {
        /// Stake that signed, gwei.
        weight: u64,
        /// Stake of the set, gwei.
        total: u64,
    },
    /// Another error of the inbox (around a fallback), by name.
    #[error("{0}()")]
    Inbox(&'static str),
    /// An error of the registry, by name.
    #[error("{0}()")]
    Registry(&'static str),
    /// An error of the queue of forced transactions, by name.
    #[error("{0}()")]
    Forced(&'static str),
    /// An error of the portal or of its bridge for tokens, by name.
    #[error("{0}()")]
    Portal(&'static str),
    /// An error of the rewards contract, by name.
    #[error("{0}()")]
    Rewards(&'static str),
    /// An error of the oracle or of a slot of it, by name.
    #[error("{0}()")]
    Oracle(&'static str),
    /// An error of the warranty contract, by name.
    #[error("{0}()")]
    Warranty(&'static str),
    /// An error of the slasher or of those who judge for it, by name.
    #[error("{0}()")]
    Slasher(&'static str),
}

impl Refusal {
    /// Reads the data of a revert.
    #[must_use]
    pub fn decode(data: &[u8]) -> Option<Self> {
        let registry = || {
            let e = RegistryErrors::abi_decode(data).ok()?;
            RegistryErrors::name_by_selector(e.selector()).map(Self::Registry)
        };
        let forced = || {
            let e = ForcedQueueErrors::abi_decode(data).ok()?;
            ForcedQueueErrors::name_by_selector(e.selector()).map(Self::Forced)
        };
        let rewards = || {
            let e = RewardsErrors::abi_decode(data).ok()?;
            RewardsErrors::name_by_selector(e.selector()).map(Self::Rewards)
        };
        let warranty = || {
            let e = WarrantyErrors::abi_decode(data).ok()?;
            WarrantyErrors::name_by_selector(e.selector()).map(Self::Warranty)
        };
        let slasher = || {
            let e = SlasherErrors::abi_decode(data).ok()?;
            SlasherErrors::name_by_selector(e.selector()).map(Self::Slasher)
        };
        // Errors of judging evidence are among those of judging claims.
        let judge = || {
            let e = ClaimsCheckerErrors::abi_decode(data).ok()?;
            ClaimsCheckerErrors::name_by_selector(e.selector()).map(Self::Slasher)
        };
        let oracle = || {
            let e = OracleErrors::abi_decode(data).ok()?;
            OracleErrors::name_by_selector(e.selector()).map(Self::Oracle)
        };
        let slot = || {
            let e = BondedSlotErrors::abi_decode(data).ok()?;
            BondedSlotErrors::name_by_selector(e.selector()).map(Self::Oracle)
        };
        let portal = || {
            let e = PortalErrors::abi_decode(data).ok()?;
            PortalErrors::name_by_selector(e.selector()).map(Self::Portal)
        };
        let tokens = || {
            let e = TokenBridgeL1Errors::abi_decode(data).ok()?;
            TokenBridgeL1Errors::name_by_selector(e.selector()).map(Self::Portal)
        };
        let inbox = InboxErrors::abi_decode(data).ok().map(Self::from);
        let known = inbox.or_else(registry).or_else(forced).or_else(rewards);
        let known = known.or_else(oracle).or_else(slot).or_else(portal).or_else(tokens);
        // The warranty judges like the slasher, with the same errors.
        known.or_else(slasher).or_else(judge).or_else(warranty)
    }
}

impl From<InboxErrors> for Refusal {
    fn from(e: InboxErrors) -> Self {
        use InboxErrors as E;
        match e {
            E::Inbox_HeaderLength(e) => Self::HeaderLength(e.length.saturating_to()),
            E::Inbox_WrongGeneration(e) => Self::WrongGeneration(e.generation),
            E::Inbox_WrongHeight(e) => Self::WrongHeight(e.height),
            E::Inbox_Gap(e) => Self::Gap(e.expected),
            E::Inbox_Stale(e) => Self::Stale(e.tip),
            E::Inbox_OriginBackwards(e) => Self::OriginBackwards(e.tipOrigin),
            E::Inbox_OriginAhead(e) => Self::OriginAhead(e.origin),
            E::Inbox_EpochAhead(e) => Self::EpochAhead(e.start.saturating_to()),
            E::Inbox_EpochOver(e) => Self::EpochOver(e.end.saturating_to()),
            E::Inbox_CertificateExpired(e) => Self::CertificateExpired(e.end.saturating_to()),
            E::Inbox_ForcedOverdue(e) => Self::ForcedOverdue(e.index.saturating_to()),
            E::Inbox_NoEmergencySet(e) => Self::NoEmergencySet(e.epoch),
            E::Inbox_NoBlob(_) => Self::NoBlob,
            E::Inbox_UnknownEpoch(e) => Self::UnknownEpoch(e.epoch),
            E::Inbox_SignatureCount(_) => Self::SignatureCount,
            E::Inbox_BadSignature(e) => Self::BadSignature(e.index.saturating_to()),
            E::Inbox_Quorum(e) => {
                Self::Quorum { weight: e.weight.saturating_to(), total: e.total.saturating_to() }
            }
            other => {
                Self::Inbox(InboxErrors::name_by_selector(other.selector()).unwrap_or("Inbox_?"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::{
        ClaimsChecker, EvidenceChecker, ForcedQueue, Inbox, Registry, Rewards, Slasher, Warranty,
    };
    use alloy_primitives::U256;
    use alloy_sol_types::SolError;

    #[test]
    fn revert_data_becomes_a_named_refusal() {
        let quorum =
            Inbox::Inbox_Quorum { weight: U256::from(2), total: U256::from(4) }.abi_encode();
        assert_eq!(Refusal::decode(&quorum), Some(Refusal::Quorum { weight: 2, total: 4 }));
        let low = Registry::Registry_StakeTooLow {}.abi_encode();
        assert_eq!(Refusal::decode(&low), Some(Refusal::Registry("Registry_StakeTooLow")));
        assert_eq!(Refusal::Registry("Registry_StakeTooLow").to_string(), "Registry_StakeTooLow()");
        let open = Inbox::Inbox_RollCallOpen { until: U256::from(9) }.abi_encode();
        assert_eq!(Refusal::decode(&open), Some(Refusal::Inbox("Inbox_RollCallOpen")));
        let full = ForcedQueue::Forced_BlockFull { left: U256::from(9) }.abi_encode();
        assert_eq!(Refusal::decode(&full), Some(Refusal::Forced("Forced_BlockFull")));
        let older = Rewards::Rewards_Older { height: 64 }.abi_encode();
        assert_eq!(Refusal::decode(&older), Some(Refusal::Rewards("Rewards_Older")));
        let none = Warranty::Warranty_None {}.abi_encode();
        assert_eq!(Refusal::decode(&none), Some(Refusal::Warranty("Warranty_None")));
        let early = Slasher::Slasher_TooEarly { l1Block: U256::from(9) }.abi_encode();
        assert_eq!(Refusal::decode(&early), Some(Refusal::Slasher("Slasher_TooEarly")));
        let cause = ClaimsChecker::Claims_OtherCause {}.abi_encode();
        assert_eq!(Refusal::decode(&cause), Some(Refusal::Slasher("Claims_OtherCause")));
        let innocent = EvidenceChecker::Evidence_NotGuilty {}.abi_encode();
        assert_eq!(Refusal::decode(&innocent), Some(Refusal::Slasher("Evidence_NotGuilty")));
        assert_eq!(Refusal::decode(b"????"), None);
    }
}
