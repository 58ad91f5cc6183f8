// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICertificateErrors} from "../src/ICertificateVerifier.sol";
import {IRewards, Rewards} from "../src/Rewards.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// @dev Takes nothing.
contract Refuses {}

/// @dev Claims again while it is paid.
contract Greedy {
    address private immutable _target;
    bytes private _call;
    bool public tried;

    constructor(address target) {
        _target = target;
    }

    function prepare(bytes memory call_) external {
        _call = call_;
    }

    receive() external payable {
        tried = true;
        (bool again,) = _target.call(_call);
        require(!again, "paid twice");
    }
}

contract RewardsTest is RewardsFixture {
    uint64 private constant HEIGHT = 64;
    address[] private _accounts;
    uint128[] private _amounts;

    function setUp() public {
        deployRewards();
        post(1, HEIGHT + BEHIND);
        for (uint256 i; i < 5; i++) {
            _accounts.push(address(uint160(0xa000 + i)));
            _amounts.push(uint128((i + 1) * 1 ether));
        }
        rewards.fund{value: 100 ether}();
    }

    function _claim(uint256 index) private view returns (Claim memory) {
        return claimOf(HEIGHT, _accounts, _amounts, index, 7);
    }

    function _refused(Claim memory c, bytes memory why) private {
        vm.expectRevert(why);
        send(c);
    }

    function test_everyAccountIsPaidOnce() public {
        for (uint256 i; i < 5; i++) {
            vm.expectEmit();
            emit IRewards.Paid(_accounts[i], HEIGHT, _amounts[i], _amounts[i]);
            send(_claim(i));
            equal(_accounts[i].balance, _amounts[i]);
            _refused(_claim(i), abi.encodeWithSelector(IRewards.Rewards_NothingDue.selector));
        }
        equal(rewards.paid(), 15 ether);
        equal(address(rewards).balance, 85 ether);
    }

    function test_aLaterCheckpointPaysTheDifference() public {
        send(_claim(2));
        _amounts[2] = 10 ether;
        post(HEIGHT + BEHIND + 1, HEIGHT + 2 * BEHIND);
        send(claimOf(2 * HEIGHT, _accounts, _amounts, 2, 7));
        equal(_accounts[2].balance, 10 ether);
        (uint128 had, uint64 height) = rewards.claimed(_accounts[2]);
        equal(had, 10 ether);
        equal(height, 2 * HEIGHT);
    }

    function test_anOlderCheckpointIsRefusedWhateverItSays() public {
        post(HEIGHT + BEHIND + 1, HEIGHT + 2 * BEHIND);
        send(claimOf(2 * HEIGHT, _accounts, _amounts, 2, 7));
        _amounts[2] = 50 ether;
        _refused(_claim(2), abi.encodeWithSelector(IRewards.Rewards_Older.selector, 2 * HEIGHT));
    }

    function test_withTooLittleHereTheRestStaysClaimable() public {
        Rewards poor = new Rewards(address(inbox));
        rewards = poor;
        _refused(_claim(4), abi.encodeWithSelector(IRewards.Rewards_NothingDue.selector));
        poor.fund{value: 2 ether}();
        send(_claim(4));
        equal(_accounts[4].balance, 2 ether * 95 / 100);
        poor.fund{value: 100 ether}();
        send(_claim(4));
        equal(_accounts[4].balance, 5 ether);
        equal(poor.paid(), 5 ether);
    }

    function test_onlyMoreThanTwoThirdsCount() public {
        Claim memory c = claimOf(HEIGHT, _accounts, _amounts, 0, 3);
        _refused(c, abi.encodeWithSelector(IRewards.Rewards_Quorum.selector, 2 * MIN_STAKE / 1 gwei, 4 * MIN_STAKE / 1 gwei));
        c = _claim(0);
        c.certificate[c.certificate.length - 10] ^= 0x01;
        _refused(c, abi.encodeWithSelector(ICertificateErrors.Inbox_BadSignature.selector, 2));
        c = _claim(0);
        c.certificate = bytes.concat(c.certificate, hex"00");
        _refused(c, abi.encodeWithSelector(ICertificateErrors.Inbox_SignatureCount.selector));
    }

    function test_onlyPostedHeightsCount() public {
        Claim memory c = claimOf(HEIGHT + 1, _accounts, _amounts, 0, 7);
        _refused(c, abi.encodeWithSelector(IRewards.Rewards_NotPosted.selector, HEIGHT + BEHIND));
    }

    function test_anOldSetCannotSignForMoney() public {
        Claim memory c = _claim(0);
        vm.roll(registry.epochStart(1));
        join(SET, MIN_STAKE);
        vm.roll(registry.epochStart(2));
        registry.freezeSet(3);
        uint256 end = registry.epochStart(3);
        vm.roll(end + 4 * EPOCH_BLOCKS + 1);
        _refused(c, abi.encodeWithSelector(IRewards.Rewards_CertificateExpired.selector, end));
        vm.roll(end + 4 * EPOCH_BLOCKS);
        send(c);
        equal(_accounts[0].balance, 1 ether);
    }

    function test_anotherGenerationCountsNoMore() public {
        Claim memory c = _claim(0);
        vm.roll(inbox.stalledAfter() + 1);
        inbox.activateFallback();
        _refused(c, abi.encodeWithSelector(IRewards.Rewards_WrongGeneration.selector, 0));
    }

    function test_theHeaderMustNameTheCheckpoint() public {
        bytes memory other = abi.encodeWithSelector(IRewards.Rewards_OtherCheckpoint.selector);
        for (uint256 i; i < 80; i++) {
            Claim memory c = _claim(1);
            c.lag[i] ^= 0x01;
            _refused(c, other);
        }
        Claim memory none = _claim(1);
        (bytes memory bitmap, bytes memory sigs) = certify(head(HEIGHT + BEHIND), 0, 7, SET);
        none.header = encode(head(HEIGHT + BEHIND));
        none.certificate = abi.encodePacked(uint32(0), uint8(bitmap.length), bitmap, sigs);
        _refused(none, other);
    }

    function test_lengthsMustFit() public {
        bytes memory malformed = abi.encodeWithSelector(IRewards.Rewards_Malformed.selector);
        Claim memory c = _claim(1);
        c.lag = bytes.concat(c.lag, hex"00");
        _refused(c, malformed);
        c = _claim(1);
        c.header = bytes.concat(c.header, hex"00");
        _refused(c, malformed);
        c = _claim(1);
        c.certificate = hex"00000000";
        _refused(c, malformed);
        c.certificate = hex"0000000002ff";
        _refused(c, malformed);
    }

    /// @dev A branch fits one account, one amount, one place and one count.
    function testFuzz_onlyWhatIsInTheTreeIsPaid(uint256 seed, uint128 amount) public {
        uint256 index = seed % 5;
        bytes memory why = abi.encodeWithSelector(IRewards.Rewards_NotProven.selector);
        Claim memory c = _claim(index);
        if (amount != c.amount) {
            c.amount = amount;
            _refused(c, why);
        }
        c = _claim(index);
        c.account = address(uint160(uint256(keccak256(abi.encode(seed)))));
        _refused(c, why);
        c = _claim(index);
        c.index = uint32((index + 1 + (seed >> 8) % 4) % 5);
        _refused(c, why);
        c = _claim(index);
        c.count = uint32(5 + 1 + (seed >> 16) % 1000);
        _refused(c, why);
        c = _claim(index);
        c.branch[(seed >> 32) % c.branch.length] ^= bytes32(uint256(1));
        _refused(c, why);
        c = _claim(index);
        c.index = c.count;
        _refused(c, why);
        send(_claim(index));
    }

    function testFuzz_treesOfAnySize(uint8 size, uint8 at) public {
        uint256 count = 1 + size % 40;
        address[] memory accounts = new address[](count);
        uint128[] memory amounts = new uint128[](count);
        for (uint256 i; i < count; i++) {
            (accounts[i], amounts[i]) = (address(uint160(0xb000 + i)), uint128(1 + i));
        }
        uint256 index = at % count;
        send(claimOf(HEIGHT, accounts, amounts, index, 7));
        equal(accounts[index].balance, 1 + index);
    }

    function test_whoTakesNothingLosesNothingAndHindersNobody() public {
        _accounts[3] = address(new Refuses());
        _refused(_claim(3), abi.encodeWithSelector(IRewards.Rewards_PaymentFailed.selector));
        (uint128 had,) = rewards.claimed(_accounts[3]);
        equal(had, 0);
        send(_claim(4));
    }

    function test_whoClaimsAgainWhileItIsPaidGetsNothingMore() public {
        Greedy greedy = new Greedy(address(rewards));
        _accounts[3] = address(greedy);
        Claim memory c = _claim(3);
        greedy.prepare(abi.encodeCall(Rewards.claim, (c.account, c.amount, c.index, c.count, c.branch, c.lag, c.header, c.certificate)));
        send(c);
        check(greedy.tried(), "was not called");
        equal(address(greedy).balance, 4 ether);
    }
}
