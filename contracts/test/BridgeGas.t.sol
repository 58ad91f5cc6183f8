// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MessagePasser} from "../src/MessagePasser.sol";
import {Withdrawal} from "../src/PortalTypes.sol";
import {BridgeFixture, Evidence} from "./BridgeFixture.sol";

/// @dev As in Gas.t.sol. Proofs here have one node a trie; what real ones cost is in docs/bridge.md.
contract GasBridgeTest is BridgeFixture {
    MessagePasser private passer;
    Withdrawal private _ready;
    Evidence private _evidence;

    function setUp() public {
        deployPortal();
        passer = new MessagePasser();
        portal.seed{value: 100 ether}();
        portal.deposit{value: 1 ether}(address(1));
        passer.initiate{value: 1 ether}(address(0xb0b), 0, "");
        vm.deal(address(0xb0b), 1 ether);
        _ready = withdrawal(0, address(0xb0b), 1 ether);
        prove(_ready, 1);
        vm.warp(block.timestamp + MATURITY);
        Evidence memory e = evidence(withdrawal(1, address(0xb0b), 1 ether), 2);
        oracle.set(2, keccak256(e.header));
        (_evidence.header, _evidence.account, _evidence.slot) = (e.header, e.account, e.slot);
    }

    function test_deposit() public {
        portal.deposit{value: 1 ether}(address(0xb0b));
    }

    function test_initiate() public {
        passer.initiate{value: 1 ether}(address(0xb0b), 0, "");
    }

    function test_prove() public {
        Evidence memory e = _evidence;
        portal.prove(withdrawal(1, address(0xb0b), 1 ether), e.header, e.account, e.slot);
    }

    function test_finalize() public {
        portal.finalize(_ready);
    }
}
