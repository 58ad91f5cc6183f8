// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "./Digests.sol";
import {Ed25519Verifier} from "./Ed25519Verifier.sol";
import {EvidenceReader} from "./EvidenceReader.sol";
import {IEvidenceErrors, ISetRegistry} from "./EvidenceTypes.sol";
import {ICertificateVerifier} from "./ICertificateVerifier.sol";

/// @title What the log has
/// @notice A frame is part of the log if its hash is in `frames_root` of a header that more than two thirds of a set signed. A header
/// (480) is followed by its certificate `round:u32 || bitmap || secp256k1:65*`; a bitmap is `length:u8 || bytes` without trailing zeros.
/// @dev Stateless but for what it reads of the registry. Whoever reads has made sure that header and five bytes more are there.
abstract contract CertifiedLog is IEvidenceErrors {
    using EvidenceReader for bytes;

    /// @dev Offsets in a header.
    uint256 internal constant EPOCH = 112;
    uint256 internal constant HEIGHT = 120;
    uint256 private constant FIRST_G = 368;
    uint256 private constant LAST_G = 376;
    uint256 private constant FRAMES_ROOT = 416;

    ICertificateVerifier public immutable verifier;
    Ed25519Verifier public immutable edVerifier;
    address private immutable _registry;
    uint64 private immutable _l2ChainId;
    bytes32 private immutable _genesisHash;

    /// @param verifier_ checks certificates against the registry's sets
    constructor(address registry_, address verifier_) {
        _registry = registry_;
        verifier = ICertificateVerifier(verifier_);
        edVerifier = Ed25519Verifier(ISetRegistry(registry_).edVerifier());
        _l2ChainId = ISetRegistry(registry_).l2ChainId();
        _genesisHash = ISetRegistry(registry_).genesisHash();
    }

    function _context(uint32 generation) internal view returns (bytes32) {
        return Digests.context(_l2ChainId, _registry, _genesisHash, generation);
    }

    function _frameHash(bytes calldata p, bytes32 ctx, uint256 pos) internal pure returns (bytes32) {
        return Digests.digest(Digests.TAG_FRAME, ctx, p.hash(pos, EvidenceReader.FRAME));
    }

    /// @dev Whether position `g` is one of the header's.
    function _covers(bytes calldata p, uint256 header, uint256 g) internal pure returns (bool) {
        return g >= p.number(header + FIRST_G, 8) && g <= p.number(header + LAST_G, 8);
    }

    /// @dev The branch proves the frame hash at position `g`, which is one of the header's.
    function _inLog(bytes calldata p, uint256 header, EvidenceReader.Branch memory branch, uint256 g, bytes32 there) internal pure {
        uint256 firstG = p.number(header + FIRST_G, 8);
        uint256 lastG = p.number(header + LAST_G, 8);
        bool place = branch.index == g - firstG && branch.count == lastG - firstG + 1;
        if (!place || p.rootOf(branch, there, 0) != p.word(header + FRAMES_ROOT)) revert Evidence_Path();
    }

    /// @dev More than two thirds signed the header at `header`; the certificate after it fills the rest.
    function _certified(bytes calldata p, bytes32 ctx, uint256 header) internal view {
        uint256 pos = header + EvidenceReader.HEADER;
        uint256 sigs = _bitmapEnd(p, pos + 4);
        uint64 epoch = uint64(p.number(header + EPOCH, 8));
        (uint256 weight, uint256 total) = verifier.weigh(epoch, _precommit(p, ctx, header, epoch), p[pos + 5:sigs], p[sigs:]);
        if (weight * 3 <= total * 2) revert Evidence_Quorum();
    }

    /// @dev What the signers of the header's certificate signed.
    function _precommit(bytes calldata p, bytes32 ctx, uint256 header, uint64 epoch) private view returns (bytes32) {
        bytes32 valueId = Digests.digest(Digests.TAG_HEADER, ctx, p.hash(header, EvidenceReader.HEADER));
        uint32 round = uint32(p.number(header + EvidenceReader.HEADER, 4));
        bytes32 vote = Digests.precommit(epoch, uint64(p.number(header + HEIGHT, 8)), round, valueId);
        return Digests.typed(Digests.separator(ctx, _registry), vote);
    }

    /// @dev Where the bitmap whose length is at `pos` ends.
    function _bitmapEnd(bytes calldata p, uint256 pos) internal pure returns (uint256 end) {
        uint256 length = p.number(pos, 1);
        end = pos + 1 + length;
        EvidenceReader.need(length <= 32 && p.length >= end && (length == 0 || p.number(end - 1, 1) != 0));
    }
}
