// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ed25519} from "../src/Ed25519.sol";
import {Ed25519Verifier} from "../src/Ed25519Verifier.sol";
import {Sha512} from "../src/Sha512.sol";
import {Sha512Pair} from "../src/Sha512Pair.sol";
import {Test} from "./Vm.sol";

contract Ed25519Test is Test {
    /// @dev Fields in alphabetical order: that is how the JSON decoder lays a row out.
    struct Vector {
        bytes32 key;
        bytes32 message;
        string name;
        bytes32 r;
        bytes32 s;
        bool valid;
    }

    uint256 private constant ORDER = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    /// @dev The promise of the documentation; a call from another contract, without the 21,000 of a transaction.
    uint256 private constant GAS_PER_VERIFICATION = 240_000;
    /// @dev Loose, to notice when it gets much dearer.
    uint256 private constant GAS_PER_PAIR = 200_000;
    Ed25519Verifier private verifier = new Ed25519Verifier();

    function _sign(bytes32 salt, bytes32 message) private pure returns (bytes32 key, bytes32 r, bytes32 s) {
        bytes32 secret;
        (key, secret) = vm.createEd25519Key(salt);
        bytes memory signature = vm.signEd25519("", abi.encodePacked(message), secret);
        (r, s) = abi.decode(signature, (bytes32, bytes32));
    }

    function test_sha512OfOneBlock() public pure {
        (uint256 hi, uint256 lo) = Sha512.hash96(bytes32(uint256(1)), bytes32("rota"), bytes32(type(uint256).max));
        equal(hi, SHA_HI);
        equal(lo, SHA_LO);
    }

    /// @dev Nothing passes from one half of the words to the other.
    function testFuzz_sha512OfAPair(bytes32 r1, bytes32 r2, bytes32 key, bytes32 m1, bytes32 m2) public pure {
        _samePair(r1, r2, key, m1, m2);
        bytes32 ones = bytes32(type(uint256).max);
        _samePair(ones, r2, ones, ones, m2);
        _samePair(r1, ones, ones, m1, ones);
    }

    function _samePair(bytes32 r1, bytes32 r2, bytes32 key, bytes32 m1, bytes32 m2) private pure {
        uint256 digests = Sha512Pair.hash96(r1, r2, key, m1, m2);
        (uint256 hi1, uint256 lo1) = Sha512.hash96(r1, key, m1);
        (uint256 hi2, uint256 lo2) = Sha512.hash96(r2, key, m2);
        uint256[4] memory got;
        assembly ("memory-safe") {
            mcopy(got, digests, 128)
        }
        equal(got[0], hi1);
        equal(got[1], lo1);
        equal(got[2], hi2);
        equal(got[3], lo2);
    }

    function test_everyVector() public view {
        string memory json = vm.readFile("../tests/vectors/ed25519.json");
        Vector[] memory vectors = abi.decode(vm.parseJson(json, ".vectors"), (Vector[]));
        check(vectors.length > 200, "vectors are missing");
        uint256 accepted;
        for (uint256 i; i < vectors.length; i++) {
            Vector memory v = vectors[i];
            check(verifier.verify(v.key, v.r, v.s, v.message) == v.valid, v.name);
            bytes32[3] memory one = [v.r, v.s, v.message];
            check(verifier.verifyPair(v.key, one, one) == v.valid, v.name);
            if (v.valid) accepted++;
        }
        check(accepted > 30, "too few valid vectors");
    }

    /// @dev Messages of any length: the hash is done outside, see script/ed25519_messages.py.
    function test_everyPublishedVector() public view {
        string memory json = vm.readFile("../tests/vectors/ed25519_messages.json");
        bytes32[] memory keys = vm.parseJsonBytes32Array(json, ".keys");
        bytes32[] memory rs = vm.parseJsonBytes32Array(json, ".rs");
        bytes32[] memory ss = vm.parseJsonBytes32Array(json, ".ss");
        bytes32[] memory challenges = vm.parseJsonBytes32Array(json, ".challenges");
        bytes32[] memory digests = vm.parseJsonBytes32Array(json, ".digests");
        bool[] memory whole = abi.decode(vm.parseJson(json, ".wholes"), (bool[]));
        bool[] memory valid = abi.decode(vm.parseJson(json, ".valids"), (bool[]));
        check(keys.length > 140 && valid.length == keys.length, "vectors are missing");
        uint256 taken;
        for (uint256 i; i < keys.length; i++) {
            check(Ed25519.verifyChallenge(keys[i], rs[i], ss[i], uint256(challenges[i])) == valid[i], "a published vector");
            if (!whole[i]) continue;
            check(verifier.verify(keys[i], rs[i], ss[i], digests[i]) == valid[i], "a published vector of 32 bytes");
            taken++;
        }
        check(taken > 0, "none of 32 bytes");
    }

    function test_verifyGas() public view {
        (bytes32 key, bytes32 r, bytes32 s) = _sign("gas", "message");
        uint256 before = gasleft();
        bool ok = verifier.verify(key, r, s, "message");
        uint256 used = before - gasleft();
        check(ok, "valid signature");
        check(used <= GAS_PER_VERIFICATION, "verification got dearer");
    }

    event PairGas(uint256 least, uint256 most);

    /// @dev A call from another contract to one that was called before. No step depends on the scalars, only the key's decoding on
    /// the key.
    function test_pairGasOfManyKeys() public {
        check(!verifier.verify(0, 0, 0, 0), "a key of small order");
        (uint256 least, uint256 most) = (type(uint256).max, 0);
        for (uint256 i; i < 64; i++) {
            bytes32 salt = keccak256(abi.encode("pair gas", i));
            (bytes32 key, bytes32 r1, bytes32 s1) = _sign(salt, keccak256(abi.encode(i, "one")));
            (, bytes32 r2, bytes32 s2) = _sign(salt, keccak256(abi.encode(i, "two")));
            bytes32[3] memory first = [r1, s1, keccak256(abi.encode(i, "one"))];
            bytes32[3] memory second = [r2, s2, keccak256(abi.encode(i, "two"))];
            uint256 before = gasleft();
            bool ok = verifier.verifyPair(key, first, second);
            uint256 used = before - gasleft();
            check(ok, "valid pair");
            if (used < least) least = used;
            if (used > most) most = used;
        }
        emit PairGas(least, most);
        check(most <= GAS_PER_PAIR, "a pair got dearer");
    }

    function test_pairNeedsBoth() public view {
        (bytes32 key, bytes32 r1, bytes32 s1) = _sign("pair", "one");
        (, bytes32 r2, bytes32 s2) = _sign("pair", "two");
        check(verifier.verifyPair(key, [r1, s1, "one"], [r2, s2, "two"]), "pair");
        check(!verifier.verifyPair(key, [r1, s1, "two"], [r2, s2, "two"]), "first wrong");
        check(!verifier.verifyPair(key, [r1, s1, "one"], [r2, s2, "one"]), "second wrong");
        check(!verifier.verifyPair(key, [r2, s2, "one"], [r1, s1, "two"]), "both wrong");
        check(!verifier.verifyPair(0, [r1, s1, "one"], [r2, s2, "two"]), "key wrong");
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_acceptsHonest(bytes32 salt, bytes32 message) public view {
        (bytes32 key, bytes32 r, bytes32 s) = _sign(salt, message);
        check(verifier.verify(key, r, s, message), "honest signature");
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_refusesAnyFlippedBit(bytes32 salt, bytes32 message, uint8 bit, uint8 part) public view {
        (bytes32 key, bytes32 r, bytes32 s) = _sign(salt, message);
        bytes32 flip = bytes32(uint256(1) << bit);
        part %= 4;
        if (part == 0) key ^= flip;
        if (part == 1) r ^= flip;
        if (part == 2) s ^= flip;
        if (part == 3) message ^= flip;
        check(!verifier.verify(key, r, s, message), "flipped");
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_neverReverts(bytes32 key, bytes32 r, bytes32 s, bytes32 message) public view {
        check(!verifier.verify(key, r, s, message), "random bytes");
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_refusesMalleatedS(bytes32 salt, bytes32 message, uint256 times) public view {
        (bytes32 key, bytes32 r, bytes32 s) = _sign(salt, message);
        uint256 scalar = _littleEndian(uint256(s)) + (1 + times % 14) * ORDER;
        check(!verifier.verify(key, r, bytes32(_littleEndian(scalar)), message), "s + k L");
    }

    function _littleEndian(uint256 v) private pure returns (uint256 out) {
        for (uint256 i; i < 32; i++) {
            out = (out << 8) | ((v >> (8 * i)) & 0xff);
        }
    }

    uint256 private constant SHA_HI = 0x61f5fe36963c41c7ad5b7bb718ac6e0e5c303201f4270d7dc05fc5ce3f48e0b6;
    uint256 private constant SHA_LO = 0x331f77bcd1a34f37fbfed55a0a6b7982859c2f9ab6060e8549e259e71d22e4ba;
}
