//! Putting the contracts on a chain.
//!
//! Not for: upgrades (there are none). Invariant: the contracts refer to each other and to nothing else; an address that one
//! had to know before the other existed is checked once it does.

mod bridge;
mod oracle;

pub use oracle::Council;

use crate::bindings::{
    ClaimsChecker, EcdsaCertificateVerifier, Ed25519Verifier, EvidenceChecker, ForcedQueue, Inbox,
    Registry, Rewards, Slasher, Warranty,
};
use crate::{L1Error, L1Rules};
use alloy::providers::Provider;
use alloy_primitives::aliases::U96;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

/// What a deployment fixes for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployParams {
    /// Chain id of the rollup.
    pub l2_chain_id: u64,
    /// Hash of the genesis: of the two that follow.
    pub genesis_hash: B256,
    /// Hash of the first execution block.
    pub genesis_block: B256,
    /// The parameters, encoded.
    pub parameters: Bytes,
    /// Least stake of an operator, wei.
    pub min_stake: U256,
    /// Least size of the first set.
    pub min_operators: u64,
    /// Times, limits and prices.
    pub rules: L1Rules,
    /// What the genesis gives out and the portal gets, wei.
    pub seed: U256,
}

/// Where the contracts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contracts {
    /// Strict Ed25519.
    pub ed25519_verifier: Address,
    /// Operators and sets.
    pub registry: Address,
    /// Certificates.
    pub certificate_verifier: Address,
    /// Forced transactions.
    pub forced_queue: Address,
    /// Batches.
    pub inbox: Address,
    /// Judges evidence.
    pub evidence_checker: Address,
    /// Judges claims for insured transactions.
    pub claims_checker: Address,
    /// Takes stakes and pays claims.
    pub slasher: Address,
    /// Pays operators what fees earned them.
    pub rewards: Address,
    /// Says which blocks of the rollup are proven.
    pub oracle: Address,
    /// Its first slots: re-execution with revm, and with an independent client.
    pub oracle_slots: [Address; 2],
    /// The Safe that decides where provers disagree; zero for none.
    pub council: Address,
    /// What the oracle's slots are changed by.
    pub timelock: Address,
    /// ETH into the rollup and out of it.
    pub portal: Address,
    /// The same for tokens.
    pub token_bridge: Address,
    /// Bonds for frames that are lost with their leader.
    pub warranty: Address,
    /// L1 block to read events from: none of the contracts is older.
    pub block: u64,
}

/// Places among the deployer's contracts after the timelock. The genesis names the rewards, the evidence checker asks the oracle.
const REWARDS: u64 = 8;
const ORACLE: u64 = 9;

/// What is there before the genesis is known, for the genesis names one of the contracts that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    deployer: Address,
    nonce: u64,
    block: u64,
    council: Address,
    timelock: Address,
}

impl Ground {
    /// Where [`deploy`] puts `Rewards`.
    #[must_use]
    pub fn rewards(&self) -> Address {
        self.deployer.create(self.nonce.saturating_add(REWARDS))
    }
}

/// Addresses that the deployer's next transactions will give their contracts, in the order of deployment.
#[derive(Debug, Clone, Copy)]
struct Predicted {
    inbox: Address,
    slasher: Address,
    oracle: Address,
    portal: Address,
}

impl Predicted {
    /// Ed25519 verifier, registry, certificate verifier, forced queue, inbox, the two checkers, slasher, rewards, oracle, its
    /// two slots, portal.
    fn new(deployer: Address, nonce: u64) -> Self {
        let at = |place: u64| deployer.create(nonce.saturating_add(place));
        Self { inbox: at(4), slasher: at(7), oracle: at(ORACLE), portal: at(12) }
    }
}

/// Deploys the council and the timelock with a provider that fills in nonce, gas and fees and signs as `deployer`, who sends
/// nothing else from here to the end of [`deploy`]. Each transaction is awaited.
pub async fn lay_ground<P: Provider>(
    provider: &P,
    deployer: Address,
    council: &Council,
) -> Result<Ground, L1Error> {
    let block = provider.get_block_number().await.map_err(|e| failed("block number", &e))?;
    let (council, timelock) = oracle::council(provider, council).await?;
    let nonce = provider.get_transaction_count(deployer).await.map_err(|e| failed("nonce", &e))?;
    Ok(Ground { deployer, nonce, block, council, timelock })
}

/// Deploys the contracts on their ground, with the same provider. Each transaction is awaited.
pub async fn deploy<P: Provider>(
    provider: &P,
    ground: Ground,
    params: &DeployParams,
) -> Result<Contracts, L1Error> {
    let Ground { deployer, nonce, block, council, timelock } = ground;
    let predicted = Predicted::new(deployer, nonce);
    let ed = Ed25519Verifier::deploy(provider).await.map_err(|e| failed("Ed25519Verifier", &e))?;
    let terms = terms(params, *ed.address(), predicted)?;
    let registry = Registry::deploy(provider, terms).await.map_err(|e| failed("Registry", &e))?;
    let registry = *registry.address();
    let verifier = EcdsaCertificateVerifier::deploy(provider, registry)
        .await
        .map_err(|e| failed("EcdsaCertificateVerifier", &e))?;
    let (forced_queue, inbox) =
        deploy_inbox(provider, (registry, *verifier.address()), params, predicted).await?;
    let contracts = Contracts {
        ed25519_verifier: *ed.address(),
        registry,
        certificate_verifier: *verifier.address(),
        forced_queue,
        inbox,
        evidence_checker: Address::ZERO,
        claims_checker: Address::ZERO,
        slasher: Address::ZERO,
        rewards: Address::ZERO,
        oracle: Address::ZERO,
        oracle_slots: [Address::ZERO; 2],
        council,
        timelock,
        portal: Address::ZERO,
        token_bridge: Address::ZERO,
        warranty: Address::ZERO,
        block,
    };
    let contracts = deploy_slasher(provider, contracts, &params.rules, predicted.oracle).await?;
    if (contracts.inbox, contracts.slasher) != (predicted.inbox, predicted.slasher) {
        return Err(overtaken());
    }
    // None of those before knows these; the genesis knows the rewards.
    let rewards = Rewards::deploy(provider, inbox).await.map_err(|e| failed("Rewards", &e))?;
    if *rewards.address() != ground.rewards() {
        return Err(overtaken());
    }
    let contracts = Contracts { rewards: *rewards.address(), ..contracts };
    let contracts =
        oracle::oracle(provider, contracts, params, (deployer, nonce.saturating_add(ORACLE)))
            .await?;
    let contracts = bridge::deploy(provider, contracts, params, predicted.portal).await?;
    let (registry, verifier) = (contracts.registry, contracts.certificate_verifier);
    let warranty = Warranty::deploy(provider, registry, verifier).await;
    let warranty = *warranty.map_err(|e| failed("Warranty", &e))?.address();
    Ok(Contracts { warranty, ..contracts })
}

/// The queue of forced transactions, whose fees go to the slasher's insurance pool, and the inbox.
async fn deploy_inbox<P: Provider>(
    provider: &P,
    (registry, verifier): (Address, Address),
    params: &DeployParams,
    predicted: Predicted,
) -> Result<(Address, Address), L1Error> {
    let rules = params.rules;
    let (fee, price) = (U256::from(rules.forced_fee), U256::from(rules.forced_gas_price));
    let forced = ForcedQueue::deploy(provider, predicted.slasher, fee, price)
        .await
        .map_err(|e| failed("ForcedQueue", &e))?;
    let forced = *forced.address();
    let portal = predicted.portal;
    let inbox = Inbox::deploy(provider, registry, verifier, forced, portal, inbox_rules(&rules))
        .await
        .map_err(|e| failed("Inbox", &e))?;
    Ok((forced, *inbox.address()))
}

async fn deploy_slasher<P: Provider>(
    provider: &P,
    so_far: Contracts,
    rules: &L1Rules,
    oracle: Address,
) -> Result<Contracts, L1Error> {
    let (registry, verifier) = (so_far.registry, so_far.certificate_verifier);
    let evidence = EvidenceChecker::deploy(provider, registry, so_far.inbox, verifier, oracle)
        .await
        .map_err(|e| failed("EvidenceChecker", &e))?;
    let claims = ClaimsChecker::deploy(provider, registry, verifier)
        .await
        .map_err(|e| failed("ClaimsChecker", &e))?;
    let (evidence_checker, claims_checker) = (*evidence.address(), *claims.address());
    let (reveal, contest) = (rules.reveal_blocks, rules.contest_blocks);
    let slasher = Slasher::deploy(
        provider,
        registry,
        evidence_checker,
        claims_checker,
        reveal,
        contest,
        rules.claims_blocks,
    )
    .await
    .map_err(|e| failed("Slasher", &e))?;
    Ok(Contracts { evidence_checker, claims_checker, slasher: *slasher.address(), ..so_far })
}

fn terms(params: &DeployParams, ed: Address, at: Predicted) -> Result<Registry::Terms, L1Error> {
    let large = |what: &str| L1Error::Config(format!("{what} is too large"));
    let rules = params.rules;
    if params.min_stake.bit_len() > 96 {
        return Err(large("the least stake"));
    }
    Ok(Registry::Terms {
        l2ChainId: params.l2_chain_id,
        genesisHash: params.genesis_hash,
        minStake: U96::saturating_from(params.min_stake),
        minOperators: u16::try_from(params.min_operators).map_err(|_| large("the first set"))?,
        maxShareBps: rules.max_share_bps,
        epochBlocks: rules.epoch_blocks,
        unbondEpochs: rules.unbond_epochs,
        evidenceEpochs: rules.evidence_epochs,
        edVerifier: ed,
        slasher: at.slasher,
        inbox: at.inbox,
    })
}

const fn inbox_rules(rules: &L1Rules) -> Inbox::InboxRules {
    Inbox::InboxRules {
        fallbackBlocks: rules.fallback_blocks,
        rollCallBlocks: rules.roll_call_blocks,
        forcedWindow: rules.forced_window_s,
    }
}

/// A contract is not where its predecessors were told that it would be. The deployer's fault.
fn overtaken() -> L1Error {
    L1Error::Build("the deployer's account sent something else meanwhile".into())
}

fn failed(what: &str, why: &dyn std::fmt::Display) -> L1Error {
    L1Error::Build(format!("deploying {what}: {why}"))
}
