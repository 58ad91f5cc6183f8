// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "./Digests.sol";
import {IEvidenceErrors} from "./EvidenceTypes.sol";

/// @title Bytes of evidence
/// @notice Reads the nodes' encodings by fixed offsets: integers are big-endian, nothing is optional.
/// @dev `pos` is an offset into the bytes. Whoever reads has made sure that the bytes are long enough (`need`).
library EvidenceReader {
    uint256 internal constant FRAME = 273;
    uint256 internal constant INIT = 99;
    uint256 internal constant ACK = 96;
    uint256 internal constant STATUS = 98;
    uint256 internal constant VOTE = 53;
    uint256 internal constant PROPOSAL = 90;
    uint256 internal constant HEADER = 480;
    uint256 internal constant MAX_CHAIN = 64;
    uint256 internal constant MAX_DEPTH = 32;

    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice A branch of a tree over hashes: `index || count || depth:u8 || sibling:32*`.
    struct Branch {
        uint256 index;
        uint256 count;
        uint256 depth;
        /// where the siblings are
        uint256 pos;
    }

    function need(bool holds) internal pure {
        if (!holds) revert IEvidenceErrors.Evidence_Malformed();
    }

    /// @notice The big-endian integer of `size` bytes.
    function number(bytes calldata data, uint256 pos, uint256 size) internal pure returns (uint256 v) {
        assembly ("memory-safe") {
            v := shr(sub(256, shl(3, size)), calldataload(add(data.offset, pos)))
        }
    }

    function word(bytes calldata data, uint256 pos) internal pure returns (bytes32 v) {
        assembly ("memory-safe") {
            v := calldataload(add(data.offset, pos))
        }
    }

    /// @notice keccak256 of `size` bytes.
    function hash(bytes calldata data, uint256 pos, uint256 size) internal pure returns (bytes32 h) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            calldatacopy(m, add(data.offset, pos), size)
            h := keccak256(m, size)
        }
    }

    /// @notice Length of the chain at `pos`, counted with its two bytes of count; its headers are of a known version.
    function chainSize(bytes calldata data, uint256 pos) internal pure returns (uint256) {
        need(data.length >= pos + 2);
        uint256 count = number(data, pos, 2);
        uint256 size = 2 + count * FRAME;
        need(count <= MAX_CHAIN && data.length >= pos + size);
        for (uint256 i; i < count; i++) {
            frameForm(data, pos + 2 + i * FRAME);
        }
        return size;
    }

    function branchAt(bytes calldata data, uint256 pos) internal pure returns (Branch memory b) {
        need(data.length >= pos + 9);
        (b.index, b.count, b.depth, b.pos) = (number(data, pos, 4), number(data, pos + 4, 4), number(data, pos + 8, 1), pos + 9);
        need(b.depth <= MAX_DEPTH && data.length >= b.pos + 32 * b.depth);
    }

    /// @notice Where the branch ends.
    function end(Branch memory b) internal pure returns (uint256) {
        return b.pos + 32 * b.depth;
    }

    /// @dev Version 1 and no unknown flag, as every node demands.
    function frameForm(bytes calldata data, uint256 pos) internal pure {
        need(number(data, pos, 2) == 1 && number(data, pos + 108, 1) <= 15);
    }

    /// @notice The hash at position `to` of the chain that ends with `tip` at `g`; the chain's headers lie at `pos`.
    function descend(bytes calldata data, uint256 pos, bytes32 ctx, bytes32 tip, uint256 g, uint256 to) internal pure returns (bytes32) {
        uint256 count = number(data, pos, 2);
        if (g < to || g - to != count) revert IEvidenceErrors.Evidence_Path();
        pos += 2;
        for (uint256 i; i < count; i++) {
            bool fits = number(data, pos + 24, 8) == g && Digests.digest(Digests.TAG_FRAME, ctx, hash(data, pos, FRAME)) == tip;
            if (!fits) revert IEvidenceErrors.Evidence_Path();
            tip = word(data, pos + 36);
            pos += FRAME;
            g--;
        }
        return tip;
    }

    /// @notice The root that `leaf` with `insured` has by the branch; reverts if the branch does not fit its index and count.
    function rootOf(bytes calldata data, Branch memory b, bytes32 leaf, uint256 insured) internal pure returns (bytes32 top) {
        if (b.index >= b.count) revert IEvidenceErrors.Evidence_Path();
        top = keccak256(abi.encodePacked(uint8(0), uint32(b.index), leaf, uint128(insured)));
        uint256 place = b.index;
        uint256 used;
        for (uint256 width = b.count; width > 1; width = (width + 1) >> 1) {
            if (place ^ 1 < width) {
                if (used == b.depth) revert IEvidenceErrors.Evidence_Path();
                bytes32 sibling = word(data, b.pos + 32 * used++);
                top = place & 1 == 0
                    ? keccak256(abi.encodePacked(uint8(1), top, sibling))
                    : keccak256(abi.encodePacked(uint8(1), sibling, top));
            }
            place >>= 1;
        }
        if (used != b.depth) revert IEvidenceErrors.Evidence_Path();
        top = keccak256(abi.encodePacked(uint8(2), uint32(b.count), top));
    }

    /// @notice Who made the 65-byte signature at `pos`; zero for a malformed or malleable one, as off chain.
    function signer(bytes calldata data, uint256 pos, bytes32 digest) internal pure returns (address who) {
        uint256 v = number(data, pos + 64, 1);
        bytes32 s = word(data, pos + 32);
        if ((v != 27 && v != 28) || uint256(s) > HALF_ORDER) return address(0);
        return ecrecover(digest, uint8(v), word(data, pos), s);
    }
}
