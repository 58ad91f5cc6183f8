// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Portal} from "../src/Portal.sol";
import {IPortal, Withdrawal, Withdrawals} from "../src/PortalTypes.sol";
import {BridgeFixture, Evidence} from "./BridgeFixture.sol";

/// @dev Takes what it is sent if it wants to, and notes from whom.
contract Target {
    Portal private immutable _portal;
    bool public refuses = true;
    bool public reenters;
    address public from;
    uint256 public gas;
    bytes private _again;

    constructor(Portal portal) {
        _portal = portal;
    }

    function open() external {
        refuses = false;
    }

    function again(bytes calldata data) external {
        (reenters, _again) = (true, data);
    }

    function take(uint256) external payable {
        gas = gasleft();
        require(!refuses, "closed");
        from = _portal.l2Sender();
        if (reenters) {
            (bool done,) = address(_portal).call(_again);
            require(done, "again");
        }
    }
}

contract PortalTest is BridgeFixture {
    address private constant BOB = address(0xb0b);

    function setUp() public {
        deployPortal();
        portal.seed{value: 100 ether}();
    }

    function _refused(bytes memory why) private {
        vm.expectRevert(why);
    }

    function _refused(bytes4 why) private {
        vm.expectRevert(why);
    }

    function test_depositsAreCountedWithoutGaps() public {
        vm.expectEmit();
        emit IPortal.Deposited(0, BOB, 100_000);
        equal(portal.deposit{value: 0.0001 ether}(BOB), 0);
        vm.expectEmit();
        emit IPortal.Deposited(1, BOB, 2_000_000_001);
        equal(portal.deposit{value: 2 ether + 1 gwei}(BOB), 1);
        equal(portal.count(), 2);
        equal(portal.held(), 102 ether + 1 gwei + 0.0001 ether);
        equal(portal.held(), address(portal).balance);
    }

    function test_depositsThatCannotArriveAreRefused() public {
        _refused(IPortal.Portal_Target.selector);
        portal.deposit{value: 1 ether}(address(0));
        _refused(IPortal.Portal_NotWholeGwei.selector);
        portal.deposit{value: 1 ether + 1}(BOB);
        _refused(abi.encodeWithSelector(IPortal.Portal_Amount.selector, portal.MIN_DEPOSIT()));
        portal.deposit{value: 0.0001 ether - 1 gwei}(BOB);
        vm.deal(address(this), type(uint256).max);
        _refused(abi.encodeWithSelector(IPortal.Portal_Amount.selector, portal.MIN_DEPOSIT()));
        portal.deposit{value: (uint256(type(uint64).max) + 1) * 1 gwei}(BOB);
        (bool plain,) = address(portal).call{value: 1 ether}("");
        check(!plain, "a plain payment was taken");
    }

    function test_oneL1BlockHasABoundedNumberOfDeposits() public {
        uint256 most = portal.MAX_IN_BLOCK();
        for (uint256 i; i < most; i++) {
            portal.deposit{value: 0.0001 ether}(BOB);
        }
        _refused(IPortal.Portal_BlockFull.selector);
        portal.deposit{value: 0.0001 ether}(BOB);
        vm.roll(block.number + 1);
        equal(portal.deposit{value: 0.0001 ether}(BOB), most);
    }

    function test_aWithdrawalIsShownWaitsAndIsPaidOnce() public {
        Withdrawal memory w = withdrawal(0, BOB, 3 ether);
        prove(w, 9);
        _refused(abi.encodeWithSelector(IPortal.Portal_Immature.selector, block.timestamp + MATURITY));
        portal.finalize(w);
        vm.warp(block.timestamp + MATURITY);
        portal.finalize(w);
        equal(BOB.balance, 3 ether);
        equal(portal.held(), 97 ether);
        _refused(IPortal.Portal_AlreadyPaid.selector);
        portal.finalize(w);
        Evidence memory e = evidence(w, 10);
        oracle.set(10, keccak256(e.header));
        _refused(IPortal.Portal_AlreadyPaid.selector);
        portal.prove(w, e.header, e.account, e.slot);
    }

    function test_whatWasNotShownIsNotPaid() public {
        Withdrawal memory w = withdrawal(0, BOB, 3 ether);
        _refused(IPortal.Portal_Unknown.selector);
        portal.finalize(w);
        Evidence memory e = evidence(w, 9);
        _refused(abi.encodeWithSelector(IPortal.Portal_NotProven.selector, 9));
        portal.prove(w, e.header, e.account, e.slot);
        oracle.set(9, keccak256("another block"));
        _refused(abi.encodeWithSelector(IPortal.Portal_NotProven.selector, 9));
        portal.prove(w, e.header, e.account, e.slot);
        // The value of another withdrawal than the one shown.
        oracle.set(9, keccak256(e.header));
        w.value += 1;
        vm.expectRevert();
        portal.prove(w, e.header, e.account, e.slot);
        w.value -= 1;
        portal.prove(w, e.header, e.account, e.slot);
        w.target = address(this);
        _refused(IPortal.Portal_Unknown.selector);
        portal.finalize(w);
    }

    function test_onlyTheValueTrueCounts() public {
        Withdrawal memory w = withdrawal(0, BOB, 3 ether);
        Evidence memory e = evidenceOf(Withdrawals.hash(w), 9, hex"02");
        oracle.set(9, keccak256(e.header));
        vm.expectRevert(bytes4(keccak256("Proof_OtherValue()")));
        portal.prove(w, e.header, e.account, e.slot);
    }

    function test_showingAgainDoesNotBeginTheWaitAgain() public {
        Withdrawal memory w = withdrawal(0, BOB, 1 ether);
        prove(w, 9);
        vm.warp(block.timestamp + MATURITY);
        Evidence memory e = evidence(w, 10);
        oracle.set(10, keccak256(e.header));
        _refused(IPortal.Portal_AlreadyProven.selector);
        portal.prove(w, e.header, e.account, e.slot);
        // The block of the first time does not count any more: then it does.
        oracle.set(9, keccak256("another block"));
        _refused(IPortal.Portal_NoLongerProven.selector);
        portal.finalize(w);
        portal.prove(w, e.header, e.account, e.slot);
        _refused(abi.encodeWithSelector(IPortal.Portal_Immature.selector, block.timestamp + MATURITY));
        portal.finalize(w);
        vm.warp(block.timestamp + MATURITY);
        portal.finalize(w);
        equal(BOB.balance, 1 ether);
    }

    function test_theOracleStopsPayment() public {
        Withdrawal memory w = withdrawal(0, BOB, 1 ether);
        oracle.pause(true);
        prove(w, 9);
        vm.warp(block.timestamp + MATURITY);
        _refused(IPortal.Portal_Paused.selector);
        portal.finalize(w);
        oracle.pause(false);
        portal.finalize(w);
        equal(BOB.balance, 1 ether);
    }

    function test_aTargetThatRefusesCanBeTriedAgain() public {
        Target target = new Target(portal);
        Withdrawal memory w = Withdrawal(3, address(0xa11ce), address(target), 1 ether, 100_000, abi.encodeCall(Target.take, (1)));
        prove(w, 9);
        vm.warp(block.timestamp + MATURITY);
        _refused(IPortal.Portal_CallFailed.selector);
        portal.finalize(w);
        equal(portal.held(), 100 ether);
        target.open();
        portal.finalize(w);
        equal(address(target).balance, 1 ether);
        equal(target.from(), address(0xa11ce));
        equal(portal.l2Sender(), address(0));
    }

    function test_theTargetGetsTheGasThatItWasPromised() public {
        Target target = new Target(portal);
        target.open();
        Withdrawal memory w = Withdrawal(3, address(0xa11ce), address(target), 1 ether, 400_000, abi.encodeCall(Target.take, (1)));
        prove(w, 9);
        vm.warp(block.timestamp + MATURITY);
        (bool done,) = address(portal).call{gas: 470_000}(abi.encodeCall(Portal.finalize, (w)));
        check(!done, "paid with too little gas");
        for (uint256 gas = 480_000; !done; gas += 1_000) {
            (done,) = address(portal).call{gas: gas}(abi.encodeCall(Portal.finalize, (w)));
        }
        check(target.gas() + 1_000 > 400_000, "less than promised");
    }

    function test_nothingIsPaidTwiceFromWithin() public {
        Target target = new Target(portal);
        target.open();
        bytes memory take = abi.encodeCall(Target.take, (1));
        Withdrawal memory a = Withdrawal(0, address(0xa11ce), address(target), 1 ether, 0, take);
        Withdrawal memory b = Withdrawal(1, address(0xa11ce), address(target), 1 ether, 0, take);
        prove(a, 9);
        prove(b, 10);
        vm.warp(block.timestamp + MATURITY);
        target.again(abi.encodeCall(Portal.finalize, (a)));
        _refused(IPortal.Portal_CallFailed.selector);
        portal.finalize(a);
        target.again(abi.encodeCall(Portal.finalize, (b)));
        _refused(IPortal.Portal_CallFailed.selector);
        portal.finalize(a);
    }

    function test_itDoesNotCallItself() public {
        Withdrawal memory w = Withdrawal(0, BOB, address(portal), 1 ether, 0, abi.encodeCall(Portal.seed, ()));
        prove(w, 9);
        vm.warp(block.timestamp + MATURITY);
        _refused(IPortal.Portal_Target.selector);
        portal.finalize(w);
    }

    function test_noMoreIsPaidThanWasPutIn() public {
        Withdrawal memory w = withdrawal(0, BOB, 100 ether + 1);
        prove(w, 9);
        vm.warp(block.timestamp + MATURITY);
        // ETH that came in another way is not counted.
        vm.deal(address(portal), 200 ether);
        _refused(abi.encodeWithSelector(IPortal.Portal_Short.selector, 100 ether));
        portal.finalize(w);
        portal.seed{value: 1}();
        portal.finalize(w);
        equal(portal.held(), 0);
    }

    function testFuzz_aChangedByteShowsNothing(uint256 where, uint8 flip, uint8 part) public {
        if (flip == 0) flip = 1;
        Withdrawal memory w = withdrawal(7, BOB, 1 ether);
        Evidence memory e = evidence(w, 9);
        oracle.set(9, keccak256(e.header));
        bytes memory bytes_ = part % 3 == 0 ? e.header : part % 3 == 1 ? e.account[0] : e.slot[0];
        where %= bytes_.length;
        bytes_[where] = bytes_[where] ^ bytes1(flip);
        vm.expectRevert();
        portal.prove(w, e.header, e.account, e.slot);
    }

    receive() external payable {}
}
