// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {BridgedToken} from "./BridgedToken.sol";
import {MessagePasser} from "./MessagePasser.sol";
import {Predeploys} from "./Predeploys.sol";
import {StorageProofs} from "./StorageProofs.sol";
import {ITokenRelease, OriginProof, TokenDeposit, TokenDeposits} from "./TokenBridgeTypes.sol";

/// @title ERC-20 tokens into the rollup and out of it, the side of the rollup
/// @notice Makes tokens for a deposit that it is shown in the storage of a bridge on L1, as of an L1 block that was an origin; burns them
/// and tells that bridge to give them back.
/// @dev In the genesis: no constructor, nothing immutable. It serves every bridge on L1: tokens of different bridges are different
/// tokens, so one that lies makes worthless tokens of its own and no others. Who holds a token asks it for `l1Bridge`.
contract TokenBridgeL2 {
    error Bridge_NoOrigin();
    error Bridge_OtherOrigin(bytes32 origin);
    error Bridge_AlreadyTaken();
    error Bridge_NotBridged();
    error Bridge_Nothing();
    error Bridge_Target();

    event TokenMade(address indexed l1Bridge, address indexed l1Token, address token);
    event TokensTaken(address indexed l1Bridge, uint256 indexed index, address indexed token, address to, uint256 amount);
    event TokensReturned(address indexed token, address indexed from, address indexed to, uint256 amount, bytes32 withdrawal);

    /// @dev Gas for the transfer on L1: tokens with hooks or upgradable ones need no more.
    uint256 private constant RELEASE_GAS = 300_000;

    /// @notice Whether a deposit of a bridge on L1 was taken, by its index.
    mapping(address => mapping(uint256 => bool)) public taken;
    /// @notice The token here for one of L1, as a bridge there holds it; zero before its first deposit was taken.
    mapping(address => mapping(address => address)) public tokenOf;
    /// @notice Whether this contract made a token.
    mapping(address => bool) public isBridged;

    /// @notice Makes the tokens of a deposit; anyone may.
    /// @param l1Bridge the bridge on L1
    /// @param d the deposit, as its event has it
    function take(address l1Bridge, TokenDeposit calldata d, OriginProof calldata proof) external returns (address token) {
        if (taken[l1Bridge][d.index]) revert Bridge_AlreadyTaken();
        taken[l1Bridge][d.index] = true;
        _requireDeposit(l1Bridge, d, proof);
        token = tokenOf[l1Bridge][d.token];
        if (token == address(0)) token = _make(l1Bridge, d);
        emit TokensTaken(l1Bridge, d.index, token, d.to, d.amount);
        BridgedToken(token).mint(d.to, d.amount);
    }

    /// @notice Burns the caller's tokens; on L1 they go to `to` when the message has been shown there.
    function giveBack(address token, address to, uint256 amount) external returns (bytes32 withdrawal) {
        if (!isBridged[token]) revert Bridge_NotBridged();
        if (amount == 0) revert Bridge_Nothing();
        if (to == address(0)) revert Bridge_Target();
        BridgedToken t = BridgedToken(token);
        t.burn(msg.sender, amount);
        bytes memory call = abi.encodeCall(ITokenRelease.release, (t.l1Token(), to, amount));
        withdrawal = MessagePasser(payable(Predeploys.MESSAGE_PASSER)).initiate(t.l1Bridge(), RELEASE_GAS, call);
        emit TokensReturned(token, msg.sender, to, amount, withdrawal);
    }

    function _requireDeposit(address l1Bridge, TokenDeposit calldata d, OriginProof calldata proof) private view {
        (, bytes32 hash, bytes32 stateRoot) = StorageProofs.readHeader(proof.header);
        bytes32 origin = _originAt(proof.timestamp);
        if (origin != hash) revert Bridge_OtherOrigin(origin);
        bytes32 slot = keccak256(abi.encode(d.index, TokenDeposits.SLOT));
        bytes memory value = RLP.encode(uint256(TokenDeposits.hash(d)));
        StorageProofs.requireSlot(stateRoot, l1Bridge, slot, value, proof.account, proof.slot);
    }

    function _make(address l1Bridge, TokenDeposit calldata d) private returns (address token) {
        BridgedToken made = new BridgedToken{salt: 0}(l1Bridge, d.token);
        token = address(made);
        (tokenOf[l1Bridge][d.token], isBridged[token]) = (token, true);
        made.describe(d.name, d.symbol, d.decimals);
        emit TokenMade(l1Bridge, d.token, token);
    }

    /// @dev Hash of the L1 origin of the block with this timestamp.
    function _originAt(uint256 timestamp) private view returns (bytes32) {
        (bool found, bytes memory root) = Predeploys.L1_ORIGINS.staticcall(abi.encode(timestamp));
        if (!found || root.length != 32 || bytes32(root) == 0) revert Bridge_NoOrigin();
        return bytes32(root);
    }
}
