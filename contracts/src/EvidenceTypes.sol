// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Operator} from "./RegistryTypes.sol";

/// @dev The kinds of evidence, as in its second byte.
uint8 constant FRAME_TWICE = 1;
uint8 constant INIT_TWICE = 2;
uint8 constant PAST_END = 3;
uint8 constant UNCHAINED = 4;
uint8 constant OTHER_CUT = 5;
uint8 constant ACK_TWICE = 6;
uint8 constant STATUS_TWICE = 7;
uint8 constant ACK_AGAINST_VOTE = 8;
uint8 constant STATUS_HIDES_ACK = 9;
uint8 constant VOTE_TWICE = 10;
uint8 constant PROPOSAL_TWICE = 11;
uint8 constant CERT_TWICE = 12;
uint8 constant STATUS_HIDES_VOTE = 13;
uint8 constant FALSE_BLOCK = 14;

/// @dev What an offence costs without proven harm: a leader's contradiction, a validator's, everything, a wrong result of execution.
uint8 constant CLASS_EQ = 1;
uint8 constant CLASS_CORR = 2;
uint8 constant CLASS_FULL = 3;
uint8 constant CLASS_EXEC = 4;

/// @dev "Everyone in the certificate, or in both", in place of an index.
uint16 constant ACCUSED_MANY = 0xffff;

/// @notice What evidence shows.
struct Finding {
    uint8 kind;
    uint8 class;
    /// offences with one group, generation, epoch, operator, height and round are one offence
    uint8 group;
    uint32 generation;
    uint64 epoch;
    /// of the term for frames, else of the first message
    uint64 height;
    uint32 round;
    /// the guilty members of the epoch's set: bit i is index i
    uint256 guilty;
}

/// @notice What the checks need of the registry.
interface ISetRegistry {
    function l2ChainId() external view returns (uint64);
    function genesisHash() external view returns (bytes32);
    function edVerifier() external view returns (address);
    function evidenceEpochs() external view returns (uint64);
    /// Reverts for an epoch without a set of its own and for an index outside of it.
    function member(uint64 epoch, uint256 index)
        external
        view
        returns (uint256 operator, address voteKey, bytes32 seqKey, uint256 weightGwei);
    function epochSet(uint64 epoch) external view returns (address pointer, uint256 total);
    /// Last epoch in which the set of `epoch` was in force; the current one if it still is.
    function lastUse(uint64 epoch) external view returns (uint64);
    function currentEpoch() external view returns (uint64);
}

/// @notice What the slasher needs of the registry besides.
interface IStakeRegistry is ISetRegistry {
    /// Takes the whole stake of an operator and puts it out of every later set.
    function seize(uint256 operator) external returns (uint256 amount);
    function operatorOf(uint256 operator) external view returns (Operator memory);
    /// First L1 block in which the operator's stake would be free; the greatest number while it is in the newest set.
    function unlocksAt(uint256 operator) external view returns (uint256);
}

/// @notice What the checks need of the inbox.
interface IGeneration {
    function generation() external view returns (uint32);
}

/// @notice What the checks need of the oracle.
interface IAgreedBlocks {
    /// The hash of a block on which slots agreed without the council; zero for none.
    function agreedHash(uint64 l2Block) external view returns (bytes32);
}

/// @notice Why evidence is refused. The reporter is at fault.
interface IEvidenceErrors {
    /// Wrong length, version, count or flag: not evidence as the nodes encode it.
    error Evidence_Malformed();
    /// Of a generation that has not begun.
    error Evidence_Generation(uint32 generation);
    /// Its set has been out of force for too long.
    error Evidence_Expired(uint64 lastUse);
    /// Its kind does not accuse this index.
    error Evidence_Accused(uint16 index);
    /// A message is of another epoch or of another signer.
    error Evidence_Foreign();
    /// A signature does not verify.
    error Evidence_Signature();
    /// A certificate is not one of more than two thirds.
    error Evidence_Quorum();
    /// A chain or a branch does not lead where it must, or is there without need.
    error Evidence_Path();
    /// The messages do not contradict each other.
    error Evidence_NotGuilty();
    /// There is no oracle here that could prove a block.
    error Evidence_NoOracle();
    /// No slots agreed on a hash of this block yet.
    error Evidence_NotProven(uint64 l2Block);
}
