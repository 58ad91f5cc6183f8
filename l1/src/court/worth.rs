//! What evidence is worth to whoever reports it: the least reward, and what the transactions cost as L1 is now.
//!
//! Not for: what the penalty comes to in the end; harm that is shown later and others who did the same raise it. Invariant: a
//! reward is never overestimated.

use super::{Court, Ruling};
use crate::L1Error;
use crate::bindings::{Registry, Slasher};
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use rota_types::OffenceClass;

/// Gas of a commitment, of the bookkeeping that a reveal has and a report has not, of a settlement and of taking the reward out.
const GAS_BESIDE: u64 = 46_000 + 10_000 + 150_000 + 45_000;
/// `SlasherLedger`: hundredths of a percent.
const BPS: u64 = 10_000;
const REWARD_BPS: u64 = 500;

/// How much of a stake an offence costs at least.
const fn least_penalty_bps(class: OffenceClass) -> u64 {
    match class {
        OffenceClass::Equivocation | OffenceClass::Execution => 1_000,
        OffenceClass::Correlated => 500,
        OffenceClass::Full => BPS,
    }
}

/// What evidence is worth now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worth {
    /// The operator's stake, or what was taken of it before, wei.
    pub stake: U256,
    /// Of it the least that the offence costs, wei; zero if the operator was slashed before, since a class is charged once.
    pub penalty: U256,
    /// Of that the part of the reporter, wei.
    pub reward: U256,
    /// Gas of all transactions, from the commitment to the payment.
    pub gas: u64,
    /// What that costs at the present price, wei.
    pub cost: U256,
}

impl Worth {
    fn new(
        (stake, seized): (U256, U256),
        class: OffenceClass,
        most: U256,
        (gas, price): (u64, u128),
    ) -> Self {
        let part = |whole: U256, bps: u64| {
            let times = whole.saturating_mul(U256::from(bps));
            times.checked_div(U256::from(BPS)).unwrap_or_default()
        };
        let first = seized.is_zero();
        let stake = if first { stake } else { seized };
        let penalty = if first { part(stake, least_penalty_bps(class)) } else { U256::ZERO };
        let gas = gas.saturating_add(GAS_BESIDE);
        let cost = U256::from(gas).saturating_mul(U256::from(price));
        Self { stake, penalty, reward: part(penalty, REWARD_BPS).min(most), gas, cost }
    }
}

impl Court {
    /// What it brings to report this evidence, which the contract has judged and not slashed for.
    ///
    /// # Errors
    /// L1 does not answer, or somebody was faster.
    pub async fn worth(
        &self,
        ruling: &Ruling,
        (evidence, class): (&Bytes, OffenceClass),
    ) -> Result<Worth, L1Error> {
        let (at, operator) = (self.slasher, ruling.operator);
        let report = Slasher::reportCall { evidence: evidence.clone() }.abi_encode();
        let call = TransactionRequest::default().to(at).input(report.into());
        let call = &call;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let contract = Slasher::new(at, p.clone());
            let registry = Registry::new(contract.registry().call().await?, p.clone());
            let stake = U256::from(registry.operatorOf(operator).call().await?.stake);
            let seized = contract.accountOf(operator).call().await?.seized;
            let most = contract.MAX_REWARD().call().await?;
            let gas = p.estimate_gas(call.clone()).await?;
            let price = p.get_gas_price().await?;
            Ok(Worth::new((stake, seized), class, most, (gas, price)))
        };
        self.endpoints.ask(ask).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETH: u64 = 1_000_000_000_000_000_000;

    fn worth(stake: u64, seized: u64, class: OffenceClass) -> Worth {
        let wei = |n: u64| U256::from(n).saturating_mul(U256::from(ETH));
        Worth::new((wei(stake), wei(seized)), class, wei(25), (500_000, 2_000_000_000))
    }

    #[test]
    fn a_reward_is_a_twentieth_of_the_least_penalty_and_has_a_cap() {
        let eth = U256::from(ETH);
        let two_frames = worth(32, 0, OffenceClass::Equivocation);
        assert_eq!(
            (two_frames.stake, two_frames.reward * U256::from(100)),
            (U256::from(32) * eth, U256::from(16) * eth)
        );
        assert_eq!(two_frames.gas, 751_000);
        assert_eq!(two_frames.cost, U256::from(751_000u64 * 2_000_000_000));
        assert_eq!(worth(32, 0, OffenceClass::Execution).reward, two_frames.reward);
        assert_eq!(
            worth(32, 0, OffenceClass::Correlated).reward * U256::from(100),
            U256::from(8) * eth
        );
        assert_eq!(
            worth(100_000, 0, OffenceClass::Full).reward,
            U256::from(25) * eth,
            "at most 25 ETH"
        );
    }

    #[test]
    fn nothing_is_promised_for_an_operator_that_was_slashed_before() {
        let again = worth(0, 32, OffenceClass::Equivocation);
        assert_eq!((again.stake, again.reward), (U256::from(32) * U256::from(ETH), U256::ZERO));
    }
}
