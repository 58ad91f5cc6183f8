// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What the contracts read of an encoded header
/// @notice env 108 bytes, close 260, roots 112; integers big-endian.
library HeaderFields {
    uint256 internal constant LENGTH = 480;

    struct Fields {
        uint64 timestamp;
        uint64 l1Number;
        uint32 generation;
        uint64 epoch;
        uint64 height;
    }

    /// @notice The fields of a header of the right length.
    function read(bytes calldata header) internal pure returns (Fields memory f) {
        f.timestamp = uint64(bytes8(header[0:8]));
        f.l1Number = uint64(bytes8(header[8:16]));
        f.generation = uint32(bytes4(header[108:112]));
        f.epoch = uint64(bytes8(header[112:120]));
        f.height = uint64(bytes8(header[120:128]));
    }

    /// @notice The height whose execution the header names, and the digest that it names it by; zeros for none.
    function checkpoint(bytes calldata header) internal pure returns (uint64 height, bytes32 digest) {
        return (uint64(bytes8(header[296:304])), bytes32(header[304:336]));
    }
}
