// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IPortal} from "./PortalTypes.sol";
import {Predeploys} from "./Predeploys.sol";
import {ITokenRelease, TokenDeposit, TokenDeposits} from "./TokenBridgeTypes.sol";

/// @title ERC-20 tokens into the rollup and out of it, the side of L1
/// @notice Locks tokens and notes a hash, which the bridge on the rollup takes by a proof of this contract's storage. Gives them back to
/// who is named in a message from there.
/// @dev No owner, no upgrade. What a token takes on the way is not credited. A token whose balances change by themselves does not belong
/// here: what is lost is lost by who withdraws last, what is won stays here.
contract TokenBridgeL1 is ITokenRelease, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    error Bridge_NotPortal();
    error Bridge_NotTokenBridge(address l2Sender);
    error Bridge_Nothing();
    error Bridge_Target();
    error Bridge_Short(uint256 locked);

    /// Has everything that the other side asks for.
    event TokensDeposited(
        uint256 indexed index, address indexed token, address indexed to, uint256 amount, string name, string symbol, uint8 decimals
    );
    event TokensReleased(address indexed token, address indexed to, uint256 amount);

    /// @dev Longest name and symbol that are passed on, bytes.
    uint256 private constant MAX_TEXT = 64;

    /// @dev Slot 0: the other side proves it.
    mapping(uint256 => bytes32) public deposits;
    /// @notice How many there were.
    uint256 public count;
    /// @notice How much of a token is locked.
    mapping(address => uint256) public locked;

    IPortal public immutable portal;

    constructor(address portal_) {
        portal = IPortal(portal_);
    }

    /// @notice Locks tokens, which the caller has approved, for an account of the rollup.
    function deposit(address token, address to, uint256 amount) external nonReentrant returns (uint256 index) {
        if (to == address(0)) revert Bridge_Target();
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 got = IERC20(token).balanceOf(address(this)) - before;
        if (got == 0) revert Bridge_Nothing();
        locked[token] += got;
        index = count++;
        (string memory name, string memory symbol, uint8 decimals) = _describe(token);
        deposits[index] = TokenDeposits.hash(TokenDeposit(index, token, to, got, name, symbol, decimals));
        emit TokensDeposited(index, token, to, got, name, symbol, decimals);
    }

    /// @notice Called by the portal, for a message that the bridge on the rollup sent.
    function release(address token, address to, uint256 amount) external nonReentrant {
        if (msg.sender != address(portal)) revert Bridge_NotPortal();
        address sender = portal.l2Sender();
        if (sender != Predeploys.TOKEN_BRIDGE) revert Bridge_NotTokenBridge(sender);
        uint256 here = locked[token];
        if (amount > here) revert Bridge_Short(here);
        locked[token] = here - amount;
        emit TokensReleased(token, to, amount);
        IERC20(token).safeTransfer(to, amount);
    }

    /// @dev A token need not say anything; what it says in another form than a string counts as nothing.
    function _describe(address token) private view returns (string memory name, string memory symbol, uint8 decimals) {
        name = _text(token, abi.encodeCall(IERC20Metadata.name, ()));
        symbol = _text(token, abi.encodeCall(IERC20Metadata.symbol, ()));
        (bool answered, bytes memory answer) = token.staticcall(abi.encodeCall(IERC20Metadata.decimals, ()));
        if (answered && answer.length >= 32 && uint256(bytes32(answer)) <= type(uint8).max) decimals = uint8(uint256(bytes32(answer)));
    }

    /// @dev The string in an answer, if it is one of at most `MAX_TEXT` bytes in the usual encoding.
    function _text(address token, bytes memory question) private view returns (string memory) {
        (bool answered, bytes memory answer) = token.staticcall(question);
        if (!answered || answer.length < 64) return "";
        uint256 offset;
        uint256 length;
        assembly ("memory-safe") {
            offset := mload(add(answer, 32))
            length := mload(add(answer, 64))
        }
        if (offset != 32 || length > MAX_TEXT || answer.length < 64 + length) return "";
        return abi.decode(answer, (string));
    }
}
