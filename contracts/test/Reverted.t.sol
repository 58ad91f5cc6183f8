// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ClaimsChecker} from "../src/ClaimsChecker.sol";
import {Digests} from "../src/Digests.sol";
import {IEvidenceErrors} from "../src/EvidenceTypes.sol";
import {ISlasher} from "../src/SlasherTypes.sol";
import {Trial} from "./Trial.sol";

/// @dev Leader 1 forks its term (10, 0) at g 101: frames 101..103 are acked by three of four, but 101' and 102' are decided.
contract RevertedTest is Trial {
    address private constant REPORTER = address(0x4e9);
    uint256 private constant USER = 0x05e4;
    uint128 private constant INSURED = 20 ether;

    /// @dev What the proof is made of; each test changes one thing.
    struct Bundle {
        F[] acked;
        F[] log;
        uint8 ackMask;
        uint8 certMask;
        uint64 ackHeight;
        uint32 ackRound;
        bytes32 ackInit;
        /// how many frames of the chain go into the proof
        uint256 depth;
        /// place of the canonical frame in the log
        uint256 place;
    }

    function setUp() public {
        deployTrial();
    }

    function _transaction(uint256 nonce) private pure returns (bytes memory) {
        // Fields of a fee market transaction with every one-byte integer as itself.
        bytes memory fields = abi.encodePacked(hex"8301142c", uint8(nonce), hex"010282520894", address(0xbeef), hex"8080c0");
        bytes32 hash = keccak256(abi.encodePacked(uint8(2), uint8(0xc0 + fields.length), fields));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(USER, hash);
        bytes memory whole = abi.encodePacked(fields, v == 27 ? uint8(0x80) : uint8(1), uint8(0xa0), r, uint8(0xa0), s);
        return abi.encodePacked(uint8(2), uint8(0xf8), uint8(whole.length), whole);
    }

    function _txRoot(uint128 insured) private pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = keccak256(_transaction(7));
        return rootOf(leaves(hashes, insured));
    }

    /// @dev `count` frames of leader 1 after `parent`, from g 101 on.
    function _stream(uint256 count, bytes32 filler) private view returns (F[] memory out) {
        out = new F[](count);
        bytes32 prev = keccak256("parent");
        for (uint256 i; i < count; i++) {
            F memory f = plainFrame();
            (f.g, f.seq, f.prev, f.filler) = (101 + uint64(i), 1 + uint32(i), prev, filler);
            f.txRoot = _txRoot(INSURED);
            out[i] = f;
            prev = hashOf(f);
        }
    }

    function _bundle() private view returns (Bundle memory b) {
        b.acked = _stream(3, keccak256("acked"));
        b.log = _stream(2, keccak256("log"));
        (b.ackMask, b.certMask, b.ackHeight, b.depth) = (7, 14, 10, 3);
    }

    function _chain(F[] memory frames, uint256 depth) private pure returns (bytes memory out) {
        out = abi.encodePacked(uint16(depth));
        for (uint256 i; i < depth; i++) {
            out = bytes.concat(out, enc(frames[frames.length - 1 - i]));
        }
    }

    function _acks(Bundle memory b) private view returns (bytes memory out) {
        F memory tip = b.acked[b.acked.length - 1];
        out = abi.encodePacked(EPOCH, b.ackHeight, b.ackRound, tip.g, hashOf(tip), b.ackInit, uint8(1), b.ackMask);
        for (uint16 i; i < 4; i++) {
            if ((b.ackMask >> i) & 1 == 0) continue;
            bytes memory e = enc(A(EPOCH, b.ackHeight, b.ackRound, i, tip.g, hashOf(tip), b.ackInit));
            out = bytes.concat(out, seqSign(i, Digests.TAG_ACK, e));
        }
    }

    /// @dev Height 10 is g 100 to 102.
    function _proof(Bundle memory b) private view returns (bytes memory) {
        bytes32[] memory hashes = new bytes32[](1 + b.log.length);
        hashes[0] = keccak256("parent");
        for (uint256 i; i < b.log.length; i++) {
            hashes[i + 1] = hashOf(b.log[i]);
        }
        bytes memory h = header(10, 100, hashes, b.log[b.log.length - 1]);
        bytes memory canonical = bytes.concat(enc(b.log[b.place]), branchOf(leaves(hashes, 0), b.place + 1));
        return bytes.concat(_acks(b), _chain(b.acked, b.depth), canonical, h, certificate(h, 10, 0, b.certMask));
    }

    function _forkEvidence() private view returns (bytes memory) {
        return bytes.concat(head(1, 1), signed(_stream(1, keccak256("acked"))[0]), signed(_stream(1, keccak256("log"))[0]));
    }

    function _claimOf(uint256 depth) private view returns (bytes memory) {
        bytes memory transaction = _transaction(7);
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = keccak256(transaction);
        bytes memory branch = branchOf(leaves(hashes, INSURED), 0);
        bytes memory first = abi.encodePacked(uint32(transaction.length), transaction, INSURED, branch);
        return bytes.concat(first, _chain(_bundle().acked, depth));
    }

    function _settle(uint256 id) private {
        vm.roll(slasher.settlesAt(id));
        slasher.settle(id);
    }

    function test_aRevertedAckCostsEverythingAndPaysTheUser() public {
        uint256 id = revealAs(REPORTER, _forkEvidence());
        F memory tip = _bundle().acked[2];
        bytes32 tipHash = hashOf(tip);
        bytes memory proof = _proof(_bundle());
        vm.expectEmit();
        emit ISlasher.Reverted(id, tipHash, 101, 103);
        slasher.proveReverted(id, proof);
        equal(slasher.penaltyBps(id), 10_000);
        check(slasher.offence(id).reverted, "reverted");
        bytes32 claimId = slasher.claim(id, _claimOf(2));
        (uint256 of_, address beneficiary, uint256 amount) = slasher.claimOf(claimId);
        equal(of_, id);
        equal(beneficiary, vm.addr(USER));
        equal(amount, INSURED);
        vm.expectRevert();
        slasher.collect(claimId);
        _settle(id);
        slasher.collect(claimId);
        equal(slasher.credit(vm.addr(USER)), INSURED);
        equal(slasher.credit(REPORTER), STAKE / 20);
        equal(slasher.burned(), STAKE / 10);
        (, uint256 charged,,) = slasher.accountOf(operator(1));
        equal(charged, STAKE);
        vm.expectRevert(ISlasher.Slasher_UnknownClaim.selector);
        slasher.collect(claimId);
    }

    /// @dev Two frames with an insured transaction each: 40 ether of claims, 80 % of 32 to share.
    function test_claimsShareProRata() public {
        uint256 id = revealAs(REPORTER, _forkEvidence());
        slasher.proveReverted(id, _proof(_bundle()));
        bytes32 first = slasher.claim(id, _claimOf(1));
        bytes32 second = slasher.claim(id, _claimOf(3));
        _settle(id);
        slasher.collect(first);
        slasher.collect(second);
        equal(slasher.credit(vm.addr(USER)), STAKE * 8 / 10);
        equal(slasher.reserved(), 0);
    }

    /// @dev An earlier penalty went elsewhere: the pool makes up for it, up to 80 % of the whole stake.
    function test_thePoolMakesUpForAnEarlierPenalty() public {
        uint256 early = revealAs(REPORTER, frameTwice(1, 400));
        vm.roll(NOW + 100);
        uint256 id = revealAs(REPORTER, _forkEvidence());
        slasher.proveReverted(id, _proof(_bundle()));
        slasher.claim(id, _claimOf(1));
        slasher.claim(id, _claimOf(3));
        _settle(early);
        uint256 pool = slasher.pool();
        check(pool > 0, "something in the pool");
        _settle(id);
        // 90 % are left: 72 % for claims of their own, and all but 0.5 + 1 % of the first 10.
        equal(slasher.reserved(), STAKE * 8 / 10);
    }

    function test_aClaimIsMadeOnceAndNeedsAProvenReversion() public {
        uint256 id = revealAs(REPORTER, _forkEvidence());
        bytes memory claim = _claimOf(2);
        vm.expectRevert(ISlasher.Slasher_NotReverted.selector);
        slasher.claim(id, claim);
        slasher.proveReverted(id, _proof(_bundle()));
        slasher.claim(id, claim);
        vm.expectRevert(ISlasher.Slasher_ClaimedBefore.selector);
        slasher.claim(id, claim);
        vm.roll(slasher.settlesAt(id));
        claim = _claimOf(3);
        vm.expectRevert(ISlasher.Slasher_TooLate.selector);
        slasher.claim(id, claim);
    }

    /// @dev The leader's second offence has nothing left to pay, and a poor accomplice's has little: who sends the claim there takes
    /// nothing away, and all together pay no more than the amount.
    function test_aClaimCannotBeWastedOnAnotherOffence() public {
        uint256 rich = revealAs(REPORTER, _forkEvidence());
        uint256[2] memory others = [revealAs(REPORTER, voteTwice(1, 10)), revealAs(REPORTER, voteTwice(3, 10))];
        slasher.proveReverted(rich, _proof(_bundle()));
        bytes32[3] memory ids;
        for (uint256 i; i < 2; i++) {
            slasher.proveReverted(others[i], _proof(_bundle()));
            ids[i] = slasher.claim(others[i], _claimOf(2));
        }
        ids[2] = slasher.claim(rich, _claimOf(2));
        _settle(rich);
        _settle(others[0]);
        _settle(others[1]);
        slasher.collect(ids[0]);
        equal(slasher.credit(vm.addr(USER)), 0);
        slasher.collect(ids[2]);
        equal(slasher.credit(vm.addr(USER)), INSURED);
        uint256 pool = slasher.pool();
        slasher.collect(ids[1]);
        equal(slasher.credit(vm.addr(USER)), INSURED);
        equal(slasher.pool(), pool + INSURED);
        equal(slasher.reserved(), 0);
    }

    /// @dev A frame below the fork was not reverted.
    function test_aClaimBelowTheForkIsNone() public {
        uint256 id = revealAs(REPORTER, _forkEvidence());
        // The fork is at 102: the log has 101 too.
        Bundle memory b = _bundle();
        b.log[0] = b.acked[0];
        b.log[1].prev = hashOf(b.acked[0]);
        (b.depth, b.place) = (2, 1);
        slasher.proveReverted(id, _proof(b));
        slasher.claim(id, _claimOf(2));
        bytes memory claim = _claimOf(3);
        vm.expectRevert(ISlasher.Slasher_NotReverted.selector);
        slasher.claim(id, claim);
    }

    function test_aClaimIsWhatTheFrameSays() public {
        uint256 id = revealAs(REPORTER, _forkEvidence());
        slasher.proveReverted(id, _proof(_bundle()));
        bytes memory transaction = _transaction(7);
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = keccak256(transaction);
        bytes memory rest = bytes.concat(branchOf(leaves(hashes, INSURED), 0), _chain(_bundle().acked, 1));
        bytes memory tooMuch = abi.encodePacked(uint32(transaction.length), transaction, INSURED + 1, rest);
        vm.expectRevert(IEvidenceErrors.Evidence_Path.selector);
        slasher.claim(id, tooMuch);
        bytes memory nothing = abi.encodePacked(uint32(transaction.length), transaction, uint128(0), rest);
        vm.expectRevert(abi.encodeWithSelector(ClaimsChecker.Claims_Amount.selector, 0));
        slasher.claim(id, nothing);
        bytes memory another = _transaction(8);
        another = abi.encodePacked(uint32(another.length), another, INSURED, rest);
        vm.expectRevert(IEvidenceErrors.Evidence_Path.selector);
        slasher.claim(id, another);
        bytes memory longer = bytes.concat(_claimOf(2), hex"00");
        vm.expectRevert(IEvidenceErrors.Evidence_Malformed.selector);
        slasher.claim(id, longer);
    }

    function _refuse(uint256 id, Bundle memory b, bytes4 why) private {
        bytes memory proof = _proof(b);
        vm.expectRevert(why);
        slasher.proveReverted(id, proof);
    }

    function test_quorums() public {
        uint256 id = revealAs(REPORTER, _forkEvidence());
        Bundle memory b = _bundle();
        b.ackMask = 3;
        _refuse(id, b, IEvidenceErrors.Evidence_Quorum.selector);
        b = _bundle();
        b.certMask = 9;
        _refuse(id, b, IEvidenceErrors.Evidence_Quorum.selector);
    }

    function test_theForkIsWhereTheParentIsCanonical() public {
        uint256 id = revealAs(REPORTER, _forkEvidence());
        Bundle memory b = _bundle();
        // Blames the second frame: its parent is not in the log.
        (b.depth, b.place) = (2, 1);
        _refuse(id, b, ClaimsChecker.Claims_NoFork.selector);
        // The log has the acked frames.
        b = _bundle();
        b.log = _stream(2, keccak256("acked"));
        _refuse(id, b, ClaimsChecker.Claims_NoFork.selector);
        // No frame at all, and another place.
        b = _bundle();
        b.depth = 0;
        _refuse(id, b, ClaimsChecker.Claims_NoFork.selector);
        b = _bundle();
        b.place = 1;
        _refuse(id, b, ClaimsChecker.Claims_NoFork.selector);
    }

    function test_theCauseIsTheOffence() public {
        // The same leader's contradiction in another term.
        uint256 elsewhere = revealAs(REPORTER, frameTwice(1, 400));
        _refuse(elsewhere, _bundle(), ClaimsChecker.Claims_OtherCause.selector);
        // Somebody else who signed frames for this term without leading it.
        uint256 foreign = revealAs(REPORTER, frameTwice(2, 10));
        _refuse(foreign, _bundle(), ClaimsChecker.Claims_OtherCause.selector);
        // A validator's, at another height and at this one.
        uint256 later = revealAs(REPORTER, voteTwice(0, 11));
        _refuse(later, _bundle(), ClaimsChecker.Claims_OtherCause.selector);
        uint256 here = revealAs(REPORTER, voteTwice(0, 10));
        slasher.proveReverted(here, _proof(_bundle()));
        equal(slasher.penaltyBps(here), 10_000);
    }

    function test_aByteChangedAnywhereBreaksTheProof() public {
        uint256 id = revealAs(REPORTER, _forkEvidence());
        bytes memory proof = _proof(_bundle());
        for (uint256 i; i < proof.length; i += 37) {
            proof[i] ^= 0x04;
            (bool done,) = address(slasher).call(abi.encodeCall(slasher.proveReverted, (id, proof)));
            check(!done, "a changed byte");
            proof[i] ^= 0x04;
        }
        slasher.proveReverted(id, proof);
    }

    function test_harmHasItsTime() public {
        uint256 id = revealAs(REPORTER, _forkEvidence());
        bytes memory proof = _proof(_bundle());
        vm.roll(slasher.settlesAt(id));
        vm.expectRevert(ISlasher.Slasher_TooLate.selector);
        slasher.proveReverted(id, proof);
    }

    /// @dev Who is leader, insured user and reporter at once still loses 15 % of the stake.
    /// forge-config: default.fuzz.runs = 128
    function testFuzz_selfSlashingLoses(bool prove, uint8 claims, bool early, uint96 stake) public {
        stake = uint96(1 gwei + stake % 5_000 ether);
        vm.deal(address(this), stake);
        registry.setOperator{value: stake}(operator(1), address(this), UNLOCKS);
        uint256 other = early ? revealAs(address(this), frameTwice(1, 400)) : 0;
        vm.roll(block.number + 10);
        uint256 id = revealAs(address(this), _forkEvidence());
        bytes32[3] memory ids;
        if (prove) {
            slasher.proveReverted(id, _proof(_bundle()));
            for (uint256 i; i < claims % 4; i++) {
                ids[i] = slasher.claim(id, _claimOf(i + 1));
            }
        }
        if (early) _settle(other);
        _settle(id);
        for (uint256 i; i < 3; i++) {
            if (ids[i] != 0) slasher.collect(ids[i]);
        }
        (, uint256 charged,,) = slasher.accountOf(operator(1));
        uint256 gained = slasher.credit(address(this)) + slasher.credit(vm.addr(USER));
        check(gained * 100 <= charged * (ids[0] == 0 ? 5 : 85), "it pays to slash oneself");
        check(charged > 0, "it costs");
    }
}
