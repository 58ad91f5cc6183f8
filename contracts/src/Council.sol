// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev What is read of a Safe.
interface ISafeMembers {
    function getOwners() external view returns (address[] memory);
    function getThreshold() external view returns (uint256);
    function getModulesPaginated(address start, uint256 pageSize) external view returns (address[] memory, address);
}

/// @title Whether a Safe is a council
/// @notice At least 8 members, of whom at least 75 % must sign, and no module that could act without them. Read whenever it acts: a
/// Safe that was a council once and let go of its members can do nothing.
library Council {
    uint256 internal constant MEMBERS = 8;
    /// @dev Where a Safe's list of modules begins and ends.
    address private constant SENTINEL = address(1);

    function holds(address safe) internal view returns (bool) {
        if (safe.code.length == 0) return false;
        uint256 members = ISafeMembers(safe).getOwners().length;
        if (members < MEMBERS || ISafeMembers(safe).getThreshold() * 4 < members * 3) return false;
        (address[] memory modules,) = ISafeMembers(safe).getModulesPaginated(SENTINEL, 1);
        return modules.length == 0;
    }
}
