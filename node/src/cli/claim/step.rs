//! What to do next for a claim against one offence.
//!
//! Not for: asking L1. Invariant: a function of what one L1 block shows.

use rota_l1::ClaimView;

/// What can be done for a claim against one offence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Register it, after the harm was shown.
    Register,
    /// It was not registered in time.
    Missed,
    /// Registered; others may claim until this block.
    Wait(u64),
    /// Share out the penalty.
    Settle,
    /// Have the share credited.
    Collect,
    /// It is.
    Collected,
}

impl Step {
    pub(super) fn of(view: &ClaimView) -> Self {
        let over = view.block >= view.offence.settles;
        match view.claim {
            // The next block is the first that a claim sent now can be in.
            None if view.block.saturating_add(1) >= view.offence.settles => Self::Missed,
            None => Self::Register,
            Some(claim) if claim.amount.is_zero() => Self::Collected,
            Some(_) if view.offence.settled => Self::Collect,
            Some(_) if over => Self::Settle,
            Some(_) => Self::Wait(view.offence.settles),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256, U256};
    use rota_l1::{CourtClaim, CourtOffence};

    const SETTLES: u64 = 100;

    fn view(block: u64, claim: Option<u64>, settled: bool) -> ClaimView {
        let offence = CourtOffence {
            id: U256::from(7),
            key: B256::with_last_byte(7),
            operator: U256::from(1),
            kind: 1,
            seized: U256::from(32),
            reporter: Address::ZERO,
            commit_block: 79,
            revealed: 80,
            settles: SETTLES,
            settled,
        };
        let beneficiary = Address::repeat_byte(1);
        let claim = claim.map(|wei| CourtClaim { beneficiary, amount: U256::from(wei) });
        ClaimView { block, offence, claim }
    }

    #[test]
    fn a_claim_goes_from_the_offence_to_the_credit_and_is_made_in_time_or_not_at_all() {
        let steps = [
            (view(81, None, false), Step::Register),
            (view(SETTLES - 2, None, false), Step::Register),
            (view(SETTLES - 1, None, false), Step::Missed),
            (view(SETTLES, None, true), Step::Missed),
            (view(90, Some(5), false), Step::Wait(SETTLES)),
            (view(SETTLES - 1, Some(5), false), Step::Wait(SETTLES)),
            (view(SETTLES, Some(5), false), Step::Settle),
            (view(SETTLES + 9, Some(5), true), Step::Collect),
            (view(SETTLES + 9, Some(0), true), Step::Collected),
        ];
        for (view, step) in steps {
            assert_eq!(Step::of(&view), step, "{view:?}");
        }
    }
}
