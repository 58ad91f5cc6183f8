// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice An L1 block up to which the chain is derived: what a step ends with.
struct Checkpoint {
    uint64 l1Block;
    /// when it was recorded, seconds
    uint64 time;
    bytes32 l1Hash;
}

/// @notice What derivation from L1 gives for a step. Everybody who derives gets the same.
struct Output {
    /// number of the checkpoint, from 1
    uint64 step;
    /// hash of the output of the step before
    bytes32 parent;
    /// newest execution block that is complete in the chain derived from L1 up to the checkpoint's block, that block included
    uint64 l2Block;
    bytes32 l2Hash;
    /// last height in that block, and its value id
    uint64 height;
    bytes32 valueId;
}

/// @notice What is final; two words.
struct Tip {
    uint64 step;
    uint64 l2Block;
    uint64 height;
    /// when it became final, seconds
    uint64 time;
    bytes32 valueId;
}

/// @notice The step that is next to become final.
struct Standing {
    /// it is open: 0 if there is no checkpoint after the newest final step
    uint64 step;
    /// outputs claimed for it
    uint64 candidates;
    /// the council may choose among them
    bool disputed;
    /// from this time on the council may act without a dispute, seconds
    uint64 stuckAt;
}

/// @notice Why the oracle refuses, and what it tells.
interface IOracleEvents {
    error Oracle_BadRules();
    /// The parameters do not give the genesis hash of the registry.
    error Oracle_BadGenesis();
    /// A checkpoint can be recorded from this L1 block on.
    error Oracle_TooEarly(uint256 l1Block);
    /// The inbox accepted nothing since the last checkpoint.
    error Oracle_NothingNew();
    error Oracle_UnknownStep(uint64 step);
    /// Claims are taken for this step only.
    error Oracle_WrongStep(uint64 open);
    /// The checkpoint counts from this L1 block on.
    error Oracle_NotFinal(uint256 l1Block);
    error Oracle_WrongParent(bytes32 parent);
    /// The claim falls behind what is proven, or changes it.
    error Oracle_Backwards();
    error Oracle_NotASlot(address slot);
    /// The slot does not stand for this output.
    error Oracle_NotShown();
    /// The slot's claim is here already.
    error Oracle_Known();
    /// The sender is not the council, or it has fewer than 8 members, a threshold below 75 %, or a module.
    error Oracle_NotCouncil();
    error Oracle_NotTimelock();
    /// The step is neither in dispute nor stuck before this time.
    error Oracle_NotStuck(uint256 until);
    /// The council may only choose what a slot claims.
    error Oracle_NotClaimed();
    error Oracle_BadSlot(address slot);
    error Oracle_NotProven(uint64 l2Block);
    error Oracle_WrongHeader(uint256 index);
    /// The next pause may begin at this time.
    error Oracle_PausedLately(uint256 from);

    event Checkpointed(uint64 indexed step, uint64 l1Block, bytes32 l1Hash);
    event Claimed(uint64 indexed step, bytes32 indexed output, address indexed slot, Output value);
    event Disputed(uint64 indexed step, bytes32 output, address slot);
    event Finalized(uint64 indexed step, bytes32 indexed output, bool byCouncil, Output value);
    event Proven(uint64 indexed l2Block, bytes32 blockHash);
    event SlotSet(uint256 indexed index, address slot, address before);
    event Paused(uint256 until);
}
