// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {Digests} from "./Digests.sol";
import {Ed25519Verifier} from "./Ed25519Verifier.sol";

/// @title Operators of the sequencer set
/// @notice Holds stakes and keys, and freezes the set of an epoch as one blob of 32-byte records that certificates are checked
/// against. Joining takes a stake and a proof of possession of both hot keys; nobody's permission.
/// @dev A key is used once, for ever: a retired key stays accountable for what it signed. No owner, no upgrade.
contract Registry {
    /// @notice What an operator sends to join.
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

    /// @notice One operator, in registration order.
    struct Operator {
        /// cold account: the one that registered
        address owner;
        /// wei
        uint96 stake;
        address voteKey;
        address feeRecipient;
        bytes32 seqKey;
        bytes peer;
    }

    /// @dev Where a frozen set lies: SSTORE2 blob of records `voteKey (20) || stake in gwei (12)`, and the sum of the stakes.
    struct EpochSet {
        address pointer;
        uint96 total;
    }

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
    error Registry_BadMinimum();

    event Registered(uint256 indexed index, address indexed owner, address indexed voteKey, bytes32 seqKey, uint256 stake, bytes peer);
    event SetFrozen(uint64 indexed epoch, address pointer, uint256 total, uint256 count, bytes32 setHash);

    /// @notice Largest set of one epoch: certificates are checked in one loop on L1. Later operators wait for a later epoch.
    uint256 public constant MAX_SET = 64;
    uint256 public constant MAX_PEER_LENGTH = 256;

    uint64 public immutable l2ChainId;
    bytes32 public immutable genesisHash;
    uint256 public immutable minStake;
    uint256 public immutable minOperators;
    Ed25519Verifier public immutable edVerifier;

    Operator[] private _operators;
    /// @notice keccak256 of every key ever registered (32 bytes for ed25519, 20 for secp256k1).
    mapping(bytes32 => bool) public usedKey;
    mapping(uint64 => EpochSet) private _sets;
    /// @notice keccak256 of the epoch's packed records; zero until frozen.
    mapping(uint64 => bytes32) public setHash;

    /// @param minStake_ least stake in wei
    /// @param minOperators_ least size of the first set, 1 to MAX_SET
    constructor(uint64 l2ChainId_, bytes32 genesisHash_, uint256 minStake_, address edVerifier_, uint256 minOperators_) {
        if (minOperators_ == 0 || minOperators_ > MAX_SET) revert Registry_BadMinimum();
        l2ChainId = l2ChainId_;
        genesisHash = genesisHash_;
        minStake = minStake_;
        minOperators = minOperators_;
        edVerifier = Ed25519Verifier(edVerifier_);
    }

    /// @notice Joins with `msg.value` as stake; the sender is the operator's cold account.
    /// @return index the operator's place in registration order
    function register(Registration calldata r) external payable returns (uint256 index) {
        _checkPlain(r);
        _useKey(keccak256(abi.encodePacked(r.seqKey)), Registry_SeqKeyUsed.selector);
        _useKey(keccak256(abi.encodePacked(r.voteKey)), Registry_VoteKeyUsed.selector);
        _checkPossession(r);
        index = _operators.length;
        _operators.push(Operator(msg.sender, uint96(msg.value), r.voteKey, r.feeRecipient, r.seqKey, r.peer));
        emit Registered(index, msg.sender, r.voteKey, r.seqKey, msg.value, r.peer);
    }

    /// @notice Freezes the set of an epoch; anyone may call. Only epoch 0, the first set, is open so far.
    /// @dev The set is the first MAX_SET operators in registration order: a signer's index is its place in this list.
    function freezeSet(uint64 epoch) external {
        if (epoch != 0) revert Registry_EpochNotOpen();
        if (_sets[epoch].pointer != address(0)) revert Registry_AlreadyFrozen();
        uint256 count = _operators.length;
        if (count < minOperators) revert Registry_TooFewOperators();
        if (count > MAX_SET) count = MAX_SET;
        bytes memory records = new bytes(32 * count);
        uint256 total;
        for (uint256 i; i < count; i++) {
            uint256 weight = _operators[i].stake / 1 gwei;
            uint256 record = (uint256(uint160(_operators[i].voteKey)) << 96) | weight;
            total += weight;
            assembly ("memory-safe") {
                mstore(add(add(records, 32), shl(5, i)), record)
            }
        }
        address pointer = SSTORE2.write(records);
        bytes32 hash = keccak256(records);
        // A stake is below 2^88 wei (`_checkPlain`) and there are at most 64, so the sum fits.
        _sets[epoch] = EpochSet(pointer, uint96(total));
        setHash[epoch] = hash;
        emit SetFrozen(epoch, pointer, total, count, hash);
    }

    /// @notice The frozen set of an epoch; pointer zero if there is none.
    function epochSet(uint64 epoch) external view returns (address pointer, uint256 total) {
        EpochSet storage s = _sets[epoch];
        return (s.pointer, s.total);
    }

    /// @notice Sum of the stakes of a frozen set, in gwei.
    function setTotal(uint64 epoch) external view returns (uint256) {
        return _sets[epoch].total;
    }

    /// @notice The packed records of a frozen set; empty if there is none.
    function setRecords(uint64 epoch) external view returns (bytes memory) {
        address pointer = _sets[epoch].pointer;
        return pointer == address(0) ? bytes("") : SSTORE2.read(pointer);
    }

    function operatorCount() external view returns (uint256) {
        return _operators.length;
    }

    /// @notice A page of the operators in registration order, cut at the end of the list.
    function operators(uint256 from, uint256 count) external view returns (Operator[] memory page) {
        uint256 length = _operators.length;
        if (from >= length) return page;
        if (count > length - from) count = length - from;
        page = new Operator[](count);
        for (uint256 i; i < count; i++) {
            page[i] = _operators[from + i];
        }
    }

    /// @notice The context that every signature of this rollup covers.
    function context(uint32 generation) public view returns (bytes32) {
        return Digests.context(l2ChainId, address(this), genesisHash, generation);
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

    function _checkPlain(Registration calldata r) private view {
        if (msg.value < minStake || msg.value < 1 gwei) revert Registry_StakeTooLow();
        // Far above all ether there is; keeps the sums of `freezeSet` within their words.
        if (msg.value > type(uint88).max) revert Registry_StakeTooHigh();
        if (r.voteKey == address(0)) revert Registry_ZeroVoteKey();
        if (r.feeRecipient == address(0)) revert Registry_ZeroFeeRecipient();
        if (r.peer.length > MAX_PEER_LENGTH) revert Registry_PeerTooLong();
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
