// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "./Digests.sol";
import {Fallback} from "./Fallback.sol";
import {HeaderFields} from "./HeaderFields.sol";
import {ICertificateVerifier} from "./ICertificateVerifier.sol";
import {Batch, InboxRules} from "./InboxTypes.sol";

/// @title Certified batches
/// @notice Anyone may post: the certificate of the last height is the authority, and parent ids chain the heights before it. The
/// data lies in the transaction's blobs and is not looked at here: a batch whose blobs do not decode to the certified value id is
/// skipped by derivation and only wastes the poster's gas.
/// @dev Header, bitmap and signatures are not stored; followers read them from the calldata of the accepted transaction.
contract Inbox is Fallback {
    /// @notice Epochs after its last use in which a set's certificates are still accepted.
    uint256 public constant CERT_GRACE = 4;

    /// @notice L1 blocks by which a batch must move the certified origin for its whole cost to count; half of it for half as many.
    uint256 public constant POSTAGE_BLOCKS = 2;
    /// @dev Gas of a transaction that does nothing, and of a blob.
    uint256 private constant BARE_GAS = 21_000;
    uint256 private constant BLOB_GAS = 131_072;

    ICertificateVerifier public immutable verifier;
    /// @notice Whose deposits derivation executes. Nothing here calls it: this is where everyone finds the same one.
    address public immutable portal;

    /// @notice What posting has cost an account, by the base fees of its blocks, wei: never more than it paid. `Rewards` refunds it to
    /// those whom operators name.
    mapping(address => uint256) public postage;

    constructor(address registry_, address verifier_, address forced_, address portal_, InboxRules memory rules)
        Fallback(registry_, forced_, rules)
    {
        verifier = ICertificateVerifier(verifier_);
        portal = portal_;
    }

    /// @notice Accepts the heights `fromHeight..=toHeight`, whose data is in this transaction's blobs.
    /// @param b the range and the deciding round
    /// @param header encoded header of `toHeight`
    /// @param bitmap signers of the certificate, see ICertificateVerifier
    /// @param sigs their EIP-712 precommit signatures
    function submitBatch(Batch calldata b, bytes calldata header, bytes calldata bitmap, bytes calldata sigs) external {
        (uint256 gas, uint256 origin) = (gasleft(), _head.l1Number);
        _submit(b, header, bitmap, sigs);
        _note(gas, _head.l1Number - origin);
    }

    function _submit(Batch calldata b, bytes calldata header, bytes calldata bitmap, bytes calldata sigs) private {
        HeaderFields.Fields memory h = _read(b, header);
        Head memory t = _head;
        bytes32 ctx = _context(t.generation);
        bytes32 valueId = Digests.digest(Digests.TAG_HEADER, ctx, keccak256(header));
        bool conflict = b.toHeight == t.height && t.height != 0 && valueId != tipValueId && !t.resuming;
        bool moves = _checkPlace(b, h, t, conflict);
        _checkEpoch(h, t, moves);
        if (moves) _checkForced(h);
        bytes32[] memory blobHashes = _blobHashes();
        _checkCertificate(b, h.epoch, Digests.separator(ctx, address(registry)), valueId, bitmap, sigs);
        if (conflict) {
            // The first in L1 order stands; the second is evidence, in this transaction's calldata.
            _head.forked = true;
            emit Forked(b.toHeight, tipValueId, valueId);
            return;
        }
        if (moves) {
            _head = Head(b.toHeight, h.l1Number, h.epoch, t.forked, t.generation, false);
            tipValueId = valueId;
        }
        _tell(b, h.epoch, valueId, blobHashes);
    }

    /// @dev By how far the origin moves and not by batches: posting more often than that is not worth it. Priority fees, calldata and what
    /// this itself costs do not count. An account without code calls once in a transaction, and here only: nobody else is told of the
    /// same blobs.
    function _note(uint256 gas, uint256 blocks) private {
        if (blocks == 0 || msg.sender != tx.origin || msg.sender.code.length != 0) return;
        if (blocks > POSTAGE_BLOCKS) blocks = POSTAGE_BLOCKS;
        uint256 blobs;
        while (blobhash(blobs) != 0) blobs++;
        uint256 cost = (BARE_GAS + gas - gasleft()) * block.basefee + blobs * BLOB_GAS * block.blobbasefee;
        postage[msg.sender] += cost * blocks / POSTAGE_BLOCKS;
    }

    function _tell(Batch calldata b, uint64 epoch, bytes32 valueId, bytes32[] memory blobHashes) private {
        emit BatchAccepted(b.fromHeight, b.toHeight, valueId, epoch, b.round, blobHashes);
    }

    /// @dev A conflicting value for the tip is never stale: refusing it would hide the fork. The first batch after a fallback goes on
    /// from wherever derivation is, which is not known here.
    /// @return moves whether the batch becomes the tip
    function _checkPlace(Batch calldata b, HeaderFields.Fields memory h, Head memory t, bool conflict) private pure returns (bool moves) {
        if (!t.resuming) {
            if (b.fromHeight > t.height + 1) revert Inbox_Gap(t.height + 1);
            if (b.toHeight <= t.height) {
                if (!b.repost && !conflict) revert Inbox_Stale(t.height);
                return false;
            }
        }
        if (h.l1Number < t.l1Number) revert Inbox_OriginBackwards(t.l1Number);
        return true;
    }

    /// @dev The epoch of a height is that of the origin before it, which lies between the tip's origin and its own.
    function _checkEpoch(HeaderFields.Fields memory h, Head memory t, bool moves) private view {
        if (t.resuming) _checkResumption(h.epoch);
        (uint256 start, uint256 end) = registry.inForce(h.epoch);
        if (start == type(uint256).max) revert Inbox_UnknownEpoch(h.epoch);
        if (start > h.l1Number) revert Inbox_EpochAhead(start);
        if (moves && end <= t.l1Number) revert Inbox_EpochOver(end);
        if (block.number >= end && block.number - end > CERT_GRACE * epochBlocks) revert Inbox_CertificateExpired(end);
    }

    /// @dev A forced transaction above the batch's origin is executed later than its last height. That is late if the window is over.
    function _checkForced(HeaderFields.Fields memory h) private view {
        (uint256 index, uint256 timestamp) = forced.oldestAfter(h.l1Number);
        if (timestamp != 0 && h.timestamp > timestamp + forcedWindow) revert Inbox_ForcedOverdue(index);
    }

    function _checkCertificate(
        Batch calldata b,
        uint64 epoch,
        bytes32 separator,
        bytes32 valueId,
        bytes calldata bitmap,
        bytes calldata sigs
    ) private view {
        bytes32 digest = Digests.typed(separator, Digests.precommit(epoch, b.toHeight, b.round, valueId));
        (uint256 weight, uint256 total) = verifier.weigh(epoch, digest, bitmap, sigs);
        if (weight * 3 <= total * 2) revert Inbox_Quorum(weight, total);
    }
}
