// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ClaimsChecker} from "../src/ClaimsChecker.sol";
import {EcdsaCertificateVerifier} from "../src/EcdsaCertificateVerifier.sol";
import {Ed25519Verifier} from "../src/Ed25519Verifier.sol";
import {EvidenceChecker} from "../src/EvidenceChecker.sol";
import {ISlasher} from "../src/SlasherTypes.sol";
import {Slasher} from "../src/Slasher.sol";
import {FakeRegistry} from "./FakeRegistry.sol";
import {Test} from "./Vm.sol";

/// @dev Reversions and claims that the nodes make, from the file that their tests write, against one slasher.
contract ClaimVectorsTest is Test {
    string private json;
    Slasher private slasher;
    uint256 private id;

    function setUp() public {
        vm.roll(1_000);
        json = vm.readFile("../tests/vectors/claims.json");
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
            registry.setOperator{value: 32 ether}(i, address(uint160(0xc01d + i)), type(uint256).max);
        }
        registry.freeze(0);
        address verifier = address(new EcdsaCertificateVerifier(address(registry)));
        address checker = address(new EvidenceChecker(address(registry), address(registry), verifier, address(0)));
        slasher = new Slasher(address(registry), checker, address(new ClaimsChecker(address(registry), verifier)), 256, 50, 50_400);
        bytes memory offence = vm.parseJsonBytes(json, ".offence");
        slasher.report(offence);
        id = uint256(slasher.check(offence).key);
    }

    function _list(string memory key) private view returns (bytes[] memory) {
        return abi.decode(vm.parseJson(json, key), (bytes[]));
    }

    function _names(string memory key) private view returns (string[] memory) {
        return abi.decode(vm.parseJson(json, key), (string[]));
    }

    function test_everyReversionIsProven() public {
        bytes[] memory reversions = _list(".reversions");
        bytes32[] memory tips = vm.parseJsonBytes32Array(json, ".reversion_tips");
        uint64 from = uint64(vm.parseJsonUint(json, ".reversion_from_g"));
        check(reversions.length > 1, "too few");
        for (uint256 i; i < reversions.length; i++) {
            vm.expectEmit(true, false, false, false);
            emit ISlasher.Reverted(id, tips[i], from, 0);
            slasher.proveReverted(id, reversions[i]);
        }
        equal(slasher.penaltyBps(id), 10_000);
    }

    function test_noWrongReversionIs() public {
        bytes[] memory wrong = _list(".wrong_reversions");
        string[] memory names = _names(".wrong_reversion_names");
        check(wrong.length > 5, "too few");
        for (uint256 i; i < wrong.length; i++) {
            try slasher.proveReverted(id, wrong[i]) {
                check(false, names[i]);
            } catch {}
        }
    }

    function test_everyClaimIsTakenAndNoWrongOne() public {
        slasher.proveReverted(id, _list(".reversions")[0]);
        bytes[] memory wrong = _list(".wrong_claims");
        string[] memory names = _names(".wrong_claim_names");
        for (uint256 i; i < wrong.length; i++) {
            try slasher.claim(id, wrong[i]) {
                check(false, names[i]);
            } catch {}
        }
        bytes[] memory claims = _list(".claims");
        address[] memory senders = abi.decode(vm.parseJson(json, ".claim_senders"), (address[]));
        bytes32[] memory insured = vm.parseJsonBytes32Array(json, ".claim_insured");
        check(claims.length > 3, "too few");
        for (uint256 i; i < claims.length; i++) {
            bytes32 claimId = slasher.claim(id, claims[i]);
            (, address beneficiary, uint256 amount) = slasher.claimOf(claimId);
            equal(beneficiary, senders[i]);
            equal(amount, uint256(insured[i]));
        }
    }
}
