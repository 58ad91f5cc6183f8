// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Tokens locked on L1 for an account of the rollup.
struct TokenDeposit {
    /// its number at the bridge, from 0
    uint256 index;
    address token;
    /// who gets them on the rollup
    address to;
    uint256 amount;
    /// what the token says of itself; only the first deposit's counts
    string name;
    string symbol;
    uint8 decimals;
}

/// @notice Shows the word of a deposit as of an L1 block.
struct OriginProof {
    /// of a block of the rollup whose L1 origin has the deposit in its state, seconds; not more than 8,190 s ago
    uint256 timestamp;
    /// that origin's header, RLP
    bytes header;
    /// of the bridge on L1, from the state root down
    bytes[] account;
    /// of the word with the deposit's hash, from the bridge's storage root down
    bytes[] slot;
}

/// @title The name of a token deposit on both chains
library TokenDeposits {
    /// @dev Slot 0 of the bridge on L1 is the mapping from index to this hash.
    uint256 internal constant SLOT = 0;

    function hash(TokenDeposit memory d) internal pure returns (bytes32) {
        return keccak256(abi.encode(d.index, d.token, d.to, d.amount, d.name, d.symbol, d.decimals));
    }
}

/// @notice What the bridge on L1 does for a withdrawal.
interface ITokenRelease {
    function release(address token, address to, uint256 amount) external;
}
