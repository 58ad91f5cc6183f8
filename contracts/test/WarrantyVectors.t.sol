// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EcdsaCertificateVerifier} from "../src/EcdsaCertificateVerifier.sol";
import {Ed25519Verifier} from "../src/Ed25519Verifier.sol";
import {Warranty} from "../src/Warranty.sol";
import {Offer} from "../src/WarrantyTypes.sol";
import {FakeRegistry} from "./FakeRegistry.sol";
import {Test} from "./Vm.sol";

/// @dev Lost frames and transactions that the nodes make, from the file that their tests write.
contract WarrantyVectorsTest is Test {
    string private json;
    Warranty private warranty;
    uint256 private operator;

    function setUp() public {
        json = vm.readFile("../tests/vectors/warranty.json");
        string memory set = vm.readFile("../tests/vectors/evidence.json");
        FakeRegistry registry = FakeRegistry(vm.parseJsonAddress(set, ".registry"));
        vm.etch(address(registry), address(new FakeRegistry()).code);
        vm.chainId(vm.parseJsonUint(set, ".l1_chain_id"));
        registry.init(
            uint64(vm.parseJsonUint(set, ".l2_chain_id")), vm.parseJsonBytes32(json, ".genesis_hash"), address(new Ed25519Verifier())
        );
        bytes32[] memory seqKeys = vm.parseJsonBytes32Array(set, ".seq_keys");
        address[] memory voteKeys = abi.decode(vm.parseJson(set, ".vote_keys"), (address[]));
        uint256[] memory powers = abi.decode(vm.parseJson(set, ".powers_gwei"), (uint256[]));
        for (uint256 i; i < seqKeys.length; i++) {
            registry.add(0, FakeRegistry.Member(i, voteKeys[i], seqKeys[i], powers[i]));
        }
        registry.freeze(0);
        operator = vm.parseJsonUint(json, ".operator");
        registry.setOperator(operator, address(this), 0);
        warranty = new Warranty(address(registry), address(new EcdsaCertificateVerifier(address(registry))));
        vm.deal(address(this), 1 ether);
        warranty.post{value: 1 ether}(operator);
        warranty.set(operator, Offer(uint32(vm.parseJsonUint(json, ".bps")), uint88(_word(".claim_cap")), uint88(_word(".term_cap"))));
    }

    function _word(string memory key) private view returns (uint256) {
        return uint256(vm.parseJsonBytes32(json, key));
    }

    function _list(string memory key) private view returns (bytes[] memory) {
        return abi.decode(vm.parseJson(json, key), (bytes[]));
    }

    function _names(string memory key) private view returns (string[] memory) {
        return abi.decode(vm.parseJson(json, key), (string[]));
    }

    function test_everyLossIsRefunded() public {
        bytes[] memory lost = _list(".lost");
        bytes[] memory txs = _list(".txs");
        address[] memory senders = abi.decode(vm.parseJson(json, ".senders"), (address[]));
        bytes32[] memory refunds = vm.parseJsonBytes32Array(json, ".refunds");
        check(lost.length > 2 && txs.length > 5, "too few");
        for (uint256 i; i < lost.length; i++) {
            warranty.claim(0, lost[i], txs);
            for (uint256 t; t < txs.length; t++) {
                equal(senders[t].balance, (i + 1) * uint256(refunds[t]));
            }
        }
    }

    function test_noWrongLossIs() public {
        bytes[] memory txs = _list(".txs");
        bytes[] memory wrong = _list(".wrong_lost");
        string[] memory names = _names(".wrong_lost_names");
        check(wrong.length > 10, "too few");
        for (uint256 i; i < wrong.length; i++) {
            try warranty.claim(0, wrong[i], txs) {
                check(false, names[i]);
            } catch {}
        }
    }

    function test_noWrongTransactionIs() public {
        bytes memory lost = _list(".lost")[1];
        bytes[] memory wrong = _list(".wrong_txs");
        string[] memory names = _names(".wrong_tx_names");
        check(wrong.length > 3, "too few");
        for (uint256 i; i < wrong.length; i++) {
            bytes[] memory one = new bytes[](1);
            one[0] = wrong[i];
            try warranty.claim(0, lost, one) {
                check(false, names[i]);
            } catch {}
        }
    }
}
