// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Digests} from "./Digests.sol";
import {Epochs} from "./Epochs.sol";
import {Operator, Registration, Rotation, State, Terms} from "./RegistryTypes.sol";

/// @title Stakes and keys of the operators
/// @notice Joining takes a stake and a proof of possession of both hot keys; nobody's permission. What is asked for in epoch e shows
/// in the sets from e + 2 on. A stake can be taken until evidence against the last set it was in is too late.
/// @dev A key is used once, for ever: a retired key stays accountable for what it signed. Those who wait for a seat form a linked
/// list, so that leaving it costs the same wherever one stands and nobody can make it long to walk.
abstract contract Operators is Epochs {
    uint256 public constant MAX_PEER_LENGTH = 256;
    /// @dev `Operator.left` of those who never were in a set.
    uint32 internal constant NEVER = type(uint32).max;

    struct Queue {
        uint32 head;
        uint32 tail;
        uint32 count;
        /// the candidate that claims a seat of a full set, as id + 1; 0 for none
        uint32 challenger;
    }

    Queue internal _queue;
    mapping(uint256 => Operator) internal _operators;
    mapping(uint256 => Rotation) internal _rotations;
    /// @dev Those who asked to leave the sets, in this order, and how many of them are dealt with.
    uint32[] internal _exits;
    uint256 internal _exitsDone;
    /// @notice keccak256 of every key ever registered (32 bytes for ed25519, 20 for secp256k1).
    mapping(bytes32 => bool) public usedKey;

    constructor(Terms memory t) Epochs(t) {}

    /// @notice Joins with `msg.value` as stake; the sender is the operator's cold account.
    /// @return operator its id: the place in registration order
    function register(Registration calldata r) external payable returns (uint256 operator) {
        if (msg.value < minStake || msg.value < 1 gwei) revert Registry_StakeTooLow();
        _checkStake(msg.value);
        _takeKeys(r);
        operator = _queue.count++;
        Operator storage o = _operators[operator];
        (o.owner, o.stake) = (msg.sender, uint96(msg.value));
        (o.voteKey, o.fromEpoch, o.left) = (r.voteKey, uint32(_effective()), NEVER);
        (o.feeRecipient, o.seqKey, o.peer) = (r.feeRecipient, r.seqKey, r.peer);
        _enqueue(operator);
        emit Registered(operator, msg.sender, r.voteKey, r.seqKey, msg.value, r.peer);
    }

    /// @notice Adds to the stake of an operator that is or may come into a set; it counts at the next freeze.
    function topUp(uint256 operator) external payable {
        Operator storage o = _owned(operator);
        if (o.state != State.Queued && o.state != State.Active) revert Registry_WrongState(o.state);
        uint256 stake = uint256(o.stake) + msg.value;
        _checkStake(stake);
        o.stake = uint96(stake);
        emit ToppedUp(operator, msg.value, stake);
    }

    /// @notice Replaces both hot keys, and the fee recipient and address at once. The old keys stay those of the sets frozen with them.
    function rotate(uint256 operator, Registration calldata r) external {
        Operator storage o = _owned(operator);
        bool mayServe = o.state == State.Queued || o.state == State.Active || (o.state == State.Exiting && o.left == 0);
        if (!mayServe) revert Registry_WrongState(o.state);
        _takeKeys(r);
        uint64 epoch = _effective();
        _rotations[operator] = Rotation(r.voteKey, epoch, r.seqKey);
        (o.rotating, o.feeRecipient, o.peer) = (true, r.feeRecipient, r.peer);
        emit Rotated(operator, r.voteKey, r.seqKey, epoch);
        emit Updated(operator, r.feeRecipient, r.peer);
    }

    /// @notice Changes where fees go and where peers dial; at once.
    function update(uint256 operator, address feeRecipient, bytes calldata peer) external {
        Operator storage o = _owned(operator);
        _checkPlain(feeRecipient, peer);
        (o.feeRecipient, o.peer) = (feeRecipient, peer);
        emit Updated(operator, feeRecipient, peer);
    }

    /// @notice Asks to leave. Who waits for a seat stops waiting; a member leaves in its turn, from set e + 2 on at the earliest.
    function requestExit(uint256 operator) external {
        Operator storage o = _owned(operator);
        uint64 until;
        if (o.state == State.Queued) {
            _dequeue(operator);
        } else if (o.state == State.Active) {
            until = _effective();
            o.untilEpoch = uint32(until);
            _exits.push(uint32(operator));
        } else {
            revert Registry_WrongState(o.state);
        }
        o.state = State.Exiting;
        emit ExitRequested(operator, until);
    }

    /// @notice Waits for a seat again with the same stake and keys, after having left.
    function rejoin(uint256 operator) external {
        Operator storage o = _owned(operator);
        if (o.state != State.Exiting || o.left == 0) revert Registry_WrongState(o.state);
        o.fromEpoch = uint32(_effective());
        _enqueue(operator);
        emit Rejoined(operator, o.fromEpoch);
    }

    /// @notice Pays the stake out, once it can no longer be taken.
    function withdraw(uint256 operator, address to) external {
        Operator storage o = _owned(operator);
        if (o.state != State.Exiting) revert Registry_WrongState(o.state);
        uint256 unlock = unlocksAt(operator);
        if (block.number < unlock) revert Registry_Locked(unlock);
        uint256 amount = o.stake;
        (o.stake, o.state) = (0, State.Gone);
        emit Withdrawn(operator, to, amount);
        _send(to, amount);
    }

    /// @notice The slasher takes the whole stake; the operator is out of every later set. Nothing is left to take a second time.
    function seize(uint256 operator) external returns (uint256 amount) {
        if (msg.sender != slasher) revert Registry_NotSlasher();
        Operator storage o = _known(operator);
        if (o.state == State.Gone) return 0;
        amount = o.stake;
        if (o.state == State.Queued) _dequeue(operator);
        (o.stake, o.state) = (0, State.Jailed);
        emit Seized(operator, amount);
        _send(slasher, amount);
    }

    /// @notice Claims, for a candidate, the smallest seat of a full set. Anyone may call; it counts if the stake is above the present
    /// claim's, and the candidate may enter the next set.
    function nominate(uint256 operator) external {
        Operator storage o = _known(operator);
        if (o.state != State.Queued || o.fromEpoch > currentEpoch() + 1) revert Registry_WrongState(o.state);
        uint32 present = _queue.challenger;
        if (present == 0 || _operators[present - 1].stake < o.stake) _queue.challenger = uint32(operator) + 1;
    }

    /// @notice Where an operator is on its way through the sets.
    function stateOf(uint256 operator) external view returns (State) {
        Operator storage o = _operators[operator];
        if (o.owner == address(0)) return State.None;
        bool out = o.state == State.Exiting && block.number >= unlocksAt(operator);
        return out ? State.Withdrawable : o.state;
    }

    /// @notice First L1 block in which the stake can no longer be taken, if the operator stays out of the sets: 0 if none ever had it,
    /// the greatest number while it is in the newest one.
    function unlocksAt(uint256 operator) public view returns (uint256) {
        uint32 left = _known(operator).left;
        if (left == NEVER) return 0;
        return left == 0 ? type(uint256).max : epochStart(left + unbondEpochs);
    }

    function operatorCount() external view returns (uint256) {
        return _queue.count;
    }

    function operatorOf(uint256 operator) external view returns (Operator memory) {
        return _known(operator);
    }

    /// @notice The keys that wait for their epoch; zero if none do.
    function rotationOf(uint256 operator) external view returns (Rotation memory r) {
        if (_operators[operator].rotating) r = _rotations[operator];
    }

    /// @notice A page of the operators in registration order, cut at the end of the list.
    function operators(uint256 from, uint256 count) external view returns (Operator[] memory page) {
        uint256 length = _queue.count;
        if (from >= length) return page;
        if (count > length - from) count = length - from;
        page = new Operator[](count);
        for (uint256 i; i < count; i++) {
            page[i] = _operators[from + i];
        }
    }

    /// @notice What both hot keys sign to prove that `owner` holds them.
    function possessionDigest(address owner, address voteKey, bytes32 seqKey, address feeRecipient, bytes calldata peer)
        public
        view
        returns (bytes32)
    {
        bytes32 encoding = keccak256(abi.encodePacked(owner, voteKey, seqKey, feeRecipient, keccak256(peer)));
        return Digests.digest(Digests.TAG_POSSESSION, context(0), encoding);
    }

    function _known(uint256 operator) internal view returns (Operator storage o) {
        o = _operators[operator];
        if (o.owner == address(0)) revert Registry_UnknownOperator();
    }

    /// @dev First epoch whose set shows what is asked for now. Before the first freeze that is the first set.
    function _effective() internal view returns (uint64) {
        return base == 0 ? 0 : currentEpoch() + 2;
    }

    /// @dev Puts an operator at the end of the queue. The epochs from which those in it may enter never fall along it.
    function _enqueue(uint256 operator) internal {
        uint32 link = uint32(operator) + 1;
        Operator storage o = _operators[operator];
        uint32 tail = _queue.tail;
        (o.prev, o.next, o.state) = (tail, 0, State.Queued);
        if (tail == 0) _queue.head = link;
        else _operators[tail - 1].next = link;
        _queue.tail = link;
    }

    function _dequeue(uint256 operator) internal {
        Operator storage o = _operators[operator];
        (uint32 prev, uint32 next) = (o.prev, o.next);
        if (prev == 0) _queue.head = next;
        else _operators[prev - 1].next = next;
        if (next == 0) _queue.tail = prev;
        else _operators[next - 1].prev = prev;
        (o.prev, o.next) = (0, 0);
        if (_queue.challenger == operator + 1) _queue.challenger = 0;
    }

    function _owned(uint256 operator) private view returns (Operator storage o) {
        o = _known(operator);
        if (o.owner != msg.sender) revert Registry_NotOwner();
    }

    function _send(address to, uint256 amount) private {
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert Registry_TransferFailed();
    }

    function _checkStake(uint256 stake) private pure {
        // Far above all ether there is; keeps the sums of a freeze within their words.
        if (stake > type(uint88).max) revert Registry_StakeTooHigh();
    }

    function _checkPlain(address feeRecipient, bytes calldata peer) private pure {
        if (feeRecipient == address(0)) revert Registry_ZeroFeeRecipient();
        if (peer.length > MAX_PEER_LENGTH) revert Registry_PeerTooLong();
    }

    /// @dev Two keys that were never used, with proofs that the sender's operator holds them.
    function _takeKeys(Registration calldata r) private {
        if (r.voteKey == address(0)) revert Registry_ZeroVoteKey();
        _checkPlain(r.feeRecipient, r.peer);
        _useKey(keccak256(abi.encodePacked(r.seqKey)), Registry_SeqKeyUsed.selector);
        _useKey(keccak256(abi.encodePacked(r.voteKey)), Registry_VoteKeyUsed.selector);
        _checkPossession(r);
    }

    function _useKey(bytes32 id, bytes4 refusal) private {
        if (usedKey[id]) {
            assembly ("memory-safe") {
                mstore(0, refusal)
                revert(0, 4)
            }
        }
        usedKey[id] = true;
    }

    function _checkPossession(Registration calldata r) private view {
        bytes32 digest = possessionDigest(msg.sender, r.voteKey, r.seqKey, r.feeRecipient, r.peer);
        bytes32 typed = Digests.typed(Digests.separator(context(0), address(this)), Digests.possession(digest));
        (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecoverCalldata(typed, r.voteSig);
        if (err == ECDSA.RecoverError.InvalidSignatureS) revert Registry_HighS();
        if (err != ECDSA.RecoverError.NoError || signer != r.voteKey) revert Registry_BadVoteProof();
        if (!edVerifier.verify(r.seqKey, r.seqR, r.seqS, digest)) revert Registry_BadSeqProof();
    }
}
