// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "../src/Digests.sol";
import {FakeRegistry} from "./FakeRegistry.sol";
import {Trial} from "./Trial.sol";

/// @dev The largest set: what it takes to show harm, and to slash a third of it, fits into one L1 transaction.
contract LargeSetTest is Trial {
    uint256 private constant TX_CAP = 16_777_216;
    uint256 private constant SIZE = 64;

    function setUp() public {
        deployTrial();
        for (uint256 i = 4; i < SIZE; i++) {
            (bytes32 seqKey,) = vm.createEd25519Key(bytes32(i));
            registry.add(EPOCH, FakeRegistry.Member(operator(i), vm.addr(secret(i)), seqKey, STAKE / 1 gwei));
            registry.setOperator{value: STAKE}(operator(i), owner(i), UNLOCKS);
        }
        registry.freeze(EPOCH);
    }

    function _bitmap(uint256 from, uint256 to) private pure returns (bytes memory out) {
        out = new bytes((to + 7) / 8);
        for (uint256 i = from; i < to; i++) {
            out[i / 8] |= bytes1(uint8(1 << (i % 8)));
        }
        out = abi.encodePacked(uint8(out.length), out);
    }

    function _stream(bytes32 filler) private pure returns (F memory f) {
        f = plainFrame();
        f.filler = filler;
    }

    function _acks(F memory tip, uint256 count) private view returns (bytes memory out) {
        bytes32 hash = hashOf(tip);
        bytes[] memory parts = new bytes[](count);
        for (uint16 i; i < count; i++) {
            parts[i] = seqSign(i, Digests.TAG_ACK, enc(A(EPOCH, 10, 0, i, tip.g, hash, 0)));
        }
        out = abi.encodePacked(EPOCH, uint64(10), uint32(0), tip.g, hash, bytes32(0), _bitmap(0, count));
        for (uint256 i; i < count; i++) {
            out = bytes.concat(out, parts[i]);
        }
    }

    function _precommits(bytes32 value, uint256 from, uint256 to) private view returns (bytes memory out) {
        for (uint256 i = from; i < to; i++) {
            out = bytes.concat(out, voteSign(i, Digests.precommit(EPOCH, 10, 0, value)));
        }
    }

    /// @dev Gas of a whole transaction with this call.
    function _cost(bytes memory data) private returns (uint256 used) {
        used = 21_000;
        for (uint256 i; i < data.length; i++) {
            used += data[i] == 0 ? 4 : 16;
        }
        uint256 before = gasleft();
        (bool done,) = address(slasher).call(data);
        used += before - gasleft();
        check(done, "refused");
    }

    function test_harmFitsIntoOneTransaction() public {
        F memory acked = _stream(keccak256("acked"));
        F memory log = _stream(keccak256("log"));
        bytes memory evidence = bytes.concat(head(1, 1), signed(acked), signed(log));
        uint256 id = revealAs(address(this), evidence);
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = hashOf(log);
        bytes memory h = header(10, log.g, hashes, log);
        bytes memory place = bytes.concat(enc(log), branchOf(leaves(hashes, 0), 0), h, abi.encodePacked(uint32(0), _bitmap(0, 43)));
        bytes memory proof = bytes.concat(_acks(acked, 43), abi.encodePacked(uint16(1)), enc(acked), place, _precommits(valueId(h), 0, 43));
        uint256 used = _cost(abi.encodeCall(slasher.proveReverted, (id, proof)));
        check(used < TX_CAP * 4 / 5, "too dear for one transaction");
        emit Used(used);
        equal(slasher.penaltyBps(id), 10_000);
    }

    /// @dev The worst: everyone signed both.
    function test_twoCertificatesFitIntoOneTransaction() public {
        bytes memory evidence = head(12, 0xffff);
        bytes32[2] memory values = [keccak256("a"), keccak256("b")];
        for (uint256 i; i < 2; i++) {
            bytes memory start = abi.encodePacked(uint64(10), uint32(0), values[i], _bitmap(0, SIZE));
            evidence = bytes.concat(evidence, start, _precommits(values[i], 0, SIZE));
        }
        uint256 used = _cost(abi.encodeCall(slasher.report, (evidence)));
        check(used < TX_CAP * 4 / 5, "too dear for one transaction");
        emit Used(used);
        equal(address(slasher).balance, SIZE * STAKE);
    }

    event Used(uint256 gas);
}
