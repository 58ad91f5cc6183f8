// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IRegistryEvents, Operator, Registration, State} from "../src/RegistryTypes.sol";
import {Fixture} from "./Fixture.sol";

/// @dev Sets of later epochs: who comes in, who leaves, with what weight and which keys.
contract SetsTest is Fixture {
    function setUp() public {
        deployWithSet(4);
    }

    /// @dev Goes to the last block before an epoch and freezes it.
    function _freeze(uint64 epoch) private {
        vm.roll(registry.epochStart(epoch) - 1);
        registry.freezeSet(epoch);
    }

    function _members(uint64 epoch) private view returns (uint256[] memory ids) {
        ids = new uint256[](registry.setCount(epoch));
        for (uint256 i; i < ids.length; i++) {
            (ids[i],,,) = registry.member(epoch, i);
        }
    }

    function _weight(uint64 epoch, uint256 index) private view returns (uint256 weight) {
        (,,, weight) = registry.member(epoch, index);
    }

    function _is(uint256 operator, State state) private view {
        equal(uint256(registry.stateOf(operator)), uint256(state));
    }

    function _exit(uint256 i) private {
        vm.prank(owner(i));
        registry.requestExit(i);
    }

    function _topUp(uint256 i, uint256 amount) private {
        vm.deal(owner(i), amount);
        vm.prank(owner(i));
        registry.topUp{value: amount}(i);
    }

    function test_aSetIsFrozenInTheEpochBefore() public {
        vm.expectRevert(IRegistryEvents.Registry_EpochNotOpen.selector);
        registry.freezeSet(2);
        registry.freezeSet(1);
        vm.expectRevert(IRegistryEvents.Registry_AlreadyFrozen.selector);
        registry.freezeSet(1);
        vm.roll(registry.epochStart(2));
        vm.expectRevert(IRegistryEvents.Registry_EpochNotOpen.selector);
        registry.freezeSet(2);
        registry.freezeSet(3);
        equal(registry.lastFrozen(), 3);
    }

    function test_epochsWithoutASetGoOnWithTheOneBefore() public {
        _freeze(3);
        uint256 start = registry.epochStart(3);
        equal(registry.epochAt(0), 0);
        equal(registry.epochAt(start - 1), 0);
        equal(registry.epochAt(start), 3);
        equal(registry.lastUse(0), 2);
        equal(registry.lastUse(3), 3);
        vm.roll(registry.epochStart(7));
        equal(registry.lastUse(0), 2);
        equal(registry.lastUse(3), 7);
        (uint256 from, uint256 to) = registry.inForce(0);
        equal(from, 0);
        equal(to, start);
        vm.expectRevert(IRegistryEvents.Registry_UnknownEpoch.selector);
        registry.lastUse(1);
    }

    function test_whoJoinsInAnEpochServesFromTheOneAfterTheNext() public {
        join(4, MIN_STAKE);
        equal(registry.operatorOf(4).fromEpoch, 2);
        _freeze(1);
        equal(registry.setCount(1), 4);
        _is(4, State.Queued);
        _freeze(2);
        equal(registry.setCount(2), 5);
        _is(4, State.Active);
    }

    function test_atMostAQuarterJoins() public {
        for (uint256 i = 4; i < 8; i++) {
            join(i, MIN_STAKE);
        }
        _freeze(2);
        equal(registry.setCount(2), 5);
        _freeze(3);
        // A quarter of five is less than two.
        equal(registry.setCount(3), 6);
        equal(_members(3)[5], 5);
    }

    function test_noStakeGrowsByMoreThanAQuarter() public {
        join(4, 1000 ether);
        _topUp(0, 1000 ether);
        _freeze(2);
        equal(_weight(2, 0), 2 gwei);
        equal(_weight(2, 4), 1 gwei);
        equal(registry.setTotal(2), 6 gwei);
    }

    function test_keysTurnWithTheirEpochAndStayInOldSets() public {
        Registration memory r = registration(9);
        (, bytes32 secret) = vm.createEd25519Key(bytes32(uint256(9)));
        signPossession(r, owner(0), voteSecret(9), secret);
        vm.prank(owner(0));
        registry.rotate(0, r);
        _freeze(1);
        _freeze(2);
        (, address vote1, bytes32 seq1,) = registry.member(1, 0);
        (uint256 operator, address vote2, bytes32 seq2,) = registry.member(2, 0);
        equal(operator, 0);
        equal(vote1, vm.addr(voteSecret(0)));
        equal(vote2, vm.addr(voteSecret(9)));
        equal(seq2, r.seqKey);
        check(seq1 != seq2, "another ed25519 key");
        // The old key is used for ever.
        Registration memory old = registration(0);
        vm.deal(owner(0), MIN_STAKE);
        vm.prank(owner(0));
        vm.expectRevert(IRegistryEvents.Registry_SeqKeyUsed.selector);
        registry.register{value: MIN_STAKE}(old);
    }

    function test_leavingTakesItsTurnAndItsTime() public {
        _exit(0);
        _exit(1);
        _freeze(1);
        equal(registry.setCount(1), 4);
        _freeze(2);
        // One of four is a quarter.
        equal(registry.setCount(2), 3);
        equal(registry.unlocksAt(0), registry.epochStart(62));
        equal(registry.unlocksAt(1), type(uint256).max);
        _freeze(3);
        equal(registry.setCount(3), 2);
        vm.roll(registry.epochStart(62) - 1);
        _is(0, State.Exiting);
        bytes memory refusal = abi.encodeWithSelector(IRegistryEvents.Registry_Locked.selector, registry.epochStart(62));
        vm.prank(owner(0));
        vm.expectRevert(refusal);
        registry.withdraw(0, owner(0));
        vm.roll(registry.epochStart(62));
        _is(0, State.Withdrawable);
        uint256 before = owner(0).balance;
        vm.prank(owner(0));
        registry.withdraw(0, owner(0));
        equal(owner(0).balance, before + MIN_STAKE);
        _is(0, State.Gone);
    }

    function test_theLastMemberStays() public {
        for (uint256 i; i < 4; i++) {
            _exit(i);
        }
        for (uint64 e = 1; e < 8; e++) {
            _freeze(e);
        }
        equal(registry.setCount(7), 1);
        _is(3, State.Exiting);
        join(4, MIN_STAKE);
        _freeze(9);
        _freeze(10);
        equal(registry.setCount(10), 1);
        equal(_members(10)[0], 4);
    }

    function test_aCandidateStopsWaitingAtOnce() public {
        join(4, MIN_STAKE);
        join(5, MIN_STAKE);
        join(6, MIN_STAKE);
        _exit(5);
        vm.prank(owner(5));
        registry.withdraw(5, address(0xcafe));
        equal(address(0xcafe).balance, MIN_STAKE);
        _exit(4);
        _freeze(2);
        equal(registry.setCount(2), 5);
        equal(_members(2)[4], 6);
    }

    function test_theJailedAreOutOfTheNextSet() public {
        vm.prank(SLASHER);
        equal(registry.seize(2), MIN_STAKE);
        equal(SLASHER.balance, MIN_STAKE);
        _is(2, State.Jailed);
        equal(registry.setCount(0), 4);
        registry.freezeSet(1);
        equal(registry.setCount(1), 3);
        equal(registry.unlocksAt(2), registry.epochStart(61));
        vm.prank(SLASHER);
        equal(registry.seize(2), 0);
    }

    function test_aStakeCanBeTakenUntilItIsPaidOut() public {
        _exit(0);
        _freeze(2);
        vm.roll(registry.epochStart(62));
        vm.prank(SLASHER);
        equal(registry.seize(0), MIN_STAKE);
        vm.prank(owner(0));
        vm.expectRevert(abi.encodeWithSelector(IRegistryEvents.Registry_WrongState.selector, State.Jailed));
        registry.withdraw(0, owner(0));
    }

    function test_onlyTheNamedMaySeizeAndFreezeAnEmergencySet() public {
        vm.expectRevert(IRegistryEvents.Registry_NotSlasher.selector);
        registry.seize(0);
        vm.expectRevert(IRegistryEvents.Registry_NotInbox.selector);
        registry.freezeEmergency(1);
        vm.expectRevert(IRegistryEvents.Registry_NotOwner.selector);
        registry.requestExit(0);
        vm.expectRevert(IRegistryEvents.Registry_UnknownOperator.selector);
        registry.requestExit(9);
    }

    /// @dev `types/src/light.rs` reads these words out of storage proofs: the places must stay.
    function test_aLightClientFindsASetInStorage() public {
        _freeze(3);
        bytes32 id = vm.load(address(registry), keccak256(abi.encode(uint64(3), 4)));
        check(id == registry.setId(3) && id != 0, "setId");
        uint256 first = uint256(keccak256(abi.encode(uint64(0), 2)));
        uint256 word = uint256(vm.load(address(registry), bytes32(first + 1)));
        equal(uint32(word >> 160), 3);
        equal(word >> 192, registry.frozenAt(0));
    }

    function test_setIdBindsOwnersAndBothKeys() public view {
        bytes memory preimage = abi.encodePacked("rota/set/v1", uint64(0), uint32(4));
        for (uint256 i; i < 4; i++) {
            Operator memory o = registry.operatorOf(i);
            preimage = abi.encodePacked(preimage, o.owner, o.seqKey, o.voteKey, uint64(MIN_STAKE / 1 gwei));
        }
        equal(registry.setId(0), keccak256(preimage));
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_noShareAboveTheLargest(uint64[4] memory extra) public {
        for (uint256 i; i < 4; i++) {
            _topUp(i, extra[i]);
        }
        registry.freezeSet(1);
        for (uint256 i; i < 4; i++) {
            check(_weight(1, i) <= 2 gwei, "grew too fast");
            check(_weight(1, i) >= 1 gwei, "lost weight");
        }
    }
}

/// @dev A full set, and a flood of candidates with the least stake.
contract FullSetTest is Fixture {
    uint256 private constant CROWD = 200;

    function setUp() public {
        deploy(64);
        for (uint256 i; i < 64; i++) {
            join(i, MIN_STAKE + i);
        }
        registry.freezeSet(0);
        for (uint256 i = 64; i < 64 + CROWD; i++) {
            join(i, MIN_STAKE);
        }
    }

    function _gasOfFreeze(uint64 epoch) private returns (uint256 used) {
        vm.roll(registry.epochStart(epoch) - 1);
        uint256 before = gasleft();
        registry.freezeSet(epoch);
        used = before - gasleft();
    }

    function test_aFloodCostsAFreezeNothing() public {
        check(_gasOfFreeze(1) < 5_000_000, "freeze of a full set");
        // A quarter leaves and a quarter of the crowd comes in, the most that one freeze can do.
        for (uint256 i; i < 32; i++) {
            vm.prank(owner(i));
            registry.requestExit(i);
        }
        check(_gasOfFreeze(3) < 6_000_000, "freeze of a quarter");
        equal(registry.setCount(3), 64);
        (uint256 first,,,) = registry.member(3, 0);
        equal(first, 16);
        (uint256 last,,,) = registry.member(3, 63);
        equal(last, 79);
    }

    function test_theLargestCandidateTakesTheSmallestSeat() public {
        join(300, 3 * MIN_STAKE);
        uint256 rich = registry.operatorCount() - 1;
        vm.expectRevert(abi.encodeWithSelector(IRegistryEvents.Registry_WrongState.selector, State.Queued));
        registry.nominate(rich);
        vm.roll(registry.epochStart(1));
        registry.nominate(70);
        registry.nominate(rich);
        registry.nominate(71);
        registry.freezeSet(2);
        (uint256 last,,, uint256 weight) = registry.member(2, 63);
        equal(last, rich);
        equal(weight, 3 * MIN_STAKE / 1 gwei);
        equal(registry.setCount(2), 64);
        // The loser waits again; nobody else is displaced by an equal stake.
        equal(uint256(registry.stateOf(63)), uint256(State.Queued));
        equal(registry.operatorOf(63).left, 2);
        vm.roll(registry.epochStart(2));
        registry.nominate(70);
        registry.freezeSet(3);
        equal(uint256(registry.stateOf(70)), uint256(State.Queued));
    }
}
