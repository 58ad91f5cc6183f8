// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Inbox} from "../src/Inbox.sol";
import {Batch} from "../src/InboxTypes.sol";
import {State} from "../src/RegistryTypes.sol";
import {IRewards} from "../src/Rewards.sol";
import {Refuses} from "./Rewards.t.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// @dev Posts two batches in one transaction, with the same blobs.
contract TwiceInOne {
    function post(address inbox, bytes calldata first, bytes calldata second) external {
        (bool one,) = inbox.call(first);
        (bool two,) = inbox.call(second);
        require(one && two, "refused");
    }
}

/// @dev A test is one transaction, as far as the inbox can see; so is `setUp`.
abstract contract PostageFixture is RewardsFixture {
    uint256 internal constant BLOB_GAS = 131_072;
    uint256 internal constant BASE_FEE = 7 gwei;
    address internal constant POSTER = address(0x9057e4);

    /// @dev Blob hashes do not outlast `setUp`. The price of blobs is what it is here: 1 wei.
    modifier priced() {
        vm.fee(BASE_FEE);
        oneBlob();
        _;
    }

    function _call(uint64 from, uint64 to, bool repost) internal view returns (bytes memory) {
        return _callOf(from, to, head(to), repost);
    }

    function _callOf(uint64 from, uint64 to, Head memory h, bool repost) internal view returns (bytes memory) {
        Batch memory b = batch(from, to);
        b.repost = repost;
        (bytes memory bitmap, bytes memory sigs) = certify(h, 0, 7, SET);
        return abi.encodeCall(Inbox.submitBatch, (b, encode(h), bitmap, sigs));
    }

    /// @dev Gas of the call.
    function _post(address from, bytes memory call) internal returns (uint256 gas) {
        vm.prank(from);
        gas = gasleft();
        (bool done,) = address(inbox).call(call);
        gas -= gasleft();
        check(done, "refused");
    }
}

/// @dev What posting costs is noted by the inbox and paid back out of what the fees set aside for it.
contract PostageTest is PostageFixture {
    function setUp() public {
        deployRewards();
        rewards.fund{value: 100 ether}();
    }

    /// @dev `amount` earned for posting, at a checkpoint that is posted.
    function _setAside(uint128 amount) private {
        address[] memory accounts = new address[](1);
        uint128[] memory amounts = new uint128[](1);
        (accounts[0], amounts[0]) = (rewards.POSTING(), amount);
        send(claimOf(64, accounts, amounts, 0, 7));
    }

    function test_whatWasPaidByBaseFeesIsNoted() public priced {
        uint256 gas = _post(POSTER, _call(1, 9, false));
        uint256 noted = inbox.postage(POSTER);
        uint256 most = (gas + 21_000) * BASE_FEE + BLOB_GAS * block.blobbasefee;
        check(noted < most, "more than it cost");
        // Not counted: the first note itself, and the call.
        check(noted > most - 32_000 * BASE_FEE, "far less than it cost");
        equal(inbox.postage(address(this)), 0);
    }

    function test_everyBlobCounts() public priced {
        bytes32[] memory hashes = new bytes32[](3);
        (hashes[0], hashes[1], hashes[2]) = (bytes32("1"), bytes32("2"), bytes32("3"));
        vm.blobhashes(hashes);
        vm.fee(0);
        _post(POSTER, _call(1, 9, false));
        equal(inbox.postage(POSTER), 3 * BLOB_GAS * block.blobbasefee);
    }

    function test_oneTransactionIsNotedOnce() public priced {
        vm.fee(0);
        TwiceInOne twice = new TwiceInOne();
        twice.post(address(inbox), _call(1, 9, false), _call(10, 19, false));
        (uint64 tip,,,) = inbox.tip();
        equal(tip, 19);
        equal(inbox.postage(address(twice)), BLOB_GAS * block.blobbasefee);
    }

    function test_aPosterIsPaidBackOutOfWhatIsSetAside() public priced {
        post(1, 128);
        // It is this test that sent the batch.
        vm.prank(owner(1));
        rewards.namePoster(1, address(this));
        uint256 due = inbox.postage(address(this));
        vm.expectRevert(IRewards.Rewards_NothingDue.selector);
        rewards.refund(1);
        _setAside(uint128(due - 1));
        equal(rewards.posting(), due - 1);
        equal(rewards.paid(), 0);
        uint256 before = address(this).balance;
        vm.expectEmit();
        emit IRewards.Refunded(1, address(this), due - 1, due - 1);
        rewards.refund(1);
        equal(address(this).balance, before + due - 1);
        equal(rewards.posting(), 0);
        equal(rewards.paid(), due - 1);
        equal(rewards.refunded(address(this)), due - 1);
        vm.expectRevert(IRewards.Rewards_NothingDue.selector);
        rewards.refund(1);
    }

    function test_whatIsSetAsideIsNotForRewards() public {
        post(1, 128);
        _setAside(60 ether);
        address[] memory accounts = new address[](1);
        uint128[] memory amounts = new uint128[](1);
        (accounts[0], amounts[0]) = (address(0xacc), 90 ether);
        send(claimOf(64, accounts, amounts, 0, 7));
        equal(address(0xacc).balance, 40 ether);
        equal(rewards.posting(), 60 ether);
        equal(address(rewards).balance, 60 ether);
    }

    function test_onlyTheOwnerNamesAPoster() public {
        vm.expectRevert(IRewards.Rewards_NotOwner.selector);
        rewards.namePoster(1, POSTER);
        vm.prank(owner(1));
        vm.expectEmit();
        emit IRewards.PosterNamed(1, POSTER);
        rewards.namePoster(1, POSTER);
        equal(rewards.posterOf(1), POSTER);
        vm.expectRevert(IRewards.Rewards_NoPoster.selector);
        rewards.refund(2);
        vm.expectRevert(IRewards.Rewards_NothingDue.selector);
        rewards.refund(1);
    }

    function test_onlyForWhoHasAStakeToLose() public priced {
        post(1, 128);
        _setAside(1 ether);
        vm.prank(owner(1));
        rewards.namePoster(1, address(this));
        vm.prank(SLASHER);
        registry.seize(1);
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_NoOperator.selector, State.Jailed));
        rewards.refund(1);
        // Another operator that stands up for it is as good.
        vm.prank(owner(2));
        rewards.namePoster(2, address(this));
        rewards.refund(2);
    }

    function test_twoOperatorsWithOnePosterAreRefundedOnce() public priced {
        post(1, 128);
        _setAside(1 ether);
        uint256 due = inbox.postage(address(this));
        for (uint256 i = 1; i < 3; i++) {
            vm.prank(owner(i));
            rewards.namePoster(i, address(this));
        }
        rewards.refund(1);
        vm.expectRevert(IRewards.Rewards_NothingDue.selector);
        rewards.refund(2);
        equal(rewards.posting(), 1 ether - due);
    }

    function test_whoTakesNothingLosesNothing() public priced {
        address refuses = address(new Refuses());
        _post(refuses, _call(1, 128, false));
        _setAside(1 ether);
        vm.prank(owner(1));
        rewards.namePoster(1, refuses);
        vm.expectRevert(IRewards.Rewards_PaymentFailed.selector);
        rewards.refund(1);
        equal(rewards.posting(), 1 ether);
        equal(rewards.refunded(refuses), 0);
    }

    receive() external payable {}
}

/// @dev After a first batch.
contract PostageLaterTest is PostageFixture {
    uint64 private constant TIP = 9;

    function setUp() public {
        deployRewards();
        post(1, TIP);
    }

    function _noted(bytes memory call) private returns (uint256) {
        vm.fee(0);
        _post(POSTER, call);
        return inbox.postage(POSTER);
    }

    function test_aBatchThatMovesTheOriginFarCountsInFull() public priced {
        equal(_noted(_call(TIP + 1, TIP + 2, false)), BLOB_GAS * block.blobbasefee);
    }

    function test_aBatchThatMovesItByOneBlockCountsByHalf() public priced {
        equal(_noted(_call(TIP + 1, TIP + 1, false)), BLOB_GAS * block.blobbasefee / 2);
    }

    function test_aBatchOfTheSameOriginDoesNotCount() public priced {
        Head memory still = head(TIP + 1);
        still.l1Number = ORIGIN + TIP;
        equal(_noted(_callOf(TIP + 1, TIP + 1, still, false)), 0);
    }

    function test_whatIsPostedAgainDoesNotCount() public priced {
        equal(_noted(_call(1, TIP, true)), 0);
    }

    function test_anotherValueForTheTipDoesNotCount() public priced {
        Head memory other = head(TIP);
        other.filler = bytes32("other");
        equal(_noted(_callOf(1, TIP, other, false)), 0);
        (,,, bool forked) = inbox.tip();
        check(forked, "not seen");
    }

    function testFuzz_notedIsNeverMoreThanPaid(uint64 baseFee, uint8 heights) public {
        vm.fee(baseFee);
        oneBlob();
        uint64 to = TIP + 1 + heights % 50;
        uint256 gas = _post(POSTER, _call(TIP + 1, to, false));
        uint256 most = (gas + 21_000) * baseFee + BLOB_GAS * block.blobbasefee;
        check(inbox.postage(POSTER) <= most, "more than it cost");
    }
}
