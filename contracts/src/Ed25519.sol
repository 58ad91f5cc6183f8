// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ed25519Base} from "./Ed25519Base.sol";
import {Sha512} from "./Sha512.sol";
import {Sha512Pair} from "./Sha512Pair.sol";

/// @title Strict Ed25519 over a 32-byte message
/// @notice Accepts exactly what the sequencers accept off chain (ed25519-dalek `verify_strict` and a canonical key): a signature
/// that counts off chain and not here could never be slashed. That is: S < L; A and R canonical (y < p) and not of small order;
/// the cofactorless equation R = [S]B - [k]A with R compared as bytes; k = SHA-512(R || A || M) mod L.
/// @dev Twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2 in projective coordinates; the formulas (hwcd-2008, a = -1) are complete,
/// so no input is exceptional. Both scalars are combed with eight teeth, 32 bits apart: [S]B - [k]A is one pass of 32 doublings.
/// A point that is added often is cached as (Y + X, Y - X, 2Z, 2dT) up to a common factor, with T = XY/Z.
/// Sums stay unreduced where they fit (2p < 2^256). What is hot has p in a variable: a literal would be built of smaller ones every
/// time, to save code. Legacy code generation only, see Sha512.
library Ed25519 {
    /// @dev Field prime 2^255 - 19, and twice it.
    uint256 private constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    uint256 private constant P2 = 0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffda;
    /// @dev Order of the base point's subgroup.
    uint256 private constant L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    /// @dev 2^256 mod L.
    uint256 private constant R256 = 0x0ffffffffffffffffffffffffffffffec6ef5bf4737dcf70d6ec31748d98951d;
    /// @dev 1/2 mod L.
    uint256 private constant HALF_L = 0x080000000000000000000000000000000a6f7cef517bce6b2c09318d2e7ae9f7;
    /// @dev Curve constant d = -121665/121666, 2d and 1/(2d).
    uint256 private constant D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3;
    uint256 private constant D2 = 0x2406d9dc56dffce7198e80f2eef3d13000e0149a8283b156ebd69b9426b2f159;
    uint256 private constant INV_D2 = 0x60483f690a6ae721958b108a66dce7b305aeeb4c213caa1712f0793b66e4fc18;
    /// @dev 1/2 mod p.
    uint256 private constant HALF = 0x3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7;
    /// @dev sqrt(-1) mod p.
    uint256 private constant SQRT_M1 = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0;
    /// @dev (p - 5) / 8 and p - 2, exponents of the square root and of the inverse.
    uint256 private constant EXP_SQRT = 0x0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffd;
    uint256 private constant EXP_INV = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeb;
    /// @dev y of the points of order 8 (the other is p - y).
    uint256 private constant ORDER8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826;
    uint256 private constant ORDER8_Y_NEG = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7;

    /// @notice True iff (r, s) is a strict signature of `key` over `message`. Never reverts.
    function verify(bytes32 key, bytes32 r, bytes32 s, bytes32 message) internal view returns (bool) {
        return verifyChallenge(key, r, s, _challenge(r, key, message));
    }

    /// @notice As `verify`, for a message whose challenge k = SHA-512(R || A || M) mod L is known.
    function verifyChallenge(bytes32 key, bytes32 r, bytes32 s, uint256 k) internal view returns (bool) {
        uint256 scalar = _reverse(uint256(s));
        if (scalar >= L) return false;
        (bool ok, uint256 table) = expand(key);
        if (!ok) return false;
        (uint256 x, uint256 y, uint256 z) = _combine(table, scalar, k);
        return _equals(r, x, y, _power(z, EXP_INV));
    }

    /// @notice True iff (r1, s1) and (r2, s2) are strict signatures of one key over m1 and m2: key, hashes and inverse are shared.
    /// @param a r1, s1 and m1
    /// @param b r2, s2 and m2
    function verifyPair(bytes32 key, bytes32[3] memory a, bytes32[3] memory b) internal view returns (bool) {
        uint256 s1 = _reverse(uint256(a[1]));
        uint256 s2 = _reverse(uint256(b[1]));
        if (s1 >= L || s2 >= L) return false;
        (bool ok, uint256 table) = expand(key);
        if (!ok) return false;
        uint256 hashes = Sha512Pair.hash96(a[0], b[0], key, a[2], b[2]);
        (uint256 x1, uint256 y1, uint256 z1) = _combine(table, s1, _scalar(hashes));
        (uint256 x2, uint256 y2, uint256 z2) = _combine(table, s2, _scalar(hashes + 64));
        // Z is never zero, the formulas being complete: one inverse of the product gives both.
        uint256 inverse = _power(mulmod(z1, z2, P), EXP_INV);
        return _equals(a[0], x1, y1, mulmod(inverse, z2, P)) && _equals(b[0], x2, y2, mulmod(inverse, z1, P));
    }

    /// @notice Checks `key` (canonical, on the curve, not of small order) and builds the tables that signatures are checked with.
    /// @return ok false for an unusable key
    /// @return table memory address of 32 cached points of 128 bytes: entry i of the first 16 is the sum of those 2^(32 j) (-A), j in
    /// 0..3, whose bit j of i is set; the other 16 are 2^128 times the first. Before them is `Ed25519Base.MULTIPLES`.
    function expand(bytes32 key) internal view returns (bool ok, uint256 table) {
        uint256 x;
        uint256 y;
        (ok, x, y) = _decode(key);
        if (ok) table = _table(P - x, y);
    }

    /// @dev The digest at a memory address, read as a little-endian number, mod L.
    function _scalar(uint256 place) private pure returns (uint256) {
        uint256 hi;
        uint256 lo;
        assembly ("memory-safe") {
            hi := mload(place)
            lo := mload(add(place, 32))
        }
        return addmod(mulmod(_reverse(lo), R256, L), _reverse(hi), L);
    }

    /// @dev k = SHA-512(R || A || M), read as a little-endian number, mod L.
    function _challenge(bytes32 r, bytes32 key, bytes32 message) private pure returns (uint256) {
        (uint256 hi, uint256 lo) = Sha512.hash96(r, key, message);
        return addmod(mulmod(_reverse(lo), R256, L), _reverse(hi), L);
    }

    /// @dev Is (X : Y : Z), encoded, equal to `r` and not of small order? `inverse` is 1/Z.
    function _equals(bytes32 r, uint256 x, uint256 y, uint256 inverse) private pure returns (bool) {
        x = mulmod(x, inverse, P);
        y = mulmod(y, inverse, P);
        return !_isSmallOrder(y) && _reverse(uint256(r)) == y | ((x & 1) << 255);
    }

    /// @dev Strict point decoding (RFC 8032, 5.1.3) that also refuses the eight points of small order.
    function _decode(bytes32 encoded) private view returns (bool, uint256 x, uint256 y) {
        y = _reverse(uint256(encoded));
        uint256 sign = y >> 255;
        y &= (1 << 255) - 1;
        if (y >= P || _isSmallOrder(y)) return (false, 0, 0);
        uint256 v = mulmod(y, y, P);
        uint256 u = addmod(v, P - 1, P);
        v = addmod(mulmod(D, v, P), 1, P);
        // x = u v^3 (u v^7)^((p-5)/8) is a root of u/v up to a factor sqrt(-1), if there is one.
        uint256 v3 = mulmod(mulmod(v, v, P), v, P);
        x = _power(mulmod(mulmod(u, v, P), mulmod(v3, v3, P), P), EXP_SQRT);
        x = mulmod(mulmod(u, v3, P), x, P);
        v = mulmod(v, mulmod(x, x, P), P);
        if (v != u) {
            if (v != P - u) return (false, 0, 0);
            x = mulmod(x, SQRT_M1, P);
        }
        if (x & 1 != sign) x = P - x;
        return (true, x, y);
    }

    /// @dev y of the eight torsion points: orders 1 and 2 (y = 1, -1), 4 (y = 0) and 8.
    function _isSmallOrder(uint256 y) private pure returns (bool) {
        return y <= 1 || y == P - 1 || y == ORDER8_Y || y == ORDER8_Y_NEG;
    }

    /// @dev See `expand`. (x, y) is -A.
    function _table(uint256 x, uint256 y) private pure returns (uint256 table) {
        bytes memory base = Ed25519Base.MULTIPLES;
        assembly ("memory-safe") {
            table := add(base, 8224)
            mstore(0x40, add(table, 4096))
        }
        uint256 z = 1;
        _put(table + 128, x, y, z);
        for (uint256 tooth = 1; tooth < 8; tooth++) {
            (x, y, z) = _double32(x, y, z);
            // Entry 2^(tooth mod 4) of the first table for teeth 0 to 3, of the second for 4 to 7.
            _put(table + ((tooth & 4) << 9) + (128 << (tooth & 3)), x, y, z);
        }
        _fill(table);
        _fill(table + 2048);
    }

    /// @dev Writes (X : Y : Z) in cached form, scaled by Z so that T = XY/Z needs no inverse.
    function _put(uint256 at, uint256 x, uint256 y, uint256 z) private pure {
        assembly ("memory-safe") {
            let p := P
            let t := mulmod(x, y, p)
            x := mulmod(x, z, p)
            y := mulmod(y, z, p)
            mstore(at, add(y, x))
            mstore(add(at, 32), add(y, sub(p, x)))
            z := mulmod(z, z, p)
            mstore(add(at, 64), add(z, z))
            mstore(add(at, 96), mulmod(t, D2, p))
        }
    }

    /// @dev Entry 0, the identity, and the sums of two and more of the entries 1, 2, 4 and 8.
    function _fill(uint256 table) private pure {
        assembly ("memory-safe") {
            let p := P
            mstore(table, 1)
            mstore(add(table, 32), 1)
            mstore(add(table, 64), 2)
            mstore(add(table, 96), 0)
            for { let i := add(table, 256) } lt(i, add(table, 2048)) { i := add(i, sub(i, table)) } {
                let sum := mload(i)
                let diff := mload(add(i, 32))
                // 2Z Z' = (2Z / 2) (2Z') and 2dT T' = (2dT / 2d) (2dT')
                let z := mulmod(mload(add(i, 64)), HALF, p)
                let t := mulmod(mload(add(i, 96)), INV_D2, p)
                for { let j := add(table, 128) } lt(j, i) { j := add(j, 128) } {
                    let a := mulmod(diff, mload(add(j, 32)), p)
                    let b := mulmod(sum, mload(j), p)
                    let c := mulmod(t, mload(add(j, 96)), p)
                    let f := mulmod(z, mload(add(j, 64)), p)
                    let g := add(f, c)
                    f := add(f, sub(p, c))
                    let e := add(b, sub(p, a))
                    let h := add(b, a)
                    a := mulmod(e, f, p)
                    b := mulmod(g, h, p)
                    c := mulmod(f, g, p)
                    e := mulmod(mulmod(e, h, p), D2, p)
                    let at := add(i, sub(j, table))
                    mstore(at, add(b, a))
                    mstore(add(at, 32), add(b, sub(p, a)))
                    mstore(add(at, 64), add(c, c))
                    mstore(add(at, 96), e)
                }
            }
        }
    }

    /// @dev 2^32 times a point. Each step maps a point to -2 times it, which saves a subtraction; of an even number the signs cancel.
    function _double32(uint256 x0, uint256 y0, uint256 z0) private pure returns (uint256 x, uint256 y, uint256 z) {
        assembly ("memory-safe") {
            let p := P
            x := x0
            y := y0
            z := z0
            for { let i := 8 } i { i := sub(i, 1) } {
                {
                    let a := mulmod(x, x, p)
                    let b := mulmod(y, y, p)
                    let g := add(a, sub(p, b))
                    let f := addmod(mulmod(z, add(z, z), p), g, p)
                    x := mulmod(mulmod(add(x, x), y, p), f, p)
                    y := mulmod(add(a, b), g, p)
                    z := mulmod(f, g, p)
                }
                {
                    let a := mulmod(x, x, p)
                    let b := mulmod(y, y, p)
                    let g := add(a, sub(p, b))
                    let f := addmod(mulmod(z, add(z, z), p), g, p)
                    x := mulmod(mulmod(add(x, x), y, p), f, p)
                    y := mulmod(add(a, b), g, p)
                    z := mulmod(f, g, p)
                }
                {
                    let a := mulmod(x, x, p)
                    let b := mulmod(y, y, p)
                    let g := add(a, sub(p, b))
                    let f := addmod(mulmod(z, add(z, z), p), g, p)
                    x := mulmod(mulmod(add(x, x), y, p), f, p)
                    y := mulmod(add(a, b), g, p)
                    z := mulmod(f, g, p)
                }
                {
                    let a := mulmod(x, x, p)
                    let b := mulmod(y, y, p)
                    let g := add(a, sub(p, b))
                    let f := addmod(mulmod(z, add(z, z), p), g, p)
                    x := mulmod(mulmod(add(x, x), y, p), f, p)
                    y := mulmod(add(a, b), g, p)
                    z := mulmod(f, g, p)
                }
            }
        }
    }

    /// @dev [s]B + [k](-A): column i of both combs is added after doubling i.
    function _combine(uint256 table, uint256 s, uint256 k) private pure returns (uint256 x, uint256 y, uint256 z) {
        // B is added or subtracted in each place: s = sum of (2 c_i - 1) 2^i for i in 0..255, so c = (s + 2^256 - 1) / 2. Of L, the
        // order of B, s and c may be taken mod L; not k, for A may have a part of small order.
        s = _columns(mulmod(addmod(s, R256 - 1, L), HALF_L, L));
        k = _columns(k);
        assembly ("memory-safe") {
            let p := P
            y := 1
            z := 1
            let t := 0
            for { let i := 0 } lt(i, 32) { i := add(i, 1) } {
                {
                    let a := mulmod(x, x, p)
                    let b := mulmod(y, y, p)
                    let e := mulmod(add(x, x), y, p)
                    let g := add(b, sub(p, a))
                    let f := addmod(mulmod(z, add(z, z), p), sub(P2, g), p)
                    let h := add(a, b)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                    t := mulmod(e, h, p)
                }
                {
                    let at := add(table, and(shl(7, byte(i, k)), 1920))
                    let a := mulmod(add(y, sub(p, x)), mload(add(at, 32)), p)
                    let b := mulmod(add(y, x), mload(at), p)
                    let c := mulmod(t, mload(add(at, 96)), p)
                    let f := mulmod(z, mload(add(at, 64)), p)
                    let g := add(f, c)
                    f := add(f, sub(p, c))
                    let e := add(b, sub(p, a))
                    let h := add(b, a)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                    t := mulmod(e, h, p)
                }
                {
                    let at := add(table, and(shl(3, byte(i, k)), 1920))
                    let a := mulmod(add(y, sub(p, x)), mload(add(at, 2080)), p)
                    let b := mulmod(add(y, x), mload(add(at, 2048)), p)
                    let c := mulmod(t, mload(add(at, 2144)), p)
                    let f := mulmod(z, mload(add(at, 2112)), p)
                    let g := add(f, c)
                    f := add(f, sub(p, c))
                    let e := add(b, sub(p, a))
                    let h := add(b, a)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                    t := mulmod(e, h, p)
                }
                {
                    // Entry d/2 (y + x, y - x) of the base: 2Z is d, and 2dT = d^2 x y the product of sum and difference.
                    let at := shl(5, byte(i, s))
                    let u := mload(add(sub(table, 8192), at))
                    let v := mload(sub(sub(table, 32), at))
                    t := mulmod(t, mulmod(add(u, v), add(u, sub(p, v)), p), p)
                    v := mulmod(add(y, sub(p, x)), v, p)
                    u := mulmod(add(y, x), u, p)
                    let f := mulmod(z, D, p)
                    let g := add(f, t)
                    f := add(f, sub(p, t))
                    x := mulmod(add(u, sub(p, v)), f, p)
                    y := mulmod(g, add(u, v), p)
                    z := mulmod(f, g, p)
                }
            }
        }
    }

    /// @dev Bits i, i + 32, .. i + 224 of v become bits 0 to 7 of byte i, counted from the low end: bit number 32 j + i goes to 8 i + j,
    /// its eight digits rotated by three. Each step swaps two of the digits: 7 and 4, 6 and 3, 5 and 2, 4 and 1, 3 and 0, 2 and 1, 1 and 0.
    function _columns(uint256 v) private pure returns (uint256) {
        assembly ("memory-safe") {
            let t := and(xor(v, shr(112, v)), 0xffff0000ffff0000ffff0000ffff0000)
            v := xor(v, xor(t, shl(112, t)))
            t := and(xor(v, shr(56, v)), 0xff00ff00ff00ff000000000000000000ff00ff00ff00ff00)
            v := xor(v, xor(t, shl(56, t)))
            t := and(xor(v, shr(28, v)), 0x00000000f0f0f0f000000000f0f0f0f000000000f0f0f0f000000000f0f0f0f0)
            v := xor(v, xor(t, shl(28, t)))
            t := and(xor(v, shr(14, v)), 0x0000cccc0000cccc0000cccc0000cccc0000cccc0000cccc0000cccc0000cccc)
            v := xor(v, xor(t, shl(14, t)))
            t := and(xor(v, shr(7, v)), 0x00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa00aa)
            v := xor(v, xor(t, shl(7, t)))
            t := and(xor(v, shr(2, v)), 0x0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c)
            v := xor(v, xor(t, shl(2, t)))
            t := and(xor(v, shr(1, v)), 0x2222222222222222222222222222222222222222222222222222222222222222)
            v := xor(v, xor(t, shl(1, t)))
        }
        return v;
    }

    /// @dev base^exponent mod p by the MODEXP precompile.
    function _power(uint256 base, uint256 exponent) private view returns (uint256 result) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, 32)
            mstore(add(m, 32), 32)
            mstore(add(m, 64), 32)
            mstore(add(m, 96), base)
            mstore(add(m, 128), exponent)
            mstore(add(m, 160), P)
            // The call fails only without gas, and then the caller has none either.
            if iszero(staticcall(gas(), 5, m, 192, 0, 32)) { revert(0, 0) }
            result := mload(0)
        }
    }

    /// @dev Byte order reversed: encodings are little-endian.
    function _reverse(uint256 v) private pure returns (uint256) {
        unchecked {
            uint256 m = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
            v = ((v >> 8) & m) | ((v & m) << 8);
            m = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
            v = ((v >> 16) & m) | ((v & m) << 16);
            m = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
            v = ((v >> 32) & m) | ((v & m) << 32);
            m = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
            v = ((v >> 64) & m) | ((v & m) << 64);
            return (v >> 128) | (v << 128);
        }
    }
}
