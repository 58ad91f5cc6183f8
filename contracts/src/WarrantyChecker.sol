// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CertifiedLog} from "./CertifiedLog.sol";
import {ClaimsTx} from "./ClaimsTx.sol";
import {EvidenceReader} from "./EvidenceReader.sol";
import {ISetRegistry} from "./EvidenceTypes.sol";
import {Operator} from "./RegistryTypes.sol";
import {IWarranty} from "./WarrantyTypes.sol";

/// @notice What the warranty needs of the registry.
interface IWarrantyRegistry is ISetRegistry {
    function base() external view returns (uint64);
    function epochStart(uint64 epoch) external view returns (uint256);
    function epochAt(uint256 l1Number) external view returns (uint64);
    function operatorOf(uint256 operator) external view returns (Operator memory);
}

/// @title Lost frames
/// @notice Judges whether a frame that its leader signed is not part of the log, though nobody can be shown to be at fault: in the
/// place of the first lost frame of its term the log has a frame of a later term, and before it nothing was lost.
/// @dev Stateless but for what it reads of the registry. The forms of chain, branch and certificate are those of ClaimsChecker.
abstract contract WarrantyChecker is CertifiedLog, IWarranty {
    using EvidenceReader for bytes;

    /// @dev A frame that was lost, and whose promise it was.
    struct Lost {
        bytes32 frameHash;
        bytes32 txRoot;
        /// the first lost frame of the term
        bytes32 first;
        uint256 operator;
        uint64 epoch;
        /// height u64 || round u32
        uint96 term;
        uint64 g;
        uint32 txCount;
    }

    /// @dev What one transaction in it offered.
    struct Bid {
        uint32 index;
        address sender;
        /// wei for each gas above the base fee, at most
        uint256 tip;
        uint256 gasLimit;
    }

    /// @dev Offsets in a frame.
    uint256 private constant PLACE = 2;
    uint256 private constant TERM = 10;
    uint256 private constant LEADER = 22;
    uint256 private constant G = 24;
    uint256 private constant PREV = 36;
    uint256 private constant TX_COUNT = 117;
    uint256 private constant TX_ROOT = 121;
    /// @dev Where the chain is in a proof.
    uint256 private constant CHAIN = 64;

    IWarrantyRegistry public immutable registry;

    constructor(address registry_, address verifier_) CertifiedLog(registry_, verifier_) {
        registry = IWarrantyRegistry(registry_);
    }

    /// @dev Judges that the frame is lost; reverts if not.
    /// @param p `ed25519:64` of the frame's leader over it; chain from the frame down to the first lost one, all of one term; the log's
    /// frame at that place (273) and its branch in the log's header; that header (480) and its certificate
    function _lost(uint32 generation, bytes calldata p) internal view returns (Lost memory l) {
        EvidenceReader.need(p.length >= CHAIN);
        bytes32 ctx = _context(generation);
        uint256 there = CHAIN + p.chainSize(CHAIN);
        EvidenceReader.Branch memory branch = p.branchAt(there + EvidenceReader.FRAME);
        uint256 header = EvidenceReader.end(branch);
        EvidenceReader.need(p.length >= header + EvidenceReader.HEADER + 5);
        _read(p, ctx, there, l);
        _parts(p, ctx, there, l);
        uint256 g = p.number(there + G, 8);
        if (!_covers(p, header, g)) revert Warranty_NotLost();
        _inLog(p, header, branch, g, _frameHash(p, ctx, there));
        _certified(p, ctx, header);
        _signed(p, l);
    }

    /// @dev Judges what a transaction in the lost frame offered.
    /// @param t `length:u32 || transaction || insured:u128`, and its branch in the frame's tx_root
    function _offered(Lost memory l, bytes calldata t) internal pure returns (Bid memory o) {
        EvidenceReader.need(t.length >= 4);
        uint256 insured = 4 + t.number(0, 4);
        EvidenceReader.need(t.length >= insured + 16);
        EvidenceReader.Branch memory branch = t.branchAt(insured + 16);
        EvidenceReader.need(t.length == EvidenceReader.end(branch));
        bytes32 root = t.rootOf(branch, t.hash(4, insured - 4), t.number(insured, 16));
        if (branch.count != l.txCount || root != l.txRoot) revert Evidence_Path();
        o.index = uint32(branch.index);
        o.sender = ClaimsTx.sender(t[4:insured]);
        (o.tip, o.gasLimit) = ClaimsTx.offer(t[4:insured]);
    }

    /// @dev The frame is the tip of the chain.
    function _read(bytes calldata p, bytes32 ctx, uint256 there, Lost memory l) private pure {
        uint256 tip = CHAIN + 2;
        if (p.number(CHAIN, 2) == 0) revert Warranty_NotLost();
        l.frameHash = _frameHash(p, ctx, tip);
        l.first = _frameHash(p, ctx, there - EvidenceReader.FRAME);
        l.epoch = uint64(p.number(tip + PLACE, 8));
        l.term = uint96(p.number(tip + TERM, 12));
        l.g = uint64(p.number(tip + G, 8));
        (l.txCount, l.txRoot) = (uint32(p.number(tip + TX_COUNT, 4)), p.word(tip + TX_ROOT));
    }

    /// @dev Before the first lost frame nothing was lost, the frames from it on are of one term, and the log went on with a later one.
    function _parts(bytes calldata p, bytes32 ctx, uint256 there, Lost memory l) private pure {
        uint256 count = p.number(CHAIN, 2);
        if (count > l.g) revert Warranty_NotLost();
        uint256 tip = CHAIN + 2;
        for (uint256 pos = tip + EvidenceReader.FRAME; pos < there; pos += EvidenceReader.FRAME) {
            // epoch, height, round and leader
            if (p.number(pos + PLACE, 22) != p.number(tip + PLACE, 22)) revert Warranty_OtherTerm();
        }
        bytes32 parent = p.descend(CHAIN, ctx, l.frameHash, l.g, l.g - count);
        EvidenceReader.frameForm(p, there);
        bool parts = p.word(there + PREV) == parent && p.number(there + G, 8) == l.g - count + 1;
        if (!parts || _frameHash(p, ctx, there) == l.first) revert Warranty_NotLost();
        uint256 later = p.number(there + TERM, 12);
        if (later == l.term) revert Warranty_Equivocation();
        if (later < l.term) revert Warranty_NotLater();
    }

    /// @dev The leader of the term signed the frame.
    function _signed(bytes calldata p, Lost memory l) private view {
        bytes32 key;
        (l.operator,, key,) = registry.member(l.epoch, p.number(CHAIN + 2 + LEADER, 2));
        if (!edVerifier.verify(key, p.word(0), p.word(32), l.frameHash)) revert Evidence_Signature();
    }
}
