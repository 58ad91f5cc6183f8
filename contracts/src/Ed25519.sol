// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Sha512} from "./Sha512.sol";
import {Sha512Pair} from "./Sha512Pair.sol";

/// @title Strict Ed25519 over a 32-byte message
/// @notice Accepts exactly what the sequencers accept off chain (ed25519-dalek `verify_strict` and a canonical key): a signature
/// that counts off chain and not here could never be slashed. That is: S < L; A and R canonical (y < p) and not of small order;
/// the cofactorless equation R = [S]B - [k]A with R compared as bytes; k = SHA-512(R || A || M) mod L.
/// @dev Twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2 in projective coordinates; the formulas (hwcd-2008, a = -1) are complete,
/// so no input is exceptional. [S]B - [k]A is one 4-dimensional Straus pass of 128 doublings over B, 2^128 B, -A, -2^128 A.
/// Sums stay unreduced where they fit (2p < 2^256). Legacy code generation only, see Sha512.
library Ed25519 {
    /// @dev Field prime 2^255 - 19, and twice it.
    uint256 private constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    uint256 private constant P2 = 0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffda;
    /// @dev Order of the base point's subgroup.
    uint256 private constant L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    /// @dev 2^256 mod L.
    uint256 private constant R256 = 0x0ffffffffffffffffffffffffffffffec6ef5bf4737dcf70d6ec31748d98951d;
    /// @dev Curve constant d = -121665/121666, and 2d.
    uint256 private constant D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3;
    uint256 private constant D2 = 0x2406d9dc56dffce7198e80f2eef3d13000e0149a8283b156ebd69b9426b2f159;
    /// @dev sqrt(-1) mod p.
    uint256 private constant SQRT_M1 = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0;
    /// @dev (p - 5) / 8 and p - 2, exponents of the square root and of the inverse.
    uint256 private constant EXP_SQRT = 0x0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffd;
    uint256 private constant EXP_INV = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeb;
    /// @dev y of the points of order 8 (the other is p - y).
    uint256 private constant ORDER8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826;
    uint256 private constant ORDER8_Y_NEG = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7;

    /// @dev Cached form (y + x, y - x, 2dxy) of B, of 2^128 B and of their sum.
    uint256 private constant B_SUM = 0x07cf9d3a33d4ba65270b4898643d42c2cf932dc6fb8c0e192fbc93c6f58c3b85;
    uint256 private constant B_DIFF = 0x44fd2f9298f81267a5c18434688f8a09fd399f05d140beb39d103905d740913e;
    uint256 private constant B_T = 0x6f117b689f0c65a85a1b7dcbdd43598c26d9e823ccaac49eabc91205877aaa68;
    uint256 private constant B128_SUM = 0x2b5449e58eb3bbaa2b1e583b0810c5db29b743e8148be884583b04bfacad8ea2;
    uint256 private constant B128_DIFF = 0x1304e9e71627d55100c3e53145747299f7ea38548ebda0b85f3a7562eb3dbe47;
    uint256 private constant B128_T = 0x4468de2d7c2dd693da0fe1fff979c60a3c1bab3f8b48dd0b789814d26adc9cfe;
    uint256 private constant BB_SUM = 0x26a13664d0543d4df551be51c67bb198e71ffd60d0b20ef72118278de3bc6748;
    uint256 private constant BB_DIFF = 0x49d76bba7942742edfea3ad4acf4f0f1855225506cd8952929522d3b13a339ee;
    uint256 private constant BB_T = 0x4e1fafe3a8fcedc2247d576da7adb185191d3946c351299a14fa42338d56e61d;

    /// @notice True iff (r, s) is a strict signature of `key` over `message`. Never reverts.
    function verify(bytes32 key, bytes32 r, bytes32 s, bytes32 message) internal view returns (bool) {
        return verifyChallenge(key, r, s, _challenge(r, key, message));
    }

    /// @notice As `verify`, for a message whose challenge k = SHA-512(R || A || M) mod L is known.
    function verifyChallenge(bytes32 key, bytes32 r, bytes32 s, uint256 k) internal view returns (bool) {
        uint256 scalar = _reverse(uint256(s));
        if (scalar >= L) return false;
        (bool ok, uint256 table) = expand(key);
        return ok && _equals(r, table, scalar, k);
    }

    /// @notice Checks `key` (canonical, on the curve, not of small order) and builds its table of sums.
    /// @return ok false for an unusable key
    /// @return table memory address of 16 cached points; bit 0 of the index adds B, bit 1 2^128 B, bit 2 -A, bit 3 -2^128 A
    function expand(bytes32 key) internal view returns (bool ok, uint256 table) {
        uint256 x;
        uint256 y;
        (ok, x, y) = _decode(key);
        if (ok) table = _table(P - x, y);
    }

    /// @notice True iff (r1, s1) and (r2, s2) are strict signatures of one key over m1 and m2: key and hashes are worked on once.
    /// @param a r1, s1 and m1
    /// @param b r2, s2 and m2
    function verifyPair(bytes32 key, bytes32[3] memory a, bytes32[3] memory b) internal view returns (bool) {
        uint256 s1 = _reverse(uint256(a[1]));
        uint256 s2 = _reverse(uint256(b[1]));
        if (s1 >= L || s2 >= L) return false;
        (bool ok, uint256 table) = expand(key);
        if (!ok) return false;
        uint256 hashes = Sha512Pair.hash96(a[0], b[0], key, a[2], b[2]);
        return _equals(a[0], table, s1, _scalar(hashes)) && _equals(b[0], table, s2, _scalar(hashes + 64));
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

    /// @dev Is [s]B - [k]A, encoded, equal to `r` and not of small order?
    function _equals(bytes32 r, uint256 table, uint256 s, uint256 k) private view returns (bool) {
        (uint256 x, uint256 y, uint256 z) = _straus(table, s, k);
        z = _power(z, EXP_INV);
        x = mulmod(x, z, P);
        y = mulmod(y, z, P);
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

    /// @dev The 16 subset sums, cached as (Y + X, Y - X, 2Z, 2dT) in 128 bytes each. (x, y) is -A.
    function _table(uint256 x, uint256 y) private pure returns (uint256 table) {
        assembly ("memory-safe") {
            table := mload(0x40)
            mstore(0x40, add(table, 2048))
        }
        _put(table, 4, x, y, 1);
        (uint256 x128, uint256 y128, uint256 z128) = _double128(x, y);
        _put(table, 8, x128, y128, z128);
        _putBase(table);
        _sum(table, 4, 8);
        for (uint256 i = 1; i < 4; i++) {
            _sum(table, 4, i);
            _sum(table, 8, i);
            _sum(table, 12, i);
        }
    }

    /// @dev Entries that do not depend on the key: the identity, B, 2^128 B and B + 2^128 B.
    function _putBase(uint256 table) private pure {
        assembly ("memory-safe") {
            function put(at, sum, diff, t) {
                mstore(at, sum)
                mstore(add(at, 32), diff)
                mstore(add(at, 64), 2)
                mstore(add(at, 96), t)
            }
            put(table, 1, 1, 0)
            put(add(table, 128), B_SUM, B_DIFF, B_T)
            put(add(table, 256), B128_SUM, B128_DIFF, B128_T)
            put(add(table, 384), BB_SUM, BB_DIFF, BB_T)
        }
    }

    /// @dev table[i] = (X : Y : Z), scaled by Z so that T = XY/Z needs no inverse.
    function _put(uint256 table, uint256 i, uint256 x, uint256 y, uint256 z) private pure {
        assembly ("memory-safe") {
            let at := add(table, shl(7, i))
            let t := mulmod(x, y, P)
            x := mulmod(x, z, P)
            y := mulmod(y, z, P)
            mstore(at, add(y, x))
            mstore(add(at, 32), add(y, sub(P, x)))
            z := mulmod(z, z, P)
            mstore(add(at, 64), add(z, z))
            mstore(add(at, 96), mulmod(t, D2, P))
        }
    }

    /// @dev table[i | j] = table[i] + table[j]
    function _sum(uint256 table, uint256 i, uint256 j) private pure {
        uint256 x;
        uint256 y;
        uint256 z;
        assembly ("memory-safe") {
            let ti := add(table, shl(7, i))
            let tj := add(table, shl(7, j))
            // Back from the cached form: twice (X, Y, Z), then scaled by Z so that T is a plain product.
            let sum := mload(ti)
            let diff := mload(add(ti, 32))
            z := mload(add(ti, 64))
            x := addmod(sum, sub(P2, diff), P)
            y := addmod(sum, diff, P)
            let c := mulmod(mulmod(x, y, P), mload(add(tj, 96)), P)
            x := mulmod(x, z, P)
            y := mulmod(y, z, P)
            z := mulmod(mulmod(z, z, P), mload(add(tj, 64)), P)
            let a := mulmod(add(y, sub(P, x)), mload(add(tj, 32)), P)
            let b := mulmod(add(y, x), mload(tj), P)
            let e := add(b, sub(P, a))
            let f := add(z, sub(P, c))
            let g := add(z, c)
            let h := add(b, a)
            x := mulmod(e, f, P)
            y := mulmod(g, h, P)
            z := mulmod(f, g, P)
        }
        _put(table, i | j, x, y, z);
    }

    /// @dev 2^128 (x, y), projective.
    function _double128(uint256 x0, uint256 y0) private pure returns (uint256 x, uint256 y, uint256 z) {
        assembly ("memory-safe") {
            x := x0
            y := y0
            z := 1
            for { let i := 128 } i { i := sub(i, 1) } {
                let a := mulmod(x, x, P)
                let b := mulmod(y, y, P)
                let e := mulmod(add(x, x), y, P)
                let g := add(b, sub(P, a))
                let h := add(a, b)
                let f := mulmod(z, z, P)
                f := addmod(add(f, f), sub(P2, g), P)
                x := mulmod(e, f, P)
                y := mulmod(g, h, P)
                z := mulmod(f, g, P)
            }
        }
    }

    /// @dev [s]B + [k](-A): bits i and i + 128 of both scalars choose the entry to add after each doubling.
    function _straus(uint256 table, uint256 s, uint256 k) private pure returns (uint256 x, uint256 y, uint256 z) {
        assembly ("memory-safe") {
            y := 1
            z := 1
            for { let i := 128 } i {} {
                i := sub(i, 1)
                let a := mulmod(x, x, P)
                let b := mulmod(y, y, P)
                let e := mulmod(add(x, x), y, P)
                let g := add(b, sub(P, a))
                let h := add(a, b)
                let f := mulmod(z, z, P)
                f := addmod(add(f, f), sub(P2, g), P)
                x := mulmod(e, f, P)
                y := mulmod(g, h, P)
                z := mulmod(f, g, P)
                // Bits 0 and 128 are those of s, bits 2 and 130 those of k; the fold brings them to 0..3, times the entry size.
                let at :=
                    or(and(shr(i, s), 0x100000000000000000000000000000001), shl(2, and(shr(i, k), 0x100000000000000000000000000000001)))
                at := shl(7, and(or(at, shr(127, at)), 15))
                if at {
                    at := add(table, at)
                    e := mulmod(mulmod(e, h, P), mload(add(at, 96)), P)
                    a := mulmod(add(y, sub(P, x)), mload(add(at, 32)), P)
                    b := mulmod(add(y, x), mload(at), P)
                    f := mulmod(z, mload(add(at, 64)), P)
                    g := add(f, e)
                    h := add(b, a)
                    f := add(f, sub(P, e))
                    e := add(b, sub(P, a))
                    x := mulmod(e, f, P)
                    y := mulmod(g, h, P)
                    z := mulmod(f, g, P)
                }
            }
        }
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
