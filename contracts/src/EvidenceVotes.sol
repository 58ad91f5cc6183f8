// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "./Digests.sol";
import {EvidenceReader} from "./EvidenceReader.sol";
import {Court, EvidenceSeq, Place} from "./EvidenceSeq.sol";
import "./EvidenceTypes.sol";

/// @title Contradictions in which the vote key signed
/// @notice Votes, proposals and reports, against each other and against frames and acks of the same member.
library EvidenceVotes {
    using EvidenceReader for bytes;

    uint256 private constant SEQ_SIG = 64;
    uint256 private constant SIG = 65;
    /// @dev Offsets in a header.
    uint256 private constant CLOSE_TERM = 160;
    uint256 private constant CLOSER = 172;
    uint256 private constant FIRST_G = 368;
    uint256 private constant LAST_G = 376;
    uint256 private constant FRAMES_ROOT = 416;
    uint256 private constant LAST_FRAME = 448;

    /// @dev Where the parts of a body begin.
    struct Parts {
        uint256 vote;
        uint256 header;
        uint256 frame;
        uint256 status;
        uint256 leaf;
        uint256 chain;
        EvidenceReader.Branch branch;
    }

    function votesTwice(Court memory c, bytes calldata e) internal pure returns (Place memory p, uint8 kind) {
        uint256 a = 16;
        uint256 b = a + EvidenceReader.VOTE + SIG;
        EvidenceReader.need(e.length == b + EvidenceReader.VOTE + SIG);
        _vote(c, e, a);
        _vote(c, e, b);
        // height, round and kind
        EvidenceSeq.guilty(e.number(a + 8, 13) == e.number(b + 8, 13) && e.word(a + 21) != e.word(b + 21));
        return (_place(e, a + 8), uint8(e.number(a + 20, 1)));
    }

    function proposalsTwice(Court memory c, bytes calldata e) internal pure returns (Place memory p) {
        uint256 a = 16;
        uint256 b = a + EvidenceReader.PROPOSAL + SIG;
        EvidenceReader.need(e.length == b + EvidenceReader.PROPOSAL + SIG);
        bytes32 first = _proposal(c, e, a);
        bytes32 second = _proposal(c, e, b);
        EvidenceSeq.guilty(e.number(a + 8, 12) == e.number(b + 8, 12) && first != second);
        return _place(e, a + 8);
    }

    function statusTwice(Court memory c, bytes calldata e) internal pure returns (Place memory p) {
        uint256 a = 16;
        uint256 b = a + EvidenceReader.STATUS + SIG;
        EvidenceReader.need(e.length == b + EvidenceReader.STATUS + SIG);
        bytes32 first = _status(c, e, a);
        bytes32 second = _status(c, e, b);
        EvidenceSeq.guilty(e.number(a + 8, 12) == e.number(b + 8, 12) && first != second);
        return _place(e, a + 8);
    }

    /// @notice A proposal that closes the own term, and a frame of that term which its header leaves out.
    function otherCut(Court memory c, bytes calldata e) internal view returns (Place memory p) {
        Parts memory x;
        x.header = 16 + EvidenceReader.PROPOSAL + SIG;
        x.frame = x.header + EvidenceReader.HEADER;
        x.leaf = x.frame + EvidenceReader.FRAME + SEQ_SIG;
        x.branch = e.branchAt(x.leaf + 32);
        EvidenceReader.need(e.length == EvidenceReader.end(x.branch));
        _proposal(c, e, 16);
        EvidenceSeq.Message memory m = EvidenceSeq.frame(c, e, x.frame);
        // polRound is -1: a fresh value
        EvidenceSeq.guilty(e.number(16 + 20, 4) == 0xffffffff);
        _names(c, e, x.header, e.word(16 + 26));
        bool own = e.number(x.header + CLOSER, 2) == c.accused;
        EvidenceSeq.guilty(own && e.number(x.header + CLOSE_TERM, 12) == e.number(x.frame + 10, 12));
        EvidenceSeq.guilty(_inHeight(e, x, e.number(x.frame + 24, 8)) != m.digest);
        EvidenceSeq.verify(c, m);
        return _place(e, x.frame + 10);
    }

    /// @notice A prevote for a value, and an ack in that round or later of a chain that excludes it.
    function ackAgainstVote(Court memory c, bytes calldata e) internal view returns (Place memory p) {
        Parts memory x;
        x.vote = 16 + EvidenceReader.ACK + SEQ_SIG;
        x.header = x.vote + EvidenceReader.VOTE + SIG;
        x.leaf = x.header + EvidenceReader.HEADER;
        x.branch = e.branchAt(x.leaf + 32);
        x.chain = EvidenceReader.end(x.branch);
        EvidenceReader.need(e.length == x.chain + e.chainSize(x.chain));
        EvidenceSeq.Message memory m = EvidenceSeq.ack(c, e, 16);
        _prevote(c, e, x.vote, x.header);
        EvidenceSeq.guilty(e.number(x.vote + 8, 8) == e.number(16 + 10, 8));
        EvidenceSeq.guilty(e.number(x.vote + 16, 4) <= e.number(16 + 18, 4));
        _excludes(c, e, x);
        EvidenceSeq.verify(c, m);
        return _place(e, 16 + 10);
    }

    /// @notice An ack, and a report of a later round without what was acked.
    function statusHidesAck(Court memory c, bytes calldata e) internal view returns (Place memory p) {
        Parts memory x;
        x.status = 16 + EvidenceReader.ACK + SEQ_SIG;
        x.chain = x.status + EvidenceReader.STATUS + SIG;
        EvidenceReader.need(e.length == x.chain + e.chainSize(x.chain));
        EvidenceSeq.Message memory m = EvidenceSeq.ack(c, e, 16);
        _status(c, e, x.status);
        EvidenceSeq.guilty(e.number(x.status + 8, 8) == e.number(16 + 10, 8));
        p = _place(e, 16 + 10);
        _hides(c, e, x, p.round, e.number(16 + 24, 8), e.word(16 + 32));
        EvidenceSeq.verify(c, m);
    }

    /// @notice A prevote for a value, and a report of a later round without its frames.
    function statusHidesVote(Court memory c, bytes calldata e) internal pure returns (Place memory p) {
        Parts memory x;
        x.header = 16 + EvidenceReader.VOTE + SIG;
        x.status = x.header + EvidenceReader.HEADER;
        x.chain = x.status + EvidenceReader.STATUS + SIG;
        EvidenceReader.need(e.length == x.chain + e.chainSize(x.chain));
        _prevote(c, e, 16, x.header);
        _status(c, e, x.status);
        EvidenceSeq.guilty(e.number(x.status + 8, 8) == e.number(16 + 8, 8));
        p = _place(e, 16 + 8);
        _hides(c, e, x, p.round, e.number(x.header + LAST_G, 8), e.word(x.header + LAST_FRAME));
    }

    /// @notice The EIP-712 digest of the status at `pos`.
    function statusDigest(bytes32 separator, bytes calldata e, uint256 pos) internal pure returns (bytes32) {
        uint256[9] memory f;
        f[0] = uint256(Digests.STATUS_TYPE);
        (f[1], f[2], f[3], f[4]) = (e.number(pos, 8), e.number(pos + 8, 8), e.number(pos + 16, 4), e.number(pos + 20, 2));
        (f[5], f[6]) = (_signed(e.number(pos + 22, 4)), e.number(pos + 26, 8));
        (f[7], f[8]) = (uint256(e.word(pos + 34)), uint256(e.word(pos + 66)));
        return Digests.typed(separator, keccak256(abi.encode(f)));
    }

    /// @notice The EIP-712 digest of the proposal at `pos`.
    function proposalDigest(bytes32 separator, bytes calldata e, uint256 pos) internal pure returns (bytes32) {
        uint256[8] memory f;
        f[0] = uint256(Digests.PROPOSAL_TYPE);
        (f[1], f[2], f[3], f[4]) = (e.number(pos, 8), e.number(pos + 8, 8), e.number(pos + 16, 4), _signed(e.number(pos + 20, 4)));
        (f[5], f[6], f[7]) = (e.number(pos + 24, 2), uint256(e.word(pos + 26)), uint256(e.word(pos + 58)));
        return Digests.typed(separator, keccak256(abi.encode(f)));
    }

    /// @dev The chain of the ack at 16 and the value of the header exclude each other; reverts if not.
    function _excludes(Court memory c, bytes calldata e, Parts memory x) private pure {
        uint256 g = e.number(16 + 24, 8);
        bytes32 acked = e.word(16 + 32);
        uint256 last = e.number(x.header + LAST_G, 8);
        if (g <= last) {
            EvidenceSeq.noChain(e, x.chain);
            EvidenceSeq.guilty(_inHeight(e, x, g) != acked);
        } else {
            bool unused = e.word(x.leaf) == 0 && x.branch.index == 0 && x.branch.count == 0 && x.branch.depth == 0;
            if (!unused) revert IEvidenceErrors.Evidence_Path();
            EvidenceSeq.guilty(e.descend(x.chain, c.ctx, acked, g, last) != e.word(x.header + LAST_FRAME));
        }
    }

    /// @dev The report leaves out the chain to (g, tip) that its signer had in `round`; reverts if not.
    function _hides(Court memory c, bytes calldata e, Parts memory x, uint256 round, uint256 g, bytes32 tip) private pure {
        EvidenceSeq.guilty(e.number(x.status + 16, 4) > round);
        int256 best = int256(_signed(e.number(x.status + 22, 4)));
        EvidenceSeq.guilty(best <= int256(round));
        uint256 bestG = e.number(x.status + 26, 8);
        if (best < int256(round) || bestG < g) EvidenceSeq.noChain(e, x.chain);
        else EvidenceSeq.guilty(e.descend(x.chain, c.ctx, e.word(x.status + 34), bestG, g) != tip);
    }

    /// @dev The frame hash that the header has at `g`, proven by the branch.
    function _inHeight(bytes calldata e, Parts memory x, uint256 g) private pure returns (bytes32 there) {
        uint256 first = e.number(x.header + FIRST_G, 8);
        uint256 last = e.number(x.header + LAST_G, 8);
        EvidenceSeq.guilty(first <= g && g <= last);
        there = e.word(x.leaf);
        bool place = x.branch.index == g - first && x.branch.count == last - first + 1;
        if (!place || e.rootOf(x.branch, there, 0) != e.word(x.header + FRAMES_ROOT)) revert IEvidenceErrors.Evidence_Path();
    }

    function _prevote(Court memory c, bytes calldata e, uint256 vote, uint256 header) private pure {
        _vote(c, e, vote);
        EvidenceSeq.guilty(e.number(vote + 20, 1) == Digests.PREVOTE && e.word(vote + 21) != 0);
        _names(c, e, header, e.word(vote + 21));
    }

    function _names(Court memory c, bytes calldata e, uint256 header, bytes32 valueId) private pure {
        EvidenceSeq.guilty(Digests.digest(Digests.TAG_HEADER, c.ctx, e.hash(header, EvidenceReader.HEADER)) == valueId);
    }

    function _vote(Court memory c, bytes calldata e, uint256 pos) private pure {
        uint256 kind = e.number(pos + 20, 1);
        EvidenceReader.need(kind == Digests.PREVOTE || kind == Digests.PRECOMMIT);
        if (e.number(pos, 8) != c.epoch) revert IEvidenceErrors.Evidence_Foreign();
        bytes32 structHash =
            keccak256(abi.encode(Digests.VOTE_TYPE, c.epoch, e.number(pos + 8, 8), e.number(pos + 16, 4), kind, e.word(pos + 21)));
        _signedBy(c, e, pos + EvidenceReader.VOTE, Digests.typed(c.separator, structHash));
    }

    function _proposal(Court memory c, bytes calldata e, uint256 pos) private pure returns (bytes32 digest) {
        EvidenceSeq.own(c, e.number(pos, 8), e.number(pos + 24, 2));
        digest = proposalDigest(c.separator, e, pos);
        _signedBy(c, e, pos + EvidenceReader.PROPOSAL, digest);
    }

    function _status(Court memory c, bytes calldata e, uint256 pos) private pure returns (bytes32 digest) {
        EvidenceSeq.own(c, e.number(pos, 8), e.number(pos + 20, 2));
        digest = statusDigest(c.separator, e, pos);
        _signedBy(c, e, pos + EvidenceReader.STATUS, digest);
    }

    function _signedBy(Court memory c, bytes calldata e, uint256 pos, bytes32 digest) private pure {
        address who = e.signer(pos, digest);
        if (who == address(0) || who != c.voteKey) revert IEvidenceErrors.Evidence_Signature();
    }

    /// @dev Height and round, one after the other.
    function _place(bytes calldata e, uint256 pos) private pure returns (Place memory) {
        return Place(uint64(e.number(pos, 8)), uint32(e.number(pos + 8, 4)));
    }

    /// @dev The word of a 32-bit two's complement integer.
    function _signed(uint256 v) private pure returns (uint256) {
        return uint256(int256(int32(uint32(v))));
    }
}
