// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Council} from "./Council.sol";
import {Digests} from "./Digests.sol";
import {IProofSlot} from "./IProofSlot.sol";
import {Inbox} from "./Inbox.sol";
import {Checkpoint, Output, Standing, Tip} from "./OracleTypes.sol";
import {Registry} from "./Registry.sol";
import {WithdrawalPause} from "./WithdrawalPause.sol";

/// @notice What an oracle waits for, fixed for ever.
struct OracleRules {
    /// L1 blocks from one checkpoint to the next, at least
    uint64 intervalBlocks;
    /// L1 blocks after which the checkpoint's block is taken for final
    uint64 finalBlocks;
}

/// @title Which blocks of the rollup are proven
/// @notice L1 blocks are recorded as checkpoints, by anyone. For each in turn slots say what derivation from L1 up to that block gives. If
/// two of them say the same and none says anything else, it is final. If they disagree, or one stands for two outputs, the council
/// chooses among what was claimed; if nothing happens for a week it acts alone. Otherwise it can do nothing.
/// @dev No owner, no proxy. The list of slots changes by the timelock only, after thirty days at least.
contract Oracle is WithdrawalPause {
    uint256 public constant NEED = 2;
    uint256 public constant MAX_SLOTS = 8;
    uint256 public constant STUCK = 7 days;

    Inbox public immutable inbox;
    address public immutable timelock;
    /// @notice What statements are about: this oracle, of this rollup, on this L1.
    bytes32 public immutable domain;
    uint64 public immutable intervalBlocks;
    uint64 public immutable finalBlocks;

    address[] private _slots;
    Checkpoint[] private _checkpoints;
    Tip private _tip;
    /// @dev What the inbox was at the newest checkpoint.
    bytes32 private _seen;
    mapping(address => bool) public isSlot;
    /// @notice Hash of the final output of a step; zero for none.
    mapping(uint64 => bytes32) public outputOf;
    /// @notice Hash of a proven block; zero for none.
    mapping(uint64 => bytes32) public provenHash;
    /// @notice Hash of a block on which slots agreed, without a choice of the council; zero for none. Stake is taken for this only.
    mapping(uint64 => bytes32) public agreedHash;
    /// @notice First output that a slot stood for in a step; zero for none.
    mapping(uint64 => mapping(address => bytes32)) public claimOf;
    /// @notice What the council may choose in a step that is in dispute.
    mapping(uint64 => mapping(bytes32 => bool)) public isCandidate;
    mapping(uint64 => Standing) private _standing;

    /// @param slots_ the first slots, which may come after it
    /// @param genesisBlock hash of the rollup's block 0
    /// @param parameters the rest of what the registry's genesis hash is made of
    constructor(
        address inbox_,
        address council_,
        address timelock_,
        address[] memory slots_,
        OracleRules memory r,
        bytes32 genesisBlock,
        bytes memory parameters
    ) WithdrawalPause(council_) {
        inbox = Inbox(inbox_);
        timelock = timelock_;
        (intervalBlocks, finalBlocks) = (r.intervalBlocks, r.finalBlocks);
        if (r.intervalBlocks == 0 || slots_.length < NEED || slots_.length > MAX_SLOTS) revert Oracle_BadRules();
        for (uint256 i; i < slots_.length; i++) {
            _slots.push();
            _setSlot(i, slots_[i]);
        }
        Registry registry = inbox.registry();
        bytes32 genesis = registry.genesisHash();
        if (keccak256(abi.encodePacked("rota/genesis/v1", genesisBlock, parameters)) != genesis) revert Oracle_BadGenesis();
        bytes32 ctx = Digests.context(registry.l2ChainId(), address(registry), genesis, 0);
        domain = keccak256(abi.encode("rota/output/v1", ctx, address(this)));
        _checkpoints.push(Checkpoint(uint64(block.number), uint64(block.timestamp), blockhash(block.number - 1)));
        Output memory first;
        first.l2Hash = genesisBlock;
        outputOf[0] = hashOf(first);
        provenHash[0] = genesisBlock;
        _tip.time = uint64(block.timestamp);
    }

    /// @notice Records the L1 block before this one, up to which the next step derives; anyone may call.
    function checkpoint() external returns (uint64 step) {
        uint256 from = uint256(_checkpoints[_checkpoints.length - 1].l1Block) + intervalBlocks;
        if (block.number - 1 < from) revert Oracle_TooEarly(from + 1);
        bytes32 now_ = keccak256(abi.encode(inbox.tipValueId(), inbox.generation()));
        // In a fallback blocks come from the forced queue, without a batch.
        if (now_ == _seen && !inbox.inFallback()) revert Oracle_NothingNew();
        _seen = now_;
        step = uint64(_checkpoints.length);
        uint64 l1Block = uint64(block.number - 1);
        bytes32 l1Hash = blockhash(l1Block);
        _checkpoints.push(Checkpoint(l1Block, uint64(block.timestamp), l1Hash));
        emit Checkpointed(step, l1Block, l1Hash);
    }

    /// @notice Takes a slot's claim for the open step; anyone may call.
    /// @param proof what the slot wants to see
    function claim(address slot, Output calldata o, bytes calldata proof) external {
        if (!isSlot[slot]) revert Oracle_NotASlot(slot);
        bytes32 output = _checkPlace(o);
        if (!IProofSlot(slot).verify(o, output, proof)) revert Oracle_NotShown();
        if (_note(o, output, slot) || _supporters(o.step, output) < NEED) return;
        if (_anyContested(o)) _dispute(o.step, output, slot);
        else _finalize(o, output, false);
    }

    /// @notice The council's choice: among the claims if there are any. In a dispute, or if nothing became final for a week after it could.
    function resolve(Output calldata o) external onlyCouncil {
        bytes32 output = _checkPlace(o);
        Standing memory s = standing();
        if (!s.disputed && block.timestamp < s.stuckAt) revert Oracle_NotStuck(s.stuckAt);
        if (s.candidates != 0 && !isCandidate[o.step][output]) revert Oracle_NotClaimed();
        _finalize(o, output, true);
    }

    /// @notice Replaces a slot, or adds one after the last. What the old one claimed for the open step supports nothing
    /// any more; it stays a candidate.
    function setSlot(uint256 index, address slot) external {
        if (msg.sender != timelock) revert Oracle_NotTimelock();
        if (!Council.holds(council)) revert Oracle_NotCouncil();
        if (index == _slots.length) _slots.push();
        if (_slots.length > MAX_SLOTS || IProofSlot(slot).oracle() != address(this)) revert Oracle_BadSlot(slot);
        _setSlot(index, slot);
    }

    /// @notice Records the hash of an older block: the parent of the last of `headers`, which lead down from a proven block without a gap.
    /// @param headers encoded headers of the blocks l2Block, l2Block - 1, ...
    function proveAncestor(uint64 l2Block, bytes[] calldata headers) external {
        bytes32 hash = provenHash[l2Block];
        if (hash == 0 || headers.length == 0 || headers.length > l2Block) revert Oracle_NotProven(l2Block);
        bool agreed = agreedHash[l2Block] == hash;
        for (uint256 i; i < headers.length; i++) {
            // The hash is of a block: its header is a list of 256 bytes to 64 KiB that begins with the parent's hash.
            if (keccak256(headers[i]) != hash) revert Oracle_WrongHeader(i);
            hash = bytes32(headers[i][4:36]);
        }
        uint64 ancestor = l2Block - uint64(headers.length);
        bytes32 before = provenHash[ancestor];
        if (before != 0 && before != hash) revert Oracle_Backwards();
        provenHash[ancestor] = hash;
        if (agreed) agreedHash[ancestor] = hash;
        emit Proven(ancestor, hash);
    }

    /// @notice What is final.
    function tip() external view returns (Tip memory) {
        return _tip;
    }

    /// @notice How the next step stands.
    function standing() public view returns (Standing memory s) {
        uint64 step = _tip.step + 1;
        if (step >= _checkpoints.length) return s;
        s = _standing[step];
        (uint256 could, uint256 last) = (_checkpoints[step].time, _tip.time);
        (s.step, s.stuckAt) = (step, uint64((could > last ? could : last) + STUCK));
    }

    function checkpointOf(uint64 step) external view returns (Checkpoint memory) {
        if (step >= _checkpoints.length) revert Oracle_UnknownStep(step);
        return _checkpoints[step];
    }

    /// @notice Number of the newest checkpoint; 0 is the deployment.
    function lastCheckpoint() external view returns (uint64) {
        return uint64(_checkpoints.length - 1);
    }

    function slots() external view returns (address[] memory) {
        return _slots;
    }

    /// @notice The statement that an output is: what slots prove.
    function hashOf(Output memory o) public view returns (bytes32) {
        if (o.step >= _checkpoints.length) revert Oracle_UnknownStep(o.step);
        Checkpoint memory c = _checkpoints[o.step];
        return keccak256(abi.encode(domain, c.l1Block, c.l1Hash, o));
    }

    /// @notice As `hashOf`, for a step that can be claimed: not final yet, and its L1 block is.
    function claimable(Output calldata o) public view returns (bytes32 output) {
        if (o.step <= _tip.step) revert Oracle_WrongStep(_tip.step + 1);
        output = hashOf(o);
        uint256 from = uint256(_checkpoints[o.step].l1Block) + finalBlocks;
        if (block.number < from) revert Oracle_NotFinal(from);
    }

    function _checkPlace(Output calldata o) private view returns (bytes32 output) {
        Tip memory t = _tip;
        if (o.step != t.step + 1) revert Oracle_WrongStep(t.step + 1);
        output = claimable(o);
        bytes32 parent = outputOf[t.step];
        if (o.parent != parent) revert Oracle_WrongParent(parent);
        bool same = o.l2Block == t.l2Block && o.height == t.height && o.valueId == t.valueId && o.l2Hash == provenHash[t.l2Block];
        bool further = o.l2Block > t.l2Block && o.height > t.height && o.l2Hash != 0;
        if (!same && !further) revert Oracle_Backwards();
    }

    /// @return disputed whether the step is in dispute now
    function _note(Output calldata o, bytes32 output, address slot) private returns (bool disputed) {
        Standing storage s = _standing[o.step];
        bytes32 before = claimOf[o.step][slot];
        bool contested = IProofSlot(slot).contested(o.step, o.parent);
        if (before == 0) claimOf[o.step][slot] = output;
        if (!isCandidate[o.step][output]) {
            isCandidate[o.step][output] = true;
            s.candidates += 1;
            emit Claimed(o.step, output, slot, o);
        } else if (before == output && (s.disputed || !contested)) {
            revert Oracle_Known();
        }
        if (s.disputed) return true;
        if (s.candidates == 1 && !contested) return false;
        _dispute(o.step, output, slot);
        return true;
    }

    function _supporters(uint64 step, bytes32 output) private view returns (uint256 count) {
        for (uint256 i; i < _slots.length; i++) {
            if (claimOf[step][_slots[i]] == output) count++;
        }
    }

    /// @dev A slot that was shown two outputs need not have told.
    function _anyContested(Output calldata o) private view returns (bool) {
        for (uint256 i; i < _slots.length; i++) {
            if (IProofSlot(_slots[i]).contested(o.step, o.parent)) return true;
        }
        return false;
    }

    function _dispute(uint64 step, bytes32 output, address slot) private {
        _standing[step].disputed = true;
        emit Disputed(step, output, slot);
    }

    function _finalize(Output calldata o, bytes32 output, bool byCouncil) private {
        bool further = o.l2Block > _tip.l2Block;
        outputOf[o.step] = output;
        _tip = Tip(o.step, o.l2Block, o.height, uint64(block.timestamp), o.valueId);
        emit Finalized(o.step, output, byCouncil, o);
        if (!further) return;
        provenHash[o.l2Block] = o.l2Hash;
        if (!byCouncil) agreedHash[o.l2Block] = o.l2Hash;
        emit Proven(o.l2Block, o.l2Hash);
    }

    function _setSlot(uint256 index, address slot) private {
        if (slot == address(0) || isSlot[slot]) revert Oracle_BadSlot(slot);
        address before = _slots[index];
        isSlot[before] = false;
        isSlot[slot] = true;
        _slots[index] = slot;
        emit SlotSet(index, slot, before);
    }
}
