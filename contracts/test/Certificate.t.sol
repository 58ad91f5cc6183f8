// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICertificateErrors} from "../src/ICertificateVerifier.sol";
import {EcdsaCertificateVerifier} from "../src/EcdsaCertificateVerifier.sol";
import {Batch, IInboxEvents} from "../src/InboxTypes.sol";
import {Registry} from "../src/Registry.sol";
import {FixedSet, Fixture} from "./Fixture.sol";

contract CertificateTest is Fixture {
    function _refuse(bytes memory bitmap, bytes memory sigs, bytes memory refusal) private {
        bytes memory header = encode(head(1));
        vm.expectRevert(refusal);
        inbox.submitBatch(batch(1, 1), header, bitmap, sigs);
    }

    function _bad(uint256 index) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ICertificateErrors.Inbox_BadSignature.selector, index);
    }

    function _count() private pure returns (bytes memory) {
        return abi.encodeWithSelector(ICertificateErrors.Inbox_SignatureCount.selector);
    }

    function _quorum(uint256 weight, uint256 total) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IInboxEvents.Inbox_Quorum.selector, weight, total);
    }

    function test_quorumIsMoreThanTwoThirds() public {
        // Three of three is enough, two of three is exactly two thirds and is not.
        deployWithSet(3);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 3, 3);
        _refuse(bitmap, sigs, _quorum(2 gwei, 3 gwei));
        (bitmap, sigs) = certify(head(1), 0, 7, 3);
        inbox.submitBatch(batch(1, 1), encode(head(1)), bitmap, sigs);
    }

    function test_stakeCountsNotHeads() public {
        deploy(4);
        for (uint256 i; i < 4; i++) {
            join(i, i == 0 ? 7 ether : 1 ether);
        }
        registry.freezeSet(0);
        oneBlob();
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 14, 4);
        _refuse(bitmap, sigs, _quorum(3 gwei, 10 gwei));
        (bitmap, sigs) = certify(head(1), 0, 1, 4);
        inbox.submitBatch(batch(1, 1), encode(head(1)), bitmap, sigs);
    }

    function test_noSignatures() public {
        deployWithSet(4);
        _refuse(hex"00", "", _quorum(0, 4 gwei));
        _refuse("", "", _quorum(0, 4 gwei));
    }

    function test_wrongSignature() public {
        deployWithSet(4);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        sigs[65 + 10] ^= 0x01;
        _refuse(bitmap, sigs, _bad(1));
    }

    function test_foreignSignature() public {
        deployWithSet(4);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        (, bytes memory outsider) = certify(head(1), 0, 1 << 9, 10);
        _refuse(bitmap, bytes.concat(one(sigs, 0), one(sigs, 1), outsider), _bad(2));
    }

    function test_duplicateSignature() public {
        deployWithSet(4);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        _refuse(bitmap, bytes.concat(one(sigs, 0), one(sigs, 0), one(sigs, 1)), _bad(1));
    }

    function test_reorderedSignatures() public {
        deployWithSet(4);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        _refuse(bitmap, bytes.concat(one(sigs, 1), one(sigs, 0), one(sigs, 2)), _bad(0));
    }

    function test_highS() public {
        deployWithSet(4);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        _refuse(bitmap, bytes.concat(one(sigs, 0), one(sigs, 1), malleate(one(sigs, 2))), _bad(2));
    }

    function test_oddV() public {
        deployWithSet(4);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        sigs[64] = bytes1(uint8(sigs[64]) - 27);
        _refuse(bitmap, sigs, _bad(0));
    }

    function test_zeroSignature() public {
        deployWithSet(4);
        _refuse(hex"07", new bytes(3 * 65), _bad(0));
    }

    /// @dev The registry admits no zero key; were one in a set, a signature that recovers nobody must still not be its.
    function test_zeroAddressNeverCounts() public {
        FixedSet set = new FixedSet(abi.encodePacked(address(0), uint96(1)), 1, 0, L2_CHAIN, GENESIS);
        EcdsaCertificateVerifier alone = new EcdsaCertificateVerifier(address(set));
        vm.expectRevert(_bad(0));
        alone.weigh(0, keccak256("digest"), hex"01", new bytes(65));
    }

    function test_counts() public {
        deployWithSet(4);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        _refuse(bitmap, bytes.concat(sigs, hex"00"), _count());
        _refuse(bitmap, bytes.concat(one(sigs, 0), one(sigs, 1)), _count());
        _refuse(hex"0f", sigs, _count());
        _refuse(hex"17", bytes.concat(sigs, one(sigs, 0)), _count());
        _refuse(hex"0700", sigs, _count());
    }

    function test_setOfWholeBytes() public {
        deployWithSet(8);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 0xff, 8);
        _refuse(bytes.concat(bitmap, hex"01"), bytes.concat(sigs, one(sigs, 0)), _count());
        inbox.submitBatch(batch(1, 1), encode(head(1)), bitmap, sigs);
    }

    function test_trailingZeroBytesMayBeLeftOut() public {
        // Nine operators, one of whom holds most: the certificate of signer 0 needs one byte of bitmap.
        deploy(9);
        for (uint256 i; i < 9; i++) {
            join(i, i == 0 ? 100 ether : 1 ether);
        }
        registry.freezeSet(0);
        oneBlob();
        (, bytes memory sigs) = certify(head(1), 0, 1, 9);
        inbox.submitBatch(batch(1, 1), encode(head(1)), hex"01", sigs);
    }

    function test_largestSet() public {
        deployWithSet(64);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, (1 << 43) - 1, 64);
        inbox.submitBatch(batch(1, 1), encode(head(1)), bitmap, sigs);
    }

    function test_unknownEpochDirectly() public {
        deploy(1);
        vm.expectRevert(abi.encodeWithSelector(ICertificateErrors.Inbox_UnknownEpoch.selector, 9));
        verifier.weigh(9, 0, "", "");
    }

    /// @dev For every subset of signers: accepted exactly when it holds more than two thirds.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_subsets(uint256 mask, uint8 size) public {
        uint256 n = 1 + size % 20;
        mask &= (1 << n) - 1;
        deployWithSet(n);
        uint256 signers;
        for (uint256 i; i < n; i++) {
            signers += (mask >> i) & 1;
        }
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, mask, n);
        if (signers * 3 <= n * 2) {
            _refuse(bitmap, sigs, _quorum(signers * 1 gwei, n * 1 gwei));
        } else {
            inbox.submitBatch(batch(1, 1), encode(head(1)), bitmap, sigs);
        }
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_everySignatureByteCounts(uint8 where, uint8 flip) public {
        vm.assume(flip != 0);
        deployWithSet(4);
        (bytes memory bitmap, bytes memory sigs) = certify(head(1), 0, 7, 4);
        uint256 i = uint256(where) % sigs.length;
        sigs[i] ^= bytes1(flip);
        _refuse(bitmap, sigs, _bad(i / 65));
    }
}
