// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Portal} from "../src/Portal.sol";
import {Withdrawal, Withdrawals} from "../src/PortalTypes.sol";
import {Predeploys} from "../src/Predeploys.sol";
import {StorageProofs} from "../src/StorageProofs.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {OracleDouble} from "./BridgeFixture.sol";
import {Test} from "./Vm.sol";

/// @dev Proofs from tries with hundreds of accounts, from the file that the execution crate writes.
contract BridgeVectorsTest is Test {
    string private json;
    Portal private portal;
    bytes private header;

    function setUp() public {
        json = vm.readFile("../tests/vectors/bridge.json");
        header = vm.parseJsonBytes(json, ".header");
        equal(keccak256(header), vm.parseJsonBytes32(json, ".block_hash"));
        equal(vm.parseJsonAddress(json, ".passer"), Predeploys.MESSAGE_PASSER);
        equal(vm.parseJsonAddress(json, ".token_bridge"), Predeploys.TOKEN_BRIDGE);
        OracleDouble oracle = new OracleDouble();
        oracle.set(1, keccak256(header));
        vm.warp(1_800_000_000);
        portal = new Portal(address(oracle), 60);
        portal.seed{value: 1 ether}();
    }

    function _withdrawal(string memory n) private view returns (Withdrawal memory w) {
        string memory at_ = string.concat(".w", n);
        w.nonce = vm.parseJsonUint(string.concat("{\"n\":", n, "}"), ".n");
        w.sender = vm.parseJsonAddress(json, string.concat(at_, "_sender"));
        w.target = vm.parseJsonAddress(json, string.concat(at_, "_target"));
        w.value = vm.parseJsonUint(json, string.concat(at_, "_value"));
        w.gasLimit = vm.parseJsonUint(json, string.concat(at_, "_gas"));
        w.data = vm.parseJsonBytes(json, string.concat(at_, "_data"));
        equal(Withdrawals.hash(w), vm.parseJsonBytes32(json, string.concat(at_, "_hash")));
    }

    function _nodes(string memory name) private view returns (bytes[] memory) {
        return vm.parseJsonBytesArray(json, string.concat(".", name));
    }

    function _proofs(string memory n) private view returns (bytes[] memory account, bytes[] memory slot) {
        return (_nodes(string.concat("w", n, "_account_proof")), _nodes(string.concat("w", n, "_slot_proof")));
    }

    function _pays(string memory n) private {
        Withdrawal memory w = _withdrawal(n);
        (bytes[] memory account, bytes[] memory slot) = _proofs(n);
        check(account.length > 2 && slot.length > 1, "a trie of one node");
        portal.prove(w, header, account, slot);
        vm.warp(block.timestamp + 60);
        portal.finalize(w);
        equal(w.target.balance, w.value);
    }

    function test_withdrawalsOfTheRollupArePaid() public {
        _pays("0");
        _pays("9");
        _pays("29");
    }

    function test_aProofIsOfItsOwnWithdrawal() public {
        (bytes[] memory account, bytes[] memory slot) = _proofs("9");
        Withdrawal memory w = _withdrawal("29");
        vm.expectRevert();
        portal.prove(w, header, account, slot);
    }

    function testFuzz_aChangedByteShowsNothing(uint256 where, uint8 flip, uint8 part) public {
        if (flip == 0) flip = 1;
        Withdrawal memory w = _withdrawal("9");
        (bytes[] memory account, bytes[] memory slot) = _proofs("9");
        bytes memory all = header;
        uint256 nodes = account.length + slot.length;
        if (part % (nodes + 1) != nodes) {
            uint256 node = part % (nodes + 1);
            all = node < account.length ? account[node] : slot[node - account.length];
        }
        all[where % all.length] = all[where % all.length] ^ bytes1(flip);
        bytes memory changed = part % (nodes + 1) == nodes ? all : header;
        vm.expectRevert();
        portal.prove(w, changed, account, slot);
    }

    function testFuzz_aNodeLessOrMoreShowsNothing(uint8 which, bool more) public {
        Withdrawal memory w = _withdrawal("9");
        (bytes[] memory account, bytes[] memory slot) = _proofs("9");
        bytes[] memory other = new bytes[](more ? slot.length + 1 : slot.length - 1);
        for (uint256 i; i < other.length; i++) {
            other[i] = i < slot.length ? slot[i] : slot[which % slot.length];
        }
        vm.expectRevert();
        portal.prove(w, header, account, other);
        vm.expectRevert();
        portal.prove(w, header, account, new bytes[](0));
    }

    /// @dev Not a test of its own: gas of one real proof, in the report of the suite.
    function test_gasOfProve() public {
        (bytes[] memory account, bytes[] memory slot) = _proofs("0");
        portal.prove(_withdrawal("0"), header, account, slot);
    }

    function test_depositsOnL1AreProven() public view {
        bytes memory l1 = vm.parseJsonBytes(json, ".l1_header");
        (, bytes32 hash, bytes32 stateRoot) = StorageProofs.readHeader(l1);
        equal(hash, vm.parseJsonBytes32(json, ".l1_hash"));
        _proven(stateRoot, "0", 0);
        _proven(stateRoot, "7", 7);
        _proven(stateRoot, "55", 55);
    }

    function _proven(bytes32 stateRoot, string memory n, uint256 index) private view {
        bytes memory value = RLP.encode(uint256(vm.parseJsonBytes32(json, string.concat(".d", n, "_word"))));
        bytes[] memory account = _nodes(string.concat("d", n, "_account_proof"));
        bytes[] memory slot = _nodes(string.concat("d", n, "_slot_proof"));
        address bridge = vm.parseJsonAddress(json, ".l1_bridge");
        StorageProofs.requireSlot(stateRoot, bridge, keccak256(abi.encode(index, uint256(0))), value, account, slot);
    }
}
