// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Domain separation
/// @notice Every signature of the protocol covers both chain ids, the registry, the genesis, the generation and the kind of message,
/// so none can be replayed elsewhere. The nodes compute the same bytes; `tests/vectors/formats.json` holds both sides to it.
/// @dev Nothing is cached by chain id: after a fork of L1 that changes its id, older signatures stop counting by themselves.
library Digests {
    /// @dev keccak256("rota/v1/header")
    bytes32 internal constant TAG_HEADER = keccak256("rota/v1/header");
    /// @dev keccak256("rota/v1/frame"), of frames: its digest is the frame's hash
    bytes32 internal constant TAG_FRAME = keccak256("rota/v1/frame");
    /// @dev keccak256("rota/v1/init"), of the opening of a term in a round above 0
    bytes32 internal constant TAG_INIT = keccak256("rota/v1/init");
    /// @dev keccak256("rota/v1/ack")
    bytes32 internal constant TAG_ACK = keccak256("rota/v1/ack");
    /// @dev keccak256("rota/v1/pop")
    bytes32 internal constant TAG_POSSESSION = keccak256("rota/v1/pop");

    bytes32 internal constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)");
    bytes32 internal constant DOMAIN_NAME = keccak256("Rota");
    bytes32 internal constant DOMAIN_VERSION = keccak256("1");
    bytes32 internal constant POSSESSION_TYPE = keccak256("Possession(bytes32 digest)");
    bytes32 internal constant VOTE_TYPE = keccak256("Vote(uint64 epoch,uint64 height,uint32 round,uint8 kind,bytes32 valueId)");
    bytes32 internal constant STATUS_TYPE = keccak256(
        "Status(uint64 epoch,uint64 height,uint32 round,uint16 signer,int32 bestRound,uint64 bestG,bytes32 bestHash,bytes32 bestRef)"
    );
    bytes32 internal constant PROPOSAL_TYPE =
        keccak256("Proposal(uint64 epoch,uint64 height,uint32 round,int32 polRound,uint16 proposer,bytes32 valueId,bytes32 initHash)");
    uint8 internal constant PREVOTE = 1;
    uint8 internal constant PRECOMMIT = 2;

    /// @notice The context of one rollup on this chain.
    /// @param generation raised only by the L1 fallback; 0 at start
    function context(uint64 l2ChainId, address registry, bytes32 genesisHash, uint32 generation) internal view returns (bytes32) {
        return keccak256(abi.encodePacked("rota/ctx/v1", uint64(block.chainid), l2ChainId, registry, genesisHash, generation));
    }

    /// @notice What an ed25519 key signs, and what identifies a message: keccak256(tag || ctx || keccak256(encoding)).
    function digest(bytes32 tag, bytes32 ctx, bytes32 encodingHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(tag, ctx, encodingHash));
    }

    /// @notice EIP-712 domain separator with the context as its salt.
    function separator(bytes32 ctx, address registry) internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, DOMAIN_NAME, DOMAIN_VERSION, block.chainid, registry, ctx));
    }

    /// @notice What a secp256k1 key signs.
    function typed(bytes32 domainSeparator, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
    }

    /// @notice Struct hash of a precommit, the vote that certificates are made of.
    function precommit(uint64 epoch, uint64 height, uint32 round, bytes32 valueId) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOTE_TYPE, epoch, height, round, PRECOMMIT, valueId));
    }

    /// @notice Struct hash of `Possession(bytes32 digest)`.
    function possession(bytes32 possessionDigest) internal pure returns (bytes32) {
        return keccak256(abi.encode(POSSESSION_TYPE, possessionDigest));
    }
}
