//! The oracle, its slots, its council and its timelock.
//!
//! Not for: who sits in a council of real money; that is a Safe which is there already.

use super::{Contracts, DeployParams, failed, overtaken};
use crate::L1Error;
use crate::bindings::{BondedSlot, Oracle, Safe, SafeProxyFactory, Timelock30};
use alloy::network::Ethereum;
use alloy::providers::{PendingTransactionBuilder, Provider};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;

/// What the bonds of the two first slots are put on. Users read these words.
const BASIS: [&str; 2] = [
    "re-execution with revm in this project's derivation, bonded",
    "re-execution of the derived blocks with an independent Ethereum client, bonded",
];
/// Seconds that a change of slots waits: thirty days that nobody can shorten, and a pause of withdrawals on top.
const TIMELOCK_S: u64 = 37 * 24 * 3_600;

/// Who decides where provers disagree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Council {
    /// Nobody: a dispute stays, and slots never change.
    #[default]
    None,
    /// A Safe that is there.
    Safe(Address),
    /// A new Safe.
    Members {
        /// Its owners.
        members: Vec<Address>,
        /// How many must sign.
        threshold: u64,
    },
}

/// The council and the timelock. They come first, so that addresses of the rest can be told from one nonce.
pub(super) async fn council<P: Provider>(
    provider: &P,
    council: &Council,
) -> Result<(Address, Address), L1Error> {
    let council = match council {
        Council::None => Address::ZERO,
        Council::Safe(safe) => {
            let code = provider.get_code_at(*safe).await;
            if code.map_err(|e| failed("the council", &e))?.is_empty() {
                return Err(L1Error::Config(format!("the council {safe} is no contract there")));
            }
            *safe
        }
        Council::Members { members, threshold } => new_safe(provider, members, *threshold).await?,
    };
    let delay = U256::from(TIMELOCK_S);
    let timelock =
        Timelock30::deploy(provider, delay, council).await.map_err(|e| failed("Timelock30", &e))?;
    Ok((council, *timelock.address()))
}

async fn new_safe<P: Provider>(
    provider: &P,
    members: &[Address],
    threshold: u64,
) -> Result<Address, L1Error> {
    let singleton = Safe::deploy_builder(provider).send().await.map_err(|e| failed("Safe", &e))?;
    let factory = SafeProxyFactory::deploy_builder(provider).send().await;
    let factory =
        mined("SafeProxyFactory", factory.map_err(|e| failed("its factory", &e))?).await?;
    let factory = SafeProxyFactory::new(factory, provider);
    let singleton = mined("Safe", singleton).await?;
    let setup = Safe::setupCall {
        _owners: members.to_vec(),
        _threshold: U256::from(threshold),
        to: Address::ZERO,
        data: Bytes::new(),
        fallbackHandler: Address::ZERO,
        paymentToken: Address::ZERO,
        payment: U256::ZERO,
        paymentReceiver: Address::ZERO,
    };
    let create = factory.createProxyWithNonce(singleton, setup.abi_encode().into(), U256::ZERO);
    let safe = create.call().await.map_err(|e| failed("the council", &e))?;
    let sent = create.send().await.map_err(|e| failed("the council", &e))?;
    succeeded("the council", sent).await?;
    Ok(safe)
}

/// The oracle and its two slots, the next three contracts of the deployer, whose nonce for the first of them is `nonce`.
pub(super) async fn oracle<P: Provider>(
    provider: &P,
    so_far: Contracts,
    params: &DeployParams,
    (deployer, nonce): (Address, u64),
) -> Result<Contracts, L1Error> {
    let rules = &params.rules;
    let slots = [1, 2].map(|place| deployer.create(nonce.saturating_add(place)));
    let rules_on_l1 = Oracle::OracleRules {
        intervalBlocks: rules.checkpoint_blocks,
        finalBlocks: rules.output_final_blocks,
    };
    // The three are sent one after the other, and awaited together.
    let oracle = Oracle::deploy_builder(
        provider,
        so_far.inbox,
        so_far.council,
        so_far.timelock,
        slots.to_vec(),
        rules_on_l1,
        params.genesis_block,
        params.parameters.clone(),
    );
    let oracle = oracle.send().await.map_err(|e| failed("Oracle", &e))?;
    let (bond, window) = (U256::from(rules.output_bond), rules.output_window_blocks);
    let at = deployer.create(nonce);
    let mut sent = Vec::new();
    for basis in BASIS {
        let slot = BondedSlot::deploy_builder(provider, at, basis.to_owned(), bond, window);
        sent.push(slot.send().await.map_err(|e| failed("BondedSlot", &e))?);
    }
    let mut found = vec![mined("Oracle", oracle).await?];
    for slot in sent {
        found.push(mined("BondedSlot", slot).await?);
    }
    if found != [at, slots[0], slots[1]] {
        return Err(overtaken());
    }
    Ok(Contracts { oracle: at, oracle_slots: slots, ..so_far })
}

/// Waits until it is mined; that is not enough, it may have failed there.
pub(super) async fn succeeded(
    what: &str,
    sent: PendingTransactionBuilder<Ethereum>,
) -> Result<(), L1Error> {
    let receipt = sent.get_receipt().await.map_err(|e| failed(what, &e))?;
    let reverted = || failed(what, &"it reverted");
    receipt.status().then_some(()).ok_or_else(reverted)
}

async fn mined(what: &str, sent: PendingTransactionBuilder<Ethereum>) -> Result<Address, L1Error> {
    let receipt = sent.get_receipt().await.map_err(|e| failed(what, &e))?;
    let address = receipt.contract_address.filter(|_| receipt.status());
    address.ok_or_else(|| L1Error::Build(format!("deploying {what}: it reverted")))
}
