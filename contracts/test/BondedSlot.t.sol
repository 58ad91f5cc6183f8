// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BondedSlot, IBondedSlot} from "../src/BondedSlot.sol";
import {Output} from "../src/OracleTypes.sol";
import {OracleFixture} from "./OracleFixture.sol";

contract BondedSlotTest is OracleFixture {
    function setUp() public {
        deployOracle();
    }

    function test_itSaysWhatItIs() public view {
        equal(keccak256(bytes(revm.basis())), keccak256("re-execution with revm, bonded"));
        equal(revm.oracle(), address(oracle));
    }

    function testFuzz_theBondIsTheBond(uint96 value) public {
        Output memory o = right(newStep());
        if (value != BOND) vm.expectRevert(abi.encodeWithSelector(IBondedSlot.BondedSlot_WrongBond.selector, BOND));
        vm.deal(ALICE, value);
        vm.prank(ALICE);
        revm.propose{value: value}(o);
    }

    function test_anOutputIsBondedOnce() public {
        Output memory o = right(newStep());
        bondOn(revm, ALICE, o);
        vm.expectRevert(IBondedSlot.BondedSlot_Bonded.selector);
        bondOn(revm, EVE, o);
    }

    function test_itStandsAfterItsTime() public {
        Output memory o = right(newStep());
        bondOn(revm, ALICE, o);
        bytes32 hash = oracle.hashOf(o);
        vm.roll(block.number + WINDOW - 1);
        check(!revm.verify(o, hash, ""), "not yet");
        vm.roll(block.number + 1);
        check(revm.verify(o, hash, ""), "now");
        check(!engine.verify(o, hash, ""), "the other slot knows nothing of it");
    }

    function test_theBondComesBackWhenTheStepIsFinal() public {
        uint64 step = newStep();
        Output memory o = right(step);
        bondOn(revm, ALICE, o);
        vm.expectRevert(abi.encodeWithSelector(IBondedSlot.BondedSlot_Open.selector, step));
        revm.settle(o);
        bondOn(engine, BOB, o);
        passWindow();
        claim(address(revm), o);
        claim(address(engine), o);
        revm.settle(o);
        vm.expectRevert(IBondedSlot.BondedSlot_Settled.selector);
        revm.settle(o);
        uint256 before = ALICE.balance;
        vm.prank(ALICE);
        revm.collect();
        equal(ALICE.balance, before + BOND);
        vm.expectRevert(IBondedSlot.BondedSlot_NothingToCollect.selector);
        vm.prank(ALICE);
        revm.collect();
        Output memory other = wrong(step, 1);
        vm.expectRevert(IBondedSlot.BondedSlot_UnknownOutput.selector);
        revm.settle(other);
    }

    function test_whoContradictsRightlyGetsHalf() public {
        uint64 step = newStep();
        (Output memory good, Output memory bad) = (right(step), wrong(step, 1));
        bondOn(revm, EVE, bad);
        bondOn(revm, ALICE, good);
        resolveAsCouncil(good);
        revm.settle(bad);
        revm.settle(good);
        equal(revm.creditOf(ALICE), BOND + BOND / 2);
        equal(revm.creditOf(EVE), 0);
        equal(address(revm).balance, BOND + BOND / 2);
        equal(address(0).balance, BOND / 2);
    }

    function test_whoContradictsWronglyPaysTheOther() public {
        uint64 step = newStep();
        (Output memory good, Output memory bad) = (right(step), wrong(step, 1));
        bondOn(revm, ALICE, good);
        bondOn(revm, EVE, bad);
        claim(address(revm), good);
        resolveAsCouncil(good);
        revm.settle(good);
        revm.settle(bad);
        equal(revm.creditOf(ALICE), BOND + BOND / 2);
    }

    function test_whereNobodyWasRightAllIsBurned() public {
        uint64 step = newStep();
        (Output memory good, Output memory bad) = (right(step), wrong(step, 1));
        bondOn(revm, EVE, bad);
        bondOn(engine, EVE, good);
        passWindow();
        claim(address(engine), good);
        claim(address(revm), bad);
        resolveAsCouncil(good);
        revm.settle(bad);
        equal(address(0).balance, BOND);
        equal(address(revm).balance, 0);
    }

    /// @dev On top of an output that lost, everything is lost; the right one of that step is not contradicted by it.
    function test_whatStandsOnAWrongParentFallsWithIt() public {
        (uint64 one, uint64 two) = (newStep(), newStep());
        bondOn(revm, EVE, wrong(one, 1));
        Output memory onTop = right(two);
        onTop.parent = oracle.hashOf(wrong(one, 1));
        bondOn(revm, EVE, onTop);
        bondOn(revm, ALICE, right(one));
        resolveAsCouncil(right(one));
        Output memory next = right(two);
        bondOn(revm, ALICE, next);
        check(!revm.contested(two, next.parent), "another place");
        bondOn(engine, BOB, next);
        passWindow();
        claim(address(revm), next);
        claim(address(engine), next);
        revm.settle(onTop);
        equal(revm.creditOf(ALICE), BOND / 2);
    }

    function test_aFinalStepTakesNoBonds() public {
        uint64 step = newStep();
        Output memory late = wrong(step, 1);
        finalizeRight(step);
        vm.expectRevert();
        bondOn(revm, EVE, late);
    }

    function test_termsMustMakeSense() public {
        vm.expectRevert(IBondedSlot.BondedSlot_BadTerms.selector);
        new BondedSlot(address(oracle), "", 0, WINDOW);
        vm.expectRevert(IBondedSlot.BondedSlot_BadTerms.selector);
        new BondedSlot(address(oracle), "", BOND, 0);
    }
}
