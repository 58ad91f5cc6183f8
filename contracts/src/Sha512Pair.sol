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
        // A load that ends with an entry: the constant in both halves, junk above it in the upper one only.
        assembly ("memory-safe") {
            k := add(constants, 24)
            digests := mload(0x40)
            mstore(0x40, add(digests, 2560))
        }
        _schedule(digests, [r1, r2, key, key, m1, m2]);
        _compress(digests, k);
    }

    /// @dev Message schedule W[0..79] of both, one word per 32-byte slot, four per turn. `m` has the words of both by turns.
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
            for { let q := add(w, 512) } lt(q, end) { q := add(q, 128) } {
                {
                    let x := mload(sub(q, 480))
                    let xx := mul(x, TWICE)
                    let sum := add(and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES), add(mload(sub(q, 224)), mload(sub(q, 512))))
                    let y := mload(sub(q, 64))
                    let yy := mul(y, TWICE)
                    mstore(q, and(add(and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES), sum), LANES))
                }
                {
                    let x := mload(sub(q, 448))
                    let xx := mul(x, TWICE)
                    let sum := add(and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES), add(mload(sub(q, 192)), mload(sub(q, 480))))
                    let y := mload(sub(q, 32))
                    let yy := mul(y, TWICE)
                    mstore(add(q, 32), and(add(and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES), sum), LANES))
                }
                {
                    let x := mload(sub(q, 416))
                    let xx := mul(x, TWICE)
                    let sum := add(and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES), add(mload(sub(q, 160)), mload(sub(q, 448))))
                    let y := mload(q)
                    let yy := mul(y, TWICE)
                    mstore(add(q, 64), and(add(and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES), sum), LANES))
                }
                {
                    let x := mload(sub(q, 384))
                    let xx := mul(x, TWICE)
                    let sum := add(and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES), add(mload(sub(q, 128)), mload(sub(q, 416))))
                    let y := mload(add(q, 32))
                    let yy := mul(y, TWICE)
                    mstore(add(q, 96), and(add(and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES), sum), LANES))
                }
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
                    t := add(
                        add(and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES), xor(g, and(e, xor(f, g)))),
                        add(h, add(mload(w), mload(k)))
                    )
                    d := and(add(d, t), LANES)
                    let u := mul(a, TWICE)
                    h := and(add(t, add(and(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), LANES), or(and(a, or(b, c)), and(b, c)))), LANES)
                }
                {
                    let t := mul(d, TWICE)
                    t := add(
                        add(and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES), xor(f, and(d, xor(e, f)))),
                        add(g, add(mload(add(w, 32)), mload(add(k, 24))))
                    )
                    c := and(add(c, t), LANES)
                    let u := mul(h, TWICE)
                    g := and(add(t, add(and(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), LANES), or(and(h, or(a, b)), and(a, b)))), LANES)
                }
                {
                    let t := mul(c, TWICE)
                    t := add(
                        add(and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES), xor(e, and(c, xor(d, e)))),
                        add(f, add(mload(add(w, 64)), mload(add(k, 48))))
                    )
                    b := and(add(b, t), LANES)
                    let u := mul(g, TWICE)
                    f := and(add(t, add(and(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), LANES), or(and(g, or(h, a)), and(h, a)))), LANES)
                }
                {
                    let t := mul(b, TWICE)
                    t := add(
                        add(and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES), xor(d, and(b, xor(c, d)))),
                        add(e, add(mload(add(w, 96)), mload(add(k, 72))))
                    )
                    a := and(add(a, t), LANES)
                    let u := mul(f, TWICE)
                    e := and(add(t, add(and(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), LANES), or(and(f, or(g, h)), and(g, h)))), LANES)
                }
                {
                    let t := mul(a, TWICE)
                    t := add(
                        add(and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES), xor(c, and(a, xor(b, c)))),
                        add(d, add(mload(add(w, 128)), mload(add(k, 96))))
                    )
                    h := and(add(h, t), LANES)
                    let u := mul(e, TWICE)
                    d := and(add(t, add(and(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), LANES), or(and(e, or(f, g)), and(f, g)))), LANES)
                }
                {
                    let t := mul(h, TWICE)
                    t := add(
                        add(and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES), xor(b, and(h, xor(a, b)))),
                        add(c, add(mload(add(w, 160)), mload(add(k, 120))))
                    )
                    g := and(add(g, t), LANES)
                    let u := mul(d, TWICE)
                    c := and(add(t, add(and(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), LANES), or(and(d, or(e, f)), and(e, f)))), LANES)
                }
                {
                    let t := mul(g, TWICE)
                    t := add(
                        add(and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES), xor(a, and(g, xor(h, a)))),
                        add(b, add(mload(add(w, 192)), mload(add(k, 144))))
                    )
                    f := and(add(f, t), LANES)
                    let u := mul(c, TWICE)
                    b := and(add(t, add(and(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), LANES), or(and(c, or(d, e)), and(d, e)))), LANES)
                }
                {
                    let t := mul(f, TWICE)
                    t := add(
                        add(and(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), LANES), xor(h, and(f, xor(g, h)))),
                        add(a, add(mload(add(w, 224)), mload(add(k, 168))))
                    )
                    e := and(add(e, t), LANES)
                    let u := mul(b, TWICE)
                    a := and(add(t, add(and(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), LANES), or(and(b, or(c, d)), and(c, d)))), LANES)
                }
                k := add(k, 192)
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
