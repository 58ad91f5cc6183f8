// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "./Digests.sol";
import {Ed25519Verifier} from "./Ed25519Verifier.sol";
import {EvidenceBlock} from "./EvidenceBlock.sol";
import {EvidenceReader} from "./EvidenceReader.sol";
import {Court, EvidenceSeq, Place} from "./EvidenceSeq.sol";
import {EvidenceVotes} from "./EvidenceVotes.sol";
import {ICertificateVerifier} from "./ICertificateVerifier.sol";
import "./EvidenceTypes.sol";

/// @title What evidence shows
/// @notice `version:u8 = 1 || kind:u8 || generation:u32 || epoch:u64 || accused:u16`, then the body of the kind, byte for byte as the
/// nodes encode it. A contradiction is objective: it needs no clock, no state of the rollup and no other message, and no execution of
/// the protocol by a node that keeps its signing state gives one. The last kind is none: what a certificate says of execution against what
/// the oracle holds for proven.
/// @dev Stateless but for what it reads of registry, inbox and oracle.
contract EvidenceChecker is IEvidenceErrors {
    using EvidenceReader for bytes;

    uint256 private constant HEAD = 16;
    uint256 private constant CERT_HEAD = 45;
    uint256 private constant MAX_BITMAP = 32;

    ISetRegistry public immutable registry;
    IGeneration public immutable inbox;
    ICertificateVerifier public immutable verifier;
    Ed25519Verifier public immutable edVerifier;
    /// @notice Says which blocks are proven; zero for none.
    IAgreedBlocks public immutable oracle;
    /// @notice Epochs for which evidence is taken after the last use of a set.
    uint64 public immutable evidenceEpochs;
    uint64 private immutable _l2ChainId;
    bytes32 private immutable _genesisHash;

    /// @param verifier_ checks certificates against the registry's sets
    /// @param oracle_ may come after it; zero if there is none
    constructor(address registry_, address inbox_, address verifier_, address oracle_) {
        registry = ISetRegistry(registry_);
        inbox = IGeneration(inbox_);
        verifier = ICertificateVerifier(verifier_);
        oracle = IAgreedBlocks(oracle_);
        edVerifier = Ed25519Verifier(ISetRegistry(registry_).edVerifier());
        evidenceEpochs = ISetRegistry(registry_).evidenceEpochs();
        _l2ChainId = ISetRegistry(registry_).l2ChainId();
        _genesisHash = ISetRegistry(registry_).genesisHash();
    }

    /// @notice Judges evidence; reverts unless it shows an offence.
    function check(bytes calldata e) external view returns (Finding memory f) {
        EvidenceReader.need(e.length >= HEAD && e.number(0, 1) == 1);
        f.kind = uint8(e.number(1, 1));
        EvidenceReader.need(f.kind >= FRAME_TWICE && f.kind <= FALSE_BLOCK);
        f.generation = uint32(e.number(2, 4));
        f.epoch = uint64(e.number(6, 8));
        // Generation 0 is always there: until the first fallback the inbox is not asked.
        if (f.generation != 0 && f.generation > inbox.generation()) revert Evidence_Generation(f.generation);
        uint64 last = registry.lastUse(f.epoch);
        if (registry.currentEpoch() > uint256(last) + evidenceEpochs) revert Evidence_Expired(last);
        f.class = _class(f.kind);
        Place memory p;
        if (f.kind == CERT_TWICE) {
            f.group = 6;
            (p, f.guilty) = _certificates(f, e);
        } else if (f.kind == FALSE_BLOCK) {
            f.group = 7;
            (p, f.guilty) = _falseBlock(f, e);
        } else {
            (p, f.group) = _judge(_court(f, e), f.kind, e);
            f.guilty = 1 << e.number(14, 2);
        }
        (f.height, f.round) = (p.height, p.round);
    }

    /// @notice The context of a generation's messages.
    function context(uint32 generation) public view returns (bytes32) {
        return Digests.context(_l2ChainId, address(registry), _genesisHash, generation);
    }

    /// @dev Kinds that a leader commits with its stream cost by themselves, as does a wrong result; the others by how many commit them together.
    function _class(uint8 kind) private pure returns (uint8) {
        if (kind <= OTHER_CUT) return CLASS_EQ;
        if (kind == FALSE_BLOCK) return CLASS_EXEC;
        return kind == CERT_TWICE ? CLASS_FULL : CLASS_CORR;
    }

    function _court(Finding memory f, bytes calldata e) private view returns (Court memory c) {
        c.accused = uint16(e.number(14, 2));
        if (c.accused == ACCUSED_MANY) revert Evidence_Accused(c.accused);
        c.ctx = context(f.generation);
        c.separator = Digests.separator(c.ctx, address(registry));
        c.epoch = f.epoch;
        (, c.voteKey, c.seqKey,) = registry.member(f.epoch, c.accused);
        c.ed = edVerifier;
    }

    /// @return group the offences of one group and place are one
    function _judge(Court memory c, uint8 kind, bytes calldata e) private view returns (Place memory, uint8 group) {
        if (kind == FRAME_TWICE || kind == PAST_END || kind == UNCHAINED) return (EvidenceSeq.frames(c, kind, e), 1);
        if (kind == OTHER_CUT) return (EvidenceVotes.otherCut(c, e), 1);
        if (kind == INIT_TWICE) return (EvidenceSeq.inits(c, e), 2);
        if (kind == ACK_TWICE) return (EvidenceSeq.acks(c, e), 3);
        if (kind == STATUS_TWICE) return (EvidenceVotes.statusTwice(c, e), 3);
        if (kind == ACK_AGAINST_VOTE) return (EvidenceVotes.ackAgainstVote(c, e), 3);
        if (kind == STATUS_HIDES_ACK) return (EvidenceVotes.statusHidesAck(c, e), 3);
        if (kind == PROPOSAL_TWICE) return (EvidenceVotes.proposalsTwice(c, e), 3);
        if (kind == STATUS_HIDES_VOTE) return (EvidenceVotes.statusHidesVote(c, e), 3);
        (Place memory p, uint8 voteKind) = EvidenceVotes.votesTwice(c, e);
        return (p, voteKind == Digests.PREVOTE ? 4 : 5);
    }

    /// @dev Two certificates of one height and round: more than a third signed both.
    function _certificates(Finding memory f, bytes calldata e) private view returns (Place memory p, uint256 guilty) {
        _accusesMany(e);
        uint256 second = _certificateEnd(e, HEAD);
        EvidenceReader.need(_certificateEnd(e, second) == e.length);
        EvidenceSeq.guilty(e.number(HEAD, 12) == e.number(second, 12) && e.word(HEAD + 12) != e.word(second + 12));
        bytes32 ctx = context(f.generation);
        bytes32 separator = Digests.separator(ctx, address(registry));
        guilty = _quorum(f.epoch, separator, e, HEAD, second) & _quorum(f.epoch, separator, e, second, e.length);
        p = Place(uint64(e.number(HEAD, 8)), uint32(e.number(HEAD + 8, 4)));
    }

    /// @dev A certificate of a header whose checkpoint names another hash than the block has that is proven: everyone in it.
    function _falseBlock(Finding memory f, bytes calldata e) private view returns (Place memory p, uint256 guilty) {
        _accusesMany(e);
        uint256 cert = EvidenceBlock.end(e);
        EvidenceReader.need(_certificateEnd(e, cert) == e.length);
        bytes32 ctx = context(f.generation);
        (bytes32 encoding, uint256 height) = EvidenceBlock.named(e);
        EvidenceSeq.guilty(e.number(cert, 8) == height && e.word(cert + 12) == Digests.digest(Digests.TAG_HEADER, ctx, encoding));
        _otherBlock(e);
        guilty = _quorum(f.epoch, Digests.separator(ctx, address(registry)), e, cert, e.length);
        p = Place(uint64(height), uint32(e.number(cert + 8, 4)));
    }

    /// @dev What the header names is not what is proven, on one log.
    function _otherBlock(bytes calldata e) private view {
        (uint64 number, bytes32 blockHash) = EvidenceBlock.point(e);
        bytes32 proven = _agreed(number);
        EvidenceSeq.guilty(blockHash != proven);
        (bytes32 next, uint32 generation) = EvidenceBlock.next(e);
        EvidenceBlock.sameLog(e, Digests.digest(Digests.TAG_HEADER, context(generation), next), proven);
    }

    function _agreed(uint64 number) private view returns (bytes32 hash) {
        if (address(oracle) == address(0)) revert Evidence_NoOracle();
        hash = oracle.agreedHash(number);
        if (hash == 0) revert Evidence_NotProven(number);
    }

    function _accusesMany(bytes calldata e) private pure {
        if (e.number(14, 2) != ACCUSED_MANY) revert Evidence_Accused(uint16(e.number(14, 2)));
    }

    /// @dev Where the certificate at `pos` ends: `height || round || value_id || length:u8 || bitmap || signature:65*`.
    function _certificateEnd(bytes calldata e, uint256 pos) private pure returns (uint256) {
        EvidenceReader.need(e.length >= pos + CERT_HEAD);
        uint256 length = e.number(pos + 44, 1);
        uint256 sigs = pos + CERT_HEAD + length;
        EvidenceReader.need(length <= MAX_BITMAP && e.length >= sigs);
        EvidenceReader.need(length == 0 || e.number(sigs - 1, 1) != 0);
        uint256 count;
        for (uint256 i = pos + CERT_HEAD; i < sigs; i++) {
            for (uint256 rest = e.number(i, 1); rest != 0; rest &= rest - 1) {
                count++;
            }
        }
        EvidenceReader.need(e.length >= sigs + 65 * count);
        return sigs + 65 * count;
    }

    /// @dev The signers of a certificate of more than two thirds, as bits.
    function _quorum(uint64 epoch, bytes32 separator, bytes calldata e, uint256 pos, uint256 end) private view returns (uint256 signers) {
        bytes32 vote = Digests.precommit(epoch, uint64(e.number(pos, 8)), uint32(e.number(pos + 8, 4)), e.word(pos + 12));
        uint256 sigs = pos + CERT_HEAD + e.number(pos + 44, 1);
        _weigh(epoch, Digests.typed(separator, vote), e[pos + CERT_HEAD:sigs], e[sigs:end]);
        for (uint256 i = sigs; i > pos + CERT_HEAD; i--) {
            signers = (signers << 8) | e.number(i - 1, 1);
        }
    }

    function _weigh(uint64 epoch, bytes32 digest, bytes calldata bitmap, bytes calldata sigs) private view {
        (uint256 weight, uint256 total) = verifier.weigh(epoch, digest, bitmap, sigs);
        if (weight * 3 <= total * 2) revert Evidence_Quorum();
    }
}
