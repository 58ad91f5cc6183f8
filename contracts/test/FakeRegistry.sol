// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {Operator} from "../src/RegistryTypes.sol";

/// @dev What evidence, claims and slasher read of registry, inbox and oracle, set by the test.
contract FakeRegistry {
    struct Member {
        uint256 operator;
        address voteKey;
        bytes32 seqKey;
        uint256 weight;
    }

    error UnknownMember();
    error UnknownEpoch();

    uint64 public l2ChainId;
    bytes32 public genesisHash;
    address public edVerifier;
    uint64 public evidenceEpochs = 56;
    uint32 public generation;
    uint64 public currentEpoch;
    uint64 public base = 1;
    uint64 public constant EPOCH_BLOCKS = 1_800;
    mapping(uint64 => uint64) private _lastUse;
    mapping(uint64 => Member[]) private _members;
    mapping(uint64 => address) private _records;
    mapping(uint64 => uint256) private _totals;
    mapping(uint256 => address) private _owners;
    mapping(uint256 => uint256) public stakeOf;
    mapping(uint256 => uint256) public unlocksAt;
    mapping(uint256 => uint256) public seizures;
    mapping(uint64 => bytes32) public agreedHash;

    function init(uint64 l2ChainId_, bytes32 genesisHash_, address edVerifier_) external {
        (l2ChainId, genesisHash, edVerifier, evidenceEpochs) = (l2ChainId_, genesisHash_, edVerifier_, 56);
    }

    function agree(uint64 l2Block, bytes32 hash) external {
        agreedHash[l2Block] = hash;
    }

    function setGeneration(uint32 generation_) external {
        generation = generation_;
    }

    function setCurrentEpoch(uint64 epoch) external {
        currentEpoch = epoch;
    }

    function setLastUse(uint64 epoch, uint64 last) external {
        _lastUse[epoch] = last;
    }

    function setBase(uint64 base_) external {
        base = base_;
    }

    function epochStart(uint64 epoch) external pure returns (uint256) {
        return uint256(epoch) * EPOCH_BLOCKS;
    }

    /// @dev Every epoch has its own set.
    function epochAt(uint256 l1Number) external pure returns (uint64) {
        return uint64(l1Number / EPOCH_BLOCKS);
    }

    function setOperator(uint256 operator, address owner, uint256 unlocks) external payable {
        (_owners[operator], stakeOf[operator], unlocksAt[operator]) = (owner, msg.value, unlocks);
    }

    function add(uint64 epoch, Member calldata m) external {
        _members[epoch].push(m);
        _totals[epoch] += m.weight;
    }

    function freeze(uint64 epoch) external {
        bytes memory records;
        for (uint256 i; i < _members[epoch].length; i++) {
            records = abi.encodePacked(records, _members[epoch][i].voteKey, uint96(_members[epoch][i].weight));
        }
        _records[epoch] = SSTORE2.write(records);
    }

    function member(uint64 epoch, uint256 index) external view returns (uint256, address, bytes32, uint256) {
        if (index >= _members[epoch].length) revert UnknownMember();
        Member storage m = _members[epoch][index];
        return (m.operator, m.voteKey, m.seqKey, m.weight);
    }

    function epochSet(uint64 epoch) external view returns (address, uint256) {
        return (_records[epoch], _totals[epoch]);
    }

    function lastUse(uint64 epoch) external view returns (uint64) {
        if (_records[epoch] == address(0)) revert UnknownEpoch();
        return _lastUse[epoch];
    }

    function operatorOf(uint256 operator) external view returns (Operator memory o) {
        o.owner = _owners[operator];
    }

    function seize(uint256 operator) external returns (uint256 amount) {
        seizures[operator]++;
        amount = stakeOf[operator];
        stakeOf[operator] = 0;
        (bool sent,) = msg.sender.call{value: amount}("");
        require(sent, "not taken");
    }
}
