//! The slasher's side of a reverted promise: harm is shown, claimed, settled and paid.
//!
//! Not for: evidence.

use super::{Court, REPORTER, Refused};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, sol};

sol! {
    function proveReverted(uint256 id, bytes proof) external;
    function claim(uint256 id, bytes claim_) external returns (bytes32 claimId);
    function settle(uint256 id) external;
    function settlesAt(uint256 id) external view returns (uint64);
    function collect(bytes32 claimId) external;
    function withdraw(address to) external returns (uint256 amount);
    function penaltyBps(uint256 id) external view returns (uint16);
}

impl Court {
    fn slash(&mut self, from: Address, input: &[u8]) -> Result<Bytes, Refused> {
        self.chain.send(from, self.slasher, U256::ZERO, input)
    }

    /// Shows that an acked frame was reverted because of an offence.
    pub fn prove_reverted(&mut self, id: U256, proof: &[u8]) -> Result<(), Refused> {
        let proof = Bytes::copy_from_slice(proof);
        self.slash(REPORTER, &proveRevertedCall { id, proof }.abi_encode()).map(drop)
    }

    /// Registers an insured transaction; anyone may.
    pub fn claim(&mut self, id: U256, claim: &[u8]) -> Result<B256, Refused> {
        let claim_ = Bytes::copy_from_slice(claim);
        let out = self.slash(REPORTER, &claimCall { id, claim_ }.abi_encode())?;
        Ok(claimCall::abi_decode_returns(&out).unwrap())
    }

    /// Share of the stake that the offence costs, in 1/10,000.
    pub fn penalty_bps(&mut self, id: U256) -> u16 {
        let out = self.chain.call(self.slasher, &penaltyBpsCall { id }.abi_encode()).unwrap();
        penaltyBpsCall::abi_decode_returns(&out).unwrap()
    }

    /// Charges the penalty.
    pub fn settle(&mut self, id: U256) -> Result<(), Refused> {
        self.slash(REPORTER, &settleCall { id }.abi_encode()).map(drop)
    }

    /// Mines until an offence can be settled.
    pub fn wait_for(&mut self, id: U256) {
        let out = self.chain.call(self.slasher, &settlesAtCall { id }.abi_encode()).unwrap();
        self.chain.mine_to(settlesAtCall::abi_decode_returns(&out).unwrap());
    }

    /// Credits a settled claim to who is insured.
    pub fn collect(&mut self, claim: B256) -> Result<(), Refused> {
        self.slash(REPORTER, &collectCall { claimId: claim }.abi_encode()).map(drop)
    }

    /// Pays out what is credited to `who`, to itself; gives its balance on L1.
    pub fn withdraw(&mut self, who: Address) -> Result<U256, Refused> {
        self.slash(who, &withdrawCall { to: who }.abi_encode())?;
        Ok(self.chain.balance(who))
    }
}
