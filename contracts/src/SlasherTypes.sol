// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a dry run says.
struct Verdict {
    uint8 kind;
    uint8 class;
    uint256 operator;
    bytes32 key;
    /// it was slashed for already
    bool processed;
}

/// @notice One offence of one operator.
struct Offence {
    bytes32 key;
    uint256 operator;
    uint8 kind;
    uint8 class;
    uint64 epoch;
    uint64 height;
    uint32 round;
    /// the operator's whole stake as it was taken, wei; the same for all its offences
    uint256 seized;
    uint64 revealedAt;
    /// L1 block of the reporter's commitment; of the reveal if there was none
    uint64 commitBlock;
    /// zero if nobody is rewarded
    address reporter;
    /// an acked frame was reverted because of it
    bool reverted;
    bool settled;
}

/// @notice Why the slasher refuses, and what it tells.
interface ISlasher {
    error Slasher_BadTerms();
    /// Every offence that the evidence shows was slashed for before.
    error Slasher_Processed();
    /// No commitment by the sender to this evidence and salt that is old enough.
    error Slasher_NoCommitment();
    error Slasher_CommitmentExpired(uint256 madeAt);
    error Slasher_UnknownOffence();
    /// The evidence shows another offence.
    error Slasher_OtherOffence();
    /// The time for it is over.
    error Slasher_TooLate();
    /// The time for it begins at this L1 block.
    error Slasher_TooEarly(uint256 l1Block);
    error Slasher_Settled();
    /// The operator has offences that are not settled yet.
    error Slasher_Unsettled(uint256 count);
    error Slasher_NothingToRelease();
    error Slasher_NothingToPay();
    error Slasher_TransferFailed();
    /// The claim names an acked frame that was not shown to be reverted.
    error Slasher_NotReverted();
    error Slasher_ClaimedBefore();
    error Slasher_UnknownClaim();
    /// A wrong result of execution costs no more, whatever came of it.
    error Slasher_Bounded();

    event Committed(bytes32 indexed commitment, uint256 l1Block);
    event Slashed(uint256 indexed offence, uint256 indexed operator, uint8 kind, uint256 seized, address reporter, bytes32 evidenceHash);
    event Contested(uint256 indexed offence, address reporter, address before);
    event Reverted(uint256 indexed offence, bytes32 frameHash, uint64 fromG, uint64 toG);
    event Claimed(uint256 indexed offence, bytes32 indexed claim, address beneficiary, uint256 amount);
    event Settled(uint256 indexed offence, uint256 penalty, uint256 claims, uint256 reward, uint256 burned, uint256 toPool);
    event Collected(bytes32 indexed claim, address beneficiary, uint256 amount);
    event Released(uint256 indexed operator, address owner, uint256 amount);
    event Funded(address from, uint256 amount);
    event Paid(address from, address to, uint256 amount);
}
