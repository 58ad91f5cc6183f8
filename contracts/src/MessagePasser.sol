// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Withdrawal, Withdrawals} from "./PortalTypes.sol";

/// @title Messages from the rollup to L1
/// @notice What is noted here can be shown on L1 by a proof of this contract's storage, and is executed there once.
/// @dev In the genesis: no constructor, nothing immutable. `sent` stays in slot 0. The ETH stays here for ever: it is on L1 now.
contract MessagePasser {
    /// Nobody is at the zero address.
    error Passer_Target();
    /// More gas than a transaction on L1 can have with the rest of it.
    error Passer_Gas(uint256 most);
    /// More bytes than that.
    error Passer_Length(uint256 most);

    event Sent(
        uint256 indexed nonce,
        address indexed sender,
        address indexed target,
        uint256 value,
        uint256 gasLimit,
        bytes data,
        bytes32 withdrawal
    );

    /// @notice Gas for the call on L1, at most.
    uint256 public constant MAX_GAS = 10_000_000;
    /// @notice Bytes of its data, at most.
    uint256 public constant MAX_LENGTH = 32_768;

    /// @notice Whether a withdrawal of this hash was sent.
    mapping(bytes32 => bool) public sent;
    /// @notice How many were.
    uint256 public count;

    /// @notice ETH to the sender's own address on L1.
    receive() external payable {
        _send(msg.sender, 0, "");
    }

    /// @notice A call on L1, with the ETH that comes along.
    /// @param gasLimit gas that the call gets, at least
    /// @return withdrawal its hash
    function initiate(address target, uint256 gasLimit, bytes calldata data) external payable returns (bytes32 withdrawal) {
        if (target == address(0)) revert Passer_Target();
        if (gasLimit > MAX_GAS) revert Passer_Gas(MAX_GAS);
        if (data.length > MAX_LENGTH) revert Passer_Length(MAX_LENGTH);
        return _send(target, gasLimit, data);
    }

    function _send(address target, uint256 gasLimit, bytes memory data) private returns (bytes32 withdrawal) {
        uint256 nonce = count++;
        withdrawal = Withdrawals.hash(Withdrawal(nonce, msg.sender, target, msg.value, gasLimit, data));
        sent[withdrawal] = true;
        emit Sent(nonce, msg.sender, target, msg.value, gasLimit, data, withdrawal);
    }
}
