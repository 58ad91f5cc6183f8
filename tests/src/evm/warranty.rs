//! Bonds and refunds for frames that were lost with their leader.
//!
//! Not for: what shows a loss.

use super::{Court, DEPLOYER, Refused};
use alloy_primitives::{U256, aliases::U88};
use alloy_sol_types::{SolCall, sol};
use rota_types::{Encode, LostFrame, LostTx, ValidatorSet, WarrantyOffer};

/// What every operator offers here: a hundred times, since transactions of tests offer a wei for each gas.
pub const OFFER: WarrantyOffer = WarrantyOffer {
    bps: 1_000_000,
    claim_cap: 1_000_000_000_000_000,
    term_cap: 1_000_000_000_000_000_000,
};

/// Each bond, wei.
const BOND: u128 = 10_000_000_000_000_000_000;

sol! {
    struct Offer { uint32 bps; uint88 claimCap; uint88 termCap; }
    function post(uint256 operator) external payable;
    function set(uint256 operator, Offer o) external;
    function claim(uint32 generation, bytes lost, bytes[] txs) external returns (uint256 sum);
}

impl Court {
    /// Every operator of a set that is not frozen yet posts a bond and offers, for its first frames on.
    pub(super) fn warrant(&mut self, members: &ValidatorSet) {
        for (index, v) in members.iter() {
            let operator = U256::from(index);
            self.chain.give(DEPLOYER, U256::from(BOND));
            self.chain
                .send(
                    DEPLOYER,
                    self.warranty,
                    U256::from(BOND),
                    &postCall { operator }.abi_encode(),
                )
                .expect("posts");
            let o = Offer {
                bps: OFFER.bps,
                claimCap: U88::from(OFFER.claim_cap),
                termCap: U88::from(OFFER.term_cap),
            };
            self.chain
                .send(v.owner, self.warranty, U256::ZERO, &setCall { operator, o }.abi_encode())
                .expect("offers");
        }
    }

    /// What a claim would be refunded, wei; nothing is paid.
    pub fn refund(
        &mut self,
        generation: u32,
        lost: &LostFrame,
        txs: &[LostTx],
    ) -> Result<U256, Refused> {
        let txs = txs.iter().map(|tx| tx.encode().into()).collect();
        let call = claimCall { generation, lost: lost.encode().into(), txs };
        let out = self.chain.call(self.warranty, &call.abi_encode())?;
        Ok(claimCall::abi_decode_returns(&out).unwrap())
    }
}
