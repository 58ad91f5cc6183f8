// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EvidenceReader} from "./EvidenceReader.sol";

/// @title Sender of a transaction
/// @notice Recovers who signed an EIP-2718 transaction of the kinds that the rollup takes: legacy with a chain id (EIP-155), access
/// list (1), fee market (2) and code authorization (4).
/// @dev The bytes are those of a transaction that a quorum of nodes had decoded, so only their form is walked, not judged.
library ClaimsTx {
    using EvidenceReader for bytes;

    error Claims_Transaction();

    function sender(bytes calldata tx_) internal pure returns (address who) {
        _need(tx_.length > 1);
        uint256 kind = tx_.number(0, 1);
        uint256 fields = _fields(kind);
        uint256 start = kind < 0xc0 ? 1 : 0;
        (uint256 pos, uint256 end) = _item(tx_, start);
        _need(end == tx_.length);
        uint256 first = pos;
        for (uint256 i = 3; i < fields; i++) {
            (, pos) = _item(tx_, pos);
        }
        uint256 signed = pos;
        uint256[3] memory sig;
        for (uint256 i; i < 3; i++) {
            (sig[i], pos) = _integer(tx_, pos);
        }
        _need(pos == end);
        who = _recover(_hash(tx_[0:start], tx_[first:signed], start == 0 ? sig[0] : 0), start == 0, sig);
        _need(who != address(0));
    }

    /// @notice The most that a transaction offers per gas to whoever orders it, and its gas limit; of one whose sender was recovered.
    /// @dev Before the fee market its gas price is both fees (EIP-1559).
    function offer(bytes calldata tx_) internal pure returns (uint256 tip, uint256 gasLimit) {
        uint256 kind = tx_.number(0, 1);
        uint256 pos;
        if (kind < 0xc0) {
            (pos,) = _item(tx_, 1);
            (, pos) = _item(tx_, pos); // chain id
        } else {
            (pos,) = _item(tx_, 0);
        }
        (, pos) = _item(tx_, pos); // nonce
        (tip, pos) = _integer(tx_, pos);
        if (kind == 2 || kind == 4) {
            uint256 most;
            (most, pos) = _integer(tx_, pos);
            if (most < tip) tip = most;
        }
        (gasLimit,) = _integer(tx_, pos);
    }

    function _fields(uint256 kind) private pure returns (uint256) {
        if (kind >= 0xc0) return 9;
        if (kind == 1) return 11;
        if (kind == 2) return 12;
        if (kind == 4) return 13;
        revert Claims_Transaction();
    }

    function _recover(bytes32 hash, bool legacy, uint256[3] memory sig) private pure returns (address) {
        uint256 parity = legacy ? (sig[0] - 35) & 1 : sig[0];
        _need(parity <= 1);
        return ecrecover(hash, uint8(27 + parity), bytes32(sig[1]), bytes32(sig[2]));
    }

    /// @param v of a legacy transaction, from which its chain id comes; else 0
    function _hash(bytes calldata kind, bytes calldata fields, uint256 v) private pure returns (bytes32) {
        bytes memory rest;
        if (kind.length == 0) {
            _need(v >= 35);
            rest = abi.encodePacked(_encode((v - 35) / 2), hex"8080");
        }
        return keccak256(abi.encodePacked(kind, _listHead(fields.length + rest.length), fields, rest));
    }

    /// @dev Where the contents of the item at `pos` begin and end.
    function _item(bytes calldata data, uint256 pos) private pure returns (uint256 from, uint256 to) {
        _need(pos < data.length);
        uint256 head = data.number(pos, 1);
        uint256 base = head < 0xc0 ? 0x80 : 0xc0;
        if (head < 0x80) return (pos, _within(data, pos + 1));
        if (head - base < 56) return (pos + 1, _within(data, pos + 1 + head - base));
        uint256 width = head - base - 55;
        _within(data, pos + 1 + width);
        uint256 length = data.number(pos + 1, width);
        _need(length < data.length);
        return (pos + 1 + width, _within(data, pos + 1 + width + length));
    }

    function _integer(bytes calldata data, uint256 pos) private pure returns (uint256 value, uint256 end) {
        (pos, end) = _item(data, pos);
        _need(end - pos <= 32);
        if (end > pos) value = data.number(pos, end - pos);
    }

    function _within(bytes calldata data, uint256 pos) private pure returns (uint256) {
        _need(pos <= data.length);
        return pos;
    }

    function _listHead(uint256 length) private pure returns (bytes memory) {
        if (length < 56) return abi.encodePacked(uint8(0xc0 + length));
        bytes memory number = _bytes(length);
        return abi.encodePacked(uint8(0xf7 + number.length), number);
    }

    function _encode(uint256 v) private pure returns (bytes memory) {
        if (v == 0) return hex"80";
        if (v < 0x80) return abi.encodePacked(uint8(v));
        bytes memory number = _bytes(v);
        return abi.encodePacked(uint8(0x80 + number.length), number);
    }

    /// @dev Big-endian, without leading zeros.
    function _bytes(uint256 v) private pure returns (bytes memory out) {
        uint256 size;
        for (uint256 rest = v; rest != 0; rest >>= 8) {
            size++;
        }
        out = new bytes(size);
        for (uint256 i = size; i > 0; i--) {
            out[i - 1] = bytes1(uint8(v));
            v >>= 8;
        }
    }

    function _need(bool holds) private pure {
        if (!holds) revert Claims_Transaction();
    }
}
