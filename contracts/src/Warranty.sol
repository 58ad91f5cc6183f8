// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {WarrantyChecker} from "./WarrantyChecker.sol";
import {Offer} from "./WarrantyTypes.sol";

/// @title Warranty
/// @notice An operator may answer for frames that it signed and that were lost with it, which is no offence: it posts a bond here and
/// says what of a transaction's offered priority fee it gives back. Only its own bond ever pays, only to who signed the transaction.
/// @dev No owner, no upgrade. What an operator asks for in epoch e holds for frames of epochs from e + 2 on, as everything in the
/// registry; a frame names its epoch under the leader's signature, so no change touches a promise that was made. Money is in exactly
/// one place: posted == bonds + credit + paid + withdrawn.
contract Warranty is WarrantyChecker {
    using Checkpoints for Checkpoints.Trace208;

    /// @dev What of a term was shown and refunded.
    struct Term {
        bytes32 first;
        uint256 refunded;
    }

    /// @notice Gas of a transaction that counts at most: the offer is the sender's own word.
    uint256 public constant GAS_CAP = 100_000;
    /// @notice The largest refund: a hundred times the offer.
    uint32 public constant MAX_BPS = 1_000_000;
    /// @notice Terms with refunds among the frames of a day; with one more the operator stops offering.
    uint256 public constant TERMS_A_DAY = 4;
    /// @notice Epochs that are taken for a day.
    uint64 public constant EPOCHS_A_DAY = 4;
    uint256 private constant BPS = 10_000;

    /// @notice Epochs after the last use of its set in which a frame can be claimed for: half of the time for evidence.
    uint64 public immutable claimEpochs;

    /// @notice What is left of an operator's bond, wei.
    mapping(uint256 => uint256) public bondOf;
    /// @notice First epoch in which an operator may offer again after too many losses; 0 if it never had them.
    mapping(uint256 => uint64) public lapsedUntil;
    /// @notice Refunds that their owners did not take, wei.
    mapping(address => uint256) public credit;
    /// @notice Wei put in, paid out to senders, and taken back by owners, in all.
    uint256 public posted;
    uint256 public paid;
    uint256 public withdrawn;
    /// @dev Offers by the first epoch that they hold for.
    mapping(uint256 => Checkpoints.Trace208) private _offers;
    mapping(bytes32 => Term) private _terms;
    /// @dev Bits of the transactions refunded, by term, position and 256 places.
    mapping(bytes32 => uint256) private _refunded;
    mapping(uint256 => mapping(uint256 => uint256)) private _lossesOf;

    /// @param verifier_ checks certificates against the registry's sets
    constructor(address registry_, address verifier_) WarrantyChecker(registry_, verifier_) {
        claimEpochs = (registry.evidenceEpochs() + 1) / 2;
    }

    /// @notice Adds to an operator's bond; anyone may. Only its owner gets it back.
    function post(uint256 operator) external payable {
        registry.operatorOf(operator);
        if (msg.value == 0) revert Warranty_NothingPosted();
        posted += msg.value;
        bondOf[operator] += msg.value;
        emit Posted(operator, msg.sender, msg.value, bondOf[operator]);
    }

    /// @notice Says what the operator gives back for frames of the epoch after the next one and later; all zero to stop.
    function set(uint256 operator, Offer calldata o) external {
        _own(operator);
        bool none = o.bps == 0 && o.claimCap == 0 && o.termCap == 0;
        bool sound = o.bps != 0 && o.bps <= MAX_BPS && o.claimCap != 0 && o.claimCap <= o.termCap;
        if (!none && !sound) revert Warranty_BadOffer();
        uint64 until = lapsedUntil[operator];
        if (!none && registry.currentEpoch() < until) revert Warranty_Lapsed(until);
        _push(operator, o);
    }

    /// @notice Pays the whole bond out, once no frame can be claimed for any more.
    function withdraw(uint256 operator, address to) external {
        _own(operator);
        uint64 from = freeFrom(operator);
        if (registry.currentEpoch() < from) revert Warranty_Locked(from);
        uint256 amount = bondOf[operator];
        if (amount == 0) revert Warranty_NothingToPay();
        bondOf[operator] = 0;
        withdrawn += amount;
        emit Withdrawn(operator, to, amount);
        if (!_send(to, amount)) revert Warranty_TransferFailed();
    }

    /// @notice Refunds transactions of one lost frame to who signed them, from the bond of the frame's leader; anyone may call.
    /// Those that had their refund are passed over.
    /// @param lost see WarrantyChecker._lost
    /// @param txs see WarrantyChecker._offered
    /// @return sum refunded, wei
    function claim(uint32 generation, bytes calldata lost, bytes[] calldata txs) external returns (uint256 sum) {
        Lost memory l = _lost(generation, lost);
        Offer memory o = _promised(l);
        bytes32 key = keccak256(abi.encode(generation, l.operator, l.epoch, l.term));
        Term memory t = _terms[key];
        if (t.first != 0 && t.first != l.first) revert Warranty_TwoHistories(t.first);
        uint256 left = o.termCap - t.refunded;
        if (bondOf[l.operator] < left) left = bondOf[l.operator];
        address[] memory senders = new address[](txs.length);
        uint256[] memory amounts = new uint256[](txs.length);
        for (uint256 i; i < txs.length; i++) {
            (senders[i], amounts[i]) = _refund(l, o, keccak256(abi.encode(key, l.g)), left - sum, txs[i]);
            sum += amounts[i];
        }
        if (sum == 0) revert Warranty_NothingDue();
        _terms[key] = Term(l.first, t.refunded + sum);
        bondOf[l.operator] -= sum;
        if (t.first == 0) _count(l);
        paid += sum;
        for (uint256 i; i < txs.length; i++) {
            if (amounts[i] != 0) _pay(senders[i], amounts[i]);
        }
    }

    /// @notice Pays a sender the refunds that it did not take; anyone may call.
    function pay(address sender) external {
        uint256 amount = credit[sender];
        if (amount == 0) revert Warranty_NothingToPay();
        credit[sender] = 0;
        paid += amount;
        if (!_pay(sender, amount)) revert Warranty_TransferFailed();
    }

    /// @notice What an operator gives back for frames of an epoch.
    function offerAt(uint256 operator, uint64 epoch) public view returns (Offer memory) {
        return _unpack(_offers[operator].upperLookupRecent(uint48(epoch)));
    }

    /// @notice What an operator said last, and the first epoch that it holds for.
    function lastOffer(uint256 operator) external view returns (Offer memory o, uint64 fromEpoch) {
        (, uint48 key, uint208 value) = _offers[operator].latestCheckpoint();
        return (_unpack(value), key);
    }

    /// @notice First epoch in which the bond can be withdrawn; the greatest number while the operator offers, or frames of the last
    /// epoch that it offered for may still come.
    function freeFrom(uint256 operator) public view returns (uint64) {
        (, uint48 key, uint208 value) = _offers[operator].latestCheckpoint();
        if (value != 0) return type(uint64).max;
        if (key == 0) return 0;
        if (registry.currentEpoch() < key) return type(uint64).max;
        uint64 last = registry.lastUse(registry.epochAt(registry.epochStart(uint64(key)) - 1));
        return last >= registry.currentEpoch() ? type(uint64).max : last + claimEpochs + 1;
    }

    /// @notice What was refunded of a term, wei; the hash of its first lost frame, zero if none was shown.
    /// @param term height u64 || round u32
    function refundedOf(uint32 generation, uint256 operator, uint64 epoch, uint96 term)
        external
        view
        returns (uint256 amount, bytes32 first)
    {
        Term memory t = _terms[keccak256(abi.encode(generation, operator, epoch, term))];
        return (t.refunded, t.first);
    }

    function _own(uint256 operator) private view {
        if (msg.sender != registry.operatorOf(operator).owner) revert Warranty_NotOwner();
    }

    /// @dev What the frame's leader promised for its epoch, if it can still be claimed.
    function _promised(Lost memory l) private view returns (Offer memory o) {
        uint64 last = registry.lastUse(l.epoch);
        if (registry.currentEpoch() > uint256(last) + claimEpochs) revert Warranty_Expired(last);
        o = offerAt(l.operator, l.epoch);
        if (o.bps == 0) revert Warranty_None();
    }

    /// @param place of the frame among all terms
    /// @param left of term and bond
    function _refund(Lost memory l, Offer memory o, bytes32 place, uint256 left, bytes calldata t)
        private
        returns (address sender, uint256 amount)
    {
        Bid memory x = _offered(l, t);
        bytes32 slot = keccak256(abi.encode(place, x.index >> 8));
        uint256 bit = 1 << (x.index & 0xff);
        if (_refunded[slot] & bit != 0) return (x.sender, 0);
        uint256 tip = _min(x.tip, type(uint96).max);
        amount = _min(_min(tip * _min(x.gasLimit, GAS_CAP) * o.bps / BPS, o.claimCap), left);
        if (amount == 0) return (x.sender, 0);
        _refunded[slot] |= bit;
        emit Refunded(l.operator, x.sender, l.frameHash, x.index, amount);
        return (x.sender, amount);
    }

    /// @dev Counts a term with refunds. Whoever loses too many in a day stops offering, with the notice of every other change: promises
    /// that were made stay good.
    function _count(Lost memory l) private {
        uint256 losses = ++_lossesOf[l.operator][l.epoch / EPOCHS_A_DAY];
        if (losses <= TERMS_A_DAY || _offers[l.operator].latest() == 0) return;
        uint64 until = registry.currentEpoch() + claimEpochs;
        lapsedUntil[l.operator] = until;
        uint64 from = _push(l.operator, Offer(0, 0, 0));
        emit Lapsed(l.operator, from, until);
    }

    function _push(uint256 operator, Offer memory o) private returns (uint64 from) {
        from = registry.base() == 0 ? 0 : registry.currentEpoch() + 2;
        uint208 value = (uint208(o.bps) << 176) | (uint208(o.claimCap) << 88) | o.termCap;
        _offers[operator].push(uint48(from), value);
        emit Offered(operator, o.bps, o.claimCap, o.termCap, from);
    }

    function _unpack(uint208 v) private pure returns (Offer memory) {
        return Offer(uint32(v >> 176), uint88(v >> 88), uint88(v));
    }

    /// @dev The books say already that it is paid. Who does not take it has the credit.
    function _pay(address sender, uint256 amount) private returns (bool done) {
        done = _send(sender, amount);
        if (done) {
            emit Paid(sender, amount);
        } else {
            paid -= amount;
            credit[sender] += amount;
        }
    }

    function _send(address to, uint256 amount) private returns (bool done) {
        (done,) = to.call{value: amount}("");
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
