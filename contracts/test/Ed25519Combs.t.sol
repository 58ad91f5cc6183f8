// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ed25519} from "../src/Ed25519.sol";
import {Ed25519Base} from "../src/Ed25519Base.sol";
import {Edwards} from "./Edwards.sol";

/// @dev The combs of the verifier against the plain arithmetic of the curve: the constants, and scalars with digits at their ends.
contract Ed25519CombsTest is Edwards {
    /// @dev x and y of a point of order 8.
    uint256 private constant TORSION_X = 0x602a465ff9c6b5d716cc66cdc721b544a3e6c38fec1a1dc7215eb9b93aba2ea3;
    uint256 private constant TORSION_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826;

    /// @dev Every word of the table, from the base point alone.
    function test_multiplesOfTheBase() public view {
        bytes memory table = Ed25519Base.MULTIPLES;
        equal(table.length, 256 * 32);
        uint256 d = curveD();
        uint256 half = mulmod(d, inverse(2), P);
        Point[] memory twice = new Point[](8);
        Point memory tooth = base();
        check(isOnCurve(tooth), "the base point");
        Point memory none = Point(0, 1);
        for (uint256 j; j < 8; j++) {
            none = add(none, negate(tooth), d);
            twice[j] = add(tooth, tooth, d);
            for (uint256 i; i < 32; i++) {
                tooth = add(tooth, tooth, d);
            }
        }
        for (uint256 i; i < 256; i++) {
            Point memory p = none;
            for (uint256 j; j < 8; j++) {
                if ((i >> j) & 1 != 0) p = add(p, twice[j], d);
            }
            equal(_word(table, i), mulmod(half, addmod(p.y, p.x, P), P));
            equal(_word(table, 255 - i), mulmod(half, addmod(p.y, P - p.x, P), P));
        }
    }

    function test_edgesOfTheScalarsWithAPlainKey() public view {
        _edges(multiply(uint256(keccak256("key")) % ORDER, base()));
    }

    /// @dev A key with a part of order 8 is accepted off chain: k may not be reduced by anything but the order of the base point.
    function test_edgesOfTheScalarsWithAMixedKey() public view {
        Point memory torsion = Point(TORSION_X, TORSION_Y);
        check(isOnCurve(torsion), "the torsion point");
        _edges(add(base(), torsion, curveD()));
    }

    /// @dev [s]B = [k]A: what is left is the identity, whose encoding no signature may have.
    function test_nothingIsLeft() public view {
        bytes32 key = encode(base());
        bytes32 identity = encode(Point(0, 1));
        uint256[] memory scalars = _scalars();
        for (uint256 i; i < scalars.length; i++) {
            check(!Ed25519.verifyChallenge(key, identity, littleEndian(scalars[i]), scalars[i]), "identity");
        }
    }

    function _edges(Point memory a) private view {
        uint256[] memory scalars = _scalars();
        Point[] memory ofBase = new Point[](scalars.length);
        Point[] memory ofKey = new Point[](scalars.length);
        for (uint256 i; i < scalars.length; i++) {
            ofBase[i] = multiply(scalars[i], base());
            ofKey[i] = negate(multiply(scalars[i], a));
        }
        bytes32 key = encode(a);
        uint256 d = curveD();
        for (uint256 i; i < scalars.length; i++) {
            for (uint256 j; j < scalars.length; j++) {
                Point memory sum = add(ofBase[i], ofKey[j], d);
                bytes32 s = littleEndian(scalars[i]);
                check(Ed25519.verifyChallenge(key, encode(sum), s, scalars[j]) == !_isSmall(sum), "the sum");
                check(!Ed25519.verifyChallenge(key, encode(negate(sum)), s, scalars[j]), "its opposite");
            }
        }
    }

    /// @dev Digits of all zeros and of all ones, single bits at the ends of the teeth, the ends of the range.
    function _scalars() private pure returns (uint256[] memory list) {
        list = new uint256[](17);
        (list[0], list[1], list[2], list[3]) = (0, 1, 2, 8);
        (list[4], list[5], list[6], list[7]) = (1 << 31, 1 << 32, 1 << 127, 1 << 128);
        (list[8], list[9], list[10]) = (1 << 224, 1 << 251, 1 << 252);
        (list[11], list[12], list[13]) = (ORDER - 1, ORDER - 2, ORDER / 2);
        // Bit 0 of each tooth, bits 0 to 127 (the low table only) and those above (the high one).
        (list[14], list[15]) = (0x0000000100000001000000010000000100000001000000010000000100000001, (1 << 128) - 1);
        list[16] = ORDER - 1 - list[15];
    }

    function _isSmall(Point memory a) private view returns (bool) {
        uint256 d = curveD();
        for (uint256 i; i < 3; i++) {
            a = add(a, a, d);
        }
        return a.x == 0 && a.y == 1;
    }

    function _word(bytes memory table, uint256 i) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(table, 32), shl(5, i)))
        }
    }
}
