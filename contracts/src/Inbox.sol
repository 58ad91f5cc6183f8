// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "./Digests.sol";
import {ICertificateErrors, ICertificateVerifier} from "./ICertificateVerifier.sol";
import {Registry} from "./Registry.sol";

/// @title Certified batches
/// @notice Anyone may post: the certificate of the last height is the authority, and parent ids chain the heights before it. The
/// data lies in the transaction's blobs and is not looked at here: a batch whose blobs do not decode to the certified value id is
/// skipped by derivation and only wastes the poster's gas.
/// @dev Header, bitmap and signatures are not stored; followers read them from the calldata of the accepted transaction.
contract Inbox is ICertificateErrors {
    /// @notice What the certified header does not say.
    struct Batch {
        uint64 fromHeight;
        uint64 toHeight;
        /// consensus round that decided toHeight
        uint32 round;
        /// post heights again that were posted before (their blobs did not decode, or have expired)
        bool repost;
    }

    /// @notice The highest certified height, in one word.
    struct Tip {
        uint64 height;
        uint64 l1Number;
        uint64 epoch;
        /// two values were certified for one height: more than a third of the stake signed both
        bool forked;
    }

    error Inbox_HeaderLength(uint256 length);
    error Inbox_WrongGeneration(uint32 generation);
    error Inbox_WrongHeight(uint64 height);
    error Inbox_Gap(uint64 expected);
    error Inbox_Stale(uint64 tip);
    error Inbox_OriginBackwards(uint64 tipOrigin);
    error Inbox_EpochBackwards(uint64 tipEpoch);
    error Inbox_NoBlob();
    error Inbox_Quorum(uint256 weight, uint256 total);

    event BatchAccepted(
        uint64 indexed fromHeight, uint64 indexed toHeight, bytes32 valueId, uint64 epoch, uint32 round, bytes32[] blobHashes
    );
    event Forked(uint64 indexed height, bytes32 first, bytes32 second);

    /// @notice Bytes of an encoded header: env 108, close 260, roots 112.
    uint256 public constant HEADER_LENGTH = 480;
    uint256 private constant L1_NUMBER_AT = 8;
    uint256 private constant GENERATION_AT = 108;
    uint256 private constant EPOCH_AT = 112;
    uint256 private constant HEIGHT_AT = 120;

    Registry public immutable registry;
    ICertificateVerifier public immutable verifier;
    uint64 private immutable _l2ChainId;
    bytes32 private immutable _genesisHash;

    /// @notice Raised only by a fallback, which does not exist yet.
    uint32 public constant generation = 0;

    Tip public tip;
    /// @notice Value id of the tip; zero before the first batch.
    bytes32 public tipValueId;

    constructor(address registry_, address verifier_) {
        registry = Registry(registry_);
        verifier = ICertificateVerifier(verifier_);
        _l2ChainId = Registry(registry_).l2ChainId();
        _genesisHash = Registry(registry_).genesisHash();
    }

    /// @notice Accepts the heights `fromHeight..=toHeight`, whose data is in this transaction's blobs.
    /// @param b the range and the deciding round
    /// @param header encoded header of `toHeight`
    /// @param bitmap signers of the certificate, see ICertificateVerifier
    /// @param sigs their EIP-712 precommit signatures
    function submitBatch(Batch calldata b, bytes calldata header, bytes calldata bitmap, bytes calldata sigs) external {
        if (header.length != HEADER_LENGTH) revert Inbox_HeaderLength(header.length);
        _checkHeader(b, header);
        Tip memory t = tip;
        bytes32 ctx = Digests.context(_l2ChainId, address(registry), _genesisHash, generation);
        bytes32 valueId = Digests.digest(Digests.TAG_HEADER, ctx, keccak256(header));
        bool conflict = b.toHeight == t.height && t.height != 0 && valueId != tipValueId;
        _checkPlace(b, header, t, conflict);
        bytes32[] memory blobHashes = _blobHashes();
        _checkCertificate(b, header, Digests.separator(ctx, address(registry)), valueId, bitmap, sigs);
        if (conflict) {
            // The first in L1 order stands; the second is evidence, in this transaction's calldata.
            tip.forked = true;
            emit Forked(b.toHeight, tipValueId, valueId);
        } else {
            _accept(b, header, t, valueId, blobHashes);
        }
    }

    /// @notice The context that value ids and votes cover now.
    function context() external view returns (bytes32) {
        return Digests.context(_l2ChainId, address(registry), _genesisHash, generation);
    }

    function _accept(Batch calldata b, bytes calldata header, Tip memory t, bytes32 valueId, bytes32[] memory blobHashes) private {
        uint64 epoch = uint64(_field(header, EPOCH_AT, 8));
        if (b.toHeight > t.height) {
            tip = Tip(b.toHeight, uint64(_field(header, L1_NUMBER_AT, 8)), epoch, t.forked);
            tipValueId = valueId;
        }
        emit BatchAccepted(b.fromHeight, b.toHeight, valueId, epoch, b.round, blobHashes);
    }

    function _checkHeader(Batch calldata b, bytes calldata header) private pure {
        uint32 gen = uint32(_field(header, GENERATION_AT, 4));
        if (gen != generation) revert Inbox_WrongGeneration(gen);
        uint64 height = uint64(_field(header, HEIGHT_AT, 8));
        if (height != b.toHeight || b.fromHeight > b.toHeight || b.fromHeight == 0) revert Inbox_WrongHeight(height);
    }

    /// @dev A conflicting value for the tip is never stale: refusing it would hide the fork.
    function _checkPlace(Batch calldata b, bytes calldata header, Tip memory t, bool conflict) private pure {
        if (b.fromHeight > t.height + 1) revert Inbox_Gap(t.height + 1);
        if (b.toHeight <= t.height) {
            if (!b.repost && !conflict) revert Inbox_Stale(t.height);
            return;
        }
        if (_field(header, L1_NUMBER_AT, 8) < t.l1Number) revert Inbox_OriginBackwards(t.l1Number);
        if (_field(header, EPOCH_AT, 8) < t.epoch) revert Inbox_EpochBackwards(t.epoch);
    }

    function _checkCertificate(
        Batch calldata b,
        bytes calldata header,
        bytes32 separator,
        bytes32 valueId,
        bytes calldata bitmap,
        bytes calldata sigs
    ) private view {
        uint64 epoch = uint64(_field(header, EPOCH_AT, 8));
        bytes32 digest = Digests.typed(separator, Digests.precommit(epoch, b.toHeight, b.round, valueId));
        (uint256 weight, uint256 total) = verifier.weigh(epoch, digest, bitmap, sigs);
        if (weight * 3 <= total * 2) revert Inbox_Quorum(weight, total);
    }

    function _blobHashes() private view returns (bytes32[] memory hashes) {
        uint256 count;
        while (blobhash(count) != 0) count++;
        if (count == 0) revert Inbox_NoBlob();
        hashes = new bytes32[](count);
        for (uint256 i; i < count; i++) {
            hashes[i] = blobhash(i);
        }
    }

    /// @dev The big-endian integer of `size` bytes at `offset` of the header.
    function _field(bytes calldata header, uint256 offset, uint256 size) private pure returns (uint256) {
        return uint256(bytes32(header[offset:offset + 32])) >> (256 - 8 * size);
    }
}
