// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ed25519} from "./Ed25519.sol";

/// @title Strict Ed25519 verifier
/// @notice One deployment serves the registry (proof of possession) and the slasher (evidence). Stateless and without an owner.
/// @dev Messages are 32-byte digests: `R || A || M` is then exactly one SHA-512 block.
contract Ed25519Verifier {
    /// @notice True iff (r, s) is a strict signature of `key` over `message`.
    function verify(bytes32 key, bytes32 r, bytes32 s, bytes32 message) external view returns (bool) {
        return Ed25519.verify(key, r, s, message);
    }

    /// @notice True iff both signatures of one key are strict: the shape of every equivocation.
    /// @param first r, s and message of the first signature
    /// @param second r, s and message of the second signature
    function verifyPair(bytes32 key, bytes32[3] calldata first, bytes32[3] calldata second) external view returns (bool) {
        return Ed25519.verifyPair(key, first, second);
    }
}
