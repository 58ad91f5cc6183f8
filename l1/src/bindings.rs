//! The contracts as Rust types, from the artifacts that `contracts/artifacts.mjs` writes.
//!
//! Not for: anything by hand. Invariant: CI checks that the artifacts are what the Solidity sources give.

use alloy::sol;

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    Registry,
    "../contracts/abi/Registry.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    Inbox,
    "../contracts/abi/Inbox.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    ForcedQueue,
    "../contracts/abi/ForcedQueue.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    Portal,
    "../contracts/abi/Portal.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    TokenBridgeL1,
    "../contracts/abi/TokenBridgeL1.json"
);

/// Its ABI names the same libraries as the portal's.
mod token_bridge {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        TokenBridgeL2,
        "../contracts/abi/TokenBridgeL2.json"
    );
}

pub use token_bridge::TokenBridgeL2;

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    FeeVault,
    "../contracts/abi/FeeVault.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    BridgedToken,
    "../contracts/abi/BridgedToken.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    MessagePasser,
    "../contracts/abi/MessagePasser.json"
);

sol!(
    #[sol(rpc)]
    EcdsaCertificateVerifier,
    "../contracts/abi/EcdsaCertificateVerifier.json"
);

sol!(
    #[sol(rpc)]
    Ed25519Verifier,
    "../contracts/abi/Ed25519Verifier.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    EvidenceChecker,
    "../contracts/abi/EvidenceChecker.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    ClaimsChecker,
    "../contracts/abi/ClaimsChecker.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    Rewards,
    "../contracts/abi/Rewards.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    Slasher,
    "../contracts/abi/Slasher.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    Oracle,
    "../contracts/abi/Oracle.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    BondedSlot,
    "../contracts/abi/BondedSlot.json"
);

sol!(
    #[sol(rpc)]
    Timelock30,
    "../contracts/abi/Timelock30.json"
);

sol!(
    #[sol(rpc)]
    Safe,
    "../contracts/abi/Safe.json"
);

sol!(
    #[sol(rpc)]
    SafeProxyFactory,
    "../contracts/abi/SafeProxyFactory.json"
);

sol!(
    #[sol(rpc)]
    #[derive(Debug, PartialEq, Eq)]
    Warranty,
    "../contracts/abi/Warranty.json"
);
