//! The contract's ed25519 in a virtual machine.
//!
//! Not for: what is signed.

use super::Chain;
use alloy_primitives::{Address, B256};
use alloy_sol_types::{SolCall, sol};

sol! {
    function verify(bytes32 key, bytes32 r, bytes32 s, bytes32 message) external view returns (bool);
    function verifyPair(bytes32 key, bytes32[3] first, bytes32[3] second) external view returns (bool);
}

/// A signature and what it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// Encoded point.
    pub r: B256,
    /// Encoded scalar.
    pub s: B256,
    /// 32 bytes.
    pub message: B256,
}

/// The deployed `Ed25519Verifier`.
#[derive(Debug, Clone)]
pub struct Ed25519 {
    chain: Chain,
    at: Address,
}

impl Default for Ed25519 {
    fn default() -> Self {
        let mut chain = Chain::new(1);
        let at = chain.deploy(super::DEPLOYER, "Ed25519Verifier", &[]);
        Self { chain, at }
    }
}

impl Ed25519 {
    /// Whether the contract accepts the signature.
    pub fn verify(&mut self, key: B256, x: &Signed) -> bool {
        let call = verifyCall { key, r: x.r, s: x.s, message: x.message };
        let out = self.chain.call(self.at, &call.abi_encode()).expect("never reverts");
        verifyCall::abi_decode_returns(&out).unwrap()
    }

    /// Whether the contract accepts both signatures of one key.
    pub fn verify_pair(&mut self, key: B256, a: &Signed, b: &Signed) -> bool {
        let call =
            verifyPairCall { key, first: [a.r, a.s, a.message], second: [b.r, b.s, b.message] };
        let out = self.chain.call(self.at, &call.abi_encode()).expect("never reverts");
        verifyPairCall::abi_decode_returns(&out).unwrap()
    }
}
