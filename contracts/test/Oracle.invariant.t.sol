// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BondedSlot} from "../src/BondedSlot.sol";
import {Oracle} from "../src/Oracle.sol";
import {Output, Standing} from "../src/OracleTypes.sol";
import {OracleFixture} from "./OracleFixture.sol";
import {Test} from "./Vm.sol";

/// @dev Provers right and wrong, a council that chooses anything it may, in any order.
contract OracleHandler is OracleFixture {
    Output[] private _all;
    bool public illegal;
    bool public fell;
    uint256 public bonds;

    constructor() payable {
        deployOracle();
        newStep();
    }

    function subject() external view returns (Oracle) {
        return oracle;
    }

    function slot(uint256 i) public view returns (BondedSlot) {
        return i % 2 == 0 ? revm : engine;
    }

    function step(uint8 salt) external {
        if (salt % 4 == 0) newStep();
        else vm.roll(block.number + WINDOW / 2);
        vm.warp(block.timestamp + uint256(salt) * 1 hours);
    }

    /// @dev Most are right.
    function propose(uint256 which, uint8 salt, uint8 ahead) external {
        uint64 at = oracle.tip().step + 1 + ahead % 2;
        if (at > oracle.lastCheckpoint()) return;
        Output memory o = right(at);
        if (ahead % 2 == 1) o.parent = oracle.hashOf(right(at - 1));
        if (salt % 8 < 2) o.l2Hash = keccak256(_other(salt)[0]);
        try slot(which).propose{value: BOND}(o) {
            _all.push(o);
            bonds++;
        } catch {}
    }

    function show(uint256 which, uint256 index, bool proven) external {
        if (_all.length == 0) return;
        Output memory o = _all[index % _all.length];
        bytes32 before = oracle.provenHash(o.l2Block);
        Standing memory s = oracle.standing();
        uint64 tip = oracle.tip().step;
        try oracle.claim(proven ? address(proofs) : address(slot(which)), o, abi.encode(oracle.hashOf(o))) {} catch {}
        // No claim ends a dispute, and none changes what is final.
        if (s.disputed && oracle.tip().step != tip) illegal = true;
        if (before != 0 && oracle.provenHash(o.l2Block) != before) fell = true;
    }

    function resolve(uint256 index, bool other) external {
        if (_all.length == 0) return;
        Output memory o = _all[index % _all.length];
        if (other) o.l2Hash = keccak256(abi.encode("other", index));
        Standing memory s = oracle.standing();
        bool may = s.candidates == 0 ? block.timestamp >= s.stuckAt : s.disputed || block.timestamp >= s.stuckAt;
        bool claimed = s.step == o.step && oracle.isCandidate(o.step, oracle.hashOf(o));
        vm.prank(address(safe));
        try oracle.resolve(o) {
            if (!may || (s.candidates != 0 && !claimed)) illegal = true;
        } catch {}
    }

    /// @dev Headers of what is wrong lead down past the step before, to another block than the one that may be proven there.
    function ancestor(uint256 index, uint8 salt) external {
        if (_all.length == 0) return;
        uint64 from = _all[index % _all.length].l2Block;
        bytes32 before = oracle.provenHash(from - 100);
        try oracle.proveAncestor(from, _other(salt)) {} catch {}
        if (before != 0 && oracle.provenHash(from - 100) != before) fell = true;
    }

    function _other(uint8 salt) private pure returns (bytes[] memory) {
        return headersTo(keccak256(abi.encode("wrong", salt % 2)), 100);
    }

    function settle(uint256 which, uint256 index) external {
        if (_all.length == 0) return;
        try slot(which).settle(_all[index % _all.length]) {} catch {}
    }

    function collect(uint256 which) external {
        try slot(which).collect() {} catch {}
    }

    receive() external payable {}
}

contract OracleInvariantTest is Test {
    OracleHandler private handler;
    Oracle private oracle;
    uint64 private highest;

    function setUp() public {
        handler = new OracleHandler();
        vm.deal(address(handler), 1e30);
        oracle = handler.subject();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_bondsAreAllThere() external view {
        for (uint256 i; i < 2; i++) {
            BondedSlot slot = handler.slot(i);
            equal(address(slot).balance, slot.staked() + slot.credits());
            equal(slot.creditOf(address(handler)) + slot.creditOf(address(0)), slot.credits());
            equal(slot.staked() % slot.bond(), 0);
        }
        equal(handler.slot(0).creditOf(address(0)), 0);
    }

    function invariant_theCouncilNeverDidWhatItMayNot() external view {
        check(!handler.illegal(), "out of a dispute, or not among the claims");
    }

    function invariant_whatIsProvenStays() external view {
        check(!handler.fell(), "a proven hash changed");
        check(oracle.outputOf(oracle.tip().step) != 0, "every final step has its output");
        equal(oracle.outputOf(oracle.tip().step + 1), 0);
    }
}
