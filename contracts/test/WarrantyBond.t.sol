// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Warranty} from "../src/Warranty.sol";
import {IWarranty, Offer} from "../src/WarrantyTypes.sol";
import {Fixture} from "./Fixture.sol";

/// @dev Bond and offer over the clock of the real registry.
contract WarrantyBondTest is Fixture {
    Warranty private warranty;

    function setUp() public {
        deploy(4);
        warranty = new Warranty(address(registry), address(verifier));
        for (uint256 i; i < 4; i++) {
            join(i, MIN_STAKE);
        }
        vm.deal(address(this), 1 ether);
        warranty.post{value: 1 ether}(1);
    }

    function _set(Offer memory o) private {
        vm.prank(owner(1));
        warranty.set(1, o);
    }

    function test_beforeTheFirstSetAnOfferIsForIt() public {
        _set(Offer(1, 1, 1));
        registry.freezeSet(0);
        equal(warranty.offerAt(1, 0).bps, 1);
        equal(warranty.freeFrom(1), type(uint64).max);
    }

    function test_nobodyPostsForAnUnknownOperator() public {
        vm.expectRevert();
        warranty.post{value: 1}(4);
    }

    function test_theBondIsFreeAfterTheLastSetWithTheOffer() public {
        _set(Offer(1, 1, 1));
        registry.freezeSet(0);
        vm.roll(registry.epochStart(3));
        _set(Offer(0, 0, 0));
        // It holds from epoch 5 on, and set 0 is in force until another one is frozen.
        vm.roll(registry.epochStart(90));
        equal(warranty.offerAt(1, 4).bps, 1);
        equal(warranty.offerAt(1, 5).bps, 0);
        equal(warranty.freeFrom(1), type(uint64).max);
        registry.freezeSet(91);
        equal(warranty.freeFrom(1), type(uint64).max);
        vm.roll(registry.epochStart(91));
        equal(warranty.freeFrom(1), 90 + 28 + 1);
        vm.roll(registry.epochStart(119) - 1);
        vm.prank(owner(1));
        vm.expectRevert(abi.encodeWithSelector(IWarranty.Warranty_Locked.selector, 119));
        warranty.withdraw(1, owner(1));
        vm.roll(registry.epochStart(119));
        vm.prank(owner(1));
        warranty.withdraw(1, owner(1));
        equal(owner(1).balance, 1 ether);
    }
}
