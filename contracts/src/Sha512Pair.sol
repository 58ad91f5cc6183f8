// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Sha512} from "./Sha512.sol";

/// @title SHA-512 of two messages of 96 bytes at once
/// @notice For the challenges of two signatures of one key, at little more than the price of one.
/// @dev A word holds both messages: one in bits 0 to 63, the other in bits 128 to 191. Bits 64 to 127 of either half take what
/// rotations and carries leave over; sums are of words without junk, so that no carry reaches the other half. Legacy code generation
/// only, as Sha512.
library Sha512Pair {
    uint256 private constant MASK = 0xffffffffffffffff;
    /// @dev Mask of both halves.
    uint256 private constant LANES = 0xffffffffffffffff0000000000000000ffffffffffffffff;
    /// @dev `x * BOTH` is `x` in both halves.
    uint256 private constant BOTH = 0x100000000000000000000000000000001;
    /// @dev `x * TWICE` is `x || x` in each half, so a right shift of it is a rotation of `x` in the low 64 bits of the half.
    uint256 private constant TWICE = 0x10000000000000001;

    /// @notice The digests of `r1 || key || m1` and `r2 || key || m2`, big-endian halves.
    /// @return digests memory address of the first digest's halves, then the second's: 128 bytes
    function hash96(bytes32 r1, bytes32 r2, bytes32 key, bytes32 m1, bytes32 m2) internal pure returns (uint256 digests) {
        bytes memory constants = Sha512.ROUND_CONSTANTS;
        uint256 k;
        assembly ("memory-safe") {
            k := add(constants, 8)
            digests := mload(0x40)
            mstore(0x40, add(digests, 2560))
        }
        _schedule(digests, [r1, r2, key, key, m1, m2]);
        _compress(digests, k);
    }

    /// @dev Message schedule W[0..79] of both, one word per 32-byte slot. `m` has the words of both by turns.
    function _schedule(uint256 w, bytes32[6] memory m) private pure {
        assembly ("memory-safe") {
            function spread(place, first, second) {
                mstore(place, or(shr(192, first), shl(128, shr(192, second))))
                mstore(add(place, 32), or(and(shr(128, first), MASK), shl(128, and(shr(128, second), MASK))))
                mstore(add(place, 64), or(and(shr(64, first), MASK), shl(128, and(shr(64, second), MASK))))
                mstore(add(place, 96), or(and(first, MASK), shl(128, and(second, MASK))))
            }
            spread(w, mload(m), mload(add(m, 32)))
            spread(add(w, 128), mload(add(m, 64)), mload(add(m, 96)))
            spread(add(w, 256), mload(add(m, 128)), mload(add(m, 160)))
            // Padding: one set bit, zeros, then the length 768 in bits.
            mstore(add(w, 384), mul(0x8000000000000000, BOTH))
            mstore(add(w, 416), 0)
            mstore(add(w, 448), 0)
            mstore(add(w, 480), mul(768, BOTH))
            let end := add(w, 2560)
            for { let q := add(w, 512) } lt(q, end) { q := add(q, 32) } {
                let x := mload(sub(q, 480))
                let y := mload(sub(q, 64))
                let xx := mul(x, TWICE)
                let yy := mul(y, TWICE)
                let s0 := and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES)
                let s1 := and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                mstore(q, and(add(add(s0, s1), add(mload(sub(q, 224)), mload(sub(q, 512)))), LANES))
            }
        }
    }

    /// @dev 80 rounds, eight per turn as in Sha512. The digests take the place of the schedule's first words.
    function _compress(uint256 w, uint256 k) private pure {
        assembly ("memory-safe") {
            let a := mul(0x6a09e667f3bcc908, BOTH)
            let b := mul(0xbb67ae8584caa73b, BOTH)
            let c := mul(0x3c6ef372fe94f82b, BOTH)
            let d := mul(0xa54ff53a5f1d36f1, BOTH)
            let e := mul(0x510e527fade682d1, BOTH)
            let f := mul(0x9b05688c2b3e6c1f, BOTH)
            let g := mul(0x1f83d9abfb41bd6b, BOTH)
            let h := mul(0x5be0cd19137e2179, BOTH)
            // The ends of the schedule wait in scratch space: the stack is full.
            mstore(0, add(w, 2560))
            for {} lt(w, mload(0)) { w := add(w, 256) } {
                {
                    let t := mul(e, TWICE)
                    t := and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES)
                    t := add(add(t, xor(g, and(e, xor(f, g)))), h)
                    t := add(add(t, mload(w)), mul(and(mload(k), MASK), BOTH))
                    d := and(add(d, t), LANES)
                    h := mul(a, TWICE)
                    h := and(xor(xor(shr(28, h), shr(34, h)), shr(39, h)), LANES)
                    h := and(add(t, add(h, or(and(a, or(b, c)), and(b, c)))), LANES)
                }
                {
                    let t := mul(d, TWICE)
                    t := and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES)
                    t := add(add(t, xor(f, and(d, xor(e, f)))), g)
                    t := add(add(t, mload(add(w, 32))), mul(and(mload(add(k, 8)), MASK), BOTH))
                    c := and(add(c, t), LANES)
                    g := mul(h, TWICE)
                    g := and(xor(xor(shr(28, g), shr(34, g)), shr(39, g)), LANES)
                    g := and(add(t, add(g, or(and(h, or(a, b)), and(a, b)))), LANES)
                }
                {
                    let t := mul(c, TWICE)
                    t := and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES)
                    t := add(add(t, xor(e, and(c, xor(d, e)))), f)
                    t := add(add(t, mload(add(w, 64))), mul(and(mload(add(k, 16)), MASK), BOTH))
                    b := and(add(b, t), LANES)
                    f := mul(g, TWICE)
                    f := and(xor(xor(shr(28, f), shr(34, f)), shr(39, f)), LANES)
                    f := and(add(t, add(f, or(and(g, or(h, a)), and(h, a)))), LANES)
                }
                {
                    let t := mul(b, TWICE)
                    t := and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES)
                    t := add(add(t, xor(d, and(b, xor(c, d)))), e)
                    t := add(add(t, mload(add(w, 96))), mul(and(mload(add(k, 24)), MASK), BOTH))
                    a := and(add(a, t), LANES)
                    e := mul(f, TWICE)
                    e := and(xor(xor(shr(28, e), shr(34, e)), shr(39, e)), LANES)
                    e := and(add(t, add(e, or(and(f, or(g, h)), and(g, h)))), LANES)
                }
                {
                    let t := mul(a, TWICE)
                    t := and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES)
                    t := add(add(t, xor(c, and(a, xor(b, c)))), d)
                    t := add(add(t, mload(add(w, 128))), mul(and(mload(add(k, 32)), MASK), BOTH))
                    h := and(add(h, t), LANES)
                    d := mul(e, TWICE)
                    d := and(xor(xor(shr(28, d), shr(34, d)), shr(39, d)), LANES)
                    d := and(add(t, add(d, or(and(e, or(f, g)), and(f, g)))), LANES)
                }
                {
                    let t := mul(h, TWICE)
                    t := and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES)
                    t := add(add(t, xor(b, and(h, xor(a, b)))), c)
                    t := add(add(t, mload(add(w, 160))), mul(and(mload(add(k, 40)), MASK), BOTH))
                    g := and(add(g, t), LANES)
                    c := mul(d, TWICE)
                    c := and(xor(xor(shr(28, c), shr(34, c)), shr(39, c)), LANES)
                    c := and(add(t, add(c, or(and(d, or(e, f)), and(e, f)))), LANES)
                }
                {
                    let t := mul(g, TWICE)
                    t := and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES)
                    t := add(add(t, xor(a, and(g, xor(h, a)))), b)
                    t := add(add(t, mload(add(w, 192))), mul(and(mload(add(k, 48)), MASK), BOTH))
                    f := and(add(f, t), LANES)
                    b := mul(c, TWICE)
                    b := and(xor(xor(shr(28, b), shr(34, b)), shr(39, b)), LANES)
                    b := and(add(t, add(b, or(and(c, or(d, e)), and(d, e)))), LANES)
                }
                {
                    let t := mul(f, TWICE)
                    t := and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES)
                    t := add(add(t, xor(h, and(f, xor(g, h)))), a)
                    t := add(add(t, mload(add(w, 224))), mul(and(mload(add(k, 56)), MASK), BOTH))
                    e := and(add(e, t), LANES)
                    a := mul(b, TWICE)
                    a := and(xor(xor(shr(28, a), shr(34, a)), shr(39, a)), LANES)
                    a := and(add(t, add(a, or(and(b, or(c, d)), and(c, d)))), LANES)
                }
                k := add(k, 64)
            }
            w := sub(w, 2560)
            a := and(add(a, mul(0x6a09e667f3bcc908, BOTH)), LANES)
            b := and(add(b, mul(0xbb67ae8584caa73b, BOTH)), LANES)
            c := and(add(c, mul(0x3c6ef372fe94f82b, BOTH)), LANES)
            d := and(add(d, mul(0xa54ff53a5f1d36f1, BOTH)), LANES)
            mstore(w, or(or(shl(192, a), shl(128, and(b, MASK))), or(shl(64, and(c, MASK)), and(d, MASK))))
            mstore(add(w, 64), or(or(shl(192, shr(128, a)), shl(128, shr(128, b))), or(shl(64, shr(128, c)), shr(128, d))))
            e := and(add(e, mul(0x510e527fade682d1, BOTH)), LANES)
            f := and(add(f, mul(0x9b05688c2b3e6c1f, BOTH)), LANES)
            g := and(add(g, mul(0x1f83d9abfb41bd6b, BOTH)), LANES)
            h := and(add(h, mul(0x5be0cd19137e2179, BOTH)), LANES)
            mstore(add(w, 32), or(or(shl(192, e), shl(128, and(f, MASK))), or(shl(64, and(g, MASK)), and(h, MASK))))
            mstore(add(w, 96), or(or(shl(192, shr(128, e)), shl(128, shr(128, f))), or(shl(64, shr(128, g)), shr(128, h))))
        }
    }
}
