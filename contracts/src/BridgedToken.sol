// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token of L1 on the rollup
/// @notice There is as much of it as the bridge on L1 has locked and did not give back.
contract BridgedToken is ERC20 {
    error Token_NotBridge();

    /// @notice The bridge on this chain, which alone makes and burns it.
    address public immutable bridge;
    /// @notice Who holds the tokens on L1, and which they are.
    address public immutable l1Bridge;
    address public immutable l1Token;

    string private _label;
    string private _sign;
    uint8 private _places;

    modifier onlyBridge() {
        if (msg.sender != bridge) revert Token_NotBridge();
        _;
    }

    constructor(address l1Bridge_, address l1Token_) ERC20("", "") {
        (bridge, l1Bridge, l1Token) = (msg.sender, l1Bridge_, l1Token_);
    }

    /// @dev Once, when it is made. Not in the constructor: the address must not depend on what a token says of itself.
    function describe(string calldata name_, string calldata symbol_, uint8 decimals_) external onlyBridge {
        (_label, _sign, _places) = (name_, symbol_, decimals_);
    }

    function mint(address to, uint256 amount) external onlyBridge {
        _mint(to, amount);
    }

    function burn(address from, uint256 amount) external onlyBridge {
        _burn(from, amount);
    }

    function name() public view override returns (string memory) {
        return _label;
    }

    function symbol() public view override returns (string memory) {
        return _sign;
    }

    function decimals() public view override returns (uint8) {
        return _places;
    }
}
