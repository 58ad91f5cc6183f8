// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICertificateErrors} from "../src/ICertificateVerifier.sol";
import {Batch, IInboxEvents} from "../src/InboxTypes.sol";
import {Fixture} from "./Fixture.sol";

contract InboxTest is Fixture {
    function setUp() public {
        deployWithSet(4);
    }

    /// @dev Blob hashes last for one test, so `setUp` cannot set them.
    modifier withBlob() {
        oneBlob();
        _;
    }

    function _post(Batch memory b, Head memory h) private {
        (bytes memory bitmap, bytes memory sigs) = certify(h, b.round, 7, 4);
        inbox.submitBatch(b, encode(h), bitmap, sigs);
    }

    function _refuse(Batch memory b, Head memory h, bytes memory refusal) private {
        (bytes memory bitmap, bytes memory sigs) = certify(h, b.round, 7, 4);
        bytes memory header = encode(h);
        vm.expectRevert(refusal);
        inbox.submitBatch(b, header, bitmap, sigs);
    }

    function _height() private view returns (uint64 height) {
        (height,,,) = inbox.tip();
    }

    function _forked() private view returns (bool forked) {
        (,,, forked) = inbox.tip();
    }

    function test_acceptsAndStoresTip() public {
        Head memory h = head(3);
        bytes32[] memory hashes = new bytes32[](2);
        (hashes[0], hashes[1]) = (bytes32("first"), bytes32("second"));
        vm.blobhashes(hashes);
        Batch memory b = batch(1, 3);
        b.round = 5;
        (bytes memory bitmap, bytes memory sigs) = certify(h, 5, 11, 4);
        vm.expectEmit();
        emit IInboxEvents.BatchAccepted(1, 3, valueId(encode(h)), 0, 5, hashes);
        inbox.submitBatch(b, encode(h), bitmap, sigs);
        (uint64 height, uint64 l1Number, uint64 epoch, bool forked) = inbox.tip();
        equal(height, 3);
        equal(l1Number, ORIGIN + 3);
        equal(epoch, 0);
        check(!forked, "forked");
        equal(inbox.tipValueId(), valueId(encode(h)));
    }

    function test_overlapAdvances() public withBlob {
        _post(batch(1, 3), head(3));
        _post(batch(2, 6), head(6));
        equal(_height(), 6);
    }

    function test_refusesHeaderLength() public {
        vm.expectRevert(abi.encodeWithSelector(IInboxEvents.Inbox_HeaderLength.selector, 479));
        inbox.submitBatch(batch(1, 1), new bytes(479), "", "");
    }

    function test_refusesWrongGeneration() public {
        Head memory h = head(1);
        h.generation = 1;
        _refuse(batch(1, 1), h, abi.encodeWithSelector(IInboxEvents.Inbox_WrongGeneration.selector, 1));
    }

    function test_refusesWrongHeight() public {
        _refuse(batch(1, 2), head(1), abi.encodeWithSelector(IInboxEvents.Inbox_WrongHeight.selector, 1));
        _refuse(batch(2, 1), head(1), abi.encodeWithSelector(IInboxEvents.Inbox_WrongHeight.selector, 1));
        _refuse(batch(0, 1), head(1), abi.encodeWithSelector(IInboxEvents.Inbox_WrongHeight.selector, 1));
    }

    function test_refusesGap() public withBlob {
        _refuse(batch(2, 2), head(2), abi.encodeWithSelector(IInboxEvents.Inbox_Gap.selector, 1));
        _post(batch(1, 2), head(2));
        _refuse(batch(4, 4), head(4), abi.encodeWithSelector(IInboxEvents.Inbox_Gap.selector, 3));
    }

    function test_refusesStaleUnlessRepost() public withBlob {
        _post(batch(1, 5), head(5));
        _refuse(batch(1, 5), head(5), abi.encodeWithSelector(IInboxEvents.Inbox_Stale.selector, 5));
        _refuse(batch(1, 2), head(2), abi.encodeWithSelector(IInboxEvents.Inbox_Stale.selector, 5));
        Batch memory b = batch(1, 2);
        b.repost = true;
        vm.expectEmit();
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = bytes32(uint256(1) << 248 | 7);
        emit IInboxEvents.BatchAccepted(1, 2, valueId(encode(head(2))), 0, 0, hashes);
        _post(b, head(2));
        equal(_height(), 5);
        equal(inbox.tipValueId(), valueId(encode(head(5))));
    }

    function test_refusesOriginBackwards() public withBlob {
        _post(batch(1, 1), head(1));
        Head memory h = head(2);
        h.l1Number = ORIGIN;
        _refuse(batch(2, 2), h, abi.encodeWithSelector(IInboxEvents.Inbox_OriginBackwards.selector, ORIGIN + 1));
        // The flag does not help a batch that moves the tip.
        Batch memory b = batch(2, 2);
        b.repost = true;
        _refuse(b, h, abi.encodeWithSelector(IInboxEvents.Inbox_OriginBackwards.selector, ORIGIN + 1));
        h.l1Number = ORIGIN + 1;
        _post(batch(2, 2), h);
    }

    function test_refusesNoBlob() public {
        vm.blobhashes(new bytes32[](0));
        _refuse(batch(1, 1), head(1), abi.encodeWithSelector(IInboxEvents.Inbox_NoBlob.selector));
    }

    function test_refusesUnknownEpoch() public withBlob {
        Head memory h = head(1);
        h.epoch = 1;
        _refuse(batch(1, 1), h, abi.encodeWithSelector(ICertificateErrors.Inbox_UnknownEpoch.selector, 1));
    }

    function test_twoValuesForOneHeightFork() public withBlob {
        _post(batch(1, 2), head(2));
        Head memory other = head(2);
        other.filler = keccak256("another history");
        bytes32 first = inbox.tipValueId();
        vm.expectEmit();
        emit IInboxEvents.Forked(2, first, valueId(encode(other)));
        _post(batch(1, 2), other);
        check(_forked(), "forked");
        equal(inbox.tipValueId(), first);
        // The mark stays when the tip moves on.
        _post(batch(3, 3), head(3));
        check(_forked(), "forked after the next batch");
        equal(_height(), 3);
    }

    function test_aConflictNeedsItsCertificate() public withBlob {
        _post(batch(1, 2), head(2));
        Head memory other = head(2);
        other.filler = keccak256("another history");
        (bytes memory bitmap, bytes memory sigs) = certify(other, 0, 3, 4);
        bytes memory header = encode(other);
        vm.expectRevert(abi.encodeWithSelector(IInboxEvents.Inbox_Quorum.selector, 2 gwei, 4 gwei));
        inbox.submitBatch(batch(1, 2), header, bitmap, sigs);
        check(!_forked(), "forked without a quorum");
    }

    function test_certificateIsBoundToTheChain() public withBlob {
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        vm.chainId(block.chainid + 1);
        vm.expectRevert(abi.encodeWithSelector(ICertificateErrors.Inbox_BadSignature.selector, 0));
        inbox.submitBatch(batch(1, 1), encode(head(1)), bitmap, sigs);
    }

    function test_certificateIsBoundToTheRegistry() public withBlob {
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        deployWithSet(4);
        vm.expectRevert(abi.encodeWithSelector(ICertificateErrors.Inbox_BadSignature.selector, 0));
        inbox.submitBatch(batch(1, 1), encode(head(1)), bitmap, sigs);
    }

    function test_certificateIsBoundToTheRound() public withBlob {
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        Batch memory b = batch(1, 1);
        b.round = 1;
        vm.expectRevert(abi.encodeWithSelector(ICertificateErrors.Inbox_BadSignature.selector, 0));
        inbox.submitBatch(b, encode(head(1)), bitmap, sigs);
    }

    /// @dev Any byte of the header changes the value id, so the signatures are for something else (or the header is refused).
    /// forge-config: default.fuzz.runs = 128
    function testFuzz_everyHeaderByteCounts(uint16 where, uint8 flip) public withBlob {
        vm.assume(flip != 0);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        bytes memory header = encode(head(1));
        header[where % 480] ^= bytes1(flip);
        vm.expectRevert();
        inbox.submitBatch(batch(1, 1), header, bitmap, sigs);
    }

    /// @dev Whatever is posted, the tip only moves forward, by heights that touch.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_tipNeverGoesBack(uint8[12] calldata moves) public withBlob {
        for (uint256 i; i < moves.length; i++) {
            uint64 before = _height();
            Batch memory b = batch(1 + moves[i] % 16, 1 + moves[i] % 16 + moves[i] / 64);
            b.repost = moves[i] % 2 == 0;
            (bytes memory bitmap, bytes memory sigs) = certify(head(b.toHeight), 0, 7, 4);
            try inbox.submitBatch(b, encode(head(b.toHeight)), bitmap, sigs) {
                check(b.fromHeight <= before + 1, "a gap was accepted");
                equal(_height(), b.toHeight > before ? b.toHeight : before);
            } catch {
                check(b.fromHeight > before + 1 || (b.toHeight <= before && !b.repost), "refused without a reason");
            }
        }
        check(!_forked(), "forked");
    }
}
