// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "./Digests.sol";
import {ForcedQueue} from "./ForcedQueue.sol";
import {HeaderFields} from "./HeaderFields.sol";
import {ICertificateErrors} from "./ICertificateVerifier.sol";
import {Batch, IInboxEvents, InboxRules} from "./InboxTypes.sol";
import {Registry} from "./Registry.sol";
import {Operator, State} from "./RegistryTypes.sol";
import {SetBlobs} from "./SetBlobs.sol";

/// @title What happens when the set stops
/// @notice If no newer origin is certified for `fallbackBlocks`, anyone starts a new generation: nothing signed before counts any more.
/// From then on derivation executes the forced queue, and batches of anyone in L1 order. Members answer a roll call; those who did
/// become the next set, and from its first block on only certified batches are accepted again.
/// @dev The emergency set starts with its epoch, as any other: until then the head to go on from can move, from then on it is common
/// knowledge.
abstract contract Fallback is IInboxEvents, ICertificateErrors {
    /// @notice Highest certified height, and what generation it is; one word.
    struct Head {
        uint64 height;
        uint64 l1Number;
        uint64 epoch;
        /// two values were certified for one height: more than a third of the stake signed both
        bool forked;
        uint32 generation;
        /// a fallback has begun and no certified batch of its generation has come
        bool resuming;
    }

    /// @dev The newest fallback.
    struct Stall {
        /// L1 block of its activation
        uint64 since;
        /// its emergency set, and the first L1 block of that; 0 until formed
        uint64 epoch;
        uint64 start;
    }

    uint64 public immutable fallbackBlocks;
    uint64 public immutable rollCallBlocks;
    uint64 public immutable forcedWindow;
    Registry public immutable registry;
    ForcedQueue public immutable forced;
    uint64 internal immutable epochBlocks;
    uint64 private immutable _l2ChainId;
    bytes32 private immutable _genesisHash;

    Head internal _head;
    /// @notice Value id of the tip; zero before the first batch.
    bytes32 public tipValueId;
    /// @notice The newest fallback: L1 block of its activation, epoch and first L1 block of its emergency set; zeros for none.
    Stall public stall;
    /// @notice Who answered the roll call of a generation.
    mapping(uint32 => mapping(uint256 => bool)) public answered;

    constructor(address registry_, address forced_, InboxRules memory r) {
        if (r.fallbackBlocks == 0 || r.forcedWindow == 0) revert Inbox_BadRules();
        (fallbackBlocks, rollCallBlocks, forcedWindow) = (r.fallbackBlocks, r.rollCallBlocks, r.forcedWindow);
        registry = Registry(registry_);
        forced = ForcedQueue(forced_);
        epochBlocks = Registry(registry_).epochBlocks();
        _l2ChainId = Registry(registry_).l2ChainId();
        _genesisHash = Registry(registry_).genesisHash();
    }

    /// @notice The highest certified height. After a fallback, what it was before, until the new generation certifies one.
    function tip() external view returns (uint64 height, uint64 l1Number, uint64 epoch, bool forked) {
        return (_head.height, _head.l1Number, _head.epoch, _head.forked);
    }

    /// @notice How many fallbacks there were. Part of everything that is signed.
    function generation() external view returns (uint32) {
        return _head.generation;
    }

    /// @notice Whether a fallback goes on: batches need no certificate.
    function inFallback() public view returns (bool) {
        return _head.resuming && (stall.start == 0 || block.number < stall.start);
    }

    /// @notice The context that value ids and votes cover now.
    function context() external view returns (bytes32) {
        return _context(_head.generation);
    }

    /// @notice Starts a new generation once the certified origin stands still for too long; anyone may call.
    function activateFallback() external {
        uint256 until = stalledAfter();
        if (block.number <= until) revert Inbox_NotStalled(until);
        _head.generation += 1;
        _head.resuming = true;
        stall = Stall(uint64(block.number), 0, 0);
        emit FallbackActivated(_head.generation, uint64(block.number));
    }

    /// @notice Last L1 block in which a fallback may not start yet; the greatest number before set 0 is frozen.
    /// @dev An emergency set has as long as any other, from its first block on.
    function stalledAfter() public view returns (uint256) {
        uint256 since = registry.base();
        if (since == 0) return type(uint256).max;
        if (_head.l1Number > since) since = _head.l1Number;
        if (stall.since > since) since = stall.since;
        if (stall.start > since) since = stall.start;
        return since + fallbackBlocks;
    }

    /// @notice Posts heights without a certificate while a fallback goes on; anyone may call. The first in L1 order that fits the
    /// derived head counts.
    /// @param header encoded header of `toHeight`, of the new generation
    function submitUncertified(Batch calldata b, bytes calldata header) external {
        if (!inFallback()) revert Inbox_NoFallback();
        HeaderFields.Fields memory h = _read(b, header);
        if (h.l1Number < _head.l1Number) revert Inbox_OriginBackwards(_head.l1Number);
        bytes32 valueId = Digests.digest(Digests.TAG_HEADER, _context(h.generation), keccak256(header));
        emit UncertifiedBatch(b.fromHeight, b.toHeight, valueId, h.generation, _blobHashes());
    }

    /// @notice Answers that an operator is there to go on: its owner, or its vote key.
    function rollCall(uint32 generation_, uint256 operator) external {
        _checkRollCall();
        if (generation_ != _head.generation) revert Inbox_WrongGeneration(generation_);
        Operator memory o = registry.operatorOf(operator);
        if (msg.sender != o.owner && msg.sender != o.voteKey) revert Inbox_NotOperator();
        answered[generation_][operator] = true;
        emit RollCall(generation_, operator);
    }

    /// @notice Freezes those who answered as the next set, if they hold a fifth of the newest one; anyone may call.
    function formEmergencySet() external {
        _checkRollCall();
        uint256 until = stall.since + rollCallBlocks;
        if (block.number <= until) revert Inbox_RollCallOpen(until);
        uint64 last = registry.lastFrozen();
        (uint256 responders, uint256 weight) = _responders(last);
        uint256 total = registry.setTotal(last);
        if (weight == 0 || weight * 5 < total) revert Inbox_TooFewResponders(weight, total);
        uint64 epoch = registry.freezeEmergency(responders);
        uint256 start = registry.epochStart(epoch);
        (stall.epoch, stall.start) = (epoch, uint64(start));
        emit EmergencySet(_head.generation, epoch, start, weight);
    }

    function _context(uint32 generation_) internal view returns (bytes32) {
        return Digests.context(_l2ChainId, address(registry), _genesisHash, generation_);
    }

    /// @dev Only the emergency set, or one after it, ends a fallback.
    function _checkResumption(uint64 epoch) internal view {
        if (stall.epoch == 0 || epoch < stall.epoch) revert Inbox_NoEmergencySet(stall.epoch);
    }

    /// @dev What holds for every batch.
    function _read(Batch calldata b, bytes calldata header) internal view returns (HeaderFields.Fields memory h) {
        if (header.length != HeaderFields.LENGTH) revert Inbox_HeaderLength(header.length);
        h = HeaderFields.read(header);
        if (h.generation != _head.generation) revert Inbox_WrongGeneration(h.generation);
        if (h.height != b.toHeight || b.fromHeight > b.toHeight || b.fromHeight == 0) revert Inbox_WrongHeight(h.height);
        // An origin in the future would put off the next fallback.
        if (h.l1Number >= block.number) revert Inbox_OriginAhead(h.l1Number);
    }

    function _blobHashes() internal view returns (bytes32[] memory hashes) {
        uint256 count;
        while (blobhash(count) != 0) count++;
        if (count == 0) revert Inbox_NoBlob();
        hashes = new bytes32[](count);
        for (uint256 i; i < count; i++) {
            hashes[i] = blobhash(i);
        }
    }

    function _checkRollCall() private view {
        if (!_head.resuming) revert Inbox_NoFallback();
        if (stall.epoch != 0) revert Inbox_RollCallOver();
    }

    /// @dev Bits and weight of the members of a set that answered and are not in jail.
    function _responders(uint64 epoch) private view returns (uint256 bits, uint256 weight) {
        (bytes memory records, bytes memory keys) = (registry.setRecords(epoch), registry.setKeys(epoch));
        uint256 count = records.length / SetBlobs.RECORD;
        for (uint256 i; i < count; i++) {
            (uint256 operator, uint256 w) = SetBlobs.pick(records, keys, i);
            if (!answered[_head.generation][operator] || registry.stateOf(operator) == State.Jailed) continue;
            bits |= 1 << i;
            weight += w;
        }
    }
}
