// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a deployment fixes for ever.
struct Terms {
    uint64 l2ChainId;
    bytes32 genesisHash;
    /// least stake to register, wei
    uint96 minStake;
    /// least size of set 0, 1 to MAX_SET
    uint16 minOperators;
    /// largest share of one operator in a set, hundredths of a percent
    uint16 maxShareBps;
    /// L1 blocks of an epoch
    uint32 epochBlocks;
    /// epochs between leaving the sets and the stake's release; more than evidenceEpochs
    uint32 unbondEpochs;
    /// epochs for which evidence is taken after the last use of a set
    uint32 evidenceEpochs;
    address edVerifier;
    /// may take an operator's whole stake
    address slasher;
    /// may freeze an emergency set
    address inbox;
}

/// @notice What an operator sends to join, and to change its keys.
struct Registration {
    /// ed25519 key for frames and acknowledgements
    bytes32 seqKey;
    /// secp256k1 address for votes
    address voteKey;
    /// L2 account that receives fees
    address feeRecipient;
    /// libp2p multiaddress, UTF-8, at most 256 bytes
    bytes peer;
    /// seqKey's signature of the possession digest
    bytes32 seqR;
    bytes32 seqS;
    /// voteKey's EIP-712 signature of `Possession(bytes32 digest)`: r || s || v
    bytes voteSig;
}

/// @notice Where an operator is on its way through the sets.
enum State {
    /// no such operator
    None,
    /// waits for a seat
    Queued,
    /// in the newest frozen set
    Active,
    /// asked to leave, or left and waits for its stake
    Exiting,
    /// out, and past the time in which its stake can be taken
    Withdrawable,
    /// paid out
    Gone,
    /// slashed: out for ever
    Jailed
}

/// @notice One operator. Its id is its place in registration order.
struct Operator {
    /// cold account: the one that registered
    address owner;
    /// wei
    uint96 stake;
    address voteKey;
    /// first epoch whose set it may enter
    uint32 fromEpoch;
    /// first epoch whose set it may leave, once it asked to
    uint32 untilEpoch;
    /// first set without it: 0 while it is in one, NEVER if none ever had it
    uint32 left;
    address feeRecipient;
    /// neighbours in the queue, as id + 1; 0 for none
    uint32 next;
    uint32 prev;
    /// as stored: never Withdrawable, which time alone brings about
    State state;
    /// new keys wait for their epoch
    bool rotating;
    bytes32 seqKey;
    bytes peer;
}

/// @notice Keys that take the place of an operator's in the sets from `fromEpoch` on.
struct Rotation {
    address voteKey;
    uint64 fromEpoch;
    bytes32 seqKey;
}

/// @dev A frozen set: two SSTORE2 blobs (see SetBlobs) and its place in time.
struct EpochSet {
    address records;
    /// sum of the weights, gwei
    uint96 total;
    address keys;
    /// the next frozen epoch; 0 for none
    uint32 next;
    /// L1 block of the freeze
    uint64 frozenAt;
}

/// @notice Why the registry refuses, and what it tells.
interface IRegistryEvents {
    error Registry_BadMinimum();
    error Registry_BadTerms();
    error Registry_StakeTooLow();
    error Registry_StakeTooHigh();
    error Registry_ZeroVoteKey();
    error Registry_ZeroFeeRecipient();
    error Registry_PeerTooLong();
    error Registry_SeqKeyUsed();
    error Registry_VoteKeyUsed();
    error Registry_BadSeqProof();
    error Registry_BadVoteProof();
    error Registry_HighS();
    error Registry_EpochNotOpen();
    error Registry_AlreadyFrozen();
    error Registry_TooFewOperators();
    error Registry_UnknownEpoch();
    error Registry_UnknownMember();
    error Registry_UnknownOperator();
    error Registry_NotOwner();
    error Registry_NotSlasher();
    error Registry_NotInbox();
    /// The operator's state does not allow it.
    error Registry_WrongState(State state);
    /// The stake can still be taken until this L1 block.
    error Registry_Locked(uint256 l1Block);
    error Registry_TransferFailed();

    event Registered(uint256 indexed operator, address indexed owner, address indexed voteKey, bytes32 seqKey, uint256 stake, bytes peer);
    event ToppedUp(uint256 indexed operator, uint256 amount, uint256 stake);
    event Rotated(uint256 indexed operator, address indexed voteKey, bytes32 seqKey, uint64 fromEpoch);
    event Updated(uint256 indexed operator, address feeRecipient, bytes peer);
    event ExitRequested(uint256 indexed operator, uint64 untilEpoch);
    event Rejoined(uint256 indexed operator, uint64 fromEpoch);
    event Withdrawn(uint256 indexed operator, address to, uint256 amount);
    event Seized(uint256 indexed operator, uint256 amount);
    event SetFrozen(uint64 indexed epoch, address pointer, uint256 total, uint256 count, bytes32 setHash);
}
