// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "../src/Digests.sol";
import {EcdsaCertificateVerifier} from "../src/EcdsaCertificateVerifier.sol";
import {Ed25519Verifier} from "../src/Ed25519Verifier.sol";
import {ForcedQueue} from "../src/ForcedQueue.sol";
import {Inbox} from "../src/Inbox.sol";
import {Batch, IInboxEvents, InboxRules} from "../src/InboxTypes.sol";
import {Registry} from "../src/Registry.sol";
import {Registration, Terms} from "../src/RegistryTypes.sol";
import {FixedSet} from "./Fixture.sol";
import {Test} from "./Vm.sol";

/// @dev The bytes that the nodes make, from the file that their tests write: digests, signatures, a header with its certificate.
contract FormatsTest is Test {
    string private json;
    address private registry;
    uint64 private l2ChainId;
    bytes32 private genesisHash;

    function setUp() public {
        json = vm.readFile("../tests/vectors/formats.json");
        registry = vm.parseJsonAddress(json, ".registry");
        l2ChainId = uint64(_number(".l2_chain_id"));
        genesisHash = _word(".genesis_hash");
        vm.chainId(_number(".l1_chain_id"));
    }

    function _word(string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, key);
    }

    function _number(string memory key) private view returns (uint256) {
        return vm.parseJsonUint(json, key);
    }

    function _bytes(string memory key) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, key);
    }

    function _context() private view returns (bytes32) {
        return Digests.context(l2ChainId, registry, genesisHash, uint32(_number(".generation")));
    }

    function _ed25519(string memory key) private view returns (bytes32, bytes32) {
        return abi.decode(_bytes(key), (bytes32, bytes32));
    }

    /// @dev Puts the code of a deployed contract, immutables and all, where the vectors say the registry is.
    function _placeRegistry(address deployed) private {
        vm.etch(registry, deployed.code);
    }

    function _placeSet() private returns (Inbox inbox) {
        FixedSet set =
            new FixedSet(_bytes(".set_packed"), _number(".set_total_gwei"), uint64(_number(".set_epoch")), l2ChainId, genesisHash);
        _placeRegistry(address(set));
        vm.roll(type(uint64).max);
        address forced = address(new ForcedQueue(address(0), 0, 0));
        inbox = new Inbox(registry, address(new EcdsaCertificateVerifier(registry)), forced, address(0), InboxRules(1, 1, 1));
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = bytes32("blob");
        vm.blobhashes(hashes);
    }

    function _batch() private view returns (Batch memory b) {
        (b.fromHeight, b.toHeight, b.round) = (1, uint64(_number(".cert_height")), uint32(_number(".cert_round")));
    }

    function test_contextAndSeparator() public view {
        equal(_context(), _word(".ctx"));
        equal(Digests.separator(_context(), registry), _word(".domain_separator"));
        equal(Digests.TAG_HEADER, _word(".tag_header"));
        equal(Digests.TAG_POSSESSION, _word(".tag_pop"));
    }

    function test_valueIdAndVote() public view {
        bytes memory header = _bytes(".header_enc");
        equal(header.length, 480);
        equal(Digests.digest(Digests.TAG_HEADER, _context(), keccak256(header)), _word(".header_value_id"));
        bytes32 vote = Digests.precommit(
            uint64(_number(".vote_epoch")),
            uint64(_number(".vote_height")),
            uint32(_number(".vote_round")),
            _word(".vote_precommit_value_id")
        );
        equal(Digests.typed(Digests.separator(_context(), registry), vote), _word(".vote_precommit_digest"));
    }

    function test_setHash() public view {
        equal(keccak256(_bytes(".set_packed")), _word(".set_hash"));
    }

    function _terms() private returns (Terms memory t) {
        (t.l2ChainId, t.genesisHash, t.minStake, t.minOperators) = (l2ChainId, genesisHash, 1 ether, 1);
        (t.maxShareBps, t.epochBlocks, t.unbondEpochs, t.evidenceEpochs) = (10_000, 1800, 60, 56);
        t.edVerifier = address(new Ed25519Verifier());
    }

    function test_aRegistrationMadeByTheNodesIsAccepted() public {
        Registry deployed = new Registry(_terms());
        _placeRegistry(address(deployed));
        Registration memory r;
        r.seqKey = _word(".possession_seq_key");
        r.voteKey = vm.parseJsonAddress(json, ".possession_vote_key");
        r.feeRecipient = vm.parseJsonAddress(json, ".possession_fee_recipient");
        r.peer = bytes(vm.parseJsonString(json, ".possession_peer"));
        (r.seqR, r.seqS) = _ed25519(".possession_seq_sig");
        r.voteSig = _bytes(".possession_vote_sig");
        address holder = vm.parseJsonAddress(json, ".possession_owner");
        bytes32 digest = Registry(registry).possessionDigest(holder, r.voteKey, r.seqKey, r.feeRecipient, r.peer);
        equal(digest, _word(".possession_digest"));
        equal(Digests.typed(Digests.separator(_context(), registry), Digests.possession(digest)), _word(".possession_vote_digest"));
        vm.deal(holder, 1 ether);
        vm.prank(holder);
        equal(Registry(registry).register{value: 1 ether}(r), 0);
    }

    function test_aCertificateMadeByTheNodesIsAccepted() public {
        Inbox inbox = _placeSet();
        inbox.submitBatch(_batch(), _bytes(".header_enc"), _bytes(".cert_bitmap"), _bytes(".cert_signatures"));
        equal(inbox.tipValueId(), _word(".cert_value_id"));
        (uint64 height, uint64 l1Number, uint64 epoch,) = inbox.tip();
        equal(height, _number(".header_height"));
        equal(l1Number, _number(".header_l1_number"));
        equal(epoch, _number(".header_epoch"));
    }

    function test_oneWithoutAQuorumIsRefused() public {
        Inbox inbox = _placeSet();
        bytes memory header = _bytes(".header_enc");
        bytes memory bitmap = _bytes(".cert_no_quorum_bitmap");
        bytes memory sigs = _bytes(".cert_no_quorum_signatures");
        Batch memory b = _batch();
        // The weight is what the two signers hold: the first two records of the set.
        bytes memory records = _bytes(".set_packed");
        uint256 weight;
        assembly ("memory-safe") {
            let mask := 0xffffffffffffffffffffffff
            weight := add(and(mload(add(records, 32)), mask), and(mload(add(records, 64)), mask))
        }
        vm.expectRevert(abi.encodeWithSelector(IInboxEvents.Inbox_Quorum.selector, weight, _number(".set_total_gwei")));
        inbox.submitBatch(b, header, bitmap, sigs);
    }

    function test_frameAndItsContradictionAreBothSigned() public {
        Ed25519Verifier verifier = new Ed25519Verifier();
        bytes32 key = vm.parseJsonBytes32Array(json, ".seq_keys")[_number(".frame_leader")];
        (bytes32 r1, bytes32 s1) = _ed25519(".frame_sig");
        (bytes32 r2, bytes32 s2) = _ed25519(".frame_conflict_sig");
        bytes32 first = Digests.digest(_word(".tag_frame"), _context(), keccak256(_bytes(".frame_enc")));
        bytes32 second = Digests.digest(_word(".tag_frame"), _context(), keccak256(_bytes(".frame_conflict_enc")));
        equal(first, _word(".frame_hash"));
        check(verifier.verifyPair(key, [r1, s1, first], [r2, s2, second]), "two frames of one leader");
    }
}
