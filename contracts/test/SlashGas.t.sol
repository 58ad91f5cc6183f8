// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ClaimsChecker} from "../src/ClaimsChecker.sol";
import {Digests} from "../src/Digests.sol";
import {EcdsaCertificateVerifier} from "../src/EcdsaCertificateVerifier.sol";
import {Ed25519Verifier} from "../src/Ed25519Verifier.sol";
import {EvidenceChecker} from "../src/EvidenceChecker.sol";
import {ForcedQueue} from "../src/ForcedQueue.sol";
import {Inbox} from "../src/Inbox.sol";
import {Registry} from "../src/Registry.sol";
import {State, Terms} from "../src/RegistryTypes.sol";
import {Slasher} from "../src/Slasher.sol";
import {FalseBlocks} from "./FalseBlocks.sol";
import {Fixture} from "./Fixture.sol";

/// @dev Slasher and registry together, and what a slash costs as a transaction.
contract SlashGasTest is Fixture {
    /// @dev The promise of the documentation, for a transaction that slashes, everything included.
    uint256 private constant GAS_PER_SLASH = 500_000;
    /// @dev Of two transactions: who sends many commitments and reveals in one saves it.
    uint256 private constant BARE = 42_000;

    Slasher private slasher;
    EvidenceChecker private checker;

    function setUp() public {
        vm.roll(NOW);
        ed = new Ed25519Verifier();
        uint64 nonce = vm.getNonce(address(this));
        Terms memory t = terms(4);
        t.slasher = vm.computeCreateAddress(address(this), nonce + 6);
        registry = new Registry(t);
        verifier = new EcdsaCertificateVerifier(address(registry));
        forced = new ForcedQueue(t.slasher, FORCED_FEE, FORCED_GAS_PRICE);
        inbox = new Inbox(address(registry), address(verifier), address(forced), address(0), rules());
        checker = new EvidenceChecker(address(registry), address(inbox), address(verifier), address(this));
        address claims = address(new ClaimsChecker(address(registry), address(verifier)));
        slasher = new Slasher(address(registry), address(checker), claims, 256, 50, 50_400);
        equal(address(slasher), t.slasher);
        for (uint256 i; i < 4; i++) {
            join(i, 32 ether);
        }
        registry.freezeSet(0);
    }

    function _head(uint8 kind, uint16 accused) private pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), kind, uint32(0), uint64(0), accused);
    }

    function _frame(uint16 leader, bytes32 filler) private view returns (bytes memory) {
        bytes memory place =
            abi.encodePacked(uint16(1), uint64(0), uint64(10), uint32(0), leader, uint64(100), uint32(3), filler, bytes32(0));
        bytes memory body = abi.encodePacked(uint64(10), uint8(0), uint64(1_700_000_000_000), uint32(1), filler, uint64(21_000));
        bytes memory e = bytes.concat(place, body, bytes32(0), bytes16(0), bytes32(0), bytes32(0));
        (, bytes32 key) = vm.createEd25519Key(bytes32(uint256(leader)));
        bytes32 digest = Digests.digest(Digests.TAG_FRAME, registry.context(0), keccak256(e));
        return bytes.concat(e, vm.signEd25519("", abi.encodePacked(digest), key));
    }

    function _vote(uint256 i, uint8 kind, bytes32 value) private view returns (bytes memory) {
        bytes32 structHash = keccak256(abi.encode(Digests.VOTE_TYPE, uint64(0), uint64(10), uint32(0), kind, value));
        return bytes.concat(abi.encodePacked(uint64(0), uint64(10), uint32(0), kind, value), signTyped(voteSecret(i), structHash));
    }

    function _frames(uint16 i) private view returns (bytes memory) {
        return bytes.concat(_head(1, i), _frame(i, keccak256("a")), _frame(i, keccak256("b")));
    }

    /// @param kind 1 for prevotes, 2 for precommits, which are another offence
    function _votes(uint16 i, uint8 kind) private view returns (bytes memory) {
        return bytes.concat(_head(10, i), _vote(i, kind, keccak256("a")), _vote(i, kind, keccak256("b")));
    }

    /// @dev Gas of the commitment and of the reveal.
    function _slash(bytes memory evidence) private returns (uint256 committed, uint256 revealed) {
        committed = _send(abi.encodeCall(slasher.commit, (slasher.commitmentOf(evidence, address(this), "salt"))));
        vm.roll(block.number + 1);
        revealed = _send(abi.encodeCall(slasher.reveal, (evidence, "salt")));
        emit Used(committed, revealed);
    }

    /// @dev Gas of the whole transaction: 21,000, calldata at 4 and 16 a byte, and the call from cold.
    function _send(bytes memory data) private returns (uint256 used) {
        used = 21_000;
        for (uint256 i; i < data.length; i++) {
            used += data[i] == 0 ? 4 : 16;
        }
        vm.cool(address(slasher));
        vm.cool(address(registry));
        vm.cool(address(checker));
        vm.cool(address(ed));
        vm.cool(address(inbox));
        uint256 before = gasleft();
        (bool done,) = address(slasher).call(data);
        used += before - gasleft();
        check(done, "done");
    }

    event Used(uint256 committed, uint256 revealed);

    function test_revealOfTwoFrames() public {
        (uint256 committed, uint256 revealed) = _slash(_frames(2));
        check(committed + revealed <= GAS_PER_SLASH * 85 / 100, "a slash got dearer");
        check(registry.operatorOf(2).state == State.Jailed, "jailed");
        equal(address(slasher).balance, 32 ether);
    }

    function test_revealOfTwoVotes() public {
        (uint256 committed, uint256 revealed) = _slash(_votes(1, 1));
        check(committed + revealed <= GAS_PER_SLASH / 2, "a slash got dearer");
        check(registry.operatorOf(1).state == State.Jailed, "jailed");
    }

    /// @dev What the slasher's books give back to who revealed and was contested. A later offence of an operator is the cheapest: its
    /// stake is not taken again, and it may be counted in its thousand heights.
    function test_theGasBackIsLessThanASlashCosts() public {
        _slash(_votes(1, 1));
        (uint256 committed, uint256 revealed) = _slash(_votes(1, 2));
        check(committed + revealed > BARE + 120_000, "two votes give more back than they cost");
        (committed, revealed) = _slash(_frames(1));
        check(committed + revealed > BARE + 120_000 + 180_000, "two frames give more back than they cost");
    }

    /// @dev The same where one reveal accuses many.
    function test_theGasBackOfManyIsLessThanTheirSlashCosts() public {
        for (uint16 i; i < 3; i++) {
            _slash(_votes(i, 1));
        }
        (uint256 committed, uint256 revealed) = _slash(_falseBlock());
        check(committed + revealed > BARE + 3 * 50_000, "a false block gives more back than it costs");
    }

    /// @dev The oracle's part.
    function agreedHash(uint64) external pure returns (bytes32) {
        return keccak256(FalseBlocks.right());
    }

    /// @dev Three of four.
    function _falseBlock() private view returns (bytes memory evidence) {
        (bytes memory body, bytes32 id) = FalseBlocks.body(FalseBlocks.plain(0), registry.context(0));
        evidence = bytes.concat(_head(14, 0xffff), body, abi.encodePacked(FalseBlocks.HEIGHT, uint32(0), id, hex"0107"));
        for (uint256 i; i < 3; i++) {
            evidence = bytes.concat(evidence, signTyped(voteSecret(i), Digests.precommit(0, FalseBlocks.HEIGHT, 0, id)));
        }
    }

    function test_revealOfAFalseBlock() public {
        (, uint256 revealed) = _slash(_falseBlock());
        check(revealed <= GAS_PER_SLASH, "a slash got dearer");
        equal(address(slasher).balance, 96 ether);
    }

    /// @dev From a slash to the last wei, over the registry's own clock.
    function test_theRestOfTheStakeGoesBackAfterUnbonding() public {
        bytes memory evidence = _votes(1, 1);
        bytes32 key = slasher.check(evidence).key;
        slasher.report(evidence);
        vm.roll(slasher.settlesAt(uint256(key)));
        slasher.settle(uint256(key));
        // Still in the newest set: its stake would not be free yet.
        vm.expectRevert();
        slasher.release(1);
        registry.freezeSet(registry.currentEpoch() + 1);
        vm.roll(registry.unlocksAt(1));
        slasher.release(1);
        // One of four: three quarters are gone.
        equal(slasher.credit(owner(1)), 8 ether);
    }

    function test_forcedFeesGoToThePool() public {
        vm.deal(address(this), 1 ether);
        uint256 fee = forced.fee(21_000);
        forced.enqueue{value: fee}(hex"02", 21_000);
        forced.collect();
        equal(slasher.pool(), fee);
    }
}
