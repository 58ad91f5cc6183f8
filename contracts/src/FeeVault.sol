// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MessagePasser} from "./MessagePasser.sol";
import {Predeploys} from "./Predeploys.sol";
import {Rewards} from "./Rewards.sol";

/// @title Where the fees of the rollup come together
/// @notice Every transaction's priority fee is paid to this account, and the base fee comes back to it. Anyone may send all of it to L1,
/// where `Rewards` pays it out to those who earned it.
/// @dev In the genesis, at the address that the network's parameters name: no constructor, nothing immutable, and the low bytes of
/// slot 0 are in the genesis too. Each release costs somebody a proof on L1, and small ones would cost more than they carry: hence at
/// most one a day, and a small one only after a month without any.
contract FeeVault {
    /// The genesis names nobody on L1.
    error Vault_Nowhere();
    /// There are no fees here.
    error Vault_Nothing();
    /// The next release, or the next of so little, may be from this time on, seconds.
    error Vault_TooEarly(uint256 since);

    event Released(uint256 amount, bytes32 withdrawal);

    /// @notice Seconds between two releases, at least.
    uint256 public constant INTERVAL = 1 days;
    /// @notice The same before a release of less than `WORTH`.
    uint256 public constant PATIENCE = 30 days;
    /// @notice Wei that are worth a proof on L1.
    uint256 public constant WORTH = 0.1 ether;
    /// @dev Gas for `Rewards.fund` on L1.
    uint256 private constant FUND_GAS = 100_000;

    /// @notice The `Rewards` contract on L1.
    address public rewards;
    /// @notice When the newest release was, seconds; 0 before the first.
    uint64 public releasedAt;
    /// @notice Wei released in all.
    uint256 public released;

    receive() external payable {}

    /// @notice Sends all that is here to L1; anyone may call.
    /// @return withdrawal its hash: it is shown and paid on L1 like any other
    function release() external returns (bytes32 withdrawal) {
        if (rewards == address(0)) revert Vault_Nowhere();
        uint256 amount = address(this).balance;
        if (amount == 0) revert Vault_Nothing();
        if (block.timestamp < releasableAt()) revert Vault_TooEarly(releasableAt());
        releasedAt = uint64(block.timestamp);
        released += amount;
        bytes memory call = abi.encodeCall(Rewards.fund, ());
        withdrawal = MessagePasser(payable(Predeploys.MESSAGE_PASSER)).initiate{value: amount}(rewards, FUND_GAS, call);
        emit Released(amount, withdrawal);
    }

    /// @notice From when on what is here now may be released, seconds; 0 before the first time.
    function releasableAt() public view returns (uint256) {
        if (releasedAt == 0) return 0;
        return releasedAt + (address(this).balance < WORTH ? PATIENCE : INTERVAL);
    }
}
