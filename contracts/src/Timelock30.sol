// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title Thirty days at least
/// @notice The council proposes and cancels, anyone executes, nobody is above it. OpenZeppelin's controller can be told by itself to
/// be faster; this one cannot be told to be faster than thirty days.
contract Timelock30 is TimelockController {
    uint256 public constant FLOOR = 30 days;

    error Timelock_BelowFloor(uint256 delay);

    constructor(uint256 delay, address council) TimelockController(_aboveFloor(delay), _only(council), _only(address(0)), address(0)) {}

    function updateDelay(uint256 newDelay) public override {
        super.updateDelay(_aboveFloor(newDelay));
    }

    function _aboveFloor(uint256 delay) private pure returns (uint256) {
        if (delay < FLOOR) revert Timelock_BelowFloor(delay);
        return delay;
    }

    function _only(address account) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = account;
    }
}
