// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ForcedQueue} from "../src/ForcedQueue.sol";
import {ICertificateErrors} from "../src/ICertificateVerifier.sol";
import {Batch, IInboxEvents} from "../src/InboxTypes.sol";
import {State} from "../src/RegistryTypes.sol";
import {Fixture} from "./Fixture.sol";

/// @dev Epoch bounds, forced inclusion, and what happens when the set stops.
contract FallbackTest is Fixture {
    function setUp() public {
        deployWithSet(4);
    }

    function _head(uint64 height, uint64 l1Number) private pure returns (Head memory h) {
        h = head(height);
        h.l1Number = l1Number;
    }

    function _post(uint64 from, Head memory h, uint256 size) private {
        oneBlob();
        (bytes memory bitmap, bytes memory sigs) = certify(h, 0, (1 << size) - 1, size);
        inbox.submitBatch(batch(from, h.height), encode(h), bitmap, sigs);
    }

    function _refuse(uint64 from, Head memory h, bytes memory refusal) private {
        oneBlob();
        (bytes memory bitmap, bytes memory sigs) = certify(h, 0, 15, 4);
        bytes memory header = encode(h);
        Batch memory b = batch(from, h.height);
        vm.expectRevert(refusal);
        inbox.submitBatch(b, header, bitmap, sigs);
    }

    function _freeze(uint64 epoch) private {
        vm.roll(registry.epochStart(epoch) - 1);
        registry.freezeSet(epoch);
    }

    function _stall() private {
        vm.roll(inbox.stalledAfter() + 1);
        inbox.activateFallback();
    }

    function _answer(uint32 generation, uint256 i) private {
        vm.prank(owner(i));
        inbox.rollCall(generation, i);
    }

    function _emergency(uint256 responders) private returns (uint64 epoch, uint64 start) {
        for (uint256 i; i < responders; i++) {
            _answer(inbox.generation(), i);
        }
        vm.roll(block.number + 41);
        inbox.formEmergencySet();
        (, epoch, start) = inbox.stall();
    }

    function test_aHeaderBelongsToTheSetInForceAtItsOrigin() public {
        _freeze(1);
        uint64 start = uint64(registry.epochStart(1));
        vm.roll(start + 50);
        Head memory h = _head(1, start - 1);
        h.epoch = 1;
        _refuse(1, h, abi.encodeWithSelector(IInboxEvents.Inbox_EpochAhead.selector, start));
        h.l1Number = start;
        // The last height of epoch 0 may name the first origin of epoch 1, those after it may not.
        h.epoch = 0;
        _post(1, h, 4);
        h = _head(2, start + 1);
        _refuse(2, h, abi.encodeWithSelector(IInboxEvents.Inbox_EpochOver.selector, start));
        h.epoch = 1;
        _post(2, h, 4);
    }

    function test_aCertificateExpiresFourEpochsAfterItsSet() public {
        _freeze(1);
        uint256 end = registry.epochStart(1);
        vm.roll(end + 4 * EPOCH_BLOCKS + 1);
        Head memory h = _head(1, uint64(end) - 1);
        _refuse(1, h, abi.encodeWithSelector(IInboxEvents.Inbox_CertificateExpired.selector, end));
        vm.roll(end + 4 * EPOCH_BLOCKS);
        _post(1, h, 4);
    }

    function test_aSetWithoutASuccessorDoesNotExpire() public {
        vm.roll(registry.epochStart(50));
        _post(1, _head(1, uint64(block.number) - 1), 4);
    }

    function test_anOriginIsInThePast() public {
        Head memory h = _head(1, uint64(block.number));
        _refuse(1, h, abi.encodeWithSelector(IInboxEvents.Inbox_OriginAhead.selector, block.number));
    }

    function test_aForcedTransactionThatIsOverdueStopsTheSet() public {
        forced.enqueue{value: forced.fee(21_000)}("first", 21_000);
        uint64 here = uint64(block.number);
        vm.roll(here + 300);
        Head memory h = _head(1, here - 1);
        // 3,600 seconds later the entry is due.
        vm.warp(TODAY + 7200);
        h = _head(1, here - 1);
        _post(1, h, 4);
        LateHead memory late = LateHead(2, here - 1, uint64(TODAY) + 3601);
        _refuseLate(late, abi.encodeWithSelector(IInboxEvents.Inbox_ForcedOverdue.selector, 0));
        late.l1Number = here;
        _postLate(late);
    }

    struct LateHead {
        uint64 height;
        uint64 l1Number;
        uint64 timestamp;
    }

    function _late(LateHead memory l) private view returns (bytes memory header, bytes memory bitmap, bytes memory sigs) {
        Head memory h = _head(l.height, l.l1Number);
        header = encode(h);
        bytes8 time = bytes8(l.timestamp);
        for (uint256 i; i < 8; i++) {
            header[i] = time[i];
        }
        (bitmap, sigs) = certifyBytes(h, header, 15, 4);
    }

    function _refuseLate(LateHead memory l, bytes memory refusal) private {
        (bytes memory header, bytes memory bitmap, bytes memory sigs) = _late(l);
        vm.expectRevert(refusal);
        inbox.submitBatch(batch(l.height, l.height), header, bitmap, sigs);
    }

    function _postLate(LateHead memory l) private {
        (bytes memory header, bytes memory bitmap, bytes memory sigs) = _late(l);
        inbox.submitBatch(batch(l.height, l.height), header, bitmap, sigs);
    }

    function test_aFallbackNeedsAStandstillOfTheOrigin() public {
        _post(1, _head(1, uint64(block.number) - 5), 4);
        uint256 until = inbox.stalledAfter();
        equal(until, registry.base() + 200);
        vm.roll(until);
        vm.expectRevert(abi.encodeWithSelector(IInboxEvents.Inbox_NotStalled.selector, until));
        inbox.activateFallback();
        vm.roll(until + 1);
        vm.expectEmit();
        emit IInboxEvents.FallbackActivated(1, uint64(until) + 1);
        inbox.activateFallback();
        equal(inbox.generation(), 1);
        check(inbox.inFallback(), "in fallback");
        // Not again at once.
        vm.expectRevert(abi.encodeWithSelector(IInboxEvents.Inbox_NotStalled.selector, until + 201));
        inbox.activateFallback();
    }

    /// @dev I-25.
    function test_afterAFallbackNothingOfTheOldGenerationCounts() public {
        _post(1, _head(1, uint64(block.number) - 5), 4);
        _stall();
        Head memory h = _head(2, uint64(block.number) - 5);
        _refuse(2, h, abi.encodeWithSelector(IInboxEvents.Inbox_WrongGeneration.selector, 0));
        // The old signatures do not count under a new header either.
        (bytes memory bitmap, bytes memory sigs) = certify(h, 0, 15, 4);
        (uint64 epoch, uint64 start) = _emergency(4);
        vm.roll(start + 10);
        (h.generation, h.epoch, h.l1Number) = (1, epoch, start);
        bytes memory header = encode(h);
        oneBlob();
        vm.expectRevert(abi.encodeWithSelector(ICertificateErrors.Inbox_BadSignature.selector, 0));
        inbox.submitBatch(batch(2, 2), header, bitmap, sigs);
        // A repost of what was posted before neither.
        Head memory old = _head(1, uint64(NOW) - 5);
        _refuse(1, old, abi.encodeWithSelector(IInboxEvents.Inbox_WrongGeneration.selector, 0));
    }

    function test_anyonePostsUntilTheEmergencySetStarts() public {
        _stall();
        Head memory h = _head(7, uint64(block.number) - 1);
        h.generation = 1;
        bytes32[] memory none = new bytes32[](0);
        vm.blobhashes(none);
        vm.expectRevert(IInboxEvents.Inbox_NoBlob.selector);
        inbox.submitUncertified(batch(1, 7), encode(h));
        oneBlob();
        inbox.submitUncertified(batch(1, 7), encode(h));
        // With all signatures of the old set, a certified batch is refused: it did not answer yet.
        _refuse(1, h, abi.encodeWithSelector(IInboxEvents.Inbox_NoEmergencySet.selector, 0));
        (uint64 epoch, uint64 start) = _emergency(2);
        inbox.submitUncertified(batch(1, 7), encode(h));
        vm.roll(start);
        check(!inbox.inFallback(), "the set is in force");
        bytes memory header = encode(h);
        vm.expectRevert(IInboxEvents.Inbox_NoFallback.selector);
        inbox.submitUncertified(batch(1, 7), header);
        equal(registry.epochAt(start), epoch);
        equal(registry.epochAt(start - 1), 0);
    }

    function test_thoseWhoAnsweredGoOnFromWhereverDerivationIs() public {
        _post(1, _head(9, uint64(block.number) - 5), 4);
        _stall();
        (uint64 epoch, uint64 start) = _emergency(2);
        equal(registry.setCount(epoch), 2);
        equal(uint256(registry.stateOf(1)), uint256(State.Active));
        equal(uint256(registry.stateOf(2)), uint256(State.Exiting));
        equal(registry.unlocksAt(2), registry.epochStart(epoch + 60));
        vm.roll(start + 10);
        Head memory h = _head(21, start);
        (h.generation, h.epoch) = (1, epoch);
        _post(15, h, 2);
        (uint64 height,,,) = inbox.tip();
        equal(height, 21);
        // From here on as ever.
        h = _head(23, start + 1);
        (h.generation, h.epoch) = (1, epoch);
        _refuse(23, h, abi.encodeWithSelector(IInboxEvents.Inbox_Gap.selector, 22));
        vm.expectRevert(IInboxEvents.Inbox_NoFallback.selector);
        inbox.rollCall(1, 0);
        // The others may come back, in their turn.
        vm.prank(owner(2));
        registry.rejoin(2);
        equal(uint256(registry.stateOf(2)), uint256(State.Queued));
    }

    function test_theRollCallCountsAFifthOnce() public {
        _stall();
        vm.expectRevert(IInboxEvents.Inbox_NotOperator.selector);
        inbox.rollCall(1, 0);
        vm.prank(owner(0));
        vm.expectRevert(abi.encodeWithSelector(IInboxEvents.Inbox_WrongGeneration.selector, 2));
        inbox.rollCall(2, 0);
        uint256 until = block.number + 40;
        vm.roll(until);
        vm.expectRevert(abi.encodeWithSelector(IInboxEvents.Inbox_RollCallOpen.selector, until));
        inbox.formEmergencySet();
        vm.roll(until + 1);
        vm.expectRevert(abi.encodeWithSelector(IInboxEvents.Inbox_TooFewResponders.selector, 0, 4 gwei));
        inbox.formEmergencySet();
        // By the vote key; and one of four is enough.
        vm.prank(vm.addr(voteSecret(3)));
        inbox.rollCall(1, 3);
        inbox.formEmergencySet();
        (uint256 operator,,,) = registry.member(registry.lastFrozen(), 0);
        equal(operator, 3);
        vm.expectRevert(IInboxEvents.Inbox_RollCallOver.selector);
        inbox.formEmergencySet();
    }

    function test_theJailedDoNotAnswer() public {
        _stall();
        vm.prank(SLASHER);
        registry.seize(0);
        _answer(1, 0);
        vm.roll(block.number + 41);
        vm.expectRevert(abi.encodeWithSelector(IInboxEvents.Inbox_TooFewResponders.selector, 0, 4 gwei));
        inbox.formEmergencySet();
    }

    function test_anEmergencySetThatStaysSilentIsFollowedByAnotherFallback() public {
        _stall();
        (, uint64 start) = _emergency(4);
        equal(inbox.stalledAfter(), start + 200);
        _stall();
        equal(inbox.generation(), 2);
        check(!inbox.answered(2, 0), "an answer to an earlier call counts");
    }

    function test_aFrozenNextSetIsPassedOver() public {
        vm.roll(inbox.stalledAfter() + 1);
        registry.freezeSet(registry.currentEpoch() + 1);
        uint64 next = registry.lastFrozen();
        inbox.activateFallback();
        (uint64 epoch,) = _emergency(4);
        equal(epoch, next + 1);
    }
}

contract ForcedQueueTest is Fixture {
    function setUp() public {
        deploy(1);
    }

    function _enqueue(uint64 gas) private {
        forced.enqueue{value: forced.fee(gas)}(abi.encode(gas), gas);
    }

    function test_keepsPlaceTimeAndHash() public {
        vm.expectEmit();
        emit ForcedQueue.Enqueued(0, address(this), 21_000, abi.encode(21_000));
        _enqueue(21_000);
        _enqueue(30_000);
        vm.roll(block.number + 7);
        vm.warp(block.timestamp + 84);
        _enqueue(40_000);
        equal(forced.count(), 3);
        (uint64 l1Block, uint64 timestamp, bytes32 hash) = forced.entry(1);
        equal(l1Block, NOW);
        equal(timestamp, TODAY);
        equal(hash, keccak256(abi.encode(30_000)));
        (l1Block, timestamp,) = forced.entry(2);
        equal(l1Block, NOW + 7);
        equal(timestamp, TODAY + 84);
        vm.expectRevert(ForcedQueue.Forced_NoEntry.selector);
        forced.entry(3);
    }

    function test_refusesWhatDoesNotFitOrPay() public {
        uint256 fee = forced.fee(21_000);
        vm.expectRevert(abi.encodeWithSelector(ForcedQueue.Forced_Fee.selector, fee));
        forced.enqueue{value: fee - 1}("x", 21_000);
        vm.expectRevert(abi.encodeWithSelector(ForcedQueue.Forced_Length.selector, 0));
        forced.enqueue{value: fee}("", 21_000);
        vm.expectRevert(abi.encodeWithSelector(ForcedQueue.Forced_Length.selector, 32_769));
        forced.enqueue{value: fee}(new bytes(32_769), 21_000);
        vm.expectRevert(abi.encodeWithSelector(ForcedQueue.Forced_Gas.selector, 16_777_217));
        forced.enqueue{value: fee}("x", 16_777_217);
        _enqueue(16_777_216);
        _enqueue(13_000_000);
        uint256 more = forced.fee(222_785);
        vm.expectRevert(abi.encodeWithSelector(ForcedQueue.Forced_BlockFull.selector, 222_784));
        forced.enqueue{value: more}("x", 222_785);
        vm.roll(block.number + 1);
        _enqueue(222_785);
    }

    function test_feesGoToThePool() public {
        _enqueue(1_000_000);
        forced.collect();
        equal(POOL.balance, FORCED_FEE + 1_000_000 * FORCED_GAS_PRICE);
    }

    /// @dev Against a plain search, whatever the gaps.
    function testFuzz_oldestAfter(uint8[24] calldata gaps, uint16 ask) public {
        uint256[] memory made = new uint256[](24);
        for (uint256 i; i < 24; i++) {
            vm.roll(block.number + gaps[i] % 5);
            made[i] = block.number;
            _enqueue(21_000);
        }
        uint256 number = NOW - 5 + ask % 120;
        (uint256 index, uint256 timestamp) = forced.oldestAfter(number);
        uint256 want;
        while (want < 24 && made[want] <= number) want++;
        if (want == 24) equal(timestamp, 0);
        else equal(index, want);
        check(want == 24 || timestamp != 0, "found");
    }
}
