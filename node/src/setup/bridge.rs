//! The portal and the oracle, as somebody with a withdrawal meets them.
//!
//! Invariant: what L1 says, of its newest block.

use super::{OnL1, SetupError, provider, unavailable};
use crate::network::NetworkError;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256};
use rota_execution::{fee_vault, predeploys};
use rota_l1::bindings::{Inbox, Oracle, Portal};

/// The genesis with the rollup's side of the bridge and with the vault, which sends fees to `rewards` on L1. A file in the
/// format of geth need not have them.
///
/// # Errors
/// Something else is at one of the addresses.
pub(super) fn with_predeploys(
    mut genesis: Genesis,
    (vault, rewards): (Address, Address),
) -> Result<Genesis, NetworkError> {
    let contracts = predeploys().map(|(address, account)| (address, account, "the bridge"));
    let vault = (vault, fee_vault(rewards), "the vault of the fees");
    for (address, account, whose) in contracts.chain([vault]) {
        let (code, storage) = (account.code.clone(), account.storage.clone());
        let there = genesis.alloc.entry(address).or_insert(account);
        if there.code != code || there.storage != storage {
            let why = format!("genesis: the account {address} belongs to {whose}");
            return Err(NetworkError::Invalid(why));
        }
    }
    Ok(genesis)
}

/// Where the bridge is, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgeOnL1 {
    /// The portal.
    pub portal: Address,
    /// Its bridge for tokens.
    pub tokens: Address,
    /// Who says which blocks are proven.
    pub oracle: Address,
    /// Seconds between showing a withdrawal and its payment.
    pub maturity_s: u64,
    /// Payments are stopped for now.
    pub paused: bool,
    /// The newest proven block.
    pub proven: (u64, B256),
    /// Time of the newest L1 block, seconds.
    pub now_s: u64,
}

/// What the portal knows of a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownOnL1 {
    /// In this block of the rollup; none if it was never shown.
    pub l2_block: Option<u64>,
    /// Since then, seconds.
    pub since: u64,
    /// The oracle still holds that block for proven.
    pub counts: bool,
    /// It was paid.
    pub paid: bool,
}

impl OnL1<'_> {
    /// Where the bridge is.
    ///
    /// # Errors
    /// L1 does not answer, or the rollup is older than the bridge.
    pub async fn bridge(&self) -> Result<BridgeOnL1, SetupError> {
        let failed = |e: alloy::contract::Error| unavailable(e, self.urls);
        let p = provider(self.urls, None)?;
        let portal = Inbox::new(self.network.inbox, p.clone()).portal().call().await;
        let portal = Portal::new(portal.map_err(failed)?, p.clone());
        let address = portal.oracle().call().await.map_err(failed)?;
        let oracle = Oracle::new(address, p);
        let newest = oracle.tip().call().await.map_err(failed)?.l2Block;
        let head = self.head().await?;
        Ok(BridgeOnL1 {
            portal: *portal.address(),
            tokens: portal.tokenBridge().call().await.map_err(failed)?,
            oracle: address,
            maturity_s: portal.maturity().call().await.map_err(failed)?.saturating_to(),
            paused: oracle.withdrawalsPaused().call().await.map_err(failed)?,
            proven: (newest, oracle.provenHash(newest).call().await.map_err(failed)?),
            now_s: self.block(head).await?.timestamp,
        })
    }

    /// What the portal knows of a withdrawal.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn shown(&self, at: &BridgeOnL1, withdrawal: B256) -> Result<ShownOnL1, SetupError> {
        let failed = |e: alloy::contract::Error| unavailable(e, self.urls);
        let p = provider(self.urls, None)?;
        let portal = Portal::new(at.portal, p.clone());
        let shown = portal.shown(withdrawal).call().await.map_err(failed)?;
        let oracle = Oracle::new(at.oracle, p);
        let proven = oracle.provenHash(shown.l2Block).call().await.map_err(failed)?;
        Ok(ShownOnL1 {
            l2_block: (shown.since != 0).then_some(shown.l2Block),
            since: shown.since,
            counts: proven == shown.blockHash,
            paid: shown.paid,
        })
    }

    /// The hash that the oracle holds for proven at a block; zero if none.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn proven_hash(&self, at: &BridgeOnL1, l2_block: u64) -> Result<B256, SetupError> {
        let oracle = Oracle::new(at.oracle, provider(self.urls, None)?);
        let asked = oracle.provenHash(l2_block).call().await;
        Ok(asked.map_err(|e| unavailable(e, self.urls))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;
    use rota_execution::{MESSAGE_PASSER, prague_genesis};

    #[test]
    fn a_genesis_gets_its_contracts_once_and_keeps_no_others_there() {
        let (vault, rewards) = (Address::repeat_byte(5), Address::repeat_byte(6));
        let plain = prague_genesis(7, 1, 30_000_000, []);
        let given = with_predeploys(plain, (vault, rewards)).unwrap();
        assert!(predeploys().all(|(a, account)| given.alloc[&a].code == account.code));
        let slots = given.alloc[&vault].storage.as_ref().unwrap();
        assert_eq!(slots[&B256::ZERO], rewards.into_word());
        assert_eq!(with_predeploys(given.clone(), (vault, rewards)).unwrap(), given);
        let refused =
            |genesis: &Genesis, at| with_predeploys(genesis.clone(), at).unwrap_err().to_string();
        let other = refused(&given, (vault, Address::ZERO));
        assert!(other.contains("belongs to the vault"), "{other}");
        let clash = refused(&given, (MESSAGE_PASSER, rewards));
        assert!(clash.contains("belongs to the vault"), "{clash}");
        let mut other = given;
        other.alloc.get_mut(&MESSAGE_PASSER).unwrap().code = Some(Bytes::from_static(b"x"));
        assert!(refused(&other, (vault, rewards)).contains("belongs to the bridge"));
    }
}
