// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEvidenceErrors} from "../src/EvidenceTypes.sol";
import {IWarranty, Offer} from "../src/WarrantyTypes.sol";
import {WarrantyTrial} from "./WarrantyTrial.sol";

contract WarrantyTest is WarrantyTrial {
    uint256 private constant BOND = 1 ether;
    /// @dev Ten times the tip for 21,000 gas.
    uint256 private constant REFUND = 10 * TIP * 21_000;

    function setUp() public {
        deployWarranty();
    }

    function _refuses(Loss memory l, bytes memory why) private {
        bytes memory p = proof(l);
        bytes[] memory txs = bids(transactions(1, TIP));
        vm.expectRevert(why);
        warranty.claim(0, p, txs);
    }

    function _refuses(Loss memory l, bytes4 why) private {
        _refuses(l, abi.encodePacked(why));
    }

    function test_whoSignedTheTransactionIsPaidOnce() public {
        offering(BOND);
        bytes[] memory txs = transactions(3, TIP);
        bytes memory p = proof(loss(txs));
        vm.expectEmit();
        emit IWarranty.Refunded(OP, user(0), hashOf(loss(txs).lost[0]), 0, REFUND);
        equal(warranty.claim(0, p, bids(txs)), 3 * REFUND);
        for (uint256 i; i < 3; i++) {
            equal(user(i).balance, REFUND);
        }
        equal(warranty.bondOf(OP), BOND - 3 * REFUND);
        equal(address(warranty).balance, BOND - 3 * REFUND);
        (uint256 refunded, bytes32 first) = warranty.refundedOf(0, OP, EPOCH, uint96(10) << 32);
        equal(refunded, 3 * REFUND);
        equal(first, hashOf(loss(txs).lost[0]));
        vm.expectRevert(IWarranty.Warranty_NothingDue.selector);
        warranty.claim(0, p, bids(txs));
    }

    function test_whoHadARefundIsPassedOver() public {
        offering(BOND);
        bytes[] memory txs = transactions(3, TIP);
        bytes memory p = proof(loss(txs));
        bytes[] memory one = new bytes[](1);
        one[0] = bid(txs, 1);
        warranty.claim(0, p, one);
        equal(warranty.claim(0, p, bids(txs)), 2 * REFUND);
        equal(user(1).balance, REFUND);
        equal(user(2).balance, REFUND);
    }

    function test_aLaterFrameOfTheSameTermIsRefundedToo() public {
        offering(BOND);
        Loss memory l = loss(transactions(1, TIP));
        l.which = 1;
        equal(warranty.claim(0, proof(l), bids(transactions(1, TIP))), REFUND);
        l.which = 0;
        equal(warranty.claim(0, proof(l), bids(transactions(1, TIP))), REFUND);
        equal(user(0).balance, 2 * REFUND);
    }

    function test_noMoreThanTheCaps() public {
        offering(BOND);
        // 10 * 1000 gwei * 21,000 = 0.21 ether each; 0.02 and 0.05 are the caps.
        bytes[] memory txs = transactions(4, 1_000 gwei);
        bytes memory p = proof(loss(txs));
        equal(warranty.claim(0, p, bids(txs)), 0.05 ether);
        equal(user(0).balance, 0.02 ether);
        equal(user(1).balance, 0.02 ether);
        equal(user(2).balance, 0.01 ether);
        equal(user(3).balance, 0);
        vm.expectRevert(IWarranty.Warranty_NothingDue.selector);
        warranty.claim(0, p, bids(txs));
    }

    function test_noMoreThanTheBond() public {
        offering(0.03 ether);
        bytes[] memory txs = transactions(2, 1_000 gwei);
        bytes memory p = proof(loss(txs));
        equal(warranty.claim(0, p, bids(txs)), 0.03 ether);
        equal(warranty.bondOf(OP), 0);
        // Who got less had its refund; what comes in later is for others.
        vm.deal(address(this), 1 ether);
        warranty.post{value: 1 ether}(OP);
        vm.expectRevert(IWarranty.Warranty_NothingDue.selector);
        warranty.claim(0, p, bids(txs));
    }

    function test_onlyALaterTermIsALoss() public {
        offering(BOND);
        bytes[] memory txs = transactions(1, TIP);
        Loss memory l = loss(txs);
        // The same leader signed both: that is for the slasher.
        l.log = stream(2, 1, 0, transactions(1, 1));
        _refuses(l, IWarranty.Warranty_Equivocation.selector);
        l = loss(txs);
        l.lost = stream(1, 1, 2, txs);
        _refuses(l, IWarranty.Warranty_NotLater.selector);
    }

    function test_theFirstDivergenceCounts() public {
        offering(BOND);
        bytes[] memory txs = transactions(1, TIP);
        // The frame before is not on the log, and the proof does not go down to it.
        Loss memory l = loss(txs);
        (l.which, l.depth) = (1, 1);
        _refuses(l, IWarranty.Warranty_NotLost.selector);
        l.place = 1;
        _refuses(l, IWarranty.Warranty_NotLost.selector);
        // It is of another leader: that one is to be asked.
        l = loss(txs);
        l.which = 1;
        F memory next = l.lost[1];
        (next.leader, next.termHeight, next.prev) = (3, 11, hashOf(l.lost[0]));
        l.signer = 3;
        _refuses(l, IWarranty.Warranty_OtherTerm.selector);
    }

    function test_aFrameOfTheLogIsNotLost() public {
        offering(BOND);
        bytes[] memory txs = transactions(1, TIP);
        Loss memory l = loss(txs);
        l.log = stream(1, 1, 0, txs);
        _refuses(l, IWarranty.Warranty_NotLost.selector);
        // Another position.
        l = loss(txs);
        l.place = 1;
        _refuses(l, IWarranty.Warranty_NotLost.selector);
        // Another parent.
        l = loss(txs);
        l.log[0].prev = keccak256("another");
        _refuses(l, IWarranty.Warranty_NotLost.selector);
    }

    function test_signaturesAreChecked() public {
        offering(BOND);
        Loss memory l = loss(transactions(1, TIP));
        l.signer = 2;
        _refuses(l, IEvidenceErrors.Evidence_Signature.selector);
        (l.signer, l.certMask) = (1, 6);
        _refuses(l, IEvidenceErrors.Evidence_Quorum.selector);
    }

    function test_onlyTransactionsOfTheFrame() public {
        offering(BOND);
        bytes[] memory txs = transactions(3, TIP);
        bytes memory p = proof(loss(txs));
        bytes[] memory other = transactions(3, TIP + 1);
        vm.expectRevert(IEvidenceErrors.Evidence_Path.selector);
        warranty.claim(0, p, bids(other));
        // A tree of another size.
        bytes[] memory fewer = transactions(2, TIP);
        vm.expectRevert(IEvidenceErrors.Evidence_Path.selector);
        warranty.claim(0, p, bids(fewer));
    }

    function test_anotherFirstLostFrameOfATermIsAContradiction() public {
        offering(BOND);
        bytes[] memory txs = transactions(1, TIP);
        warranty.claim(0, proof(loss(txs)), bids(txs));
        Loss memory l = loss(txs);
        l.lost[0].filler = keccak256("another");
        _refuses(l, abi.encodeWithSelector(IWarranty.Warranty_TwoHistories.selector, hashOf(loss(txs).lost[0])));
    }

    function test_nothingWithoutAnOfferForTheFramesEpoch() public {
        vm.deal(address(this), BOND);
        warranty.post{value: BOND}(OP);
        _refuses(loss(transactions(1, TIP)), IWarranty.Warranty_None.selector);
        // In the epoch before: holds for the one after.
        registry.setCurrentEpoch(EPOCH - 1);
        vm.prank(owner(1));
        warranty.set(OP, theOffer());
        _refuses(loss(transactions(1, TIP)), IWarranty.Warranty_None.selector);
        equal(warranty.offerAt(OP, EPOCH).bps, 0);
        equal(warranty.offerAt(OP, EPOCH + 1).bps, 100_000);
    }

    function test_loweringLeavesEarlierPromisesAsTheyWere() public {
        offering(BOND);
        vm.prank(owner(1));
        warranty.set(OP, Offer(1, 1, 1));
        registry.setCurrentEpoch(EPOCH + 2);
        registry.setLastUse(EPOCH, EPOCH);
        bytes[] memory txs = transactions(1, TIP);
        equal(warranty.claim(0, proof(loss(txs)), bids(txs)), REFUND);
        equal(warranty.offerAt(OP, EPOCH + 2).bps, 1);
    }

    function test_claimsEnd() public {
        offering(BOND);
        equal(warranty.claimEpochs(), 28);
        registry.setCurrentEpoch(EPOCH + 29);
        _refuses(loss(transactions(1, TIP)), abi.encodeWithSelector(IWarranty.Warranty_Expired.selector, EPOCH));
        registry.setCurrentEpoch(EPOCH + 28);
        bytes[] memory txs = transactions(1, TIP);
        equal(warranty.claim(0, proof(loss(txs)), bids(txs)), REFUND);
    }

    function test_onlyTheOwnerOffersAndWithdraws() public {
        Offer memory o = theOffer();
        vm.expectRevert(IWarranty.Warranty_NotOwner.selector);
        warranty.set(OP, o);
        vm.expectRevert(IWarranty.Warranty_NotOwner.selector);
        warranty.withdraw(OP, address(this));
        vm.expectRevert(IWarranty.Warranty_NothingPosted.selector);
        warranty.post{value: 0}(OP);
    }

    function test_badOffers() public {
        Offer[5] memory bad = [Offer(1_000_001, 1, 1), Offer(1, 0, 1), Offer(1, 2, 1), Offer(0, 0, 1), Offer(0, 1, 1)];
        for (uint256 i; i < bad.length; i++) {
            vm.prank(owner(1));
            vm.expectRevert(IWarranty.Warranty_BadOffer.selector);
            warranty.set(OP, bad[i]);
        }
        vm.prank(owner(1));
        warranty.set(OP, Offer(1_000_000, 1, 1));
    }

    function test_theBondOutlivesTheTimeForClaims() public {
        offering(BOND);
        vm.prank(owner(1));
        vm.expectRevert(abi.encodeWithSelector(IWarranty.Warranty_Locked.selector, type(uint64).max));
        warranty.withdraw(OP, owner(1));
        vm.prank(owner(1));
        warranty.set(OP, Offer(0, 0, 0));
        // The last epoch with the offer is EPOCH + 1.
        registry.setCurrentEpoch(EPOCH + 2);
        registry.freeze(EPOCH + 1);
        registry.setLastUse(EPOCH + 1, EPOCH + 1);
        equal(warranty.freeFrom(OP), EPOCH + 1 + 28 + 1);
        registry.setCurrentEpoch(EPOCH + 29);
        vm.prank(owner(1));
        vm.expectRevert(abi.encodeWithSelector(IWarranty.Warranty_Locked.selector, EPOCH + 30));
        warranty.withdraw(OP, owner(1));
        registry.setCurrentEpoch(EPOCH + 30);
        vm.prank(owner(1));
        warranty.withdraw(OP, address(0xbe));
        equal(address(0xbe).balance, BOND);
        equal(warranty.bondOf(OP), 0);
        vm.prank(owner(1));
        vm.expectRevert(IWarranty.Warranty_NothingToPay.selector);
        warranty.withdraw(OP, address(0xbe));
    }

    /// @dev The last set with the offer stays in force while no other one is frozen.
    function test_theBondStaysWhileTheSetDoes() public {
        offering(BOND);
        vm.prank(owner(1));
        warranty.set(OP, Offer(0, 0, 0));
        registry.freeze(EPOCH + 1);
        registry.setCurrentEpoch(EPOCH + 90);
        registry.setLastUse(EPOCH + 1, EPOCH + 90);
        equal(warranty.freeFrom(OP), type(uint64).max);
    }

    function test_aBondWithoutAnOfferIsFree() public {
        vm.deal(address(this), BOND);
        warranty.post{value: BOND}(OP);
        equal(warranty.freeFrom(OP), 0);
        vm.prank(owner(1));
        warranty.withdraw(OP, address(0xbe));
        equal(address(0xbe).balance, BOND);
    }

    /// @dev Terms (10, 0) to (10, 4) of leader 1, each lost to the next round.
    function test_tooManyLossesADayEndTheOfferAndNoPromise() public {
        offering(BOND);
        bytes[] memory txs = transactions(1, TIP);
        for (uint32 r; r < 5; r++) {
            Loss memory l = loss(txs);
            (l.lost, l.log) = (stream(1, 1, 2 * r, txs), stream(1, 2, 2 * r + 1, transactions(1, 1)));
            if (r == 4) {
                vm.expectEmit();
                emit IWarranty.Lapsed(OP, EPOCH + 2, EPOCH + 28);
            }
            equal(warranty.claim(0, proof(l), bids(txs)), REFUND);
        }
        equal(warranty.offerAt(OP, EPOCH + 1).bps, 100_000);
        equal(warranty.offerAt(OP, EPOCH + 2).bps, 0);
        vm.prank(owner(1));
        vm.expectRevert(abi.encodeWithSelector(IWarranty.Warranty_Lapsed.selector, EPOCH + 28));
        warranty.set(OP, theOffer());
        registry.setCurrentEpoch(EPOCH + 28);
        vm.prank(owner(1));
        warranty.set(OP, theOffer());
    }

    /// @dev Who does not take money has it as credit.
    function test_aSenderThatRefusesKeepsItsCredit() public {
        offering(BOND);
        bytes[] memory txs = transactions(2, TIP);
        bytes memory p = proof(loss(txs));
        vm.etch(user(0), hex"5f5ffd");
        warranty.claim(0, p, bids(txs));
        equal(warranty.credit(user(0)), REFUND);
        equal(user(1).balance, REFUND);
        vm.expectRevert(IWarranty.Warranty_TransferFailed.selector);
        warranty.pay(user(0));
        vm.etch(user(0), "");
        warranty.pay(user(0));
        equal(user(0).balance, REFUND);
        equal(warranty.credit(user(0)), 0);
        equal(warranty.paid(), 2 * REFUND);
        vm.expectRevert(IWarranty.Warranty_NothingToPay.selector);
        warranty.pay(user(0));
    }

    function test_anotherGenerationIsAnotherContext() public {
        offering(BOND);
        bytes memory p = proof(loss(transactions(1, TIP)));
        bytes[] memory txs = bids(transactions(1, TIP));
        // Every hash changes: the branch is the first to miss.
        vm.expectRevert(IEvidenceErrors.Evidence_Path.selector);
        warranty.claim(1, p, txs);
    }

    function testFuzz_cutProofsRevert(uint256 size) public {
        offering(BOND);
        bytes memory p = proof(loss(transactions(1, TIP)));
        bytes[] memory txs = bids(transactions(1, TIP));
        size %= p.length;
        assembly ("memory-safe") {
            mstore(p, size)
        }
        vm.expectRevert();
        warranty.claim(0, p, txs);
    }

    /// @dev No bit of a proof can change: each is under a hash, a signature or a count.
    function testFuzz_changedProofsRevert(uint256 place, uint8 bit) public {
        offering(BOND);
        bytes memory p = proof(loss(transactions(1, TIP)));
        bytes[] memory txs = bids(transactions(1, TIP));
        p[place % p.length] ^= bytes1(uint8(1 << (bit % 8)));
        vm.expectRevert();
        warranty.claim(0, p, txs);
    }

    /// @dev So of a transaction and its place.
    function testFuzz_changedTransactionsRevert(uint256 place, uint8 bit) public {
        offering(BOND);
        bytes[] memory all = transactions(3, TIP);
        bytes memory p = proof(loss(all));
        bytes[] memory one = new bytes[](1);
        one[0] = bid(all, 1);
        one[0][place % one[0].length] ^= bytes1(uint8(1 << (bit % 8)));
        vm.expectRevert();
        warranty.claim(0, p, one);
    }

    /// @dev min(bps of the offer, cap of a claim, cap of a term, bond), whatever they are.
    function testFuzz_theRefundIsTheLeastOfAll(uint64 tip, uint32 bps, uint88 claimCap, uint88 termCap, uint88 bond) public {
        bps = uint32(1 + bps % 1_000_000);
        termCap = uint88(1 + termCap % 10 ether);
        claimCap = uint88(1 + claimCap % termCap);
        bond = uint88(1 + bond % 10 ether);
        vm.deal(address(this), bond);
        warranty.post{value: bond}(OP);
        vm.prank(owner(1));
        warranty.set(OP, Offer(bps, claimCap, termCap));
        registry.setCurrentEpoch(EPOCH);
        // The encoding of the fixture has eight bytes for it.
        tip |= 1 << 63;
        bytes[] memory txs = transactions(1, tip);
        uint256 want = uint256(tip) * 21_000 * bps / 10_000;
        if (want > claimCap) want = claimCap;
        if (want > bond) want = bond;
        equal(warranty.claim(0, proof(loss(txs)), bids(txs)), want);
        equal(user(0).balance, want);
    }
}
