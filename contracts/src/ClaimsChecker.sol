// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CertifiedLog} from "./CertifiedLog.sol";
import {ClaimsTx} from "./ClaimsTx.sol";
import {Digests} from "./Digests.sol";
import {EvidenceReader} from "./EvidenceReader.sol";
import "./EvidenceTypes.sol";
import {Offence} from "./SlasherTypes.sol";

/// @notice Frames that more than two thirds had acked and that the certified log does not have: those of the chain of `tip` from
/// position `fromG` to `toG`.
struct Reversion {
    bytes32 tip;
    uint64 fromG;
    uint64 toG;
}

/// @notice An insured transaction in a frame `g` of the chain of `tip`.
struct Claim {
    bytes32 tip;
    bytes32 frameHash;
    uint64 g;
    /// place in the frame
    uint32 index;
    /// who signed the transaction
    address beneficiary;
    uint96 amount;
}

/// @title Harm
/// @notice Judges whether an acked promise was reverted, by whom, and what an insured transaction in it is worth. All integers are
/// big-endian; a bitmap is `length:u8 || bytes` without trailing zeros, a chain `count:u16 || frame:273*` tip first, a branch
/// `index:u32 || count:u32 || depth:u8 || sibling:32*`.
/// @dev Stateless but for what it reads of the registry. A quorum of 43 acks costs about 10.5 million gas.
contract ClaimsChecker is CertifiedLog {
    using EvidenceReader for bytes;

    /// The acked frames do not leave the certified log where the proof says.
    error Claims_NoFork();
    /// Neither side of the fork has to do with the offence.
    error Claims_OtherCause();
    /// The transaction is not insured, or for more than a claim can hold.
    error Claims_Amount(uint256 amount);

    uint256 private constant ACK_HEAD = 93;

    ISetRegistry public immutable registry;

    /// @dev Where the parts of a proof begin.
    struct Parts {
        bytes32 ctx;
        uint256 sigs;
        uint256 chain;
        uint256 canonical;
        uint256 header;
        /// the first reverted frame, last of the chain
        uint256 first;
        uint256 fromG;
    }

    /// @param verifier_ checks certificates against the registry's sets
    constructor(address registry_, address verifier_) CertifiedLog(registry_, verifier_) {
        registry = ISetRegistry(registry_);
    }

    /// @notice Judges that an acked frame was reverted because of `o`.
    /// @param generation of the offence
    /// @param p `epoch:u64 || height:u64 || round:u32 || g:u64 || frame_hash:32 || init_hash:32 || bitmap || ed25519:64*` of the acks;
    /// chain from the acked frame down to the first one that the log does not have; the log's frame at that place (273) and its branch
    /// in the log's header; that header (480) and its certificate `round:u32 || bitmap || secp256k1:65*`
    function reversion(uint32 generation, Offence calldata o, bytes calldata p) external view returns (Reversion memory r) {
        Parts memory x;
        x.ctx = _context(generation);
        EvidenceReader.need(p.length >= ACK_HEAD);
        x.sigs = _bitmapEnd(p, ACK_HEAD - 1);
        x.chain = x.sigs + 64 * _count(p, ACK_HEAD - 1);
        x.canonical = x.chain + p.chainSize(x.chain);
        EvidenceReader.Branch memory branch = p.branchAt(x.canonical + EvidenceReader.FRAME);
        x.header = EvidenceReader.end(branch);
        EvidenceReader.need(p.length >= x.header + EvidenceReader.HEADER + 5);
        _fork(p, x, branch);
        _cause(p, x, o);
        _certified(p, x.ctx, x.header);
        _acked(p, x);
        return Reversion(p.word(28), uint64(x.fromG), uint64(p.number(20, 8)));
    }

    /// @notice Judges what a claim is worth; that its tip was reverted is for the caller to know.
    /// @param p `length:u32 || transaction || insured:u128`, its branch in the frame's tx_root, and the chain from the acked frame
    /// down to the transaction's
    function claim(uint32 generation, bytes calldata p) external view returns (Claim memory c) {
        EvidenceReader.need(p.length >= 4);
        uint256 insured = 4 + p.number(0, 4);
        EvidenceReader.need(p.length >= insured + 16);
        EvidenceReader.Branch memory branch = p.branchAt(insured + 16);
        uint256 chain = EvidenceReader.end(branch);
        EvidenceReader.need(p.length == chain + p.chainSize(chain) && p.number(chain, 2) != 0);
        bytes32 ctx = _context(generation);
        uint256 frame = p.length - EvidenceReader.FRAME;
        c.tip = _frameHash(p, ctx, chain + 2);
        c.frameHash = _frameHash(p, ctx, frame);
        c.g = uint64(p.number(frame + 24, 8));
        p.descend(chain, ctx, c.tip, p.number(chain + 26, 8), c.g - 1);
        uint256 amount = p.number(insured, 16);
        if (amount == 0 || amount > type(uint96).max) revert Claims_Amount(amount);
        if (p.rootOf(branch, p.hash(4, insured - 4), amount) != p.word(frame + 121)) revert Evidence_Path();
        (c.index, c.amount) = (uint32(branch.index), uint96(amount));
        c.beneficiary = ClaimsTx.sender(p[4:insured]);
    }

    /// @dev The first reverted frame and the log's frame at its place have one parent: before it nothing was reverted.
    function _fork(bytes calldata p, Parts memory x, EvidenceReader.Branch memory branch) private pure {
        uint256 count = p.number(x.chain, 2);
        uint256 tipG = p.number(20, 8);
        if (count == 0 || count > tipG) revert Claims_NoFork();
        x.fromG = tipG - count + 1;
        x.first = x.canonical - EvidenceReader.FRAME;
        bytes32 parent = p.descend(x.chain, x.ctx, p.word(28), tipG, x.fromG - 1);
        bytes32 there = _frameHash(p, x.ctx, x.canonical);
        bool parts = p.word(x.canonical + 36) == parent && p.number(x.canonical + 24, 8) == x.fromG;
        if (!parts || there == _frameHash(p, x.ctx, x.first)) revert Claims_NoFork();
        EvidenceReader.frameForm(p, x.canonical);
        if (!_covers(p, x.header, x.fromG)) revert Claims_NoFork();
        _inLog(p, x.header, branch, x.fromG, there);
    }

    /// @dev A leader's contradiction counts if the fork begins in its term; for two openings also if the acks are of their round. A
    /// validator's counts if it is of a height from that of the acks to that of the fork.
    function _cause(bytes calldata p, Parts memory x, Offence calldata o) private view {
        bool right;
        if (o.class == CLASS_EQ) {
            right = _inTerm(p, x.first, o) || _inTerm(p, x.canonical, o);
            bool round = p.number(0, 8) == o.epoch && p.number(8, 8) == o.height && p.number(16, 4) == o.round;
            right = right || (o.kind == INIT_TWICE && round);
        } else {
            right = p.number(0, 8) == o.epoch && p.number(8, 8) <= o.height && o.height <= p.number(x.header + HEIGHT, 8);
        }
        if (!right) revert Claims_OtherCause();
    }

    function _inTerm(bytes calldata p, uint256 frame, Offence calldata o) private view returns (bool) {
        bool term = p.number(frame + 2, 8) == o.epoch && p.number(frame + 10, 8) == o.height && p.number(frame + 18, 4) == o.round;
        if (!term) return false;
        (uint256 leader,,,) = registry.member(o.epoch, p.number(frame + 22, 2));
        return leader == o.operator;
    }

    /// @dev More than two thirds of the stake signed the ack.
    function _acked(bytes calldata p, Parts memory x) private view {
        uint256 weight;
        uint256 sig = x.sigs;
        for (uint256 i; i < 8 * (x.sigs - ACK_HEAD); i++) {
            if ((p.number(ACK_HEAD + i / 8, 1) >> (i % 8)) & 1 == 0) continue;
            weight += _acker(p, x.ctx, i, sig);
            sig += 64;
        }
        (, uint256 total) = registry.epochSet(uint64(p.number(0, 8)));
        if (weight * 3 <= total * 2) revert Evidence_Quorum();
    }

    /// @dev Weight of the member whose signature of the ack is at `sig`.
    function _acker(bytes calldata p, bytes32 ctx, uint256 index, uint256 sig) private view returns (uint256 weight) {
        bytes32 key;
        (,, key, weight) = registry.member(uint64(p.number(0, 8)), index);
        bytes32 ack = keccak256(abi.encodePacked(uint16(1), p[0:20], uint16(index), p[20:ACK_HEAD - 1]));
        if (!edVerifier.verify(key, p.word(sig), p.word(sig + 32), Digests.digest(Digests.TAG_ACK, ctx, ack))) {
            revert Evidence_Signature();
        }
    }

    /// @dev Bits set in the bitmap whose length is at `pos`.
    function _count(bytes calldata p, uint256 pos) private pure returns (uint256 count) {
        uint256 end = pos + 1 + p.number(pos, 1);
        for (uint256 i = pos + 1; i < end; i++) {
            for (uint256 rest = p.number(i, 1); rest != 0; rest &= rest - 1) {
                count++;
            }
        }
    }
}
