// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Council} from "./Council.sol";
import {IOracle} from "./IOracle.sol";
import {IOracleEvents} from "./OracleTypes.sol";

/// @title A pause that ends by itself
/// @notice The council may hold up withdrawals for a week, and then not again for sixty days. It changes nothing else: outputs are proven and
/// blocks are made meanwhile. The only thing that the council can do unasked.
abstract contract WithdrawalPause is IOracle, IOracleEvents {
    uint256 public constant PAUSE = 7 days;
    uint256 public constant COOLDOWN = 60 days;

    address public immutable council;
    /// @notice When the newest pause ends or ended, seconds; 0 if there was none.
    uint256 public pausedUntil;

    constructor(address council_) {
        council = council_;
    }

    modifier onlyCouncil() {
        if (msg.sender != council || !Council.holds(council)) revert Oracle_NotCouncil();
        _;
    }

    function withdrawalsPaused() external view returns (bool) {
        return block.timestamp < pausedUntil;
    }

    function pauseWithdrawals() external onlyCouncil {
        uint256 from = pausedUntil + COOLDOWN;
        if (pausedUntil != 0 && block.timestamp < from) revert Oracle_PausedLately(from);
        pausedUntil = block.timestamp + PAUSE;
        emit Paused(pausedUntil);
    }

    /// @notice Ends a pause early.
    function resumeWithdrawals() external onlyCouncil {
        if (block.timestamp >= pausedUntil) return;
        pausedUntil = block.timestamp;
        emit Paused(block.timestamp);
    }
}
