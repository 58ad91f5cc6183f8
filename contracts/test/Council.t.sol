// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Enum} from "@safe-global/safe-smart-account/contracts/libraries/Enum.sol";
import {ModuleManager} from "@safe-global/safe-smart-account/contracts/base/ModuleManager.sol";
import {OwnerManager} from "@safe-global/safe-smart-account/contracts/base/OwnerManager.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {BondedSlot} from "../src/BondedSlot.sol";
import {Council} from "../src/Council.sol";
import {Oracle} from "../src/Oracle.sol";
import {IOracleEvents, Output} from "../src/OracleTypes.sol";
import {Timelock30} from "../src/Timelock30.sol";
import {WithdrawalPause} from "../src/WithdrawalPause.sol";
import {OracleFixture, ProofSlot} from "./OracleFixture.sol";

/// @dev Answers as a Safe would.
contract Members {
    uint256 private _count;
    uint256 public getThreshold;
    uint256 private _modules;

    function set(uint256 count, uint256 threshold, uint256 modules) external {
        (_count, getThreshold, _modules) = (count, threshold, modules);
    }

    function getOwners() external view returns (address[] memory) {
        return new address[](_count);
    }

    function getModulesPaginated(address, uint256) external view returns (address[] memory, address) {
        return (new address[](_modules), address(1));
    }

    function holds() external view returns (bool) {
        return Council.holds(address(this));
    }
}

/// @dev What a council can do, and all that it cannot.
contract CouncilTest is OracleFixture {
    function setUp() public {
        deployOracle();
    }

    function _dispute() private returns (uint64 step) {
        step = newStep();
        bondOn(revm, EVE, wrong(step, 1));
        bondOn(revm, ALICE, right(step));
        claim(address(revm), wrong(step, 1));
    }

    // Who is one.

    function testFuzz_eightMembersAndThreeQuarters(uint8 members, uint8 threshold, uint8 modules) public {
        Members m = new Members();
        m.set(members, threshold, modules % 2);
        bool enough = members >= 8 && uint256(threshold) * 4 >= uint256(members) * 3 && modules % 2 == 0;
        check(m.holds() == enough, "as the criterion says");
    }

    function testFuzz_lessThanACouncilCanDoNothing(uint8 members, uint8 threshold) public {
        uint64 step = _dispute();
        Members m = new Members();
        vm.etch(address(safe), address(m).code);
        m = Members(address(safe));
        m.set(members, threshold, 0);
        bool enough = members >= 8 && uint256(threshold) * 4 >= uint256(members) * 3;
        Output memory good = right(step);
        if (!enough) vm.expectRevert(IOracleEvents.Oracle_NotCouncil.selector);
        resolveAsCouncil(good);
        equal(oracle.tip().step, enough ? step : 0);
        if (!enough) vm.expectRevert(IOracleEvents.Oracle_NotCouncil.selector);
        vm.prank(address(safe));
        oracle.pauseWithdrawals();
    }

    function test_aSafeThatLetItsMembersGoIsNoCouncil() public {
        uint64 step = _dispute();
        address first = vm.addr(memberSecret(0));
        byCouncil(address(safe), abi.encodeCall(OwnerManager.changeThreshold, (5)), 6);
        resolveIsRefused(right(step), 5);
        byCouncil(address(safe), abi.encodeCall(OwnerManager.changeThreshold, (6)), 5);
        byCouncil(address(safe), abi.encodeCall(ModuleManager.enableModule, (first)), 6);
        bytes memory data = abi.encodeCall(Oracle.resolve, (right(step)));
        vm.prank(first);
        bool ok = safe.execTransactionFromModule(address(oracle), 0, data, Enum.Operation.Call);
        check(!ok, "a module acts for nobody");
        byCouncil(address(safe), abi.encodeCall(ModuleManager.disableModule, (address(1), first)), 6);
        resolveBy(right(step), 6);
        equal(oracle.tip().step, step);
    }

    function test_anyoneElseIsNoCouncil() public {
        Output memory good = right(_dispute());
        vm.expectRevert(IOracleEvents.Oracle_NotCouncil.selector);
        oracle.resolve(good);
        vm.expectRevert(IOracleEvents.Oracle_NotCouncil.selector);
        vm.prank(address(timelock));
        oracle.resolve(good);
        vm.expectRevert(IOracleEvents.Oracle_NotCouncil.selector);
        oracle.pauseWithdrawals();
    }

    // A real Safe, six of eight.

    function test_sixOfEightDecideADispute() public {
        uint64 step = _dispute();
        resolveIsRefused(right(step), 5);
        resolveBy(right(step), 6);
        equal(oracle.provenHash(100), right(step).l2Hash);
    }

    // What it cannot do.

    function testFuzz_nothingOutsideADispute(uint64 l2Block, bytes32 l2Hash, uint64 height, bool claimed, uint32 early) public {
        Output memory o = right(newStep());
        (o.l2Block, o.l2Hash, o.height) = (l2Block | 1, l2Hash | bytes32(uint256(1)), height | 1);
        if (claimed) prove(o);
        uint256 until = block.timestamp + 7 days;
        vm.warp(until - 1 - early % 7 days);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_NotStuck.selector, until));
        resolveAsCouncil(o);
    }

    function test_unanimityChangesNothing() public {
        uint64 step = newStep();
        resolveIsRefused(right(step), 8);
        finalizeRight(step);
        resolveIsRefused(wrong(step, 1), 8);
        equal(oracle.provenHash(100), right(step).l2Hash);
    }

    function testFuzz_itChoosesOnlyWhatIsClaimed(bytes32 l2Hash, uint32 later) public {
        uint64 step = _dispute();
        Output memory o = right(step);
        if (l2Hash == o.l2Hash || l2Hash == wrong(step, 1).l2Hash || l2Hash == 0) return;
        o.l2Hash = l2Hash;
        // However long it waits.
        vm.warp(block.timestamp + later);
        vm.expectRevert(IOracleEvents.Oracle_NotClaimed.selector);
        resolveAsCouncil(o);
    }

    function test_whatIsRightCanBeClaimedInADispute() public {
        uint64 step = newStep();
        bondOn(revm, EVE, wrong(step, 1));
        bondOn(revm, EVE, wrong(step, 2));
        Output memory good = right(step);
        vm.expectRevert(IOracleEvents.Oracle_NotClaimed.selector);
        resolveAsCouncil(good);
        bondOn(revm, ALICE, good);
        resolveAsCouncil(good);
        equal(oracle.tip().step, step);
    }

    // Stuck.

    function test_aWeekAfterTheCheckpointItMayAct() public {
        finalizeRight(newStep());
        vm.warp(block.timestamp + 30 days);
        // A rollup that posted nothing for a month is not stuck.
        uint64 step = newStep();
        Output memory o = right(step);
        uint256 until = oracle.checkpointOf(step).time + 7 days;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_NotStuck.selector, until));
        resolveAsCouncil(o);
        vm.warp(until);
        resolveBy(o, 6);
        equal(oracle.provenHash(200), o.l2Hash);
    }

    function test_aWeekAfterTheLastFinalStepIfThatIsLater() public {
        (uint64 one, uint64 two) = (newStep(), newStep());
        vm.warp(block.timestamp + 6 days);
        finalizeRight(one);
        uint256 until = block.timestamp + 7 days;
        Output memory o = right(two);
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_NotStuck.selector, until));
        resolveAsCouncil(o);
    }

    function test_stuckWithAClaimItIsThatClaim() public {
        uint64 step = newStep();
        prove(right(step));
        vm.warp(block.timestamp + 8 days);
        Output memory bad = wrong(step, 1);
        vm.expectRevert(IOracleEvents.Oracle_NotClaimed.selector);
        resolveAsCouncil(bad);
        resolveAsCouncil(right(step));
        equal(oracle.tip().step, step);
    }

    // Walk away.

    /// @dev The keys of all members are lost. Checkpoints, bonds, proofs, a replaced prover: all goes on while provers agree.
    function test_withoutACouncilProversGoOn() public {
        vm.etch(address(safe), "");
        for (uint256 i; i < 12; i++) {
            vm.warp(block.timestamp + 20 days);
            uint64 step = newStep();
            if (i % 3 == 0) finalizeRight(step);
            else _oneProverIsGone(step, i % 3 == 1 ? revm : engine);
            equal(oracle.tip().step, step);
            equal(oracle.provenHash(step * 100), right(step).l2Hash);
        }
        check(!oracle.withdrawalsPaused(), "nobody can pause either");
        uint256 credits = revm.creditOf(ALICE) + engine.creditOf(BOB);
        for (uint64 step = 1; step <= 12; step += 3) {
            Output memory o = right(step);
            revm.settle(o);
            engine.settle(o);
        }
        equal(revm.creditOf(ALICE) + engine.creditOf(BOB), credits + 8 * BOND);
    }

    function _oneProverIsGone(uint64 step, BondedSlot left) private {
        Output memory o = right(step);
        bondOn(left, BOB, o);
        prove(o);
        passWindow();
        claim(address(left), o);
    }

    // The pause.

    function test_aPauseEndsByItself() public {
        byCouncil(address(oracle), abi.encodeCall(WithdrawalPause.pauseWithdrawals, ()), 6);
        check(oracle.withdrawalsPaused(), "paused");
        // Proving goes on.
        finalizeRight(newStep());
        vm.warp(oracle.pausedUntil() - 1);
        check(oracle.withdrawalsPaused(), "still");
        vm.warp(oracle.pausedUntil());
        check(!oracle.withdrawalsPaused(), "over");
        vm.etch(address(safe), "");
        check(!oracle.withdrawalsPaused(), "whoever is there");
    }

    function testFuzz_noSecondPauseForSixtyDays(uint32 later, uint32 resumed) public {
        vm.prank(address(safe));
        oracle.pauseWithdrawals();
        if (resumed % 2 == 0) {
            vm.warp(block.timestamp + resumed % 7 days);
            vm.prank(address(safe));
            oracle.resumeWithdrawals();
            check(!oracle.withdrawalsPaused(), "resumed");
        }
        uint256 from = oracle.pausedUntil() + 60 days;
        vm.warp(from - 1 - later % 50 days);
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_PausedLately.selector, from));
        vm.prank(address(safe));
        oracle.pauseWithdrawals();
        vm.warp(from);
        vm.prank(address(safe));
        oracle.pauseWithdrawals();
        check(oracle.withdrawalsPaused(), "again");
    }

    // Slots and the timelock.

    function _schedule(address to, bytes memory data, uint256 delay) private {
        byCouncil(address(timelock), _scheduling(to, data, delay), 6);
    }

    function _scheduling(address to, bytes memory data, uint256 delay) private pure returns (bytes memory) {
        return abi.encodeCall(TimelockController.schedule, (to, 0, data, 0, 0, delay));
    }

    function test_aSlotIsReplacedAfterThirtyDays() public {
        uint64 step = newStep();
        bondOn(revm, ALICE, right(step));
        passWindow();
        claim(address(revm), right(step));
        ProofSlot other = new ProofSlot(address(oracle));
        bytes memory data = abi.encodeCall(Oracle.setSlot, (0, address(other)));
        refusedByCouncil(address(timelock), _scheduling(address(oracle), data, 37 days - 1), 6);
        _schedule(address(oracle), data, 37 days);
        vm.warp(block.timestamp + 37 days - 1);
        vm.expectRevert();
        timelock.execute(address(oracle), 0, data, 0, 0);
        vm.warp(block.timestamp + 1);
        timelock.execute(address(oracle), 0, data, 0, 0);
        equal(oracle.slots()[0], address(other));
        // What the old slot claimed supports nothing any more; its bonds are settled all the same.
        Output memory o = right(step);
        prove(o);
        equal(oracle.tip().step, 0);
        oracle.claim(address(other), o, abi.encode(oracle.hashOf(o)));
        equal(oracle.tip().step, step);
        revm.settle(o);
        equal(revm.creditOf(ALICE), BOND);
    }

    function test_slotsChangeByTheTimelockOnly() public {
        vm.expectRevert(IOracleEvents.Oracle_NotTimelock.selector);
        vm.prank(address(safe));
        oracle.setSlot(0, address(engine));
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_BadSlot.selector, address(engine)));
        vm.prank(address(timelock));
        oracle.setSlot(0, address(engine));
        ProofSlot foreign = new ProofSlot(address(this));
        vm.expectRevert(abi.encodeWithSelector(IOracleEvents.Oracle_BadSlot.selector, address(foreign)));
        vm.prank(address(timelock));
        oracle.setSlot(3, address(foreign));
        ProofSlot fourth = new ProofSlot(address(oracle));
        vm.prank(address(timelock));
        oracle.setSlot(3, address(fourth));
        equal(oracle.slots().length, 4);
        ProofSlot tenth = new ProofSlot(address(oracle));
        vm.expectRevert();
        vm.prank(address(timelock));
        oracle.setSlot(9, address(tenth));
        vm.etch(address(safe), "");
        vm.expectRevert(IOracleEvents.Oracle_NotCouncil.selector);
        vm.prank(address(timelock));
        oracle.setSlot(3, address(fourth));
    }

    function testFuzz_theTimelockHasAFloor(uint32 delay) public {
        if (delay < 30 days) vm.expectRevert(abi.encodeWithSelector(Timelock30.Timelock_BelowFloor.selector, delay));
        new Timelock30(delay, address(safe));
        if (delay < 30 days) vm.expectRevert(abi.encodeWithSelector(Timelock30.Timelock_BelowFloor.selector, delay));
        vm.prank(address(timelock));
        timelock.updateDelay(delay);
        check(timelock.getMinDelay() >= 30 days, "floor");
    }

    function test_nobodyIsAboveTheTimelock() public {
        bytes32 admin = timelock.DEFAULT_ADMIN_ROLE();
        check(!timelock.hasRole(admin, address(safe)) && !timelock.hasRole(admin, address(this)), "no admin");
        check(timelock.hasRole(timelock.EXECUTOR_ROLE(), address(0)), "anyone executes");
        vm.expectRevert();
        vm.prank(address(safe));
        timelock.updateDelay(60 days);
    }
}
