// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Output} from "./OracleTypes.sol";

/// @title One way to prove what derivation gives
/// @notice A verifier of validity proofs checks `proof` against `statement` and keeps nothing. An interactive game is played in a contract of
/// its own and ignores `proof`: once it ends, the slot shows its outcome. A bonded statement stands once its time for contradiction is over.
/// @dev Called without permission to change anything. Whether two slots are independent of each other cannot be seen here: the
/// timelock's thirty days are for looking.
interface IProofSlot {
    /// @notice What a claim of this slot rests on, in words: shown to users as it is.
    function basis() external view returns (string memory);

    /// @notice The only oracle that it works for.
    function oracle() external view returns (address);

    /// @notice Whether it stands for an output now.
    /// @param statement hash of the output with the L1 block that it is derived from and the rollup: the one public input of a proof
    function verify(Output calldata o, bytes32 statement, bytes calldata proof) external view returns (bool);

    /// @notice Whether it was shown two outputs for a step on top of a parent. It stands for all of them then, and none becomes final without
    /// the council. Always false where that cannot be told without a proof.
    function contested(uint64 step, bytes32 parent) external view returns (bool);
}
