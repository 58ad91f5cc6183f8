// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What the message passer of the rollup was given.
struct Withdrawal {
    /// its number there, from 0
    uint256 nonce;
    /// who called the message passer
    address sender;
    /// who is called on L1
    address target;
    /// wei that the target gets
    uint256 value;
    /// gas that the target gets, at least
    uint256 gasLimit;
    /// what it is called with
    bytes data;
}

/// @title The name of a withdrawal on both chains
library Withdrawals {
    function hash(Withdrawal memory w) internal pure returns (bytes32) {
        return keccak256(abi.encode(w.nonce, w.sender, w.target, w.value, w.gasLimit, w.data));
    }
}

/// @notice What can be refused, and what is told.
interface IPortal {
    /// Not a whole number of gwei.
    error Portal_NotWholeGwei();
    /// Below this much, or more than 64 bits of gwei.
    error Portal_Amount(uint256 least);
    /// Nobody is at the zero address, and this contract can call itself for nothing good.
    error Portal_Target();
    /// This L1 block has as many deposits as one may have.
    error Portal_BlockFull();
    /// The oracle has no block of this number, or another one.
    error Portal_NotProven(uint64 l2Block);
    /// It was shown already, in a block that still counts.
    error Portal_AlreadyProven();
    /// It was never shown.
    error Portal_Unknown();
    /// It may be paid from this time on, seconds.
    error Portal_Immature(uint256 since);
    /// The block in which it was shown does not count any more: show it again.
    error Portal_NoLongerProven();
    /// It was paid.
    error Portal_AlreadyPaid();
    /// The oracle has stopped withdrawals.
    error Portal_Paused();
    /// More than was ever deposited and seeded, less what was paid.
    error Portal_Short(uint256 held);
    /// The call would get less gas than it was promised.
    error Portal_Gas(uint256 required);
    /// The target refuses. Nothing has changed; it can be tried again.
    error Portal_CallFailed();

    /// ETH for an account of the rollup. The index has no gaps.
    event Deposited(uint64 indexed index, address indexed to, uint64 amountGwei);
    /// ETH for what the genesis gives out.
    event Seeded(address indexed from, uint256 amount);
    /// A withdrawal is in the state of a proven block.
    event Proven(bytes32 indexed withdrawal, uint64 indexed l2Block, bytes32 blockHash);
    /// It was paid.
    event Finalized(bytes32 indexed withdrawal, address indexed target, uint256 value);

    function l2Sender() external view returns (address);
}
