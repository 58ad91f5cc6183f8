// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "./Digests.sol";
import {Ed25519Verifier} from "./Ed25519Verifier.sol";
import {EvidenceReader} from "./EvidenceReader.sol";
import "./EvidenceTypes.sol";

/// @notice One accused before the checks: its keys, and what its signatures cover.
struct Court {
    bytes32 ctx;
    bytes32 separator;
    uint64 epoch;
    uint16 accused;
    address voteKey;
    bytes32 seqKey;
    Ed25519Verifier ed;
}

/// @notice Height and round that name the offence.
struct Place {
    uint64 height;
    uint32 round;
}

/// @title Contradictions signed with the sequencer key
/// @notice Frames, openings and acks. Contents are compared, never signatures: two signatures of one content are no offence.
library EvidenceSeq {
    using EvidenceReader for bytes;

    uint256 private constant SIG = 64;
    /// @dev Offsets in a frame.
    uint256 private constant TERM = 10;
    uint256 private constant LEADER = 22;
    uint256 private constant G = 24;
    uint256 private constant SEQ = 32;
    uint256 private constant PREV = 36;
    uint256 private constant INIT_HASH = 68;
    uint256 private constant HEIGHT = 100;
    uint256 private constant FLAGS = 108;
    uint256 private constant CLOSE = 2;
    uint256 private constant TERM_END = 4;

    /// @dev A signed message of the sequencer key.
    struct Message {
        bytes32 digest;
        bytes32 r;
        bytes32 s;
    }

    function frames(Court memory c, uint8 kind, bytes calldata e) internal view returns (Place memory p) {
        uint256 a = 16;
        uint256 b = a + EvidenceReader.FRAME + SIG;
        EvidenceReader.need(e.length == b + EvidenceReader.FRAME + SIG);
        Message memory first = frame(c, e, a);
        Message memory second = frame(c, e, b);
        guilty(e.number(a + TERM, 12) == e.number(b + TERM, 12));
        uint256 seqA = e.number(a + SEQ, 4);
        uint256 seqB = e.number(b + SEQ, 4);
        if (kind == FRAME_TWICE) guilty(seqA == seqB && first.digest != second.digest);
        else if (kind == PAST_END) _pastEnd(e, a, b, seqA, seqB);
        else guilty(seqB == seqA + 1 && !_linked(e, a, b, first.digest));
        _pair(c, first, second);
        return Place(uint64(e.number(a + TERM, 8)), uint32(e.number(a + TERM + 8, 4)));
    }

    function inits(Court memory c, bytes calldata e) internal view returns (Place memory p) {
        uint256 a = 16;
        uint256 b = a + EvidenceReader.INIT + SIG;
        EvidenceReader.need(e.length == b + EvidenceReader.INIT + SIG);
        Message memory first = _init(c, e, a);
        Message memory second = _init(c, e, b);
        // height and round
        guilty(e.number(a + 10, 12) == e.number(b + 10, 12) && first.digest != second.digest);
        _pair(c, first, second);
        return Place(uint64(e.number(a + 10, 8)), uint32(e.number(a + 18, 4)));
    }

    function acks(Court memory c, bytes calldata e) internal view returns (Place memory) {
        uint256 b = 16 + EvidenceReader.ACK + SIG;
        uint256 chain = b + EvidenceReader.ACK + SIG;
        EvidenceReader.need(e.length == chain + e.chainSize(chain));
        Message memory first = ack(c, e, 16);
        Message memory second = ack(c, e, b);
        guilty(e.number(16 + 10, 12) == e.number(b + 10, 12));
        if (e.word(16 + 64) != e.word(b + 64)) noChain(e, chain);
        else _apart(c, e, b, chain);
        _pair(c, first, second);
        return Place(uint64(e.number(16 + 10, 8)), uint32(e.number(16 + 18, 4)));
    }

    /// @notice The ack at `pos`, of the accused and this epoch; its signature is not checked yet.
    function ack(Court memory c, bytes calldata e, uint256 pos) internal pure returns (Message memory) {
        EvidenceReader.need(e.number(pos, 2) == 1);
        own(c, e.number(pos + 2, 8), e.number(pos + 22, 2));
        return _message(c, Digests.TAG_ACK, e, pos, EvidenceReader.ACK);
    }

    /// @notice The frame at `pos`, of the accused and this epoch; its signature is not checked yet.
    function frame(Court memory c, bytes calldata e, uint256 pos) internal pure returns (Message memory) {
        EvidenceReader.frameForm(e, pos);
        own(c, e.number(pos + 2, 8), e.number(pos + LEADER, 2));
        return _message(c, Digests.TAG_FRAME, e, pos, EvidenceReader.FRAME);
    }

    function verify(Court memory c, Message memory m) internal view {
        if (!c.ed.verify(c.seqKey, m.r, m.s, m.digest)) revert IEvidenceErrors.Evidence_Signature();
    }

    function own(Court memory c, uint256 epoch, uint256 index) internal pure {
        if (epoch != c.epoch || index != c.accused) revert IEvidenceErrors.Evidence_Foreign();
    }

    function guilty(bool holds) internal pure {
        if (!holds) revert IEvidenceErrors.Evidence_NotGuilty();
    }

    function noChain(bytes calldata e, uint256 pos) internal pure {
        if (e.number(pos, 2) != 0) revert IEvidenceErrors.Evidence_Path();
    }

    /// @dev The frames of the ack at `b` are not those of the ack at 16, which is not above it; reverts if not.
    function _apart(Court memory c, bytes calldata e, uint256 b, uint256 chain) private pure {
        uint256 low = e.number(16 + 24, 8);
        uint256 high = e.number(b + 24, 8);
        guilty(low <= high);
        guilty(e.descend(chain, c.ctx, e.word(b + 32), high, low) != e.word(16 + 32));
    }

    function _init(Court memory c, bytes calldata e, uint256 pos) private pure returns (Message memory) {
        EvidenceReader.need(e.number(pos, 2) == 1 && e.number(pos + 64, 1) <= 1);
        own(c, e.number(pos + 2, 8), e.number(pos + 22, 2));
        return _message(c, Digests.TAG_INIT, e, pos, EvidenceReader.INIT);
    }

    function _message(Court memory c, bytes32 tag, bytes calldata e, uint256 pos, uint256 size) private pure returns (Message memory) {
        return Message(Digests.digest(tag, c.ctx, e.hash(pos, size)), e.word(pos + size), e.word(pos + size + 32));
    }

    function _pair(Court memory c, Message memory a, Message memory b) private view {
        if (!c.ed.verifyPair(c.seqKey, [a.r, a.s, a.digest], [b.r, b.s, b.digest])) revert IEvidenceErrors.Evidence_Signature();
    }

    function _pastEnd(bytes calldata e, uint256 a, uint256 b, uint256 seqA, uint256 seqB) private pure {
        guilty(seqB > seqA);
        uint256 flags = e.number(a + FLAGS, 1);
        if (flags & TERM_END != 0) return;
        uint256 next = e.number(a + HEIGHT, 8) + (flags & CLOSE) / CLOSE;
        guilty(seqB == seqA + 1 && e.number(b + HEIGHT, 8) != next);
    }

    function _linked(bytes calldata e, uint256 a, uint256 b, bytes32 hash) private pure returns (bool) {
        return e.word(b + PREV) == hash && e.number(b + G, 8) == e.number(a + G, 8) + 1 && e.word(a + INIT_HASH) == e.word(b + INIT_HASH);
    }
}
