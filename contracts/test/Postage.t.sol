// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Inbox} from "../src/Inbox.sol";
import {Batch} from "../src/InboxTypes.sol";
import {State} from "../src/RegistryTypes.sol";
import {IRewards} from "../src/Rewards.sol";
import {Refuses} from "./Rewards.t.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// @dev Posts for somebody: it could do so at two inboxes with the same blobs.
contract Wrapper {
    function post(address inbox, bytes calldata call) external {
        (bool done,) = inbox.call(call);
        require(done, "refused");
    }
}

/// @dev Has no code while it posts.
contract Newborn {
    constructor(address inbox, bytes memory call) {
        (bool done,) = inbox.call(call);
        require(done, "refused");
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
        vm.prank(from, from);
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
    }

    function _setAside(uint256 amount) private {
        rewards.fund{value: amount * 20}();
        equal(rewards.posting(), amount);
    }

    /// @dev A batch of the poster's, which operator 1 has named.
    function _posted() private returns (uint256 due) {
        _post(POSTER, _call(1, 128, false));
        _name(1, POSTER);
        return inbox.postage(POSTER);
    }

    function _name(uint256 operator, address poster) private {
        vm.prank(owner(operator));
        rewards.namePoster(operator, poster);
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

    function test_onlyAnAccountWithoutCodeIsNoted() public priced {
        Wrapper wrapper = new Wrapper();
        vm.prank(POSTER, POSTER);
        wrapper.post(address(inbox), _call(1, 9, false));
        (uint64 tip,,,) = inbox.tip();
        equal(tip, 9);
        equal(inbox.postage(POSTER) + inbox.postage(address(wrapper)), 0);
        vm.prank(POSTER, POSTER);
        Newborn newborn = new Newborn(address(inbox), _call(10, 12, false));
        equal(inbox.postage(POSTER) + inbox.postage(address(newborn)), 0);
        // As EIP-7702 has it: an account that sends transactions and has code.
        vm.etch(POSTER, address(wrapper).code);
        _post(POSTER, _call(13, 19, false));
        equal(inbox.postage(POSTER), 0);
        vm.etch(POSTER, "");
        _post(POSTER, _call(20, 29, false));
        check(inbox.postage(POSTER) > 0, "not noted");
    }

    function test_aPosterIsPaidBackOutOfWhatIsSetAside() public priced {
        uint256 due = _posted();
        vm.expectRevert(IRewards.Rewards_NothingDue.selector);
        rewards.refund(1);
        _setAside(due - 1);
        vm.expectEmit();
        emit IRewards.Refunded(1, POSTER, due - 1, due - 1);
        rewards.refund(1);
        equal(POSTER.balance, due - 1);
        equal(rewards.posting(), 0);
        equal(rewards.paid(), due - 1);
        equal(rewards.refunded(POSTER), due - 1);
        vm.expectRevert(IRewards.Rewards_NothingDue.selector);
        rewards.refund(1);
        rewards.fund{value: 1 ether}();
        rewards.refund(1);
        equal(POSTER.balance, due);
        vm.expectRevert(IRewards.Rewards_NothingDue.selector);
        rewards.refund(1);
    }

    function test_whatIsSetAsideIsNotForRewards() public {
        post(1, 128);
        _setAside(5 ether);
        address[] memory accounts = new address[](1);
        uint128[] memory amounts = new uint128[](1);
        (accounts[0], amounts[0]) = (address(0xacc), 200 ether);
        send(claimOf(64, accounts, amounts, 0, 7));
        equal(address(0xacc).balance, 95 ether);
        equal(address(rewards).balance, 5 ether);
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

    function _isRefused(uint256 operator, State state) private {
        vm.expectRevert(abi.encodeWithSelector(IRewards.Rewards_NoOperator.selector, state));
        rewards.refund(operator);
    }

    function test_whoWasSlashedIsNotPaidBack() public priced {
        _posted();
        _setAside(1 ether);
        vm.prank(SLASHER);
        registry.seize(1);
        _isRefused(1, State.Jailed);
        // Another member that stands up for the account is as good.
        _name(2, POSTER);
        rewards.refund(2);
    }

    function test_whoNeverWasInASetIsNotPaidBack() public priced {
        _posted();
        _setAside(1 ether);
        join(SET, MIN_STAKE);
        _name(SET, POSTER);
        _isRefused(SET, State.Queued);
        vm.prank(owner(SET));
        registry.requestExit(SET);
        _isRefused(SET, State.Withdrawable);
        vm.prank(owner(SET));
        registry.withdraw(SET, owner(SET));
        _isRefused(SET, State.Gone);
    }

    function test_whoLeftIsPaidBackAsLongAsItsStakeIsLocked() public priced {
        _posted();
        _setAside(1 ether);
        vm.prank(owner(1));
        registry.requestExit(1);
        vm.roll(registry.epochStart(1));
        registry.freezeSet(2);
        vm.roll(registry.unlocksAt(1));
        _isRefused(1, State.Withdrawable);
        vm.roll(registry.unlocksAt(1) - 1);
        rewards.refund(1);
        check(POSTER.balance > 0, "not paid");
    }

    function test_twoOperatorsWithOnePosterAreRefundedOnce() public priced {
        uint256 due = _posted();
        _setAside(1 ether);
        _name(2, POSTER);
        rewards.refund(1);
        vm.expectRevert(IRewards.Rewards_NothingDue.selector);
        rewards.refund(2);
        equal(rewards.posting(), 1 ether - due);
    }

    function test_whoTakesNothingLosesNothing() public priced {
        _posted();
        _setAside(1 ether);
        vm.etch(POSTER, address(new Refuses()).code);
        vm.expectRevert(IRewards.Rewards_PaymentFailed.selector);
        rewards.refund(1);
        equal(rewards.posting(), 1 ether);
        equal(rewards.refunded(POSTER), 0);
    }
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
