// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Operators} from "./Operators.sol";
import {Operator, Rotation, State, Terms} from "./RegistryTypes.sol";
import {SetBlobs} from "./SetBlobs.sol";

/// @title Operators of the sequencer set
/// @notice Holds stakes and keys, and freezes the set of an epoch one epoch ahead, as bytes that certificates and evidence are checked
/// against.
/// @dev A freeze walks the previous set and as many candidates as may enter, never the whole queue: its gas is bounded by MAX_SET,
/// whoever registers. No owner, no upgrade.
contract Registry is Operators {
    /// @dev A set being put together: operators and the weights they come with, before the largest share is applied.
    struct Plan {
        uint64 epoch;
        uint256 count;
        /// a quarter of the previous set's weight, gwei: what may join, what may leave, and what one may grow by
        uint256 quarter;
        uint256[] ids;
        uint256[] weights;
    }

    constructor(Terms memory t) Operators(t) {}

    /// @notice Freezes the set of an epoch; anyone may call. Set 0 once there are enough operators, a later one in the epoch before.
    /// @dev The members keep their order and come before those who join: a signer's index is its place in this list.
    function freezeSet(uint64 epoch) external {
        if (_isFrozen(epoch)) revert Registry_AlreadyFrozen();
        bool first = base == 0;
        if (epoch != (first ? 0 : currentEpoch() + 1)) revert Registry_EpochNotOpen();
        Plan memory p = _plan(epoch);
        if (first) {
            p.quarter = type(uint256).max;
            base = uint64(block.number);
        } else {
            _keep(p, type(uint256).max);
            _release(p);
        }
        _admit(p);
        if (p.count == MAX_SET) _displace(p);
        if (p.count == 0 || (first && p.count < minOperators)) revert Registry_TooFewOperators();
        _write(p, _largest(p));
    }

    /// @notice Freezes those members of the newest set whose bit is set, with the weights that they have in it. The others are out.
    /// @return epoch the number of the set: the first that starts later than every frozen one, and later than now
    function freezeEmergency(uint256 responders) external returns (uint64 epoch) {
        if (msg.sender != inbox) revert Registry_NotInbox();
        (uint64 last, uint64 current) = (lastFrozen(), currentEpoch());
        epoch = (last > current ? last : current) + 1;
        Plan memory p = _plan(epoch);
        _keep(p, responders);
        if (p.count == 0) revert Registry_TooFewOperators();
        _write(p, type(uint256).max);
    }

    function _plan(uint64 epoch) private pure returns (Plan memory p) {
        p.epoch = epoch;
        (p.ids, p.weights) = (new uint256[](MAX_SET), new uint256[](MAX_SET));
    }

    /// @dev Takes over the previous members. Those in jail, and those whose bit is not set, are out from this set on.
    function _keep(Plan memory p, uint256 mask) private {
        (bytes memory records, bytes memory keys, uint256 total) = _lastSet();
        p.quarter = total / 4;
        bool emergency = mask != type(uint256).max;
        uint256 count = records.length / SetBlobs.RECORD;
        for (uint256 i; i < count; i++) {
            (uint256 id, uint256 before) = SetBlobs.pick(records, keys, i);
            Operator storage o = _operators[id];
            if (o.state == State.Jailed) {
                o.left = uint32(p.epoch);
            } else if ((mask >> i) & 1 == 0) {
                (o.state, o.left) = (State.Exiting, uint32(p.epoch));
            } else {
                uint256 stake = o.stake / 1 gwei;
                uint256 most = emergency ? before : before + p.quarter;
                _push(p, id, stake < most ? stake : most);
            }
        }
    }

    /// @dev Lets members go in the order of their requests: one, and more while they hold no more than a quarter together. The last
    /// one stays: a set without members could never sign again.
    function _release(Plan memory p) private {
        uint256 done = _exitsDone;
        uint256 end = _exits.length;
        uint256 gone;
        for (uint256 steps; done < end && steps < 2 * MAX_SET; (done++, steps++)) {
            uint256 id = _exits[done];
            Operator storage o = _operators[id];
            // Jailed, or out already for another reason.
            if (o.state != State.Exiting || o.left != 0) continue;
            if (o.untilEpoch > p.epoch || p.count == 1) break;
            uint256 i = _indexOf(p, id);
            uint256 weight = p.weights[i];
            if (gone != 0 && gone + weight > p.quarter) break;
            gone += weight;
            o.left = uint32(p.epoch);
            _remove(p, i);
        }
        _exitsDone = done;
    }

    /// @dev Gives free seats to those who wait longest: one, and more while they bring no more than a quarter together.
    function _admit(Plan memory p) private {
        uint256 joined;
        while (p.count < MAX_SET) {
            uint32 link = _queue.head;
            if (link == 0) break;
            Operator storage o = _operators[link - 1];
            if (o.fromEpoch > p.epoch) break;
            uint256 weight = _entryWeight(p, o);
            if (joined != 0 && weight > p.quarter - joined) break;
            joined += weight;
            _seat(p, link - 1, weight);
        }
    }

    /// @dev The challenger takes the smallest seat of a full set if it brings more; who held it waits again.
    function _displace(Plan memory p) private {
        uint32 link = _queue.challenger;
        if (link == 0) return;
        uint256 weight = _entryWeight(p, _operators[link - 1]);
        uint256 smallest = MAX_SET - 1;
        for (uint256 i = MAX_SET - 1; i != 0; i--) {
            if (p.weights[i - 1] < p.weights[smallest]) smallest = i - 1;
        }
        if (weight <= p.weights[smallest]) return;
        uint256 loser = p.ids[smallest];
        _remove(p, smallest);
        _seat(p, link - 1, weight);
        Operator storage o = _operators[loser];
        o.left = uint32(p.epoch);
        if (o.state != State.Active) return;
        o.fromEpoch = uint32(_effective());
        _enqueue(loser);
    }

    function _entryWeight(Plan memory p, Operator storage o) private view returns (uint256) {
        uint256 stake = o.stake / 1 gwei;
        return stake < p.quarter ? stake : p.quarter;
    }

    function _seat(Plan memory p, uint256 id, uint256 weight) private {
        _dequeue(id);
        Operator storage o = _operators[id];
        (o.state, o.left) = (State.Active, 0);
        _push(p, id, weight);
    }

    function _push(Plan memory p, uint256 id, uint256 weight) private pure {
        (p.ids[p.count], p.weights[p.count]) = (id, weight);
        p.count++;
    }

    function _remove(Plan memory p, uint256 index) private pure {
        p.count--;
        for (uint256 i = index; i < p.count; i++) {
            (p.ids[i], p.weights[i]) = (p.ids[i + 1], p.weights[i + 1]);
        }
    }

    /// @dev An operator that is leaving and has not left is in the set.
    function _indexOf(Plan memory p, uint256 id) private pure returns (uint256 i) {
        while (p.ids[i] != id) i++;
    }

    /// @dev The most that one operator may weigh: its share of the sum, but never less than an equal part.
    function _largest(Plan memory p) private view returns (uint256) {
        uint256 sum;
        for (uint256 i; i < p.count; i++) {
            sum += p.weights[i];
        }
        uint256 share = sum * maxShareBps / 10_000;
        uint256 equal = sum / p.count;
        return share > equal ? share : equal;
    }

    function _write(Plan memory p, uint256 largest) private {
        SetBlobs.Draft memory d = SetBlobs.open(p.epoch, p.count);
        uint256 total;
        for (uint256 i; i < p.count; i++) {
            Operator storage o = _operators[p.ids[i]];
            if (o.rotating) _turn(o, p.ids[i], p.epoch);
            uint256 weight = p.weights[i] < largest ? p.weights[i] : largest;
            total += weight;
            SetBlobs.put(d, i, SetBlobs.Member(p.ids[i], o.owner, o.voteKey, o.seqKey, weight));
        }
        _freeze(p.epoch, d, total);
    }

    /// @dev Puts new keys in their place once their epoch has come.
    function _turn(Operator storage o, uint256 id, uint64 epoch) private {
        Rotation memory r = _rotations[id];
        if (r.fromEpoch > epoch) return;
        (o.voteKey, o.seqKey, o.rotating) = (r.voteKey, r.seqKey, false);
    }
}
