// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What the bridge asks of whoever decides which execution of the rollup is right.
interface IOracle {
    /// @notice The hash of an L2 block that is proven; zero if none is.
    function provenHash(uint64 l2Block) external view returns (bytes32);

    /// @notice Whether withdrawals are stopped for now.
    function withdrawalsPaused() external view returns (bool);
}
