// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Batch, IInboxEvents} from "../src/InboxTypes.sol";
import {Registration} from "../src/RegistryTypes.sol";
import {Fixture} from "./Fixture.sol";

/// @dev The main operations, for `.gas-snapshot`. Each figure holds some constant work of the test itself; what counts is that it
/// does not move. The goals (a whole transaction) are held by the l1 crate's test against a real chain.
abstract contract GasFixture is Fixture {
    function _post(uint64 from, uint64 to, uint256 signers, uint256 size) internal {
        oneBlob();
        (bytes memory bitmap, bytes memory sigs) = certify(head(to), 0, (1 << signers) - 1, size);
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
