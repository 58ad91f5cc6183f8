// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ClaimsChecker, Reversion} from "./ClaimsChecker.sol";
import {EvidenceChecker} from "./EvidenceChecker.sol";
import "./EvidenceTypes.sol";
import {SlasherLedger} from "./SlasherLedger.sol";
import {Offence, Verdict} from "./SlasherTypes.sol";

/// @title Slasher
/// @notice Takes evidence from anyone. A good one moves the accused operator's whole stake here and puts it out of every later set;
/// after the time for claims the penalty is shared out and what is left goes back to its owner once it would have been free.
/// @dev No owner, no pause, no upgrade, no clock but the L1 block number. A reward needs a commitment made before the evidence was
/// public, bound to its maker: who copies a reveal gets nothing.
contract Slasher is SlasherLedger {
    EvidenceChecker public immutable checker;
    ClaimsChecker public immutable claimsChecker;
    /// @notice L1 blocks after a commitment in which it can be revealed.
    uint64 public immutable revealBlocks;
    /// @notice L1 blocks after a reveal in which an earlier commitment takes the reward over.
    uint64 public immutable contestBlocks;

    mapping(bytes32 => uint256) private _commits;

    /// @param reveal_ revealBlocks; `contest_` contestBlocks; `claims_` claimsBlocks, the longest of the three
    constructor(address registry_, address checker_, address claimsChecker_, uint64 reveal_, uint64 contest_, uint64 claims_)
        SlasherLedger(registry_, claims_)
    {
        // The distance of commitment and reveal is kept in 16 bits.
        bool right = reveal_ > 0 && contest_ < claims_ && uint256(reveal_) + contest_ < type(uint16).max;
        if (!right) revert Slasher_BadTerms();
        checker = EvidenceChecker(checker_);
        claimsChecker = ClaimsChecker(claimsChecker_);
        (revealBlocks, contestBlocks) = (reveal_, contest_);
    }

    /// @notice Announces evidence without showing it. A commitment that is still good stays: nobody can make it younger.
    function commit(bytes32 commitment) external {
        uint256 made = _commits[commitment];
        if (made != 0 && block.number <= made + revealBlocks) return;
        _commits[commitment] = block.number;
        emit Committed(commitment, block.number);
    }

    /// @notice What `reporter` commits to.
    function commitmentOf(bytes calldata evidence, address reporter, bytes32 salt) external pure returns (bytes32) {
        return _commitment(evidence, reporter, salt);
    }

    /// @notice L1 block of a commitment; 0 if there is none.
    function commitBlock(bytes32 commitment) external view returns (uint64) {
        return uint64(_commits[commitment]);
    }

    /// @notice Shows the evidence of an own commitment, at least one L1 block old.
    function reveal(bytes calldata evidence, bytes32 salt) external {
        uint256 made = _commits[_commitment(evidence, msg.sender, salt)];
        if (made == 0 || made >= block.number) revert Slasher_NoCommitment();
        if (block.number > made + revealBlocks) revert Slasher_CommitmentExpired(made);
        _slash(evidence, msg.sender, made);
    }

    /// @notice Shows evidence without a commitment: the slash is the same, nobody is rewarded.
    function report(bytes calldata evidence) external {
        _slash(evidence, address(0), block.number);
    }

    /// @notice Takes the reward of an offence over: with evidence of it that the sender committed to before its reporter did.
    function contest(uint256 id, bytes calldata evidence, bytes32 salt) external {
        Offence memory o = _known(id);
        if (block.number > o.revealedAt + contestBlocks) revert Slasher_TooLate();
        uint256 made = _commits[_commitment(evidence, msg.sender, salt)];
        if (made == 0 || made >= o.commitBlock) revert Slasher_NoCommitment();
        if (block.number > made + revealBlocks + contestBlocks) revert Slasher_CommitmentExpired(made);
        Finding memory f = checker.check(evidence);
        if (!_isOf(f, o)) revert Slasher_OtherOffence();
        _reward(id, msg.sender, made);
        emit Contested(id, msg.sender, o.reporter);
    }

    /// @notice Judges evidence without effect; reverts with a named error unless it shows an offence.
    /// @return v for certificates, which accuse many: operator and key of the first of them, `processed` if all are
    function check(bytes calldata evidence) external view returns (Verdict memory v) {
        Finding memory f = checker.check(evidence);
        (v.kind, v.class, v.processed) = (f.kind, f.class, true);
        bool first = true;
        for (uint256 rest = f.guilty; rest != 0; rest &= rest - 1) {
            (uint256 operator,,,) = registry.member(f.epoch, _lowest(rest));
            bytes32 key = keyOf(f, operator);
            if (first) (v.operator, v.key, first) = (operator, key, false);
            if (offenceOf(key) == 0) v.processed = false;
        }
    }

    /// @notice Shows that more than two thirds had acked a frame that is not part of the certified log, and that the offence is its
    /// cause: then it costs the whole stake, and the insured transactions up to that frame can be claimed.
    /// @param proof see ClaimsChecker
    function proveReverted(uint256 id, bytes calldata proof) external {
        Offence memory o = _open(id);
        if (o.class == CLASS_EXEC) revert Slasher_Bounded();
        Reversion memory r = claimsChecker.reversion(_generationOf(id), o, proof);
        _reverted(id, r);
    }

    /// @notice Registers the insured amount of a transaction in a reverted frame. It is credited to the transaction's sender.
    /// @param claim_ see ClaimsChecker
    /// @return claimId for `collect`
    function claim(uint256 id, bytes calldata claim_) external returns (bytes32 claimId) {
        _open(id);
        return _claim(id, claimsChecker.claim(_generationOf(id), claim_));
    }

    function _slash(bytes calldata evidence, address reporter, uint256 made) private {
        Finding memory f = checker.check(evidence);
        bytes32 evidenceHash = keccak256(evidence);
        bool fresh;
        for (uint256 rest = f.guilty; rest != 0; rest &= rest - 1) {
            uint256 index = _lowest(rest);
            (uint256 operator,,, uint256 weight) = registry.member(f.epoch, index);
            bytes32 key = keyOf(f, operator);
            if (offenceOf(key) != 0) continue;
            fresh = true;
            _record(key, f, operator, reporter, made);
            if (f.class == CLASS_CORR) _correlate(f, index, weight);
            uint256 seized = _seize(operator);
            emit Slashed(uint256(key), operator, f.kind, seized, reporter, evidenceHash);
        }
        if (!fresh) revert Slasher_Processed();
    }

    /// @dev Is `o` one of the offences that `f` shows?
    function _isOf(Finding memory f, Offence memory o) private view returns (bool) {
        for (uint256 rest = f.guilty; rest != 0; rest &= rest - 1) {
            (uint256 operator,,,) = registry.member(f.epoch, _lowest(rest));
            if (operator == o.operator && keyOf(f, operator) == o.key) return true;
        }
        return false;
    }

    function _commitment(bytes calldata evidence, address reporter, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(evidence), reporter, salt));
    }

    /// @dev Place of the lowest bit that is set; there is one.
    function _lowest(uint256 bits) private pure returns (uint256 place) {
        while ((bits >> place) & 1 == 0) place++;
    }
}
