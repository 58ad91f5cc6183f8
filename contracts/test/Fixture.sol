// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {Digests} from "../src/Digests.sol";
import {EcdsaCertificateVerifier} from "../src/EcdsaCertificateVerifier.sol";
import {Ed25519Verifier} from "../src/Ed25519Verifier.sol";
import {ForcedQueue} from "../src/ForcedQueue.sol";
import {Inbox} from "../src/Inbox.sol";
import {Batch, InboxRules} from "../src/InboxTypes.sol";
import {Registry} from "../src/Registry.sol";
import {Registration, Terms} from "../src/RegistryTypes.sol";
import {Test} from "./Vm.sol";

/// @dev A registry whose frozen set is given.
contract FixedSet {
    address private immutable _pointer;
    uint256 private immutable _total;
    uint64 private immutable _epoch;
    uint64 public immutable l2ChainId;
    bytes32 public immutable genesisHash;
    uint64 public constant epochBlocks = 1800;

    constructor(bytes memory records, uint256 total, uint64 epoch, uint64 l2ChainId_, bytes32 genesisHash_) {
        _pointer = SSTORE2.write(records);
        _total = total;
        _epoch = epoch;
        l2ChainId = l2ChainId_;
        genesisHash = genesisHash_;
    }

    function epochSet(uint64 epoch) external view returns (address, uint256) {
        return epoch == _epoch ? (_pointer, _total) : (address(0), 0);
    }

    function inForce(uint64 epoch) external view returns (uint256, uint256) {
        return (epoch == _epoch ? 0 : type(uint256).max, type(uint256).max);
    }
}

/// @dev Contracts with real keys: operator i has vote key `voteSecret(i)` and the ed25519 key made from salt i.
abstract contract Fixture is Test {
    /// @dev What a header says about its place; the rest of its 480 bytes is filler.
    struct Head {
        uint64 l1Number;
        uint32 generation;
        uint64 epoch;
        uint64 height;
        bytes32 filler;
    }

    uint64 internal constant L2_CHAIN = 70_700;
    bytes32 internal constant GENESIS = keccak256("genesis");
    uint256 internal constant MIN_STAKE = 1 ether;
    uint16 internal constant MAX_SHARE = 10_000;
    uint32 internal constant EPOCH_BLOCKS = 100;
    uint256 internal constant FORCED_FEE = 1e14;
    uint256 internal constant FORCED_GAS_PRICE = 1 gwei;
    address internal constant POOL = address(0x9001);
    /// @dev L1 block and time at which the tests begin.
    uint256 internal constant NOW = 1_000_000;
    uint256 internal constant TODAY = 1_700_000_000;
    /// @dev Origin of height h in these tests is ORIGIN + h.
    uint64 internal constant ORIGIN = uint64(NOW) - 1000;
    address internal constant SLASHER = address(0x51a54e4);
    uint256 internal constant CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    Ed25519Verifier internal ed;
    Registry internal registry;
    EcdsaCertificateVerifier internal verifier;
    ForcedQueue internal forced;
    Inbox internal inbox;

    function deploy(uint256 minOperators) internal {
        vm.roll(NOW);
        vm.warp(TODAY);
        ed = new Ed25519Verifier();
        registry = new Registry(terms(minOperators));
        verifier = new EcdsaCertificateVerifier(address(registry));
        forced = new ForcedQueue(POOL, FORCED_FEE, FORCED_GAS_PRICE);
        inbox = new Inbox(address(registry), address(verifier), address(forced), address(0), rules());
    }

    function rules() internal pure returns (InboxRules memory) {
        return InboxRules({fallbackBlocks: 200, rollCallBlocks: 40, forcedWindow: 3600});
    }

    /// @dev The inbox comes three deployments after the registry.
    function terms(uint256 minOperators) internal view virtual returns (Terms memory) {
        return Terms({
            l2ChainId: L2_CHAIN,
            genesisHash: GENESIS,
            minStake: uint96(MIN_STAKE),
            minOperators: uint16(minOperators),
            maxShareBps: MAX_SHARE,
            epochBlocks: EPOCH_BLOCKS,
            unbondEpochs: 60,
            evidenceEpochs: 56,
            edVerifier: address(ed),
            slasher: SLASHER,
            inbox: vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 3)
        });
    }

    function deployWithSet(uint256 operators) internal {
        deploy(operators);
        for (uint256 i; i < operators; i++) {
            join(i, MIN_STAKE);
        }
        registry.freezeSet(0);
        oneBlob();
    }

    function owner(uint256 i) internal pure returns (address) {
        return vm.addr(0xc01d + i);
    }

    function voteSecret(uint256 i) internal pure returns (uint256) {
        return 0x40700000 + i;
    }

    function join(uint256 i, uint256 stake) internal returns (uint256 index) {
        Registration memory r = registration(i);
        vm.deal(owner(i), stake);
        vm.prank(owner(i));
        return registry.register{value: stake}(r);
    }

    function registration(uint256 i) internal view returns (Registration memory r) {
        bytes32 seqSecret;
        (r.seqKey, seqSecret) = vm.createEd25519Key(bytes32(i));
        r.voteKey = vm.addr(voteSecret(i));
        r.feeRecipient = address(uint160(0xfee0 + i));
        r.peer = "/ip4/127.0.0.1/udp/9000/quic-v1/p2p/12D3KooWExample";
        signPossession(r, owner(i), voteSecret(i), seqSecret);
    }

    function signPossession(Registration memory r, address holder, uint256 secret, bytes32 seqSecret) internal view {
        bytes32 digest = registry.possessionDigest(holder, r.voteKey, r.seqKey, r.feeRecipient, r.peer);
        (r.seqR, r.seqS) = abi.decode(vm.signEd25519("", abi.encodePacked(digest), seqSecret), (bytes32, bytes32));
        r.voteSig = signTyped(secret, Digests.possession(digest));
    }

    function signTyped(uint256 secret, bytes32 structHash) internal view returns (bytes memory) {
        return signTyped(secret, structHash, 0);
    }

    function signTyped(uint256 secret, bytes32 structHash, uint32 generation) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(secret, Digests.typed(Digests.separator(registry.context(generation), address(registry)), structHash));
        return abi.encodePacked(r, s, v);
    }

    function oneBlob() internal {
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = bytes32(uint256(1) << 248 | 7);
        vm.blobhashes(hashes);
    }

    function head(uint64 height) internal pure returns (Head memory h) {
        h.l1Number = ORIGIN + height;
        h.height = height;
        h.filler = keccak256(abi.encode("header", height));
    }

    function encode(Head memory h) internal pure returns (bytes memory out) {
        bytes memory env = abi.encodePacked(uint64(1_700_000_000), h.l1Number, h.filler, uint64(30_000_000), h.filler, address(1));
        bytes memory close = abi.encodePacked(h.generation, h.epoch, h.height, h.filler);
        out = bytes.concat(env, close);
        while (out.length < 480) out = bytes.concat(out, keccak256(out));
        assembly ("memory-safe") {
            mstore(out, 480)
        }
    }

    function valueId(bytes memory header) internal view returns (bytes32) {
        return Digests.digest(Digests.TAG_HEADER, registry.context(0), keccak256(header));
    }

    function batch(uint64 from, uint64 to) internal pure returns (Batch memory b) {
        b.fromHeight = from;
        b.toHeight = to;
    }

    /// @dev A certificate by the signers in `mask`.
    function certify(Head memory h, uint32 round, uint256 mask, uint256 setSize)
        internal
        view
        returns (bytes memory bitmap, bytes memory sigs)
    {
        return _certify(h, round, encode(h), mask, setSize);
    }

    /// @dev As `certify` in round 0, for a header that was changed after its encoding.
    function certifyBytes(Head memory h, bytes memory header, uint256 mask, uint256 setSize)
        internal
        view
        returns (bytes memory bitmap, bytes memory sigs)
    {
        return _certify(h, 0, header, mask, setSize);
    }

    function _certify(Head memory h, uint32 round, bytes memory header, uint256 mask, uint256 setSize)
        private
        view
        returns (bytes memory bitmap, bytes memory sigs)
    {
        bytes32 value = Digests.digest(Digests.TAG_HEADER, registry.context(h.generation), keccak256(header));
        bytes32 structHash = Digests.precommit(h.epoch, h.height, round, value);
        bitmap = new bytes((setSize + 7) / 8);
        for (uint256 i; i < setSize; i++) {
            if ((mask >> i) & 1 == 0) continue;
            bitmap[i / 8] |= bytes1(uint8(1 << (i % 8)));
            sigs = bytes.concat(sigs, signTyped(voteSecret(i), structHash, h.generation));
        }
    }

    /// @dev The same signature in its other form: (r, n - s, v flipped).
    function malleate(bytes memory sig) internal pure returns (bytes memory out) {
        (bytes32 r, bytes32 s, uint8 v) = split(sig, 0);
        return abi.encodePacked(r, CURVE_ORDER - uint256(s), v == 27 ? uint8(28) : uint8(27));
    }

    function split(bytes memory sigs, uint256 i) internal pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly ("memory-safe") {
            let at := add(add(sigs, 32), mul(i, 65))
            r := mload(at)
            s := mload(add(at, 32))
            v := byte(0, mload(add(at, 64)))
        }
    }

    function one(bytes memory sigs, uint256 i) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = split(sigs, i);
        return abi.encodePacked(r, s, v);
    }
}
