// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ClaimsChecker} from "../src/ClaimsChecker.sol";
import {Digests} from "../src/Digests.sol";
import {EcdsaCertificateVerifier} from "../src/EcdsaCertificateVerifier.sol";
import {Ed25519Verifier} from "../src/Ed25519Verifier.sol";
import {EvidenceChecker} from "../src/EvidenceChecker.sol";
import {Slasher} from "../src/Slasher.sol";
import {FakeRegistry} from "./FakeRegistry.sol";
import {Test} from "./Vm.sol";

/// @dev A set of four with keys, and everything that they can sign. Member i is operator 10 + i, with a stake of 32 ether.
abstract contract Trial is Test {
    struct F {
        uint64 epoch;
        uint64 termHeight;
        uint32 termRound;
        uint16 leader;
        uint64 g;
        uint32 seq;
        bytes32 prev;
        bytes32 init;
        uint64 height;
        uint8 flags;
        bytes32 txRoot;
        uint128 insured;
        bytes32 filler;
        /// 0 means 1
        uint32 txs;
    }

    struct A {
        uint64 epoch;
        uint64 height;
        uint32 round;
        uint16 signer;
        uint64 g;
        bytes32 frameHash;
        bytes32 init;
    }

    uint64 internal constant L2_CHAIN = 70_700;
    bytes32 internal constant GENESIS = keccak256("genesis");
    uint64 internal constant EPOCH = 3;
    uint256 internal constant STAKE = 32 ether;
    uint256 internal constant NOW = 1_000_000;
    uint64 internal constant REVEAL = 256;
    uint64 internal constant CONTEST = 50;
    uint64 internal constant CLAIMS = 50_400;
    uint256 internal constant UNLOCKS = NOW + 200_000;

    FakeRegistry internal registry;
    EvidenceChecker internal checker;
    ClaimsChecker internal claimsChecker;
    Slasher internal slasher;

    function deployTrial() internal {
        vm.roll(NOW);
        registry = new FakeRegistry();
        registry.init(L2_CHAIN, GENESIS, address(new Ed25519Verifier()));
        registry.setCurrentEpoch(EPOCH);
        registry.setLastUse(EPOCH, EPOCH);
        for (uint256 i; i < 4; i++) {
            (bytes32 seqKey,) = vm.createEd25519Key(bytes32(i));
            registry.add(EPOCH, FakeRegistry.Member(operator(i), vm.addr(secret(i)), seqKey, STAKE / 1 gwei));
            registry.setOperator{value: STAKE}(operator(i), owner(i), UNLOCKS);
        }
        registry.freeze(EPOCH);
        address verifier = address(new EcdsaCertificateVerifier(address(registry)));
        checker = new EvidenceChecker(address(registry), address(registry), verifier, address(registry));
        claimsChecker = new ClaimsChecker(address(registry), verifier);
        slasher = new Slasher(address(registry), address(checker), address(claimsChecker), REVEAL, CONTEST, CLAIMS);
    }

    function operator(uint256 i) internal pure returns (uint256) {
        return 10 + i;
    }

    function owner(uint256 i) internal pure returns (address) {
        return address(uint160(0xc01d0000 + i));
    }

    function secret(uint256 i) internal pure returns (uint256) {
        return 0x40700000 + i;
    }

    function ctx() internal view returns (bytes32) {
        return checker.context(0);
    }

    function head(uint8 kind, uint16 accused) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), kind, uint32(0), EPOCH, accused);
    }

    function seqSign(uint256 i, bytes32 tag, bytes memory message) internal view returns (bytes memory) {
        (, bytes32 key) = vm.createEd25519Key(bytes32(i));
        return vm.signEd25519("", abi.encodePacked(Digests.digest(tag, ctx(), keccak256(message))), key);
    }

    function voteSign(uint256 i, bytes32 structHash) internal view returns (bytes memory) {
        bytes32 digest = Digests.typed(Digests.separator(ctx(), address(registry)), structHash);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret(i), digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev A frame of leader 1's term (10, 0).
    function plainFrame() internal pure returns (F memory f) {
        (f.epoch, f.termHeight, f.leader, f.g, f.seq, f.height) = (EPOCH, 10, 1, 102, 2, 10);
        (f.prev, f.filler) = (keccak256("parent"), keccak256("filler"));
    }

    function enc(F memory f) internal pure returns (bytes memory) {
        bytes memory place = abi.encodePacked(uint16(1), f.epoch, f.termHeight, f.termRound, f.leader, f.g, f.seq, f.prev, f.init);
        bytes memory body = abi.encodePacked(f.height, f.flags, uint64(1_700_000_000_000));
        body = abi.encodePacked(body, f.txs == 0 ? uint32(1) : f.txs, f.txRoot, uint64(21_000));
        return bytes.concat(place, body, abi.encodePacked(bytes32(0), f.insured, f.filler, bytes32(0)));
    }

    function hashOf(F memory f) internal view returns (bytes32) {
        return Digests.digest(Digests.TAG_FRAME, ctx(), keccak256(enc(f)));
    }

    function signed(F memory f) internal view returns (bytes memory) {
        bytes memory e = enc(f);
        return bytes.concat(e, seqSign(f.leader, Digests.TAG_FRAME, e));
    }

    function enc(A memory a) internal pure returns (bytes memory) {
        return abi.encodePacked(uint16(1), a.epoch, a.height, a.round, a.signer, a.g, a.frameHash, a.init);
    }

    function signed(A memory a) internal view returns (bytes memory) {
        bytes memory e = enc(a);
        return bytes.concat(e, seqSign(a.signer, Digests.TAG_ACK, e));
    }

    function vote(uint256 i, uint64 height, uint32 round, uint8 kind, bytes32 value) internal view returns (bytes memory) {
        bytes32 structHash = keccak256(abi.encode(Digests.VOTE_TYPE, EPOCH, height, round, kind, value));
        return bytes.concat(abi.encodePacked(EPOCH, height, round, kind, value), voteSign(i, structHash));
    }

    /// @dev Two frames of member `i` at one place of the term (height, 0).
    function frameTwice(uint16 i, uint64 height) internal view returns (bytes memory) {
        F memory f = plainFrame();
        (f.leader, f.termHeight, f.height) = (i, height, height);
        bytes memory first = signed(f);
        f.filler = keccak256("another");
        return bytes.concat(head(1, i), first, signed(f));
    }

    /// @dev Two prevotes of member `i`.
    function voteTwice(uint16 i, uint64 height) internal view returns (bytes memory) {
        return bytes.concat(head(10, i), vote(i, height, 0, 1, keccak256("a")), vote(i, height, 0, 1, keccak256("b")));
    }

    /// @dev A header with these frame hashes from `firstG` on, closed in the term of the frame `last`.
    function header(uint64 height, uint64 firstG, bytes32[] memory hashes, F memory last) internal pure returns (bytes memory) {
        bytes memory env = new bytes(108);
        bytes memory close = abi.encodePacked(uint32(0), EPOCH, height, bytes32(0), last.termHeight, last.termRound, last.leader);
        bytes memory filler = new bytes(260 - close.length);
        uint64 lastG = firstG + uint64(hashes.length) - 1;
        bytes memory roots = abi.encodePacked(firstG, lastG, bytes32(0), rootOf(leaves(hashes, 0)), hashes[hashes.length - 1]);
        return bytes.concat(env, close, filler, roots);
    }

    function valueId(bytes memory h) internal view returns (bytes32) {
        return Digests.digest(Digests.TAG_HEADER, ctx(), keccak256(h));
    }

    /// @dev Precommits of the members in `mask`: `round || length || bitmap || signatures`.
    function certificate(bytes memory h, uint64 height, uint32 round, uint8 mask) internal view returns (bytes memory out) {
        out = abi.encodePacked(round, uint8(1), mask);
        for (uint256 i; i < 4; i++) {
            if ((mask >> i) & 1 == 1) {
                out = bytes.concat(out, voteSign(i, Digests.precommit(EPOCH, height, round, valueId(h))));
            }
        }
    }

    function leaves(bytes32[] memory hashes, uint128 insured) internal pure returns (bytes32[] memory out) {
        out = new bytes32[](hashes.length);
        for (uint256 i; i < hashes.length; i++) {
            out[i] = keccak256(abi.encodePacked(uint8(0), uint32(i), hashes[i], insured));
        }
    }

    function rootOf(bytes32[] memory level) internal pure returns (bytes32) {
        uint32 count = uint32(level.length);
        while (level.length > 1) level = _up(level);
        return keccak256(abi.encodePacked(uint8(2), count, level[0]));
    }

    /// @dev The branch of the leaf at `index`.
    function branchOf(bytes32[] memory level, uint256 index) internal pure returns (bytes memory) {
        uint32 count = uint32(level.length);
        uint32 place = uint32(index);
        bytes memory siblings;
        while (level.length > 1) {
            if (index ^ 1 < level.length) siblings = bytes.concat(siblings, level[index ^ 1]);
            level = _up(level);
            index >>= 1;
        }
        return abi.encodePacked(place, count, uint8(siblings.length / 32), siblings);
    }

    function _up(bytes32[] memory level) private pure returns (bytes32[] memory out) {
        out = new bytes32[]((level.length + 1) / 2);
        for (uint256 i; i < out.length; i++) {
            bool odd = 2 * i + 1 == level.length;
            out[i] = odd ? level[2 * i] : keccak256(abi.encodePacked(uint8(1), level[2 * i], level[2 * i + 1]));
        }
    }

    /// @dev Commits and reveals as `who`; returns the offence.
    function revealAs(address who, bytes memory evidence) internal returns (uint256) {
        bytes32 commitment = slasher.commitmentOf(evidence, who, "salt");
        slasher.commit(commitment);
        vm.roll(block.number + 1);
        bytes32 key = slasher.check(evidence).key;
        vm.prank(who);
        slasher.reveal(evidence, "salt");
        return uint256(key);
    }
}
