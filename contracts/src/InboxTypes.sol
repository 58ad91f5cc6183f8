// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What the inbox waits for, fixed for ever.
struct InboxRules {
    /// L1 blocks without a newer certified origin after which anyone may start a fallback
    uint64 fallbackBlocks;
    /// L1 blocks after that in which the members may answer, before those who did become the set
    uint64 rollCallBlocks;
    /// seconds by which a certified height may be later than a forced transaction that it does not yet include
    uint64 forcedWindow;
}

/// @notice What a batch's header does not say.
struct Batch {
    uint64 fromHeight;
    uint64 toHeight;
    /// consensus round that decided toHeight
    uint32 round;
    /// post heights again that were posted before (their blobs did not decode, or have expired)
    bool repost;
}

/// @notice Why the inbox refuses, and what it tells.
interface IInboxEvents {
    error Inbox_BadRules();
    error Inbox_HeaderLength(uint256 length);
    error Inbox_WrongGeneration(uint32 generation);
    error Inbox_WrongHeight(uint64 height);
    error Inbox_Gap(uint64 expected);
    error Inbox_Stale(uint64 tip);
    error Inbox_OriginBackwards(uint64 tipOrigin);
    /// The header's origin is not an L1 block of the past.
    error Inbox_OriginAhead(uint64 origin);
    /// The epoch starts at this L1 block, after the header's origin.
    error Inbox_EpochAhead(uint256 start);
    /// Another set is in force from this L1 block on, which the tip's origin has reached.
    error Inbox_EpochOver(uint256 end);
    /// The set is out of force since this L1 block, for too long.
    error Inbox_CertificateExpired(uint256 end);
    /// This forced transaction had to be included.
    error Inbox_ForcedOverdue(uint256 index);
    error Inbox_NoBlob();
    error Inbox_Quorum(uint256 weight, uint256 total);
    /// A fallback may start after this L1 block.
    error Inbox_NotStalled(uint256 until);
    /// There is no fallback, or it ended.
    error Inbox_NoFallback();
    /// A fallback goes on and there is no set to go on with, or it has another number.
    error Inbox_NoEmergencySet(uint64 epoch);
    /// The emergency set is formed already.
    error Inbox_RollCallOver();
    /// The members may answer until this L1 block.
    error Inbox_RollCallOpen(uint256 until);
    error Inbox_NotOperator();
    error Inbox_TooFewResponders(uint256 weight, uint256 total);

    event BatchAccepted(
        uint64 indexed fromHeight, uint64 indexed toHeight, bytes32 valueId, uint64 epoch, uint32 round, bytes32[] blobHashes
    );
    event Forked(uint64 indexed height, bytes32 first, bytes32 second);
    event FallbackActivated(uint32 indexed generation, uint64 l1Block);
    event UncertifiedBatch(uint64 indexed fromHeight, uint64 indexed toHeight, bytes32 valueId, uint32 generation, bytes32[] blobHashes);
    event RollCall(uint32 indexed generation, uint256 indexed operator);
    event EmergencySet(uint32 indexed generation, uint64 epoch, uint256 start, uint256 weight);
}
