// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "./Vm.sol";

/// @dev The curve of Ed25519 in affine coordinates, by its definition: slow, and nothing in common with the library under test.
abstract contract Edwards is Test {
    struct Point {
        uint256 x;
        uint256 y;
    }

    uint256 internal constant P = 2 ** 255 - 19;
    uint256 internal constant ORDER = 2 ** 252 + 27742317777372353535851937790883648493;
    uint256 internal constant BASE_X = 0x216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a;

    /// @dev The base point: y = 4/5 and x even.
    function base() internal view returns (Point memory) {
        return Point(BASE_X, mulmod(4, inverse(5), P));
    }

    /// @dev d = -121665/121666
    function curveD() internal view returns (uint256) {
        return mulmod(P - 121_665, inverse(121_666), P);
    }

    function isOnCurve(Point memory a) internal view returns (bool) {
        (uint256 xx, uint256 yy) = (mulmod(a.x, a.x, P), mulmod(a.y, a.y, P));
        return addmod(yy, P - xx, P) == addmod(1, mulmod(curveD(), mulmod(xx, yy, P), P), P);
    }

    function add(Point memory a, Point memory b, uint256 d) internal view returns (Point memory) {
        uint256 t = mulmod(d, mulmod(mulmod(a.x, b.x, P), mulmod(a.y, b.y, P), P), P);
        uint256 x = addmod(mulmod(a.x, b.y, P), mulmod(a.y, b.x, P), P);
        uint256 y = addmod(mulmod(a.y, b.y, P), mulmod(a.x, b.x, P), P);
        return Point(mulmod(x, inverse(addmod(1, t, P)), P), mulmod(y, inverse(addmod(1, P - t, P)), P));
    }

    function negate(Point memory a) internal pure returns (Point memory) {
        return Point(a.x == 0 ? 0 : P - a.x, a.y);
    }

    function multiply(uint256 k, Point memory a) internal view returns (Point memory sum) {
        uint256 d = curveD();
        sum = Point(0, 1);
        for (; k != 0; k >>= 1) {
            if (k & 1 != 0) sum = add(sum, a, d);
            a = add(a, a, d);
        }
    }

    /// @dev As RFC 8032 writes a point.
    function encode(Point memory a) internal pure returns (bytes32) {
        return littleEndian(a.y | ((a.x & 1) << 255));
    }

    function littleEndian(uint256 v) internal pure returns (bytes32) {
        uint256 out;
        for (uint256 i; i < 32; i++) {
            out = (out << 8) | ((v >> (8 * i)) & 0xff);
        }
        return bytes32(out);
    }

    function inverse(uint256 v) internal view returns (uint256) {
        (bool done, bytes memory out) = address(5).staticcall(abi.encode(32, 32, 32, v, P - 2, P));
        check(done, "MODEXP");
        return abi.decode(out, (uint256));
    }
}
