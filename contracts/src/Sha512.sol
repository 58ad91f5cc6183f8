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

    /// @dev FIPS 180-4, 4.2.3: 80 round constants of 64 bits, each twice with 64 zero bits between, for both halves of Sha512Pair.
    bytes internal constant ROUND_CONSTANTS = hex"428a2f98d728ae220000000000000000428a2f98d728ae22"
        hex"7137449123ef65cd00000000000000007137449123ef65cd" hex"b5c0fbcfec4d3b2f0000000000000000b5c0fbcfec4d3b2f"
        hex"e9b5dba58189dbbc0000000000000000e9b5dba58189dbbc" hex"3956c25bf348b53800000000000000003956c25bf348b538"
        hex"59f111f1b605d019000000000000000059f111f1b605d019" hex"923f82a4af194f9b0000000000000000923f82a4af194f9b"
        hex"ab1c5ed5da6d81180000000000000000ab1c5ed5da6d8118" hex"d807aa98a30302420000000000000000d807aa98a3030242"
        hex"12835b0145706fbe000000000000000012835b0145706fbe" hex"243185be4ee4b28c0000000000000000243185be4ee4b28c"
        hex"550c7dc3d5ffb4e20000000000000000550c7dc3d5ffb4e2" hex"72be5d74f27b896f000000000000000072be5d74f27b896f"
        hex"80deb1fe3b1696b1000000000000000080deb1fe3b1696b1" hex"9bdc06a725c7123500000000000000009bdc06a725c71235"
        hex"c19bf174cf6926940000000000000000c19bf174cf692694" hex"e49b69c19ef14ad20000000000000000e49b69c19ef14ad2"
        hex"efbe4786384f25e30000000000000000efbe4786384f25e3" hex"0fc19dc68b8cd5b500000000000000000fc19dc68b8cd5b5"
        hex"240ca1cc77ac9c650000000000000000240ca1cc77ac9c65" hex"2de92c6f592b027500000000000000002de92c6f592b0275"
        hex"4a7484aa6ea6e48300000000000000004a7484aa6ea6e483" hex"5cb0a9dcbd41fbd400000000000000005cb0a9dcbd41fbd4"
        hex"76f988da831153b5000000000000000076f988da831153b5" hex"983e5152ee66dfab0000000000000000983e5152ee66dfab"
        hex"a831c66d2db432100000000000000000a831c66d2db43210" hex"b00327c898fb213f0000000000000000b00327c898fb213f"
        hex"bf597fc7beef0ee40000000000000000bf597fc7beef0ee4" hex"c6e00bf33da88fc20000000000000000c6e00bf33da88fc2"
        hex"d5a79147930aa7250000000000000000d5a79147930aa725" hex"06ca6351e003826f000000000000000006ca6351e003826f"
        hex"142929670a0e6e700000000000000000142929670a0e6e70" hex"27b70a8546d22ffc000000000000000027b70a8546d22ffc"
        hex"2e1b21385c26c92600000000000000002e1b21385c26c926" hex"4d2c6dfc5ac42aed00000000000000004d2c6dfc5ac42aed"
        hex"53380d139d95b3df000000000000000053380d139d95b3df" hex"650a73548baf63de0000000000000000650a73548baf63de"
        hex"766a0abb3c77b2a80000000000000000766a0abb3c77b2a8" hex"81c2c92e47edaee6000000000000000081c2c92e47edaee6"
        hex"92722c851482353b000000000000000092722c851482353b" hex"a2bfe8a14cf103640000000000000000a2bfe8a14cf10364"
        hex"a81a664bbc4230010000000000000000a81a664bbc423001" hex"c24b8b70d0f897910000000000000000c24b8b70d0f89791"
        hex"c76c51a30654be300000000000000000c76c51a30654be30" hex"d192e819d6ef52180000000000000000d192e819d6ef5218"
        hex"d69906245565a9100000000000000000d69906245565a910" hex"f40e35855771202a0000000000000000f40e35855771202a"
        hex"106aa07032bbd1b80000000000000000106aa07032bbd1b8" hex"19a4c116b8d2d0c8000000000000000019a4c116b8d2d0c8"
        hex"1e376c085141ab5300000000000000001e376c085141ab53" hex"2748774cdf8eeb9900000000000000002748774cdf8eeb99"
        hex"34b0bcb5e19b48a8000000000000000034b0bcb5e19b48a8" hex"391c0cb3c5c95a630000000000000000391c0cb3c5c95a63"
        hex"4ed8aa4ae3418acb00000000000000004ed8aa4ae3418acb" hex"5b9cca4f7763e37300000000000000005b9cca4f7763e373"
        hex"682e6ff3d6b2b8a30000000000000000682e6ff3d6b2b8a3" hex"748f82ee5defb2fc0000000000000000748f82ee5defb2fc"
        hex"78a5636f43172f60000000000000000078a5636f43172f60" hex"84c87814a1f0ab72000000000000000084c87814a1f0ab72"
        hex"8cc702081a6439ec00000000000000008cc702081a6439ec" hex"90befffa23631e28000000000000000090befffa23631e28"
        hex"a4506cebde82bde90000000000000000a4506cebde82bde9" hex"bef9a3f7b2c679150000000000000000bef9a3f7b2c67915"
        hex"c67178f2e372532b0000000000000000c67178f2e372532b" hex"ca273eceea26619c0000000000000000ca273eceea26619c"
        hex"d186b8c721c0c2070000000000000000d186b8c721c0c207" hex"eada7dd6cde0eb1e0000000000000000eada7dd6cde0eb1e"
        hex"f57d4f7fee6ed1780000000000000000f57d4f7fee6ed178" hex"06f067aa72176fba000000000000000006f067aa72176fba"
        hex"0a637dc5a2c898a600000000000000000a637dc5a2c898a6" hex"113f9804bef90dae0000000000000000113f9804bef90dae"
        hex"1b710b35131c471b00000000000000001b710b35131c471b" hex"28db77f523047d84000000000000000028db77f523047d84"
        hex"32caab7b40c72493000000000000000032caab7b40c72493" hex"3c9ebe0a15c9bebc00000000000000003c9ebe0a15c9bebc"
        hex"431d67c49c100d4c0000000000000000431d67c49c100d4c" hex"4cc5d4becb3e42b600000000000000004cc5d4becb3e42b6"
        hex"597f299cfc657e2a0000000000000000597f299cfc657e2a" hex"5fcb6fab3ad6faec00000000000000005fcb6fab3ad6faec"
        hex"6c44198c4a47581700000000000000006c44198c4a475817";

    /// @param a first 32 bytes
    /// @param b next 32 bytes
    /// @param c last 32 bytes
    /// @return hi first half of the digest, big-endian
    /// @return lo second half of the digest, big-endian
    function hash96(bytes32 a, bytes32 b, bytes32 c) internal pure returns (uint256 hi, uint256 lo) {
        bytes memory constants = ROUND_CONSTANTS;
        uint256 k;
        // A load that ends with an entry: its low 64 bits are the constant, the rest is junk.
        assembly ("memory-safe") {
            k := add(constants, 24)
        }
        return _compress(_schedule(a, b, c), k);
    }

    /// @dev Message schedule W[0..79], one word per 32-byte slot, at the returned memory address; four words per turn.
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
            for { let q := add(w, 512) } lt(q, end) { q := add(q, 128) } {
                {
                    let x := mload(sub(q, 480))
                    let xx := mul(x, TWICE)
                    let sum := add(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), add(mload(sub(q, 224)), mload(sub(q, 512))))
                    let y := mload(sub(q, 64))
                    let yy := mul(y, TWICE)
                    mstore(q, and(add(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), sum), MASK))
                }
                {
                    let x := mload(sub(q, 448))
                    let xx := mul(x, TWICE)
                    let sum := add(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), add(mload(sub(q, 192)), mload(sub(q, 480))))
                    let y := mload(sub(q, 32))
                    let yy := mul(y, TWICE)
                    mstore(add(q, 32), and(add(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), sum), MASK))
                }
                {
                    let x := mload(sub(q, 416))
                    let xx := mul(x, TWICE)
                    let sum := add(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), add(mload(sub(q, 160)), mload(sub(q, 448))))
                    let y := mload(q)
                    let yy := mul(y, TWICE)
                    mstore(add(q, 64), and(add(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), sum), MASK))
                }
                {
                    let x := mload(sub(q, 384))
                    let xx := mul(x, TWICE)
                    let sum := add(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), add(mload(sub(q, 128)), mload(sub(q, 416))))
                    let y := mload(add(q, 32))
                    let yy := mul(y, TWICE)
                    mstore(add(q, 96), and(add(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), sum), MASK))
                }
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
                    t := add(add(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), xor(g, and(e, xor(f, g)))), add(h, add(mload(w), mload(k))))
                    d := and(add(d, t), MASK)
                    let u := mul(a, TWICE)
                    h := and(add(t, add(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), or(and(a, or(b, c)), and(b, c)))), MASK)
                }
                {
                    let t := mul(d, TWICE)
                    t := add(
                        add(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), xor(f, and(d, xor(e, f)))),
                        add(g, add(mload(add(w, 32)), mload(add(k, 24))))
                    )
                    c := and(add(c, t), MASK)
                    let u := mul(h, TWICE)
                    g := and(add(t, add(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), or(and(h, or(a, b)), and(a, b)))), MASK)
                }
                {
                    let t := mul(c, TWICE)
                    t := add(
                        add(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), xor(e, and(c, xor(d, e)))),
                        add(f, add(mload(add(w, 64)), mload(add(k, 48))))
                    )
                    b := and(add(b, t), MASK)
                    let u := mul(g, TWICE)
                    f := and(add(t, add(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), or(and(g, or(h, a)), and(h, a)))), MASK)
                }
                {
                    let t := mul(b, TWICE)
                    t := add(
                        add(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), xor(d, and(b, xor(c, d)))),
                        add(e, add(mload(add(w, 96)), mload(add(k, 72))))
                    )
                    a := and(add(a, t), MASK)
                    let u := mul(f, TWICE)
                    e := and(add(t, add(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), or(and(f, or(g, h)), and(g, h)))), MASK)
                }
                {
                    let t := mul(a, TWICE)
                    t := add(
                        add(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), xor(c, and(a, xor(b, c)))),
                        add(d, add(mload(add(w, 128)), mload(add(k, 96))))
                    )
                    h := and(add(h, t), MASK)
                    let u := mul(e, TWICE)
                    d := and(add(t, add(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), or(and(e, or(f, g)), and(f, g)))), MASK)
                }
                {
                    let t := mul(h, TWICE)
                    t := add(
                        add(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), xor(b, and(h, xor(a, b)))),
                        add(c, add(mload(add(w, 160)), mload(add(k, 120))))
                    )
                    g := and(add(g, t), MASK)
                    let u := mul(d, TWICE)
                    c := and(add(t, add(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), or(and(d, or(e, f)), and(e, f)))), MASK)
                }
                {
                    let t := mul(g, TWICE)
                    t := add(
                        add(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), xor(a, and(g, xor(h, a)))),
                        add(b, add(mload(add(w, 192)), mload(add(k, 144))))
                    )
                    f := and(add(f, t), MASK)
                    let u := mul(c, TWICE)
                    b := and(add(t, add(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), or(and(c, or(d, e)), and(d, e)))), MASK)
                }
                {
                    let t := mul(f, TWICE)
                    t := add(
                        add(xor(xor(shr(14, t), shr(18, t)), shr(41, t)), xor(h, and(f, xor(g, h)))),
                        add(a, add(mload(add(w, 224)), mload(add(k, 168))))
                    )
                    e := and(add(e, t), MASK)
                    let u := mul(b, TWICE)
                    a := and(add(t, add(xor(xor(shr(28, u), shr(34, u)), shr(39, u)), or(and(b, or(c, d)), and(c, d)))), MASK)
                }
                k := add(k, 192)
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
