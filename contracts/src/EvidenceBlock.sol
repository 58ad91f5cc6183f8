// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EvidenceReader} from "./EvidenceReader.sol";
import {EvidenceSeq} from "./EvidenceSeq.sol";
import {IEvidenceErrors} from "./EvidenceTypes.sol";

/// @title A certified block hash against a proven one
/// @notice `header:480 || checkpoint:80 || next:480 || count:u8 || hash:32* || length:u16 || block || certificate`. The header names the
/// checkpoint, which names an execution block by number and hash. `block` is the encoded header of the block that is proven under this number,
/// `next` the height after its last one, and the hashes show that `next` is in the log of the certified header.
/// @dev The last two are what protects the honest: whoever signed on a log that a fallback or a fork made void said nothing about the log that
/// was proven. One log up to the end of a block has one block.
library EvidenceBlock {
    using EvidenceReader for bytes;

    uint256 private constant NAMED = 16;
    uint256 private constant POINT = NAMED + EvidenceReader.HEADER;
    uint256 private constant LAG = 80;
    uint256 private constant NEXT = POINT + LAG;
    uint256 private constant HASHES = NEXT + EvidenceReader.HEADER;
    uint256 private constant MAX_HASHES = 128;
    uint256 private constant MAX_BLOCK = 1024;
    /// @dev Offsets in a header.
    uint256 private constant TIME = 0;
    uint256 private constant GENERATION = 108;
    uint256 private constant HEIGHT = 120;
    uint256 private constant PARENT = 128;
    uint256 private constant LAG_HEIGHT = 296;
    uint256 private constant LAG_ROOT = 304;
    uint256 private constant HISTORY = 336;
    /// @dev Where a block's difficulty is, which is zero: before it everything has a fixed length.
    uint256 private constant DIFFICULTY = 448;

    /// @notice Where the certificate begins.
    function end(bytes calldata e) internal pure returns (uint256 pos) {
        EvidenceReader.need(e.length > HASHES);
        uint256 count = e.number(HASHES, 1);
        pos = HASHES + 1 + 32 * count;
        EvidenceReader.need(count <= MAX_HASHES && e.length >= pos + 2);
        uint256 length = e.number(pos, 2);
        pos += 2 + length;
        EvidenceReader.need(length <= MAX_BLOCK && e.length >= pos);
    }

    /// @notice Hash of the certified header's encoding, and its height.
    function named(bytes calldata e) internal pure returns (bytes32 encoding, uint256 height) {
        return (e.hash(NAMED, EvidenceReader.HEADER), e.number(NAMED + HEIGHT, 8));
    }

    /// @notice The block that the header's checkpoint names; reverts if the header does not name this checkpoint.
    function point(bytes calldata e) internal pure returns (uint64 number, bytes32 blockHash) {
        bytes32 root = keccak256(abi.encodePacked("rota/lag/v1", e[POINT:POINT + LAG]));
        EvidenceSeq.guilty(e.word(NAMED + LAG_ROOT) == root && e.number(NAMED + LAG_HEIGHT, 8) == e.number(POINT, 8));
        return (uint64(e.number(POINT + 8, 8)), e.word(POINT + 16));
    }

    /// @notice Hash of the encoding of the height after the block, and its generation.
    function next(bytes calldata e) internal pure returns (bytes32 encoding, uint32 generation) {
        return (e.hash(NEXT, EvidenceReader.HEADER), uint32(e.number(NEXT + GENERATION, 4)));
    }

    /// @notice Reverts unless the log of the certified header has the proven block's last height and goes on in another block.
    /// @param nextId value id of the height after the block
    function sameLog(bytes calldata e, bytes32 nextId, bytes32 proven) internal pure {
        uint256 pos = HASHES + 1 + 32 * e.number(HASHES, 1);
        uint256 length = e.number(pos, 2);
        if (e.hash(pos + 2, length) != proven) revert IEvidenceErrors.Evidence_Path();
        (uint256 time, bytes32 last) = _block(e, pos + 2, pos + 2 + length);
        if (e.word(NEXT + PARENT) != last || e.number(NEXT + TIME, 8) <= time) revert IEvidenceErrors.Evidence_Path();
        _inHistory(e, nextId);
    }

    /// @dev Seconds and extra data of a block: the value id of its last height. Before the extra data are number, gas limit, gas used and time.
    function _block(bytes calldata e, uint256 pos, uint256 stop) private pure returns (uint256 time, bytes32 extra) {
        pos += DIFFICULTY + 1;
        for (uint256 i; i < 4; i++) {
            if (pos >= stop) revert IEvidenceErrors.Evidence_Path();
            uint256 first = e.number(pos++, 1);
            if (first < 0x80) {
                time = first;
                continue;
            }
            uint256 size = first - 0x80;
            if (size > 8 || pos + size > stop) revert IEvidenceErrors.Evidence_Path();
            time = size == 0 ? 0 : e.number(pos, size);
            pos += size;
        }
        if (pos + 33 > stop || e.number(pos, 1) != 0xa0) revert IEvidenceErrors.Evidence_Path();
        extra = e.word(pos + 1);
    }

    /// @dev `nextId` is a leaf of the certified header's history. The hashes are its siblings, lowest first, and the peaks of the other
    /// mountains, largest first. Height h is leaf h - 1, and a header's history has the heights below its own.
    function _inHistory(bytes calldata e, bytes32 nextId) private pure {
        uint256 index = e.number(NEXT + HEIGHT, 8);
        uint256 count = e.number(NAMED + HEIGHT, 8);
        if (index == 0 || index >= count) revert IEvidenceErrors.Evidence_Path();
        (index, count) = (index - 1, count - 1);
        bytes32 top = keccak256(abi.encodePacked(uint8(0), uint64(index), nextId));
        // The highest bit in which they differ is that of the leaf's mountain.
        uint256 pos = HASHES + 1;
        uint256 level;
        for (uint256 rest = (index ^ count) >> 1; rest != 0; rest >>= 1) {
            bytes32 sibling = e.word(pos + 32 * level);
            bool right = (index >> level) & 1 == 1;
            top = right ? keccak256(abi.encodePacked(uint8(1), sibling, top)) : keccak256(abi.encodePacked(uint8(1), top, sibling));
            level++;
        }
        bytes memory peaks;
        uint256 used = level;
        for (uint256 above = 64; above > 0; above--) {
            if ((count >> (above - 1)) & 1 == 0) continue;
            peaks = abi.encodePacked(peaks, above - 1 == level ? top : e.word(pos + 32 * used++));
        }
        bytes32 root = keccak256(abi.encodePacked(uint8(2), uint64(count), peaks));
        if (used != e.number(HASHES, 1) || root != e.word(NAMED + HISTORY)) revert IEvidenceErrors.Evidence_Path();
    }
}
