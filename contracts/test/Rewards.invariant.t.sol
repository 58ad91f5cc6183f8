// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Inbox} from "../src/Inbox.sol";
import {Rewards} from "../src/Rewards.sol";
import {RewardsFixture} from "./RewardsFixture.sol";
import {Test} from "./Vm.sol";

/// @dev Money comes in and accounts earn, in any order; claims are of any checkpoint that ever was.
contract RewardsHandler is RewardsFixture {
    uint256 private constant ACCOUNTS = 6;

    mapping(address => uint128) public highest;
    bool public fell;
    uint256 public paidIn;
    uint256 public refunded;
    address[] private _accounts;
    uint128[] private _earned;
    /// @dev amounts of each checkpoint
    uint128[][] private _checkpoints;

    constructor() payable {
        deployRewards();
        vm.deal(address(this), 1e30);
        for (uint256 i; i < ACCOUNTS; i++) {
            _accounts.push(address(uint160(0xc000 + i)));
            _earned.push(uint128(i));
        }
        for (uint256 i; i < SET; i++) {
            vm.prank(owner(i));
            // Two of them have the same one.
            rewards.namePoster(i, posterOf(i));
        }
        earn(0, 0);
    }

    function subject() external view returns (Rewards) {
        return rewards;
    }

    function accounts() external view returns (address[] memory) {
        return _accounts;
    }

    function posterOf(uint256 operator) public pure returns (address) {
        return address(uint160(0xd000 + operator / 2));
    }

    function refund(uint256 operator) external {
        address poster = posterOf(operator % SET);
        uint256 before = poster.balance;
        try rewards.refund(operator % SET) {} catch {}
        refunded += poster.balance - before;
    }

    function inbox_() external view returns (Inbox) {
        return inbox;
    }

    function fund(uint96 amount) external {
        rewards.fund{value: amount % 10 ether}();
        paidIn += amount % 10 ether;
    }

    function earn(uint256 who, uint64 amount) public {
        _earned[who % ACCOUNTS] += amount;
        _checkpoints.push(_earned);
        uint64 to = uint64(_checkpoints.length) + BEHIND;
        vm.fee(1 gwei);
        oneBlob();
        (bytes memory bitmap, bytes memory sigs) = certify(head(to), 0, 7, SET);
        vm.prank(posterOf(who % SET), posterOf(who % SET));
        inbox.submitBatch(batch(_checkpoints.length == 1 ? 1 : to, to), encode(head(to)), bitmap, sigs);
    }

    function claim(uint256 checkpoint, uint256 who, uint256 mask) external {
        (checkpoint, who) = (checkpoint % _checkpoints.length, who % ACCOUNTS);
        Claim memory c = claimOf(uint64(checkpoint) + 1, _accounts, _checkpoints[checkpoint], who, mask % 16 | 3);
        try rewards.claim(c.account, c.amount, c.index, c.count, c.branch, c.lag, c.header, c.certificate) {} catch {}
        (uint128 had,) = rewards.claimed(c.account);
        if (had < highest[c.account]) fell = true;
        highest[c.account] = had;
    }

    function earned(uint256 who) external view returns (uint128) {
        return _earned[who];
    }
}

contract RewardsInvariantTest is Test {
    RewardsHandler private handler;
    Rewards private rewards;

    function setUp() public {
        handler = new RewardsHandler();
        rewards = handler.subject();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_whatIsPaidWasPutIn() external view {
        check(rewards.paid() <= rewards.funded(), "paid more than there was");
        equal(rewards.funded(), handler.paidIn());
        equal(address(rewards).balance + rewards.paid(), rewards.funded());
    }

    function invariant_nobodyGetsMoreThanItEarned() external view {
        address[] memory accounts = handler.accounts();
        uint256 sum = handler.refunded();
        for (uint256 i; i < accounts.length; i++) {
            (uint128 had,) = rewards.claimed(accounts[i]);
            check(had <= handler.earned(i), "more than was earned");
            equal(accounts[i].balance, had);
            sum += had;
        }
        equal(rewards.paid(), sum);
    }

    function invariant_refundsAreOfWhatWasSetAsideAndSpent() external view {
        check(rewards.posting() + handler.refunded() <= rewards.funded() / 20, "more than a twentieth");
        check(rewards.posting() <= address(rewards).balance, "set aside and not there");
        for (uint256 i; i < 4; i++) {
            address poster = handler.posterOf(i);
            equal(poster.balance, rewards.refunded(poster));
            check(poster.balance <= handler.inbox_().postage(poster), "more than was spent");
        }
    }

    function invariant_whatWasClaimedNeverFalls() external view {
        check(!handler.fell(), "it fell");
    }
}
