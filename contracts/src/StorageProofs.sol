// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {TrieProof} from "@openzeppelin/contracts/utils/cryptography/TrieProof.sol";

/// @title What a storage slot held as of a block
/// @dev From the block's header down to the slot, by the proofs of `eth_getProof`. Only slots that are not zero can be shown.
library StorageProofs {
    /// The trie has another value there, or none.
    error Proof_OtherValue();

    /// @dev An account in the state trie is `[nonce, balance, storage root, code hash]`.
    uint256 private constant STORAGE_ROOT = 2;

    /// @dev Number, hash and state root of a block by its RLP-encoded header. The caller compares the hash.
    function readHeader(bytes memory header) internal pure returns (uint256 number, bytes32 hash, bytes32 stateRoot) {
        Memory.Slice[] memory fields = BlockHeader.parseHeader(header);
        return (BlockHeader.getNumber(fields), keccak256(header), BlockHeader.getStateRoot(fields));
    }

    /// @dev Reverts unless the account's slot holds `value`, which is its RLP: no leading zeros.
    function requireSlot(
        bytes32 stateRoot,
        address account,
        bytes32 slot,
        bytes memory value,
        bytes[] memory accountProof,
        bytes[] memory storageProof
    ) internal pure {
        bytes memory leaf = TrieProof.traverse(stateRoot, abi.encodePacked(keccak256(abi.encodePacked(account))), accountProof);
        bytes32 storageRoot = RLP.readBytes32(RLP.decodeList(leaf)[STORAGE_ROOT]);
        if (!TrieProof.verify(value, storageRoot, abi.encodePacked(keccak256(abi.encodePacked(slot))), storageProof)) {
            revert Proof_OtherValue();
        }
    }
}
