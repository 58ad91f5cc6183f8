// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {ICertificateVerifier} from "./ICertificateVerifier.sol";
import {Registry} from "./Registry.sol";

/// @title Certificates of secp256k1 signatures
/// @notice 65 bytes r || s || v each, v 27 or 28, s in the lower half: one signature has one encoding, as off chain.
/// @dev About 4,500 gas a signer. A signer counts once by construction: the bitmap names it, the order binds its signature.
contract EcdsaCertificateVerifier is ICertificateVerifier {
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    Registry public immutable registry;

    constructor(address registry_) {
        registry = Registry(registry_);
    }

    /// @inheritdoc ICertificateVerifier
    function weigh(uint64 epoch, bytes32 digest, bytes calldata bitmap, bytes calldata sigs)
        external
        view
        returns (uint256 weight, uint256 total)
    {
        address pointer;
        (pointer, total) = registry.epochSet(epoch);
        if (pointer == address(0)) revert Inbox_UnknownEpoch(epoch);
        bytes memory records = SSTORE2.read(pointer);
        _checkCounts(records.length / 32, bitmap, sigs.length);
        weight = _weigh(records, digest, bitmap, sigs);
    }

    /// @dev After this every set bit has a record and a signature, and no byte of either is left over.
    function _checkCounts(uint256 signers, bytes calldata bitmap, uint256 sigsLength) private pure {
        if (bitmap.length > (signers + 7) / 8) revert Inbox_SignatureCount();
        bool whole = bitmap.length * 8 > signers;
        if (whole && uint8(bitmap[bitmap.length - 1]) >> (signers % 8) != 0) revert Inbox_SignatureCount();
        uint256 set;
        for (uint256 i; i < bitmap.length; i++) {
            for (uint256 rest = uint8(bitmap[i]); rest != 0; rest &= rest - 1) {
                set++;
            }
        }
        if (sigsLength != 65 * set) revert Inbox_SignatureCount();
    }

    function _weigh(bytes memory records, bytes32 digest, bytes calldata bitmap, bytes calldata sigs)
        private
        view
        returns (uint256 weight)
    {
        bytes4 refusal = Inbox_BadSignature.selector;
        assembly ("memory-safe") {
            let call_ := mload(0x40)
            mstore(call_, digest)
            let sig := sigs.offset
            // Not all signers may have a bit: trailing zero bytes of the bitmap are left out.
            let count := shr(5, mload(records))
            if gt(count, shl(3, bitmap.length)) { count := shl(3, bitmap.length) }
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                if and(byte(0, calldataload(add(bitmap.offset, shr(3, i)))), shl(and(i, 7), 1)) {
                    mstore(add(call_, 32), byte(0, calldataload(add(sig, 64))))
                    calldatacopy(add(call_, 64), sig, 64)
                    // The precompile returns nothing for a bad signature, so the zero of before stays; it never counts.
                    mstore(0, 0)
                    pop(staticcall(gas(), 1, call_, 128, 0, 32))
                    let record := mload(add(add(records, 32), shl(5, i)))
                    let bad := or(iszero(mload(0)), iszero(eq(mload(0), shr(96, record))))
                    if or(bad, gt(calldataload(add(sig, 32)), HALF_ORDER)) {
                        mstore(0, refusal)
                        mstore(4, i)
                        revert(0, 36)
                    }
                    weight := add(weight, and(record, 0xffffffffffffffffffffffff))
                    sig := add(sig, 65)
                }
            }
        }
    }
}
