// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EcdsaCertificateVerifier} from "../src/EcdsaCertificateVerifier.sol";
import {Ed25519Verifier} from "../src/Ed25519Verifier.sol";
import {EvidenceChecker} from "../src/EvidenceChecker.sol";
import {Finding, IEvidenceErrors} from "../src/EvidenceTypes.sol";
import {Slasher} from "../src/Slasher.sol";
import {FakeRegistry} from "./FakeRegistry.sol";
import {Test} from "./Vm.sol";

/// @dev Evidence that the nodes encode and judge, from the file that their tests write: the contract judges the same.
contract EvidenceVectorsTest is Test {
    string private json;
    FakeRegistry private registry;
    EvidenceChecker private checker;
    uint64 private epoch;
    bytes[] private _guilty;

    function setUp() public {
        json = vm.readFile("../tests/vectors/evidence.json");
        registry = FakeRegistry(vm.parseJsonAddress(json, ".registry"));
        vm.etch(address(registry), address(new FakeRegistry()).code);
        vm.chainId(vm.parseJsonUint(json, ".l1_chain_id"));
        registry.init(
            uint64(vm.parseJsonUint(json, ".l2_chain_id")), vm.parseJsonBytes32(json, ".genesis_hash"), address(new Ed25519Verifier())
        );
        registry.setGeneration(uint32(vm.parseJsonUint(json, ".generation")));
        epoch = uint64(vm.parseJsonUint(json, ".epoch"));
        bytes32[] memory seqKeys = vm.parseJsonBytes32Array(json, ".seq_keys");
        address[] memory voteKeys = abi.decode(vm.parseJson(json, ".vote_keys"), (address[]));
        uint256[] memory powers = abi.decode(vm.parseJson(json, ".powers_gwei"), (uint256[]));
        for (uint256 i; i < seqKeys.length; i++) {
            registry.add(epoch, FakeRegistry.Member(7, voteKeys[i], seqKeys[i], powers[i]));
        }
        registry.freeze(epoch);
        address verifier = address(new EcdsaCertificateVerifier(address(registry)));
        checker = new EvidenceChecker(address(registry), address(registry), verifier, address(registry));
        uint256[] memory blocks = _numbers(".proven_blocks");
        bytes32[] memory hashes = vm.parseJsonBytes32Array(json, ".proven_hashes");
        for (uint256 i; i < blocks.length; i++) {
            registry.agree(uint64(blocks[i]), hashes[i]);
        }
        bytes[] memory evidence = abi.decode(vm.parseJson(json, ".evidence"), (bytes[]));
        bool[] memory guilty = abi.decode(vm.parseJson(json, ".guilty"), (bool[]));
        for (uint256 i; i < evidence.length; i++) {
            if (guilty[i]) _guilty.push(evidence[i]);
        }
    }

    function _numbers(string memory key) private view returns (uint256[] memory) {
        return abi.decode(vm.parseJson(json, key), (uint256[]));
    }

    function test_everyVectorIsJudgedAsTheNodesJudge() public {
        bytes[] memory evidence = abi.decode(vm.parseJson(json, ".evidence"), (bytes[]));
        bool[] memory guilty = abi.decode(vm.parseJson(json, ".guilty"), (bool[]));
        string[] memory names = abi.decode(vm.parseJson(json, ".names"), (string[]));
        uint256[][6] memory want = [
            _numbers(".kinds"),
            _numbers(".classes"),
            _numbers(".groups"),
            _numbers(".heights"),
            _numbers(".rounds"),
            _numbers(".accused_bits")
        ];
        bytes32[] memory keys = vm.parseJsonBytes32Array(json, ".keys_of_operator_7");
        Slasher slasher = new Slasher(address(registry), address(checker), address(0), 256, 50, 100);
        uint256 found;
        for (uint256 i; i < evidence.length; i++) {
            try checker.check(evidence[i]) returns (Finding memory f) {
                check(guilty[i], names[i]);
                bool same = f.kind == want[0][i] && f.class == want[1][i] && f.group == want[2][i] && f.height == want[3][i]
                    && f.round == want[4][i] && f.guilty == want[5][i];
                check(same, names[i]);
                check(slasher.keyOf(f, 7) == keys[i], names[i]);
                found++;
            } catch {
                check(!guilty[i], names[i]);
            }
        }
        check(found > 20, "too little evidence in the file");
    }

    function test_malformedEvidenceIsSaidToBe() public {
        bytes[] memory malformed = abi.decode(vm.parseJson(json, ".malformed"), (bytes[]));
        check(malformed.length > 10, "too few");
        for (uint256 i; i < malformed.length; i++) {
            vm.expectRevert(IEvidenceErrors.Evidence_Malformed.selector);
            checker.check(malformed[i]);
        }
    }

    /// @dev Guilty evidence is guilty at its exact length only.
    function test_noByteLessAndNoByteMore() public {
        bytes[] memory evidence = abi.decode(vm.parseJson(json, ".evidence"), (bytes[]));
        bool[] memory guilty = abi.decode(vm.parseJson(json, ".guilty"), (bool[]));
        for (uint256 i; i < evidence.length && guilty[i]; i++) {
            vm.expectRevert(IEvidenceErrors.Evidence_Malformed.selector);
            checker.check(bytes.concat(evidence[i], hex"00"));
            bytes memory cut = evidence[i];
            assembly ("memory-safe") {
                mstore(cut, sub(mload(cut), 1))
            }
            vm.expectRevert(IEvidenceErrors.Evidence_Malformed.selector);
            checker.check(cut);
        }
    }

    /// @dev Every byte but that of the kind is signed, hashed or names who signed: changed, nothing is left of the offence.
    /// forge-config: default.fuzz.runs = 600
    function testFuzz_aChangedByteIsNoEvidence(uint256 pick, uint256 place, uint8 change) public view {
        bytes memory e = _guilty[pick % _guilty.length];
        place %= e.length;
        if (place == 1 || change == 0) return;
        e[place] ^= bytes1(change);
        try checker.check(e) {
            check(false, "guilty by a changed byte");
        } catch {}
    }

    /// @dev What evidence shows does not depend on which of two messages comes first, where neither is the earlier one.
    function test_theOrderOfAPairIsFree() public view {
        uint256 turned;
        for (uint256 i; i < _guilty.length; i++) {
            bytes memory e = _guilty[i];
            uint8 kind = uint8(e[1]);
            bool symmetric = kind == 1 || kind == 2 || kind == 7 || kind == 10 || kind == 11 || kind == 12;
            if (!symmetric) continue;
            Finding memory a = checker.check(e);
            Finding memory b = checker.check(_turn(e));
            check(keccak256(abi.encode(a)) == keccak256(abi.encode(b)), "another offence");
            turned++;
        }
        check(turned > 5, "no pairs in the file");
    }

    function _turn(bytes memory e) private pure returns (bytes memory out) {
        uint256 half = (e.length - 16) / 2;
        out = new bytes(e.length);
        for (uint256 i; i < 16; i++) {
            out[i] = e[i];
        }
        for (uint256 i; i < half; i++) {
            (out[16 + i], out[16 + half + i]) = (e[16 + half + i], e[16 + i]);
        }
    }
}
