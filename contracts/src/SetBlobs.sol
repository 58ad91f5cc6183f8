// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SSTORE2} from "solady/utils/SSTORE2.sol";

/// @title The bytes of a frozen set
/// @notice Records `voteKey (20) || weight in gwei (12)`, which certificates are checked against; keys `seqKey (32) || operator id
/// (4)`, which evidence is checked against; and the preimage of the set's id, which binds both and the owners.
library SetBlobs {
    uint256 internal constant RECORD = 32;
    uint256 internal constant KEYS = 36;
    uint256 private constant ID_HEAD = 23;
    uint256 private constant ID_MEMBER = 80;

    struct Member {
        uint256 operator;
        address owner;
        address voteKey;
        bytes32 seqKey;
        uint256 weight;
    }

    /// @dev A set under construction.
    struct Draft {
        bytes records;
        bytes keys;
        bytes preimage;
    }

    /// @notice Room for `count` members of `epoch`.
    function open(uint64 epoch, uint256 count) internal pure returns (Draft memory d) {
        d.records = new bytes(RECORD * count);
        d.keys = new bytes(KEYS * count);
        d.preimage = new bytes(ID_HEAD + ID_MEMBER * count);
        bytes memory preimage = d.preimage;
        bytes32 head = bytes32(abi.encodePacked("rota/set/v1", epoch, uint32(count)));
        assembly ("memory-safe") {
            // The first member overwrites what follows the head; there is at least one.
            mstore(add(preimage, 32), head)
        }
    }

    /// @notice Puts the member at an index below the count.
    function put(Draft memory d, uint256 index, Member memory m) internal pure {
        (bytes memory records, bytes memory keys, bytes memory preimage) = (d.records, d.keys, d.preimage);
        assembly ("memory-safe") {
            let operator := mload(m)
            let owner := mload(add(m, 32))
            let voteKey := mload(add(m, 64))
            let seqKey := mload(add(m, 96))
            let weight := mload(add(m, 128))
            mstore(add(add(records, 32), mul(index, 32)), or(shl(96, voteKey), weight))
            let place := add(add(keys, 32), mul(index, 36))
            // Each word ends where the member's part ends, so nothing is written behind it; what a word spoils in front, the next mends.
            mstore(add(place, 4), or(shl(32, seqKey), operator))
            mstore(place, seqKey)
            place := add(add(preimage, 55), mul(index, 80))
            mstore(add(place, 48), or(shl(64, voteKey), weight))
            mstore(add(place, 20), seqKey)
            mstore(place, or(shl(96, owner), shr(160, seqKey)))
        }
    }

    /// @notice Operator and weight at an index of whole blobs.
    function pick(bytes memory records, bytes memory keys, uint256 index) internal pure returns (uint256 operator, uint256 weight) {
        assembly ("memory-safe") {
            weight := and(mload(add(add(records, 32), mul(index, 32))), 0xffffffffffffffffffffffff)
            operator := and(mload(add(add(keys, 36), mul(index, 36))), 0xffffffff)
        }
    }

    function sizeOf(address keys) internal view returns (uint256) {
        return keys == address(0) ? 0 : (keys.code.length - 1) / KEYS;
    }

    /// @notice Operator and ed25519 key at an index below the count.
    function keyAt(address keys, uint256 index) internal view returns (uint256 operator, bytes32 seqKey) {
        bytes memory entry = SSTORE2.read(keys, KEYS * index, KEYS * (index + 1));
        assembly ("memory-safe") {
            seqKey := mload(add(entry, 32))
            operator := shr(224, mload(add(entry, 64)))
        }
    }

    /// @notice Vote key and weight at an index below the count.
    function recordAt(address records, uint256 index) internal view returns (address voteKey, uint256 weight) {
        bytes memory entry = SSTORE2.read(records, RECORD * index, RECORD * (index + 1));
        assembly ("memory-safe") {
            let record := mload(add(entry, 32))
            voteKey := shr(96, record)
            weight := and(record, 0xffffffffffffffffffffffff)
        }
    }
}
