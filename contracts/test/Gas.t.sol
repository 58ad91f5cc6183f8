// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Batch, IInboxEvents} from "../src/InboxTypes.sol";
import {Registration} from "../src/RegistryTypes.sol";
import {Fixture} from "./Fixture.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// @dev The main operations, for `.gas-snapshot`. Each figure holds some constant work of the test itself; what counts is that it
/// does not move. The goals (a whole transaction) are held by the l1 crate's test against a real chain.
abstract contract GasFixture is Fixture {
    function _post(uint64 from, uint64 to, uint256 signers, uint256 size) internal {
        oneBlob();
        (bytes memory bitmap, bytes memory sigs) = certify(head(to), 0, (1 << signers) - 1, size);
        // Of an account without code: only its cost is noted.
        vm.fee(1 gwei);
        vm.prank(owner(0), owner(0));
        inbox.submitBatch(batch(from, to), encode(head(to)), bitmap, sigs);
    }
}

contract GasRegistryTest is GasFixture {
    function setUp() public {
        deploy(4);
        for (uint256 i; i < 4; i++) {
            join(i, MIN_STAKE);
        }
    }

    function test_register() public {
        join(9, MIN_STAKE);
    }

    function test_freezeFour() public {
        registry.freezeSet(0);
    }
}

/// @dev What owners do with an operator that is there.
contract GasOwnerTest is GasFixture {
    function setUp() public {
        deployWithSet(4);
        join(4, MIN_STAKE);
        vm.deal(owner(0), MIN_STAKE);
        vm.prank(owner(3));
        registry.requestExit(3);
        vm.roll(registry.epochStart(1));
        registry.freezeSet(2);
        vm.roll(registry.epochStart(62));
    }

    function test_topUp() public {
        vm.prank(owner(0));
        registry.topUp{value: MIN_STAKE}(0);
    }

    function test_rotate() public {
        Registration memory r = registration(9);
        (, bytes32 secret) = vm.createEd25519Key(bytes32(uint256(9)));
        signPossession(r, owner(0), voteSecret(9), secret);
        vm.prank(owner(0));
        registry.rotate(0, r);
    }

    function test_requestExit() public {
        vm.prank(owner(1));
        registry.requestExit(1);
    }

    function test_withdraw() public {
        vm.prank(owner(3));
        registry.withdraw(3, owner(3));
    }

    function test_rejoin() public {
        vm.prank(owner(3));
        registry.rejoin(3);
    }

    function test_seize() public {
        vm.prank(SLASHER);
        registry.seize(1);
    }

    function test_freezeNext() public {
        registry.freezeSet(63);
    }
}

contract GasFullSetTest is GasFixture {
    function setUp() public {
        deploy(64);
        for (uint256 i; i < 80; i++) {
            join(i, MIN_STAKE);
        }
        registry.freezeSet(0);
        for (uint256 i; i < 32; i++) {
            vm.prank(owner(i));
            registry.requestExit(i);
        }
        vm.roll(registry.epochStart(2));
    }

    function test_freezeSixtyFourWithAQuarterChanged() public {
        registry.freezeSet(3);
    }
}

contract GasForcedTest is GasFixture {
    function setUp() public {
        deployWithSet(4);
        forced.enqueue{value: 1 ether}(new bytes(100), 100_000);
        vm.roll(block.number + 1);
        _post(1, 1, 3, 4);
    }

    function test_enqueueHundredBytes() public {
        forced.enqueue{value: 1 ether}(new bytes(100), 100_000);
    }

    /// @dev One entry waits, as is usual where the queue is used.
    function test_submitBatchBehindAnEntry() public {
        _post(2, 2, 3, 4);
    }
}

contract GasFallbackTest is GasFixture {
    function setUp() public {
        deployWithSet(4);
        vm.roll(inbox.stalledAfter() + 1);
        inbox.activateFallback();
        for (uint256 i; i < 3; i++) {
            vm.prank(owner(i));
            inbox.rollCall(1, i);
        }
        vm.roll(block.number + 41);
    }

    function test_rollCall() public {
        vm.prank(owner(3));
        inbox.rollCall(1, 3);
    }

    function test_formEmergencySetOfFour() public {
        inbox.formEmergencySet();
    }

    function test_submitUncertified() public {
        oneBlob();
        Head memory h = head(1);
        h.generation = 1;
        inbox.submitUncertified(batch(1, 1), encode(h));
    }
}

contract GasInboxTest is GasFixture {
    function setUp() public {
        deployWithSet(4);
        _post(1, 1, 3, 4);
    }

    function test_submitBatchOfFour() public {
        _post(2, 2, 3, 4);
    }
}

contract GasLargeInboxTest is GasFixture {
    function setUp() public {
        deployWithSet(32);
        _post(1, 1, 22, 32);
    }

    function test_submitBatchOfThirtyTwo() public {
        _post(2, 2, 22, 32);
    }
}

contract GasEd25519Test is GasFixture {
    function setUp() public {
        deploy(1);
    }

    function test_verify() public view {
        Registration memory r = registration(0);
        bytes32 digest = registry.possessionDigest(owner(0), r.voteKey, r.seqKey, r.feeRecipient, r.peer);
        check(ed.verify(r.seqKey, r.seqR, r.seqS, digest), "proof of possession");
    }
}

/// @dev A claim in a tree of 64 accounts, by a certificate of three signers of four.
contract GasRewardsTest is RewardsFixture {
    Claim private _c;

    function setUp() public {
        deployRewards();
        post(1, 2 * BEHIND);
        rewards.fund{value: 10 ether}();
        address[] memory accounts = new address[](64);
        uint128[] memory amounts = new uint128[](64);
        for (uint256 i; i < 64; i++) {
            (accounts[i], amounts[i]) = (address(uint160(0xd000 + i)), 1 gwei);
        }
        _c = claimOf(BEHIND, accounts, amounts, 33, 7);
        Head memory h = head(3 * BEHIND);
        (bytes memory bitmap, bytes memory sigs) = certify(h, 0, 7, SET);
        oneBlob();
        vm.fee(1 gwei);
        vm.prank(owner(1), owner(1));
        inbox.submitBatch(batch(2 * BEHIND + 1, 3 * BEHIND), encode(h), bitmap, sigs);
        vm.prank(owner(1));
        rewards.namePoster(1, owner(1));
    }

    function test_claimRewards() public {
        send(_c);
    }

    function test_namePoster() public {
        vm.prank(owner(2));
        rewards.namePoster(2, owner(2));
    }

    function test_refundPoster() public {
        rewards.refund(1);
    }
}
