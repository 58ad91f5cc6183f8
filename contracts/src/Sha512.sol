// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title SHA-512 of exactly 96 bytes
/// @notice For Ed25519 challenges over a 32-byte digest: `R || A || M` is 96 bytes, so with padding it is one 128-byte block.
/// @dev Not a general SHA-512. Words are kept in 32-byte slots; bits above the low 64 are junk until a value is stored or leaves.
/// Legacy code generation only: the IR pipeline spills the eight working variables.
library Sha512 {
    uint256 private constant MASK = 0xffffffffffffffff;

    /// @dev `x * TWICE` is `x || x` (128 bits), so a right shift of it is a rotation of `x` in its low 64 bits.
    uint256 private constant TWICE = 0x10000000000000001;

    /// @dev FIPS 180-4, 4.2.3: 80 round constants of 64 bits.
    bytes internal constant ROUND_CONSTANTS = hex"428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc"
        hex"3956c25bf348b53859f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118"
        hex"d807aa98a303024212835b0145706fbe243185be4ee4b28c550c7dc3d5ffb4e2"
        hex"72be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235c19bf174cf692694"
        hex"e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c65"
        hex"2de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5"
        hex"983e5152ee66dfaba831c66d2db43210b00327c898fb213fbf597fc7beef0ee4"
        hex"c6e00bf33da88fc2d5a79147930aa72506ca6351e003826f142929670a0e6e70"
        hex"27b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed53380d139d95b3df"
        hex"650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353b"
        hex"a2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30"
        hex"d192e819d6ef5218d69906245565a910f40e35855771202a106aa07032bbd1b8"
        hex"19a4c116b8d2d0c81e376c085141ab532748774cdf8eeb9934b0bcb5e19b48a8"
        hex"391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373682e6ff3d6b2b8a3"
        hex"748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec"
        hex"90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532b"
        hex"ca273eceea26619cd186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed178"
        hex"06f067aa72176fba0a637dc5a2c898a6113f9804bef90dae1b710b35131c471b"
        hex"28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc431d67c49c100d4c"
        hex"4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817";

    /// @param a first 32 bytes
    /// @param b next 32 bytes
    /// @param c last 32 bytes
    /// @return hi first half of the digest, big-endian
    /// @return lo second half of the digest, big-endian
    function hash96(bytes32 a, bytes32 b, bytes32 c) internal pure returns (uint256 hi, uint256 lo) {
        bytes memory constants = ROUND_CONSTANTS;
        uint256 k;
        // A load that ends with a constant: its low 64 bits are the constant, the rest is junk.
        assembly ("memory-safe") {
            k := add(constants, 8)
        }
        return _compress(_schedule(a, b, c), k);
    }

    /// @dev Message schedule W[0..79], one word per 32-byte slot, at the returned memory address.
    function _schedule(bytes32 a, bytes32 b, bytes32 c) private pure returns (uint256 w) {
        assembly ("memory-safe") {
            function spread(at, word) {
                mstore(at, shr(192, word))
                mstore(add(at, 32), and(shr(128, word), MASK))
                mstore(add(at, 64), and(shr(64, word), MASK))
                mstore(add(at, 96), and(word, MASK))
            }
            w := mload(0x40)
            mstore(0x40, add(w, 2560))
            spread(w, a)
            spread(add(w, 128), b)
            spread(add(w, 256), c)
            // Padding: one set bit, zeros, then the length 768 in bits.
            mstore(add(w, 384), 0x8000000000000000)
            mstore(add(w, 416), 0)
            mstore(add(w, 448), 0)
            mstore(add(w, 480), 768)
            let end := add(w, 2560)
            for { let q := add(w, 512) } lt(q, end) { q := add(q, 32) } {
                let x := mload(sub(q, 480))
                let y := mload(sub(q, 64))
                let xx := mul(x, TWICE)
                let yy := mul(y, TWICE)
                let s0 := xor(xor(shr(1, xx), shr(8, xx)), shr(7, x))
                let s1 := xor(xor(shr(19, yy), shr(61, yy)), shr(6, y))
                mstore(q, and(add(add(s0, s1), add(mload(sub(q, 224)), mload(sub(q, 512)))), MASK))
            }
        }
    }

    /// @dev 80 rounds, eight per turn so that the working variables rotate by name instead of by moves.
    function _compress(uint256 w, uint256 k) private pure returns (uint256 hi, uint256 lo) {
        assembly ("memory-safe") {
            let a := 0x6a09e667f3bcc908
            let b := 0xbb67ae8584caa73b
            let c := 0x3c6ef372fe94f82b
            let d := 0xa54ff53a5f1d36f1
            let e := 0x510e527fade682d1
            let f := 0x9b05688c2b3e6c1f
            let g := 0x1f83d9abfb41bd6b
            let h := 0x5be0cd19137e2179
            // The end of the schedule waits in scratch space: the stack is full.
            mstore(0, add(w, 2560))
            for {} lt(w, mload(0)) { w := add(w, 256) } {
                {
                    let t := mul(e, TWICE)
                    t := xor(xor(shr(14, t), shr(18, t)), shr(41, t))
                    t := add(add(add(h, mload(k)), mload(w)), add(t, xor(g, and(e, xor(f, g)))))
                    d := and(add(d, t), MASK)
                    h := mul(a, TWICE)
                    h := xor(xor(shr(28, h), shr(34, h)), shr(39, h))
                    h := and(add(t, add(h, or(and(a, or(b, c)), and(b, c)))), MASK)
                }
                {
                    let t := mul(d, TWICE)
                    t := xor(xor(shr(14, t), shr(18, t)), shr(41, t))
                    t := add(add(add(g, mload(add(k, 8))), mload(add(w, 32))), add(t, xor(f, and(d, xor(e, f)))))
                    c := and(add(c, t), MASK)
                    g := mul(h, TWICE)
                    g := xor(xor(shr(28, g), shr(34, g)), shr(39, g))
                    g := and(add(t, add(g, or(and(h, or(a, b)), and(a, b)))), MASK)
                }
                {
                    let t := mul(c, TWICE)
                    t := xor(xor(shr(14, t), shr(18, t)), shr(41, t))
                    t := add(add(add(f, mload(add(k, 16))), mload(add(w, 64))), add(t, xor(e, and(c, xor(d, e)))))
                    b := and(add(b, t), MASK)
                    f := mul(g, TWICE)
                    f := xor(xor(shr(28, f), shr(34, f)), shr(39, f))
                    f := and(add(t, add(f, or(and(g, or(h, a)), and(h, a)))), MASK)
                }
                {
                    let t := mul(b, TWICE)
                    t := xor(xor(shr(14, t), shr(18, t)), shr(41, t))
                    t := add(add(add(e, mload(add(k, 24))), mload(add(w, 96))), add(t, xor(d, and(b, xor(c, d)))))
                    a := and(add(a, t), MASK)
                    e := mul(f, TWICE)
                    e := xor(xor(shr(28, e), shr(34, e)), shr(39, e))
                    e := and(add(t, add(e, or(and(f, or(g, h)), and(g, h)))), MASK)
                }
                {
                    let t := mul(a, TWICE)
                    t := xor(xor(shr(14, t), shr(18, t)), shr(41, t))
                    t := add(add(add(d, mload(add(k, 32))), mload(add(w, 128))), add(t, xor(c, and(a, xor(b, c)))))
                    h := and(add(h, t), MASK)
                    d := mul(e, TWICE)
                    d := xor(xor(shr(28, d), shr(34, d)), shr(39, d))
                    d := and(add(t, add(d, or(and(e, or(f, g)), and(f, g)))), MASK)
                }
                {
                    let t := mul(h, TWICE)
                    t := xor(xor(shr(14, t), shr(18, t)), shr(41, t))
                    t := add(add(add(c, mload(add(k, 40))), mload(add(w, 160))), add(t, xor(b, and(h, xor(a, b)))))
                    g := and(add(g, t), MASK)
                    c := mul(d, TWICE)
                    c := xor(xor(shr(28, c), shr(34, c)), shr(39, c))
                    c := and(add(t, add(c, or(and(d, or(e, f)), and(e, f)))), MASK)
                }
                {
                    let t := mul(g, TWICE)
                    t := xor(xor(shr(14, t), shr(18, t)), shr(41, t))
                    t := add(add(add(b, mload(add(k, 48))), mload(add(w, 192))), add(t, xor(a, and(g, xor(h, a)))))
                    f := and(add(f, t), MASK)
                    b := mul(c, TWICE)
                    b := xor(xor(shr(28, b), shr(34, b)), shr(39, b))
                    b := and(add(t, add(b, or(and(c, or(d, e)), and(d, e)))), MASK)
                }
                {
                    let t := mul(f, TWICE)
                    t := xor(xor(shr(14, t), shr(18, t)), shr(41, t))
                    t := add(add(add(a, mload(add(k, 56))), mload(add(w, 224))), add(t, xor(h, and(f, xor(g, h)))))
                    e := and(add(e, t), MASK)
                    a := mul(b, TWICE)
                    a := xor(xor(shr(28, a), shr(34, a)), shr(39, a))
                    a := and(add(t, add(a, or(and(b, or(c, d)), and(c, d)))), MASK)
                }
                k := add(k, 64)
            }
            hi := shl(192, and(add(a, 0x6a09e667f3bcc908), MASK))
            hi := or(hi, shl(128, and(add(b, 0xbb67ae8584caa73b), MASK)))
            hi := or(hi, shl(64, and(add(c, 0x3c6ef372fe94f82b), MASK)))
            hi := or(hi, and(add(d, 0xa54ff53a5f1d36f1), MASK))
            lo := shl(192, and(add(e, 0x510e527fade682d1), MASK))
            lo := or(lo, shl(128, and(add(f, 0x9b05688c2b3e6c1f), MASK)))
            lo := or(lo, shl(64, and(add(g, 0x1f83d9abfb41bd6b), MASK)))
            lo := or(lo, and(add(h, 0x5be0cd19137e2179), MASK))
        }
    }
}
