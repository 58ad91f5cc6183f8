// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "../src/Digests.sol";
import {EvidenceChecker} from "../src/EvidenceChecker.sol";
import {Finding, IEvidenceErrors} from "../src/EvidenceTypes.sol";
import {ISlasher, Offence, Verdict} from "../src/SlasherTypes.sol";
import {FakeRegistry} from "./FakeRegistry.sol";
import {FalseBlocks} from "./FalseBlocks.sol";
import {Trial} from "./Trial.sol";

/// @dev A certified block hash against a proven one (kind 14): who is accused, and that it never costs more than a tenth.
contract FalseBlockTest is Trial {
    address private constant REPORTER = address(0x4e9);
    uint256 private constant TX_CAP = 16_777_216;

    event Used(uint256 gas);

    function setUp() public {
        deployTrial();
        registry.agree(FalseBlocks.NUMBER, keccak256(FalseBlocks.right()));
    }

    function _plain() private pure returns (FalseBlocks.Story memory) {
        return FalseBlocks.plain(EPOCH);
    }

    /// @dev Evidence of a story, signed by the members in `mask` in a round.
    function _told(FalseBlocks.Story memory s, uint256 mask, uint32 round) private view returns (bytes memory out) {
        (bytes memory body, bytes32 id) = FalseBlocks.body(s, ctx());
        bytes memory bitmap = mask < 256 ? abi.encodePacked(uint8(1), uint8(mask)) : abi.encodePacked(uint8(8), _reversed(mask));
        out = bytes.concat(head(14, 0xffff), body, abi.encodePacked(FalseBlocks.HEIGHT, round, id), bitmap);
        for (uint256 i; mask >> i != 0; i++) {
            if ((mask >> i) & 1 == 1) out = bytes.concat(out, voteSign(i, Digests.precommit(EPOCH, FalseBlocks.HEIGHT, round, id)));
        }
    }

    /// @dev Bit i of a bitmap is in byte i / 8.
    function _reversed(uint256 mask) private pure returns (bytes8 out) {
        for (uint256 i; i < 8; i++) {
            out |= bytes8(uint64((mask >> (8 * i)) & 0xff) << uint64(56 - 8 * i));
        }
    }

    function _refused(bytes memory evidence, bytes4 why) private {
        vm.expectRevert(why);
        slasher.report(evidence);
    }

    function test_everyoneInTheCertificateIsAccused() public view {
        Finding memory f = checker.check(_told(_plain(), 7, 2));
        equal(f.kind, 14);
        equal(f.class, 4);
        equal(f.group, 7);
        equal(f.height, FalseBlocks.HEIGHT);
        equal(f.round, 2);
        equal(f.guilty, 7);
    }

    function test_itCostsATenthAndTheRestGoesBack() public {
        bytes memory evidence = _told(_plain(), 7, 0);
        uint256 id = revealAs(REPORTER, evidence);
        equal(slasher.check(evidence).class, 4);
        for (uint256 i; i < 3; i++) {
            equal(registry.seizures(operator(i)), 1);
            equal(slasher.penaltyBps(_idOf(i)), 1_000);
        }
        equal(registry.seizures(operator(3)), 0);
        equal(address(slasher).balance, 3 * STAKE);
        vm.roll(slasher.settlesAt(id));
        for (uint256 i; i < 3; i++) {
            slasher.settle(_idOf(i));
        }
        vm.roll(UNLOCKS);
        for (uint256 i; i < 3; i++) {
            (uint256 seized, uint256 charged,,) = slasher.accountOf(operator(i));
            equal(seized, STAKE);
            equal(charged, STAKE / 10);
            slasher.release(operator(i));
            equal(slasher.credit(owner(i)), STAKE * 9 / 10);
        }
        equal(slasher.credit(REPORTER), 3 * STAKE / 10 / 20);
    }

    function _idOf(uint256 i) private view returns (uint256) {
        Finding memory f = checker.check(_told(_plain(), 7, 0));
        return uint256(slasher.keyOf(f, operator(i)));
    }

    function test_itIsProcessedOnce() public {
        slasher.report(_told(_plain(), 7, 0));
        bytes memory again = _told(_plain(), 7, 0);
        _refused(again, ISlasher.Slasher_Processed.selector);
        check(slasher.check(again).processed, "processed");
        // Another signer of the same header is another offender.
        slasher.report(_told(_plain(), 14, 0));
        equal(registry.seizures(operator(3)), 1);
        for (uint256 i; i < 3; i++) {
            equal(registry.seizures(operator(i)), 1);
        }
    }

    /// @dev However many of these lies: a tenth in all. Another class adds its own.
    function test_aSecondLieCostsNothingMore() public {
        uint256 first = revealAs(REPORTER, _told(_plain(), 7, 0));
        FalseBlocks.Story memory s = _plain();
        s.claimed = keccak256("another lie");
        uint256 second = revealAs(REPORTER, _told(s, 7, 1));
        uint256 votes = revealAs(REPORTER, voteTwice(0, 10));
        vm.roll(slasher.settlesAt(votes));
        slasher.settle(second);
        slasher.settle(first);
        (, uint256 charged,,) = slasher.accountOf(operator(0));
        equal(charged, STAKE / 10);
        slasher.settle(votes);
        (, charged,,) = slasher.accountOf(operator(0));
        // Of one of four, three times a quarter: nobody's wrong result counts with it.
        equal(charged, STAKE / 10 + STAKE * 3 / 4);
    }

    /// @dev Whatever came of it: harm is shown with the contradiction that caused it.
    function test_noHarmRaisesIt() public {
        uint256 id = revealAs(REPORTER, _told(_plain(), 7, 0));
        vm.expectRevert(ISlasher.Slasher_Bounded.selector);
        slasher.proveReverted(id, "");
        vm.expectRevert();
        slasher.claim(id, "");
    }

    function test_onlyWhatSlotsAgreedOn() public {
        registry.agree(FalseBlocks.NUMBER, 0);
        bytes memory evidence = _told(_plain(), 7, 0);
        vm.expectRevert(abi.encodeWithSelector(IEvidenceErrors.Evidence_NotProven.selector, FalseBlocks.NUMBER));
        slasher.report(evidence);
        registry.agree(FalseBlocks.NUMBER, keccak256("another block"));
        _refused(evidence, IEvidenceErrors.Evidence_Path.selector);
    }

    function test_withoutAnOracleNobodyIsAccused() public {
        address verifier = address(checker.verifier());
        EvidenceChecker blind = new EvidenceChecker(address(registry), address(registry), verifier, address(0));
        bytes memory evidence = _told(_plain(), 7, 0);
        vm.expectRevert(IEvidenceErrors.Evidence_NoOracle.selector);
        blind.check(evidence);
        equal(blind.check(voteTwice(0, 10)).guilty, 1);
    }

    function test_theProvenHashIsNoLie() public {
        FalseBlocks.Story memory s = _plain();
        s.claimed = keccak256(FalseBlocks.right());
        _refused(_told(s, 7, 0), IEvidenceErrors.Evidence_NotGuilty.selector);
    }

    function test_aHeaderThatNamesNoneSaysNothing() public {
        FalseBlocks.Story memory s = _plain();
        s.named = 0;
        _refused(_told(s, 7, 0), IEvidenceErrors.Evidence_NotGuilty.selector);
    }

    function test_thePreimageIsTheOneNamed() public {
        FalseBlocks.Story memory s = _plain();
        s.rewards = keccak256("other rewards");
        _refused(_told(s, 7, 0), IEvidenceErrors.Evidence_NotGuilty.selector);
    }

    function test_twoOfFourAreNoQuorum() public {
        _refused(_told(_plain(), 3, 0), IEvidenceErrors.Evidence_Quorum.selector);
    }

    /// @dev A fallback cut the log there, or a fork did: who signed on the other side said nothing of the proven block.
    function test_anotherLogIsNotJudged() public {
        FalseBlocks.Story memory s = _plain();
        s.nextParent = keccak256("another last height");
        _refused(_told(s, 7, 0), IEvidenceErrors.Evidence_Path.selector);
    }

    /// @dev The block has more heights in that log: its hash cannot be the proven one.
    function test_aBlockThatGoesOnIsNotJudged() public {
        FalseBlocks.Story memory s = _plain();
        s.nextTime--;
        _refused(_told(s, 7, 0), IEvidenceErrors.Evidence_Path.selector);
    }

    function test_itAccusesNobodyByIndex() public {
        bytes memory evidence = _told(_plain(), 7, 0);
        (evidence[14], evidence[15]) = (0, 0);
        vm.expectRevert(abi.encodeWithSelector(IEvidenceErrors.Evidence_Accused.selector, uint16(0)));
        slasher.report(evidence);
    }

    /// @dev The largest set, all of whom signed: one L1 transaction.
    function test_sixtyFourFitIntoOneTransaction() public {
        for (uint256 i = 4; i < 64; i++) {
            (bytes32 seqKey,) = vm.createEd25519Key(bytes32(i));
            registry.add(EPOCH, FakeRegistry.Member(operator(i), vm.addr(secret(i)), seqKey, STAKE / 1 gwei));
            registry.setOperator{value: STAKE}(operator(i), owner(i), UNLOCKS);
        }
        registry.freeze(EPOCH);
        bytes memory data = abi.encodeCall(slasher.report, (_told(_plain(), type(uint64).max, 0)));
        uint256 used = 21_000;
        for (uint256 i; i < data.length; i++) {
            used += data[i] == 0 ? 4 : 16;
        }
        uint256 before = gasleft();
        (bool done,) = address(slasher).call(data);
        used += before - gasleft();
        check(done, "refused");
        check(used < TX_CAP * 4 / 5, "too dear for one transaction");
        emit Used(used);
        equal(address(slasher).balance, 64 * STAKE);
    }
}
