// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {IOracle} from "../src/IOracle.sol";
import {Portal} from "../src/Portal.sol";
import {IPortal, Withdrawal, Withdrawals} from "../src/PortalTypes.sol";
import {Predeploys} from "../src/Predeploys.sol";
import {Test} from "./Vm.sol";

/// @dev Says what it is told to say.
contract OracleDouble is IOracle {
    mapping(uint64 => bytes32) public provenHash;
    bool public withdrawalsPaused;

    function set(uint64 l2Block, bytes32 hash) external {
        provenHash[l2Block] = hash;
    }

    function pause(bool paused) external {
        withdrawalsPaused = paused;
    }
}

/// @dev Tries with a single leaf, which is all that a proof needs. The real ones are in BridgeVectors.t.sol.
library LoneTries {
    using RLP for RLP.Encoder;

    function leaf(bytes32 key, bytes memory value) internal pure returns (bytes memory) {
        return RLP.encoder().push(abi.encodePacked(uint8(0x20), key)).push(value).encode();
    }

    function account(address who, bytes32 storageRoot) internal pure returns (bytes memory) {
        bytes memory value = RLP.encoder().push(uint256(1)).push(uint256(7)).push(storageRoot).push(keccak256("code")).encode();
        return leaf(keccak256(abi.encodePacked(who)), value);
    }

    function slot(bytes32 at_, bytes memory value) internal pure returns (bytes memory) {
        return leaf(keccak256(abi.encodePacked(at_)), value);
    }

    function header(uint64 number, bytes32 stateRoot) internal pure returns (bytes memory) {
        RLP.Encoder memory e = RLP.encoder().push(keccak256("parent")).push(bytes32(0)).push(address(0)).push(stateRoot);
        e = e.push(bytes32(0)).push(bytes32(0)).push(new bytes(256)).push(uint256(0)).push(uint256(number));
        e = e.push(uint256(30_000_000)).push(uint256(0)).push(uint256(1_700_000_000 + number)).push(abi.encodePacked(stateRoot));
        e = e.push(bytes32(0)).push(new bytes(8)).push(uint256(1 gwei)).push(bytes32(0)).push(uint256(0)).push(uint256(0));
        return e.push(bytes32(0)).push(bytes32(0)).encode();
    }
}

/// @dev A withdrawal with all that shows it.
struct Evidence {
    bytes header;
    bytes[] account;
    bytes[] slot;
}

abstract contract BridgeFixture is Test {
    uint256 internal constant MATURITY = 1 days;

    OracleDouble internal oracle;
    Portal internal portal;

    function deployPortal() internal {
        vm.warp(1_700_000_000);
        oracle = new OracleDouble();
        portal = new Portal(address(oracle), MATURITY);
    }

    function slotOf(bytes32 id) internal pure returns (bytes32) {
        return keccak256(abi.encode(id, uint256(0)));
    }

    /// @dev An L2 block in whose state the withdrawal is; the oracle does not know it yet.
    function evidence(Withdrawal memory w, uint64 number) internal pure returns (Evidence memory e) {
        return evidenceOf(Withdrawals.hash(w), number, hex"01");
    }

    function evidenceOf(bytes32 id, uint64 number, bytes memory value) internal pure returns (Evidence memory e) {
        (e.account, e.slot) = (new bytes[](1), new bytes[](1));
        e.slot[0] = LoneTries.slot(slotOf(id), value);
        e.account[0] = LoneTries.account(Predeploys.MESSAGE_PASSER, keccak256(e.slot[0]));
        e.header = LoneTries.header(number, keccak256(e.account[0]));
    }

    function prove(Withdrawal memory w, uint64 number) internal {
        Evidence memory e = evidence(w, number);
        oracle.set(number, keccak256(e.header));
        portal.prove(w, e.header, e.account, e.slot);
    }

    function withdrawal(uint256 nonce, address target, uint256 value) internal pure returns (Withdrawal memory) {
        return Withdrawal(nonce, address(0xa11ce), target, value, 0, "");
    }
}
