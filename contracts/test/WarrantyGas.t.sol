// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {WarrantyTrial} from "./WarrantyTrial.sol";

/// @dev What refunds cost as transactions: 21,000, calldata at 4 and 16 a byte, and the call from cold.
contract GasWarrantyTest is WarrantyTrial {
    event Used(uint256 gas);

    function setUp() public {
        deployWarranty();
        offering(1 ether);
    }

    function _claim(Loss memory l, bytes[] memory txs) private {
        bytes memory data = abi.encodeCall(warranty.claim, (0, proof(l), bids(txs)));
        uint256 used = 21_000;
        for (uint256 i; i < data.length; i++) {
            used += data[i] == 0 ? 4 : 16;
        }
        vm.cool(address(warranty));
        vm.cool(address(registry));
        vm.cool(address(claimsChecker.edVerifier()));
        uint256 before = gasleft();
        (bool done,) = address(warranty).call(data);
        used += before - gasleft();
        check(done, "refunded");
        // As the documentation says.
        check(used <= 480_000 + 90_000 * txs.length, "a refund got dearer");
        emit Used(used);
    }

    function test_refundOne() public {
        bytes[] memory txs = transactions(1, TIP);
        _claim(loss(txs), txs);
    }

    function test_refundEightOfOneFrame() public {
        bytes[] memory txs = transactions(8, TIP);
        _claim(loss(txs), txs);
    }
}
