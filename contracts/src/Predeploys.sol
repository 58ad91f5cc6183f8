// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Contracts that are in the first block of the rollup
/// @dev The same addresses as in `execution/src/predeploys.rs`.
library Predeploys {
    address internal constant MESSAGE_PASSER = 0x526F746100000000000000000000000000000001;
    address internal constant TOKEN_BRIDGE = 0x526F746100000000000000000000000000000002;
    /// @dev EIP-4788: by the time of an L2 block the hash of its L1 origin.
    address internal constant L1_ORIGINS = 0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02;
}
