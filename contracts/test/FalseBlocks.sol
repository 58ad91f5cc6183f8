// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "../src/Digests.sol";

/// @dev A header of height 130 that names a block, in a log of which height 2 is the first one after that block.
library FalseBlocks {
    uint64 internal constant NUMBER = 17;
    uint64 internal constant HEIGHT = 130;
    uint64 private constant SECOND = 1_760_000_000;
    bytes32 private constant LAST = keccak256("value id of the block's last height");

    struct Story {
        uint64 epoch;
        uint64 number;
        bytes32 claimed;
        /// height of the checkpoint that the header names; 0 for a header that names none
        uint64 named;
        /// what is given for the checkpoint's rewards root
        bytes32 rewards;
        uint64 nextTime;
        bytes32 nextParent;
        bytes block_;
    }

    function plain(uint64 epoch) internal pure returns (Story memory s) {
        (s.epoch, s.number, s.claimed, s.named, s.rewards) = (epoch, NUMBER, keccak256("a lie"), 66, keccak256("rewards"));
        (s.nextTime, s.nextParent, s.block_) = (SECOND + 1, LAST, right());
    }

    /// @dev The header of the block that is proven.
    function right() internal pure returns (bytes memory) {
        bytes memory front = abi.encodePacked(hex"f90200", new bytes(445), hex"80118080", uint8(0x84), uint32(SECOND));
        return bytes.concat(front, hex"a0", LAST, new bytes(100));
    }

    /// @dev Everything but the certificate, and the value id that it is for.
    function body(Story memory s, bytes32 ctx) internal pure returns (bytes memory out, bytes32 valueId) {
        bytes memory next = bytes.concat(_front(s.epoch, 2, s.nextTime, s.nextParent), new bytes(184));
        (bytes32 history, bytes memory place) = _history(Digests.digest(Digests.TAG_HEADER, ctx, keccak256(next)));
        bytes memory lag = abi.encodePacked(s.named, s.number, s.claimed);
        bytes32 root = s.named == 0 ? bytes32(0) : keccak256(abi.encodePacked("rota/lag/v1", lag, keccak256("rewards")));
        bytes memory header = _front(s.epoch, HEIGHT, SECOND + 30, keccak256("parent"));
        header = bytes.concat(header, abi.encodePacked(s.named, root, history), new bytes(112));
        valueId = Digests.digest(Digests.TAG_HEADER, ctx, keccak256(header));
        out = bytes.concat(header, lag, s.rewards, next, place, abi.encodePacked(uint16(s.block_.length), s.block_));
    }

    /// @dev 129 leaves, a mountain of 128 and one: their root, and the place of the second.
    function _history(bytes32 second) private pure returns (bytes32 root, bytes memory hashes) {
        bytes32[] memory ids = new bytes32[](HEIGHT - 1);
        for (uint256 i; i < ids.length; i++) {
            ids[i] = keccak256(abi.encodePacked(uint8(0), uint64(i), i == 1 ? second : keccak256(abi.encode(i))));
        }
        hashes = abi.encodePacked(uint8(8));
        uint256 place = 1;
        for (uint256 width = 128; width > 1; width /= 2) {
            hashes = bytes.concat(hashes, ids[place ^ 1]);
            for (uint256 i; i < width; i += 2) {
                ids[i / 2] = keccak256(abi.encodePacked(uint8(1), ids[i], ids[i + 1]));
            }
            place /= 2;
        }
        root = keccak256(abi.encodePacked(uint8(2), uint64(129), ids[0], ids[128]));
        hashes = bytes.concat(hashes, ids[128]);
    }

    /// @dev A header up to what it names of execution.
    function _front(uint64 epoch, uint64 height, uint64 time, bytes32 parent) private pure returns (bytes memory) {
        return abi.encodePacked(time, new bytes(100), uint32(0), epoch, height, parent, new bytes(136));
    }
}
