// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Registry} from "../src/Registry.sol";
import {IRegistryEvents, Operator, Registration, Terms} from "../src/RegistryTypes.sol";
import {Fixture} from "./Fixture.sol";

contract RegistryTest is Fixture {
    function setUp() public {
        deploy(4);
    }

    function _refuse(Registration memory r, uint256 value, bytes4 refusal) private {
        vm.deal(owner(0), value);
        vm.prank(owner(0));
        vm.expectRevert(refusal);
        registry.register{value: value}(r);
    }

    function _refuseTerms(Terms memory t, bytes4 refusal) private {
        vm.expectRevert(refusal);
        new Registry(t);
    }

    function test_constructorRefusesBadMinimum() public {
        _refuseTerms(terms(0), IRegistryEvents.Registry_BadMinimum.selector);
        _refuseTerms(terms(65), IRegistryEvents.Registry_BadMinimum.selector);
    }

    function test_registerKeepsEverything() public {
        Registration memory r = registration(0);
        vm.deal(owner(0), 2 ether);
        vm.expectEmit();
        emit IRegistryEvents.Registered(0, owner(0), r.voteKey, r.seqKey, 2 ether, r.peer);
        vm.prank(owner(0));
        registry.register{value: 2 ether}(r);
        equal(address(registry).balance, 2 ether);
        Operator memory o = registry.operators(0, 10)[0];
        equal(o.owner, owner(0));
        equal(o.stake, 2 ether);
        equal(o.voteKey, r.voteKey);
        equal(o.feeRecipient, r.feeRecipient);
        equal(o.seqKey, r.seqKey);
        equal(keccak256(o.peer), keccak256(r.peer));
        check(registry.usedKey(keccak256(abi.encodePacked(r.voteKey))), "vote key marked");
        check(registry.usedKey(keccak256(abi.encodePacked(r.seqKey))), "seq key marked");
    }

    function test_refusesStakeTooLow() public {
        _refuse(registration(0), MIN_STAKE - 1, IRegistryEvents.Registry_StakeTooLow.selector);
    }

    function test_refusesStakeTooHigh() public {
        _refuse(registration(0), uint256(type(uint88).max) + 1, IRegistryEvents.Registry_StakeTooHigh.selector);
    }

    function test_refusesZeroVoteKey() public {
        Registration memory r = registration(0);
        r.voteKey = address(0);
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_ZeroVoteKey.selector);
    }

    function test_refusesZeroFeeRecipient() public {
        Registration memory r = registration(0);
        r.feeRecipient = address(0);
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_ZeroFeeRecipient.selector);
    }

    function test_peerLengthIsBounded() public {
        Registration memory r = registration(0);
        r.peer = new bytes(257);
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_PeerTooLong.selector);
        (, bytes32 secret) = vm.createEd25519Key(bytes32(0));
        r.peer = new bytes(256);
        signPossession(r, owner(0), voteSecret(0), secret);
        vm.deal(owner(0), MIN_STAKE);
        vm.prank(owner(0));
        registry.register{value: MIN_STAKE}(r);
    }

    function test_refusesUsedKeys() public {
        join(0, MIN_STAKE);
        _refuse(registration(0), MIN_STAKE, IRegistryEvents.Registry_SeqKeyUsed.selector);
        Registration memory r = registration(1);
        r.voteKey = vm.addr(voteSecret(0));
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_VoteKeyUsed.selector);
    }

    function test_aRefusalUsesNoKey() public {
        Registration memory r = registration(0);
        r.seqS = 0;
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_BadSeqProof.selector);
        equal(registry.operatorCount(), 0);
        join(0, MIN_STAKE);
    }

    function test_refusesProofOfAnotherOwner() public {
        // A copied registration, sent from another account: both proofs name the first owner.
        _refuse(registration(1), MIN_STAKE, IRegistryEvents.Registry_BadVoteProof.selector);
    }

    function test_refusesProofByAnotherVoteKey() public {
        Registration memory r = registration(0);
        (, bytes32 secret) = vm.createEd25519Key(bytes32(0));
        signPossession(r, owner(0), voteSecret(9), secret);
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_BadVoteProof.selector);
    }

    function test_refusesProofByAnotherSeqKey() public {
        Registration memory r = registration(0);
        (, bytes32 secret) = vm.createEd25519Key(bytes32(uint256(9)));
        signPossession(r, owner(0), voteSecret(0), secret);
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_BadSeqProof.selector);
    }

    function test_refusesSmallOrderSeqKey() public {
        // The identity "signs" everything under plain verification: R = identity, S = 0.
        Registration memory r = registration(0);
        r.seqKey = bytes32(uint256(1) << 248);
        signPossession(r, owner(0), voteSecret(0), keccak256("any"));
        r.seqR = r.seqKey;
        r.seqS = 0;
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_BadSeqProof.selector);
    }

    function test_refusesHighS() public {
        Registration memory r = registration(0);
        r.voteSig = malleate(r.voteSig);
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_HighS.selector);
    }

    function test_refusesShortOrOddVoteProof() public {
        Registration memory r = registration(0);
        bytes memory good = r.voteSig;
        r.voteSig = new bytes(64);
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_BadVoteProof.selector);
        good[64] = bytes1(uint8(good[64]) - 27);
        r.voteSig = good;
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_BadVoteProof.selector);
    }

    function test_proofIsBoundToTheChain() public {
        Registration memory r = registration(0);
        vm.chainId(block.chainid + 1);
        _refuse(r, MIN_STAKE, IRegistryEvents.Registry_BadVoteProof.selector);
    }

    function test_freezePacksRecords() public {
        bytes memory want;
        uint256 total;
        for (uint256 i; i < 5; i++) {
            uint256 stake = MIN_STAKE + i * 1 gwei + 7;
            join(i, stake);
            want = abi.encodePacked(want, vm.addr(voteSecret(i)), uint96(stake / 1 gwei));
            total += stake / 1 gwei;
        }
        registry.freezeSet(0);
        equal(registry.setHash(0), keccak256(want));
        equal(keccak256(registry.setRecords(0)), keccak256(want));
        equal(registry.setTotal(0), total);
    }

    function test_freezeOnceWithEnough() public {
        for (uint256 i; i < 3; i++) {
            join(i, MIN_STAKE);
        }
        vm.expectRevert(IRegistryEvents.Registry_TooFewOperators.selector);
        registry.freezeSet(0);
        join(3, MIN_STAKE);
        vm.expectRevert(IRegistryEvents.Registry_EpochNotOpen.selector);
        registry.freezeSet(1);
        registry.freezeSet(0);
        vm.expectRevert(IRegistryEvents.Registry_AlreadyFrozen.selector);
        registry.freezeSet(0);
    }

    function test_registrationAfterFreezeWaits() public {
        for (uint256 i; i < 4; i++) {
            join(i, MIN_STAKE);
        }
        registry.freezeSet(0);
        bytes32 hash = registry.setHash(0);
        join(4, MIN_STAKE);
        equal(registry.operatorCount(), 5);
        equal(registry.setHash(0), hash);
        equal(registry.setRecords(0).length, 4 * 32);
    }

    function test_setIsCapped() public {
        for (uint256 i; i < 66; i++) {
            join(i, MIN_STAKE);
        }
        registry.freezeSet(0);
        equal(registry.setRecords(0).length, 64 * 32);
        equal(registry.setTotal(0), 64 * MIN_STAKE / 1 gwei);
    }

    function test_pages() public {
        for (uint256 i; i < 5; i++) {
            join(i, MIN_STAKE);
        }
        equal(registry.operators(0, 3).length, 3);
        equal(registry.operators(3, 3).length, 2);
        equal(registry.operators(3, 3)[1].owner, owner(4));
        equal(registry.operators(5, 1).length, 0);
        equal(registry.operators(type(uint256).max, type(uint256).max).length, 0);
        equal(registry.operators(1, type(uint256).max).length, 4);
    }

    function test_unknownEpochIsEmpty() public view {
        (address pointer, uint256 total) = registry.epochSet(7);
        equal(pointer, address(0));
        equal(total, 0);
        equal(registry.setRecords(7).length, 0);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_everySignedFieldCounts(uint8 field, bytes32 flip) public {
        vm.assume(flip != 0);
        Registration memory r = registration(0);
        field %= 5;
        if (field == 0) r.seqKey ^= flip;
        if (field == 1) r.voteKey = address(uint160(uint256(keccak256(abi.encode(flip)))));
        if (field == 2) r.feeRecipient = address(uint160(uint256(keccak256(abi.encode(flip)))));
        if (field == 3) r.peer = abi.encode(flip);
        if (field == 4) r.seqR ^= flip;
        bytes4 refusal = field == 4 ? IRegistryEvents.Registry_BadSeqProof.selector : IRegistryEvents.Registry_BadVoteProof.selector;
        _refuse(r, MIN_STAKE, refusal);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_stakeBecomesWeight(uint256 stake) public {
        stake = MIN_STAKE + stake % (uint256(type(uint88).max) - MIN_STAKE);
        join(0, stake);
        for (uint256 i = 1; i < 4; i++) {
            join(i, MIN_STAKE);
        }
        registry.freezeSet(0);
        equal(registry.setTotal(0), stake / 1 gwei + 3 * (MIN_STAKE / 1 gwei));
    }
}
