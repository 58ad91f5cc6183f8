// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {Digests} from "./Digests.sol";
import {Ed25519Verifier} from "./Ed25519Verifier.sol";
import {EpochSet, IRegistryEvents, Terms} from "./RegistryTypes.sol";
import {SetBlobs} from "./SetBlobs.sol";

/// @title Epochs and their frozen sets
/// @notice Epoch e begins `e * epochBlocks` L1 blocks after set 0 was frozen; epoch 0 began with the chain. An epoch without a set of
/// its own goes on with the newest earlier one. Which set signs is a pure function of L1 up to the origin: a set is frozen before
/// its epoch starts, and never changes.
abstract contract Epochs is IRegistryEvents {
    /// @notice Largest set of one epoch: certificates are checked in one loop on L1.
    uint256 public constant MAX_SET = 64;

    uint64 public immutable l2ChainId;
    bytes32 public immutable genesisHash;
    uint256 public immutable minStake;
    uint256 public immutable minOperators;
    uint256 public immutable maxShareBps;
    uint64 public immutable epochBlocks;
    uint64 public immutable unbondEpochs;
    uint64 public immutable evidenceEpochs;
    Ed25519Verifier public immutable edVerifier;
    address public immutable slasher;
    address public immutable inbox;

    /// @notice L1 block in which set 0 was frozen; 0 before.
    uint64 public base;
    /// @dev The frozen epochs, ascending.
    uint32[] private _frozen;
    mapping(uint64 => EpochSet) private _sets;
    /// @notice keccak256 of the epoch's packed records; zero until frozen.
    mapping(uint64 => bytes32) public setHash;
    /// @notice keccak256("rota/set/v1" || epoch u64 || count u32 || (owner 20 || seqKey 32 || voteKey 20 || weight gwei u64)*); zero
    /// until frozen.
    mapping(uint64 => bytes32) public setId;

    constructor(Terms memory t) {
        if (t.minOperators == 0 || t.minOperators > MAX_SET) revert Registry_BadMinimum();
        // Stake must outlive the time in which evidence against its last set is taken.
        bool outlives = t.unbondEpochs > t.evidenceEpochs;
        if (t.epochBlocks == 0 || t.maxShareBps == 0 || t.maxShareBps > 10_000 || !outlives) revert Registry_BadTerms();
        l2ChainId = t.l2ChainId;
        genesisHash = t.genesisHash;
        minStake = t.minStake;
        minOperators = t.minOperators;
        maxShareBps = t.maxShareBps;
        epochBlocks = t.epochBlocks;
        unbondEpochs = t.unbondEpochs;
        evidenceEpochs = t.evidenceEpochs;
        edVerifier = Ed25519Verifier(t.edVerifier);
        slasher = t.slasher;
        inbox = t.inbox;
    }

    /// @notice First L1 block of an epoch; 0 for epoch 0, and for every epoch before set 0 is frozen.
    function epochStart(uint64 epoch) public view returns (uint256) {
        return epoch == 0 || base == 0 ? 0 : base + uint256(epoch) * epochBlocks;
    }

    /// @notice The epoch of the present L1 block; 0 before set 0 is frozen.
    function currentEpoch() public view returns (uint64) {
        return base == 0 ? 0 : uint64((block.number - base) / epochBlocks);
    }

    /// @notice The frozen epoch in force at an L1 block: the greatest that starts at or before it.
    function epochAt(uint256 l1Number) external view returns (uint64) {
        (uint256 low, uint256 high) = (0, _frozen.length);
        // Set 0 starts at 0, so what is sought is always there: it is at `low`, below `high`.
        while (high > low + 1) {
            uint256 middle = (low + high) / 2;
            if (epochStart(_frozen[middle]) <= l1Number) low = middle;
            else high = middle;
        }
        return high == 0 ? 0 : _frozen[low];
    }

    /// @notice L1 blocks `start..end` (end excluded) in which the set of a frozen epoch is in force. No end yet: the greatest number;
    /// no such set: twice the greatest number.
    function inForce(uint64 epoch) external view returns (uint256 start, uint256 end) {
        EpochSet storage s = _sets[epoch];
        if (s.records == address(0)) return (type(uint256).max, type(uint256).max);
        uint32 next = s.next;
        return (epochStart(epoch), next == 0 ? type(uint256).max : epochStart(next));
    }

    /// @notice Last epoch in which the set of a frozen epoch is or was in force: the current one if it still is.
    /// @dev A set that is frozen for later has not been used: the answer is its own epoch.
    function lastUse(uint64 epoch) external view returns (uint64) {
        uint32 next = _frozenSet(epoch).next;
        uint64 current = currentEpoch();
        if (next != 0 && next <= current) return next - 1;
        return current < epoch ? epoch : current;
    }

    /// @notice The newest frozen epoch; 0 before there is one.
    function lastFrozen() public view returns (uint64) {
        uint256 count = _frozen.length;
        return count == 0 ? 0 : _frozen[count - 1];
    }

    /// @notice All frozen epochs, ascending.
    function frozenEpochs() external view returns (uint32[] memory) {
        return _frozen;
    }

    /// @notice L1 block in which the set of an epoch was frozen; 0 if it is not.
    function frozenAt(uint64 epoch) external view returns (uint64) {
        return _sets[epoch].frozenAt;
    }

    /// @notice The frozen set of an epoch; pointer zero if there is none.
    function epochSet(uint64 epoch) external view returns (address pointer, uint256 total) {
        EpochSet storage s = _sets[epoch];
        return (s.records, s.total);
    }

    /// @notice Sum of the weights of a frozen set, in gwei.
    function setTotal(uint64 epoch) external view returns (uint256) {
        return _sets[epoch].total;
    }

    /// @notice `voteKey (20) || weight in gwei (12)` of each member; empty if there is no such set.
    function setRecords(uint64 epoch) external view returns (bytes memory) {
        address pointer = _sets[epoch].records;
        return pointer == address(0) ? bytes("") : SSTORE2.read(pointer);
    }

    /// @notice `seqKey (32) || operator (4)` of each member; empty if there is no such set.
    function setKeys(uint64 epoch) external view returns (bytes memory) {
        address pointer = _sets[epoch].keys;
        return pointer == address(0) ? bytes("") : SSTORE2.read(pointer);
    }

    /// @notice How many members a frozen set has; 0 if there is no such set.
    function setCount(uint64 epoch) external view returns (uint256) {
        return SetBlobs.sizeOf(_sets[epoch].keys);
    }

    /// @notice A member of a frozen set, with the keys that it had in it.
    function member(uint64 epoch, uint256 index)
        external
        view
        returns (uint256 operator, address voteKey, bytes32 seqKey, uint256 weightGwei)
    {
        EpochSet storage s = _frozenSet(epoch);
        if (index >= SetBlobs.sizeOf(s.keys)) revert Registry_UnknownMember();
        (operator, seqKey) = SetBlobs.keyAt(s.keys, index);
        (voteKey, weightGwei) = SetBlobs.recordAt(s.records, index);
    }

    /// @notice The context that every signature of this rollup covers.
    function context(uint32 generation) public view returns (bytes32) {
        return Digests.context(l2ChainId, address(this), genesisHash, generation);
    }

    function _isFrozen(uint64 epoch) internal view returns (bool) {
        return _sets[epoch].records != address(0);
    }

    function _frozenSet(uint64 epoch) internal view returns (EpochSet storage s) {
        s = _sets[epoch];
        if (s.records == address(0)) revert Registry_UnknownEpoch();
    }

    /// @dev The newest frozen set, whole.
    function _lastSet() internal view returns (bytes memory records, bytes memory keys, uint256 total) {
        EpochSet storage s = _sets[lastFrozen()];
        return (SSTORE2.read(s.records), SSTORE2.read(s.keys), s.total);
    }

    /// @dev Makes the draft the set of an epoch later than every frozen one.
    function _freeze(uint64 epoch, SetBlobs.Draft memory d, uint256 total) internal {
        if (_frozen.length != 0) _sets[lastFrozen()].next = uint32(epoch);
        _frozen.push(uint32(epoch));
        address records = SSTORE2.write(d.records);
        // A stake is below 2^88 wei and there are at most 64, so the sum in gwei fits.
        _sets[epoch] = EpochSet(records, uint96(total), SSTORE2.write(d.keys), 0, uint64(block.number));
        bytes32 hash = keccak256(d.records);
        setHash[epoch] = hash;
        setId[epoch] = keccak256(d.preimage);
        emit SetFrozen(epoch, records, total, d.records.length / SetBlobs.RECORD, hash);
    }
}
