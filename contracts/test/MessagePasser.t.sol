// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MessagePasser} from "../src/MessagePasser.sol";
import {Withdrawal, Withdrawals} from "../src/PortalTypes.sol";
import {Test} from "./Vm.sol";

contract MessagePasserTest is Test {
    MessagePasser private passer;

    function setUp() public {
        passer = new MessagePasser();
    }

    function test_whatIsSentIsNotedUnderItsHash() public {
        Withdrawal memory w = Withdrawal(0, address(this), address(0xb0b), 2 ether, 77, hex"c0ffee");
        bytes32 id = Withdrawals.hash(w);
        check(!passer.sent(id), "noted before it was sent");
        vm.expectEmit();
        emit MessagePasser.Sent(0, address(this), address(0xb0b), 2 ether, 77, hex"c0ffee", id);
        equal(passer.initiate{value: 2 ether}(address(0xb0b), 77, hex"c0ffee"), id);
        check(passer.sent(id), "not noted");
        // The same once more is another one.
        check(passer.initiate{value: 2 ether}(address(0xb0b), 77, hex"c0ffee") != id, "the same hash");
        equal(passer.count(), 2);
        equal(address(passer).balance, 4 ether);
    }

    function test_aPlainPaymentGoesToTheSenderOnL1() public {
        bytes32 id = Withdrawals.hash(Withdrawal(0, address(this), address(this), 1 ether, 0, ""));
        (bool done,) = address(passer).call{value: 1 ether}("");
        check(done && passer.sent(id), "not noted");
    }

    function test_whatL1CannotExecuteIsRefused() public {
        vm.expectRevert(MessagePasser.Passer_Target.selector);
        passer.initiate(address(0), 0, "");
        (uint256 gas, uint256 length) = (passer.MAX_GAS(), passer.MAX_LENGTH());
        vm.expectRevert(abi.encodeWithSelector(MessagePasser.Passer_Gas.selector, gas));
        passer.initiate(address(1), gas + 1, "");
        vm.expectRevert(abi.encodeWithSelector(MessagePasser.Passer_Length.selector, length));
        passer.initiate(address(1), gas, new bytes(length + 1));
        passer.initiate(address(1), gas, new bytes(length));
    }

    /// @dev Slot 0 is what the portal proves.
    function testFuzz_sentIsInSlotZero(address target, uint256 value, bytes calldata data) public {
        vm.assume(target != address(0) && data.length <= 1_000);
        value %= 1e24;
        vm.deal(address(this), value);
        vm.record();
        bytes32 id = passer.initiate{value: value}(target, 0, data);
        (, bytes32[] memory writes) = vm.accesses(address(passer));
        equal(writes[writes.length - 1], keccak256(abi.encode(id, uint256(0))));
    }
}
