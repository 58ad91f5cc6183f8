// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEvidenceErrors} from "../src/EvidenceTypes.sol";
import {Slasher} from "../src/Slasher.sol";
import {ISlasher, Offence, Verdict} from "../src/SlasherTypes.sol";
import {FakeRegistry} from "./FakeRegistry.sol";
import {Trial} from "./Trial.sol";

contract SlasherTest is Trial {
    address private constant REPORTER = address(0x4e9);
    address private constant COPYIST = address(0xc09);

    function setUp() public {
        deployTrial();
    }

    function _commitAs(address who, bytes memory evidence) private {
        slasher.commit(slasher.commitmentOf(evidence, who, "salt"));
    }

    function _revealAs(address who, bytes memory evidence) private {
        vm.prank(who);
        slasher.reveal(evidence, "salt");
    }

    function _settled(uint256 id) private returns (uint256 penalty) {
        (, uint256 before,,) = slasher.accountOf(slasher.offence(id).operator);
        if (block.number < slasher.settlesAt(id)) vm.roll(slasher.settlesAt(id));
        slasher.settle(id);
        (, penalty,,) = slasher.accountOf(slasher.offence(id).operator);
        penalty -= before;
    }

    function test_dryRun() public {
        Verdict memory v = slasher.check(frameTwice(1, 10));
        equal(v.kind, 1);
        equal(v.class, 1);
        equal(v.operator, operator(1));
        check(!v.processed && slasher.offenceOf(v.key) == 0, "nothing yet");
        slasher.report(frameTwice(1, 10));
        check(slasher.check(frameTwice(1, 10)).processed, "processed");
        equal(slasher.offenceOf(v.key), uint256(v.key));
    }

    function test_aRevealTakesTheWholeStakeAndJails() public {
        bytes memory evidence = frameTwice(1, 10);
        _commitAs(REPORTER, evidence);
        vm.roll(NOW + 1);
        bytes32 key = slasher.check(evidence).key;
        vm.expectEmit();
        emit ISlasher.Slashed(uint256(key), operator(1), 1, STAKE, REPORTER, keccak256(evidence));
        _revealAs(REPORTER, evidence);
        equal(address(slasher).balance, STAKE);
        equal(registry.seizures(operator(1)), 1);
        Offence memory o = slasher.offence(uint256(key));
        equal(o.operator, operator(1));
        equal(o.kind, 1);
        equal(o.class, 1);
        equal(o.epoch, EPOCH);
        equal(o.height, 10);
        equal(o.seized, STAKE);
        equal(o.revealedAt, NOW + 1);
        equal(o.commitBlock, NOW);
        equal(o.reporter, REPORTER);
        check(!o.settled && !o.reverted, "open");
        equal(slasher.settlesAt(uint256(key)), NOW + 1 + CLAIMS);
    }

    function test_aCommitmentIsBoundToItsMakerSaltAndEvidence() public {
        bytes memory evidence = voteTwice(1, 10);
        _commitAs(REPORTER, evidence);
        vm.roll(NOW + 1);
        vm.expectRevert(ISlasher.Slasher_NoCommitment.selector);
        _revealAs(COPYIST, evidence);
        bytes memory other = voteTwice(2, 10);
        vm.expectRevert(ISlasher.Slasher_NoCommitment.selector);
        _revealAs(REPORTER, other);
        vm.prank(REPORTER);
        vm.expectRevert(ISlasher.Slasher_NoCommitment.selector);
        slasher.reveal(evidence, "pepper");
    }

    function test_aCommitmentHasItsTime() public {
        bytes memory evidence = voteTwice(1, 10);
        _commitAs(REPORTER, evidence);
        vm.expectRevert(ISlasher.Slasher_NoCommitment.selector);
        _revealAs(REPORTER, evidence);
        vm.roll(NOW + REVEAL + 1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_CommitmentExpired.selector, NOW));
        _revealAs(REPORTER, evidence);
        vm.roll(NOW + REVEAL);
        _revealAs(REPORTER, evidence);
    }

    /// @dev Sending somebody's commitment again must not make it younger, or the reveal would wait for ever.
    function test_nobodyMakesACommitmentYounger() public {
        bytes memory evidence = voteTwice(1, 10);
        _commitAs(REPORTER, evidence);
        vm.roll(NOW + 1);
        vm.prank(COPYIST);
        _commitAs(REPORTER, evidence);
        equal(slasher.commitBlock(slasher.commitmentOf(evidence, REPORTER, "salt")), NOW);
        _revealAs(REPORTER, evidence);
    }

    function test_anExpiredCommitmentCanBeMadeAgain() public {
        bytes memory evidence = voteTwice(1, 10);
        _commitAs(REPORTER, evidence);
        vm.roll(NOW + REVEAL + 1);
        _commitAs(REPORTER, evidence);
        vm.roll(NOW + REVEAL + 2);
        _revealAs(REPORTER, evidence);
    }

    /// @dev A copyist that gets its commitment and reveal in before the maker's reveal keeps nothing.
    function test_whoCopiesARevealGetsNothing() public {
        bytes memory evidence = voteTwice(1, 10);
        _commitAs(REPORTER, evidence);
        vm.roll(NOW + 1);
        _commitAs(COPYIST, evidence);
        vm.roll(NOW + 2);
        _revealAs(COPYIST, evidence);
        uint256 id = uint256(slasher.check(evidence).key);
        vm.expectRevert(ISlasher.Slasher_Processed.selector);
        _revealAs(REPORTER, evidence);
        vm.prank(COPYIST);
        vm.expectRevert(ISlasher.Slasher_NoCommitment.selector);
        slasher.contest(id, evidence, "salt");
        vm.prank(REPORTER);
        slasher.contest(id, evidence, "salt");
        equal(slasher.offence(id).reporter, REPORTER);
        equal(slasher.offence(id).commitBlock, NOW);
        _settled(id);
        equal(slasher.credit(COPYIST), 0);
        equal(slasher.credit(REPORTER), STAKE * 75 / 100 / 20);
    }

    function test_whoReportsACopyTakesNothingAway() public {
        bytes memory evidence = voteTwice(1, 10);
        _commitAs(REPORTER, evidence);
        vm.roll(NOW + 1);
        vm.prank(COPYIST);
        slasher.report(evidence);
        uint256 id = uint256(slasher.check(evidence).key);
        equal(slasher.offence(id).reporter, address(0));
        vm.prank(REPORTER);
        slasher.contest(id, evidence, "salt");
        equal(slasher.offence(id).reporter, REPORTER);
    }

    /// @dev Another evidence of the same offence is as good.
    function test_contestWithOtherEvidenceOfTheOffence() public {
        bytes memory other = bytes.concat(head(10, 1), vote(1, 10, 0, 1, keccak256("c")), vote(1, 10, 0, 1, keccak256("d")));
        _commitAs(REPORTER, other);
        vm.roll(NOW + 1);
        _commitAs(COPYIST, voteTwice(1, 10));
        vm.roll(NOW + 2);
        _revealAs(COPYIST, voteTwice(1, 10));
        uint256 id = uint256(slasher.check(other).key);
        vm.prank(REPORTER);
        slasher.contest(id, other, "salt");
        equal(slasher.offence(id).reporter, REPORTER);
    }

    /// @dev The offender knows its evidence first. Who revealed it in good faith gets the gas back, whoever copied it no more than that.
    function test_whoRevealedAndWasContestedGetsTheGasBack() public {
        bytes memory evidence = frameTwice(1, 10);
        _commitAs(COPYIST, evidence);
        vm.roll(NOW + 1);
        _commitAs(REPORTER, evidence);
        vm.roll(NOW + 2);
        uint256 before = gasleft();
        _revealAs(REPORTER, evidence);
        uint256 used = before - gasleft();
        uint256 id = uint256(slasher.check(evidence).key);
        vm.fee(100 gwei);
        vm.prank(COPYIST);
        slasher.contest(id, evidence, "salt");
        _settled(id);
        uint256 reward = STAKE / 10 / 20;
        equal(slasher.credit(REPORTER), 300_000 * 100 gwei);
        equal(slasher.credit(COPYIST), reward - 300_000 * 100 gwei);
        require(300_000 < used + 45_000 + 21_000, "it earned");
    }

    function test_theGasBackIsAtMostTheReward() public {
        bytes memory evidence = voteTwice(1, 10);
        _commitAs(COPYIST, evidence);
        vm.roll(NOW + 1);
        _commitAs(REPORTER, evidence);
        vm.roll(NOW + 2);
        _revealAs(REPORTER, evidence);
        uint256 id = uint256(slasher.check(evidence).key);
        vm.fee(1 ether);
        vm.prank(COPYIST);
        slasher.contest(id, evidence, "salt");
        _settled(id);
        equal(slasher.credit(COPYIST), 0);
        require(slasher.credit(REPORTER) != 0, "no reward");
    }

    function test_contestHasItsTimeAndItsOffence() public {
        bytes memory evidence = voteTwice(1, 10);
        bytes memory other = voteTwice(1, 11);
        _commitAs(REPORTER, evidence);
        _commitAs(REPORTER, other);
        vm.roll(NOW + 1);
        slasher.report(evidence);
        uint256 id = uint256(slasher.check(evidence).key);
        vm.prank(REPORTER);
        vm.expectRevert(ISlasher.Slasher_OtherOffence.selector);
        slasher.contest(id, other, "salt");
        vm.expectRevert(ISlasher.Slasher_UnknownOffence.selector);
        slasher.contest(7, evidence, "salt");
        vm.roll(NOW + 1 + CONTEST + 1);
        vm.prank(REPORTER);
        vm.expectRevert(ISlasher.Slasher_TooLate.selector);
        slasher.contest(id, evidence, "salt");
    }

    function test_anOffenceIsProcessedOnce() public {
        bytes memory evidence = frameTwice(1, 10);
        slasher.report(evidence);
        vm.expectRevert(ISlasher.Slasher_Processed.selector);
        slasher.report(evidence);
        // The same frames the other way round are the same offence, and so is any other contradiction of the term.
        F memory f = plainFrame();
        f.filler = keccak256("another");
        bytes memory first = signed(f);
        bytes memory turned = bytes.concat(head(1, 1), first, signed(plainFrame()));
        vm.expectRevert(ISlasher.Slasher_Processed.selector);
        slasher.report(turned);
        (f.seq, f.g) = (9, 109);
        first = signed(f);
        f.filler = keccak256("third");
        bytes memory elsewhere = bytes.concat(head(1, 1), first, signed(f));
        vm.expectRevert(ISlasher.Slasher_Processed.selector);
        slasher.report(elsewhere);
        equal(registry.seizures(operator(1)), 1);
    }

    /// @dev There is no window shared by operators: any number of offences is taken at once.
    function test_everyOperatorAtOnce() public {
        for (uint16 i; i < 4; i++) {
            slasher.report(voteTwice(i, 10));
            slasher.report(frameTwice(i, 10));
        }
        equal(address(slasher).balance, 4 * STAKE);
        for (uint256 i; i < 4; i++) {
            equal(registry.seizures(operator(i)), 1);
        }
    }

    function test_evidenceHasItsWindow() public {
        registry.setLastUse(EPOCH, EPOCH + 2);
        registry.setCurrentEpoch(EPOCH + 2 + 56);
        slasher.report(voteTwice(1, 10));
        registry.setCurrentEpoch(EPOCH + 2 + 57);
        bytes memory evidence = voteTwice(2, 10);
        vm.expectRevert(abi.encodeWithSelector(IEvidenceErrors.Evidence_Expired.selector, EPOCH + 2));
        slasher.report(evidence);
    }

    function test_generations() public {
        bytes memory evidence = voteTwice(1, 10);
        evidence[5] = 0x01;
        vm.expectRevert(abi.encodeWithSelector(IEvidenceErrors.Evidence_Generation.selector, uint32(1)));
        slasher.report(evidence);
        // Begun: but what was signed in generation 0 is nothing in generation 1.
        registry.setGeneration(1);
        vm.expectRevert(IEvidenceErrors.Evidence_Signature.selector);
        slasher.report(evidence);
        slasher.report(voteTwice(1, 10));
    }

    function test_equivocationCostsATenthOnce() public {
        uint256 first = revealAs(REPORTER, frameTwice(1, 10));
        uint256 second = revealAs(REPORTER, frameTwice(1, 500));
        equal(slasher.penaltyBps(first), 1_000);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_TooEarly.selector, uint256(slasher.settlesAt(first))));
        slasher.settle(first);
        equal(_settled(first), STAKE / 10);
        equal(slasher.credit(REPORTER), STAKE / 200);
        equal(slasher.burned(), STAKE / 100);
        equal(address(0).balance, STAKE / 100);
        equal(slasher.pool(), STAKE / 10 - STAKE / 200 - STAKE / 100);
        equal(_settled(second), 0);
        vm.expectRevert(ISlasher.Slasher_Settled.selector);
        slasher.settle(first);
    }

    function test_nobodyIsRewardedForAReport() public {
        slasher.report(frameTwice(1, 10));
        uint256 id = uint256(slasher.check(frameTwice(1, 10)).key);
        _settled(id);
        equal(slasher.credit(address(0)), 0);
        equal(slasher.pool(), STAKE / 10 - STAKE / 100);
    }

    /// @dev A quarter of the stake: three times that. Half of it: everything.
    function test_correlation() public {
        registry.add(EPOCH, FakeRegistry.Member(operator(4), address(0), 0, 96 * STAKE / 1 gwei));
        uint256 alone = revealAs(REPORTER, voteTwice(1, 10));
        // 1 of 100: 3 % is less than the least.
        equal(slasher.penaltyBps(alone), 500);
        uint256 far = revealAs(REPORTER, voteTwice(2, 2_999));
        equal(slasher.penaltyBps(alone), 500);
        equal(slasher.penaltyBps(far), 500);
        // Nearer than a thousand heights to the first: together 2 of 100, then 3.
        revealAs(REPORTER, voteTwice(0, 1_005));
        equal(slasher.penaltyBps(alone), 600);
        revealAs(REPORTER, voteTwice(3, 20));
        equal(slasher.penaltyBps(alone), 900);
        // Twice by one member counts once.
        revealAs(REPORTER, voteTwice(3, 30));
        equal(slasher.penaltyBps(alone), 900);
        equal(_settled(alone), STAKE * 9 / 100);
    }

    function test_correlationEndsAtEverything() public {
        uint256 first = revealAs(REPORTER, voteTwice(0, 10));
        equal(slasher.penaltyBps(first), 7_500);
        revealAs(REPORTER, voteTwice(1, 10));
        equal(slasher.penaltyBps(first), 10_000);
    }

    function test_twoCertificatesCostEverythingForAllInBoth() public {
        bytes32 a = keccak256("a");
        bytes32 b = keccak256("b");
        bytes memory evidence = bytes.concat(head(12, 0xffff), _cert(a, 7), _cert(b, 14));
        Verdict memory v = slasher.check(evidence);
        equal(v.class, 3);
        equal(v.operator, operator(1));
        uint256 id = revealAs(REPORTER, evidence);
        equal(registry.seizures(operator(0)), 0);
        equal(registry.seizures(operator(1)), 1);
        equal(registry.seizures(operator(2)), 1);
        equal(registry.seizures(operator(3)), 0);
        check(slasher.check(evidence).processed, "both");
        equal(_settled(id), STAKE);
    }

    function _cert(bytes32 value, uint8 mask) private view returns (bytes memory out) {
        out = abi.encodePacked(uint64(10), uint32(0), value, uint8(1), mask);
        for (uint256 i; i < 4; i++) {
            if ((mask >> i) & 1 == 0) continue;
            bytes memory whole = vote(i, 10, 0, 2, value);
            bytes memory sig = new bytes(65);
            for (uint256 j; j < 65; j++) {
                sig[j] = whole[53 + j];
            }
            out = bytes.concat(out, sig);
        }
    }

    function test_theRewardIsCapped() public {
        vm.deal(address(this), 1_000 ether);
        registry.setOperator{value: 1_000 ether}(operator(1), owner(1), UNLOCKS);
        registry.add(EPOCH, FakeRegistry.Member(99, address(0), 0, 1));
        uint256 id = revealAs(REPORTER, voteTwice(1, 10));
        _settled(id);
        // 5 % of 75 % of 1,000 ether is 37.5.
        equal(slasher.credit(REPORTER), 25 ether);
    }

    function test_theRemainderIsReleasedWhenTheStakeWouldHaveBeenFree() public {
        uint256 id = revealAs(REPORTER, frameTwice(1, 10));
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_Unsettled.selector, 1));
        slasher.release(operator(1));
        _settled(id);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_TooEarly.selector, UNLOCKS));
        slasher.release(operator(1));
        vm.roll(UNLOCKS);
        slasher.release(operator(1));
        equal(slasher.credit(owner(1)), STAKE - STAKE / 10);
        vm.expectRevert(ISlasher.Slasher_NothingToRelease.selector);
        slasher.release(operator(1));
        vm.expectRevert(ISlasher.Slasher_NothingToRelease.selector);
        slasher.release(operator(2));
        // What comes to light later finds nothing to take.
        uint256 late = revealAs(REPORTER, frameTwice(1, 99));
        equal(_settled(late), 0);
    }

    function test_withdrawPaysOnce() public {
        uint256 id = revealAs(REPORTER, frameTwice(1, 10));
        _settled(id);
        vm.prank(REPORTER);
        equal(slasher.withdraw(address(0xbeef)), STAKE / 200);
        equal(address(0xbeef).balance, STAKE / 200);
        vm.prank(REPORTER);
        vm.expectRevert(ISlasher.Slasher_NothingToPay.selector);
        slasher.withdraw(REPORTER);
    }

    function test_reentrancy() public {
        Reentrant thief = new Reentrant(slasher);
        uint256 id = revealAs(address(thief), frameTwice(1, 10));
        uint256 other = revealAs(REPORTER, frameTwice(2, 10));
        _settled(id);
        _settled(other);
        thief.take();
        equal(address(thief).balance, STAKE / 200);
        check(thief.tried() && !thief.again(), "a second payment");
    }

    function test_whatAnyoneSendsGoesToThePool() public {
        vm.deal(address(this), 3 ether);
        (bool sent,) = address(slasher).call{value: 3 ether}("");
        check(sent, "sent");
        equal(slasher.pool(), 3 ether);
    }

    function test_terms() public {
        vm.expectRevert(ISlasher.Slasher_BadTerms.selector);
        new Slasher(address(registry), address(checker), address(0), 0, CONTEST, CLAIMS);
        vm.expectRevert(ISlasher.Slasher_BadTerms.selector);
        new Slasher(address(registry), address(checker), address(0), REVEAL, CLAIMS, CLAIMS);
        vm.expectRevert(ISlasher.Slasher_BadTerms.selector);
        new Slasher(address(registry), address(checker), address(0), 65_500, 50, CLAIMS);
    }
}

contract Reentrant {
    Slasher private immutable slasher;
    bool public tried;
    bool public again;

    constructor(Slasher slasher_) {
        slasher = slasher_;
    }

    function take() external {
        slasher.withdraw(address(this));
    }

    receive() external payable {
        tried = true;
        try slasher.withdraw(address(this)) returns (uint256) {
            again = true;
        } catch {}
    }
}
