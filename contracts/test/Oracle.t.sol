// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BondedSlot} from "../src/BondedSlot.sol";
import {Oracle, OracleRules} from "../src/Oracle.sol";
import {Checkpoint, IOracleEvents, Output, Standing} from "../src/OracleTypes.sol";
import {OracleFixture} from "./OracleFixture.sol";

/// @dev Each state of the table in docs/stages.md, and what a claim may say.
contract OracleTest is OracleFixture {
    function setUp() public {
        deployOracle();
    }

    // How a step becomes final.

    function test_oneClaimProvesNothing() public {
        Output memory o = right(newStep());
        prove(o);
        equal(oracle.provenHash(o.l2Block), 0);
        Standing memory s = oracle.standing();
        equal(s.candidates, 1);
        check(!s.disputed, "one claim is no dispute");
    }

    function test_twoEqualClaimsAreFinal() public {
        uint64 step = newStep();
        Output memory o = right(step);
        finalizeRight(step);
        equal(oracle.provenHash(o.l2Block), o.l2Hash);
        equal(oracle.outputOf(step), oracle.hashOf(o));
        equal(oracle.tip().step, step);
        equal(oracle.tip().l2Block, o.l2Block);
        equal(oracle.tip().valueId, o.valueId);
        equal(oracle.standing().step, 0);
    }

    function test_aProofAndABondAreTwo() public {
        Output memory o = right(newStep());
        bondOn(engine, BOB, o);
        prove(o);
        passWindow();
        claim(address(engine), o);
        equal(oracle.provenHash(o.l2Block), o.l2Hash);
    }

    function test_oneSlotTwiceIsOne() public {
        Output memory o = right(newStep());
        prove(o);
        bytes memory proof = abi.encode(oracle.hashOf(o));
        vm.expectRevert(IOracleEvents.Oracle_Known.selector);
        oracle.claim(address(proofs), o, proof);
    }

    function test_slotsThatDisagreeAreADispute() public {
        uint64 step = newStep();
        prove(right(step));
        bondOn(revm, EVE, wrong(step, 1));
        passWindow();
        claim(address(revm), wrong(step, 1));
        check(oracle.standing().disputed, "dispute");
        // Nothing that provers say after that makes it final.
        bondOn(engine, BOB, right(step));
        passWindow();
        claim(address(engine), right(step));
        equal(oracle.tip().step, 0);
        equal(oracle.standing().candidates, 2);
    }

    function test_oneSlotWithTwoOutputsIsADispute() public {
        uint64 step = newStep();
        prove(right(step));
        prove(wrong(step, 1));
        check(oracle.standing().disputed, "dispute");
    }

    function test_aContradictionInASlotIsADisputeAtOnce() public {
        uint64 step = newStep();
        bondOn(revm, EVE, wrong(step, 1));
        bondOn(revm, ALICE, right(step));
        Standing memory s = oracle.standing();
        check(s.disputed, "dispute without waiting");
        claim(address(revm), wrong(step, 1));
        equal(oracle.standing().candidates, 2);
    }

    /// @dev The contradiction was made before the step was open, and nobody told the oracle.
    function test_twoOtherSlotsDoNotOutvoteAContradiction() public {
        (uint64 one, uint64 two) = (newStep(), newStep());
        Output memory next = right(two);
        next.parent = oracle.hashOf(right(one));
        Output memory other = next;
        bondOn(revm, ALICE, next);
        other.l2Hash = keccak256("other");
        bondOn(revm, EVE, other);
        bondOn(engine, BOB, other);
        finalizeRight(one);
        claim(address(engine), other);
        prove(other);
        check(oracle.standing().disputed, "told by the slot that was asked last");
        equal(oracle.tip().step, one);
    }

    /// @dev Two of three slots were ready; the third's contradiction comes before the second claim.
    function test_aLateContradictionStillCounts() public {
        uint64 step = newStep();
        bondOn(revm, EVE, wrong(step, 1));
        bondOn(engine, EVE, wrong(step, 1));
        passWindow();
        claim(address(revm), wrong(step, 1));
        bondOn(engine, ALICE, right(step));
        check(oracle.standing().disputed, "dispute");
        Output memory bad = wrong(step, 1);
        vm.expectRevert(IOracleEvents.Oracle_Known.selector);
        claim(address(revm), bad);
        equal(oracle.tip().step, 0);
    }

    function test_whoCopiesACandidateIntoAnotherSlotCanBondIt() public {
        uint64 step = newStep();
        bondOn(revm, EVE, wrong(step, 1));
        passWindow();
        claim(address(revm), wrong(step, 1));
        prove(right(step));
        // Right is a candidate already, and the slot has claimed something else.
        bondOn(revm, ALICE, right(step));
        equal(oracle.standing().candidates, 2);
    }

    function test_stepsBecomeFinalOneByOne() public {
        for (uint64 step = 1; step <= 3; step++) {
            equal(newStep(), step);
        }
        for (uint64 step = 1; step <= 3; step++) {
            finalizeRight(step);
        }
        equal(oracle.tip().step, 3);
        equal(oracle.provenHash(200), right(2).l2Hash);
    }

    /// @dev Bonds on later steps run their time beside the earlier ones.
    function test_windowsRunAtTheSameTime() public {
        (uint64 one, uint64 two) = (newStep(), newStep());
        Output memory next = right(two);
        next.parent = oracle.hashOf(right(one));
        bondOn(revm, ALICE, next);
        bondOn(engine, BOB, next);
        finalizeRight(one);
        claim(address(revm), next);
        claim(address(engine), next);
        equal(oracle.tip().step, two);
    }

    function test_aStepWithoutNewBlocksChangesNoHash() public {
        finalizeRight(newStep());
        uint64 step = newStep();
        Output memory o = right(1);
        (o.step, o.parent) = (step, oracle.outputOf(1));
        prove(o);
        bondOn(revm, ALICE, o);
        passWindow();
        claim(address(revm), o);
        equal(oracle.tip().step, 2);
        equal(oracle.tip().l2Block, 100);
    }

    // What a claim may say.

    function test_onlyTheOpenStepIsClaimed() public {
        newStep();
        Output memory o = right(1);
        o.step = 2;
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_WrongStep.selector, 1));
        claim(address(revm), o);
    }

    function test_aStepWithoutACheckpointIsUnknown() public {
        Output memory o = right(1);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_UnknownStep.selector, 1));
        claim(address(revm), o);
    }

    function test_theParentIsWhatIsFinal() public {
        Output memory o = right(newStep());
        o.parent = keccak256("other");
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_WrongParent.selector, oracle.outputOf(0)));
        claim(address(revm), o);
    }

    function test_theL1BlockMustBeFinal() public {
        rollup.post("tip");
        vm.roll(block.number + INTERVAL + 1);
        oracle.checkpoint();
        uint256 from = block.number - 1 + FINAL;
        Output memory o = right(1);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_NotFinal.selector, from));
        claim(address(revm), o);
    }

    function testFuzz_claimsDoNotFallBack(uint64 l2Block, uint64 height, bytes32 l2Hash, bytes32 valueId) public {
        finalizeRight(newStep());
        Output memory o = right(newStep());
        (o.l2Block, o.height, o.l2Hash, o.valueId) = (l2Block, height, l2Hash, valueId);
        if (l2Block <= 100 || height <= 400 || l2Hash == 0) {
            vm.expectRevert(IOracleEvents.Oracle_Backwards.selector);
            claim(address(proofs), o);
        } else {
            prove(o);
            equal(oracle.standing().candidates, 1);
        }
    }

    function test_aStrangerIsNoSlot() public {
        Output memory o = right(newStep());
        BondedSlot other = new BondedSlot(address(oracle), "other", BOND, WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_NotASlot.selector, address(other)));
        claim(address(other), o);
        vm.expectRevert();
        bondOn(other, ALICE, o);
    }

    function test_whatASlotDoesNotShowIsNoClaim() public {
        Output memory o = right(newStep());
        vm.expectRevert(IOracleEvents.Oracle_NotShown.selector);
        oracle.claim(address(proofs), o, "no proof");
        bondOn(revm, ALICE, o);
        vm.expectRevert(IOracleEvents.Oracle_NotShown.selector);
        claim(address(revm), o);
    }

    // Checkpoints.

    function test_aCheckpointNamesTheL1BlockBefore() public {
        rollup.post("tip");
        vm.roll(block.number + INTERVAL + 1);
        oracle.checkpoint();
        Checkpoint memory c = oracle.checkpointOf(1);
        equal(c.l1Block, block.number - 1);
        equal(c.l1Hash, blockhash(block.number - 1));
        check(c.l1Hash != 0, "a hash");
    }

    function test_checkpointsKeepTheirDistance() public {
        rollup.post("tip");
        vm.roll(block.number + INTERVAL);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_TooEarly.selector, NOW + INTERVAL + 1));
        oracle.checkpoint();
    }

    function test_nothingNewIsNoCheckpoint() public {
        newStep();
        vm.roll(block.number + INTERVAL + 1);
        vm.expectRevert(IOracleEvents.Oracle_NothingNew.selector);
        oracle.checkpoint();
    }

    function test_aFallbackNeedsNoBatch() public {
        newStep();
        rollup.fall(1, true);
        for (uint256 i; i < 2; i++) {
            vm.roll(block.number + INTERVAL + 1);
            oracle.checkpoint();
        }
        rollup.fall(1, false);
        vm.roll(block.number + INTERVAL + 1);
        vm.expectRevert(IOracleEvents.Oracle_NothingNew.selector);
        oracle.checkpoint();
        equal(oracle.lastCheckpoint(), 3);
    }

    /// @dev The same words on another fork of L1 are another statement.
    function test_theStatementNamesTheL1Block() public {
        uint64 step = newStep();
        Output memory o = right(step);
        bytes32 before = oracle.hashOf(o);
        o.step = 0;
        check(oracle.hashOf(o) != before, "other L1 block, other hash");
    }

    // Ancestors.

    function test_ancestorsOfAProvenBlock() public {
        uint64 step = newStep();
        Output memory o = right(step);
        bytes[] memory headers = new bytes[](2);
        headers[1] = header("grandparent", 1);
        headers[0] = header(keccak256(headers[1]), 2);
        o.l2Hash = keccak256(headers[0]);
        prove(o);
        bondOn(revm, ALICE, o);
        passWindow();
        claim(address(revm), o);
        oracle.proveAncestor(100, headers);
        equal(oracle.provenHash(98), "grandparent");
        equal(oracle.provenHash(99), 0);
    }

    function test_anAncestorThatIsProvenStays() public {
        uint64 step = newStep();
        finalizeRight(step);
        bytes32 proven = oracle.provenHash(100);
        step = newStep();
        Output memory o = right(step);
        // Nothing says that the headers of what is proven lead down to what was proven before.
        bytes[] memory headers = headersTo("another", o.l2Block - 100);
        o.l2Hash = keccak256(headers[0]);
        prove(o);
        bondOn(revm, ALICE, o);
        passWindow();
        claim(address(revm), o);
        equal(oracle.provenHash(o.l2Block), o.l2Hash);
        vm.expectRevert(IOracleEvents.Oracle_Backwards.selector);
        oracle.proveAncestor(o.l2Block, headers);
        equal(oracle.provenHash(100), proven);
        equal(oracle.provenHash(0), GENESIS_BLOCK);
    }

    function test_ancestorsNeedEveryHeader() public {
        uint64 step = newStep();
        finalizeRight(step);
        bytes[] memory headers = new bytes[](1);
        headers[0] = header("parent", 1);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_WrongHeader.selector, 0));
        oracle.proveAncestor(100, headers);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_NotProven.selector, 99));
        oracle.proveAncestor(99, headers);
        headers = new bytes[](0);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_NotProven.selector, 100));
        oracle.proveAncestor(100, headers);
    }

    function test_theGenesisIsProven() public {
        equal(oracle.provenHash(0), GENESIS_BLOCK);
        address[] memory slots = oracle.slots();
        vm.expectRevert(IOracleEvents.Oracle_BadGenesis.selector);
        new Oracle(address(rollup), address(safe), address(timelock), slots, OracleRules(1, 1), "other", PARAMETERS);
        slots = new address[](1);
        slots[0] = address(revm);
        vm.expectRevert(IOracleEvents.Oracle_BadRules.selector);
        new Oracle(address(rollup), address(safe), address(timelock), slots, OracleRules(1, 1), GENESIS_BLOCK, PARAMETERS);
    }
}
