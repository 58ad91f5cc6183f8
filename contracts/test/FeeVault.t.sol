// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FeeVault} from "../src/FeeVault.sol";
import {MessagePasser} from "../src/MessagePasser.sol";
import {Withdrawal, Withdrawals} from "../src/PortalTypes.sol";
import {Predeploys} from "../src/Predeploys.sol";
import {Rewards} from "../src/Rewards.sol";
import {Test} from "./Vm.sol";

contract FeeVaultTest is Test {
    address private constant REWARDS = address(0x4e3a4d5);
    FeeVault private vault;
    MessagePasser private passer = MessagePasser(payable(Predeploys.MESSAGE_PASSER));

    function setUp() public {
        vm.warp(1_700_000_000);
        vm.etch(Predeploys.MESSAGE_PASSER, type(MessagePasser).runtimeCode);
        vault = new FeeVault();
        // As the genesis writes it.
        vm.store(address(vault), 0, bytes32(uint256(uint160(REWARDS))));
    }

    function _withdrawal(uint256 nonce, uint256 amount) private view returns (Withdrawal memory) {
        return Withdrawal(nonce, address(vault), REWARDS, amount, 100_000, abi.encodeCall(Rewards.fund, ()));
    }

    function test_allThatIsThereGoesToTheRewardsOnL1() public {
        equal(vault.rewards(), REWARDS);
        vm.deal(address(vault), 3 ether);
        bytes32 id = Withdrawals.hash(_withdrawal(0, 3 ether));
        vm.expectEmit();
        emit FeeVault.Released(3 ether, id);
        vm.prank(address(0xabc));
        equal(vault.release(), id);
        check(passer.sent(id), "not sent");
        equal(address(vault).balance, 0);
        equal(address(passer).balance, 3 ether);
        equal(vault.released(), 3 ether);
        equal(vault.releasedAt(), block.timestamp);
        equal(vault.rewards(), REWARDS);
    }

    function test_atMostOnceADay() public {
        vm.deal(address(vault), 1 ether);
        vault.release();
        vm.deal(address(vault), 2 ether);
        uint256 next = block.timestamp + 1 days;
        vm.warp(next - 1);
        vm.expectRevert(abi.encodeWithSelector(FeeVault.Vault_TooEarly.selector, next));
        vault.release();
        vm.warp(next);
        equal(vault.release(), Withdrawals.hash(_withdrawal(1, 2 ether)));
        equal(vault.released(), 3 ether);
    }

    function test_whatIsNotWorthAProofWaitsForAMonth() public {
        vm.deal(address(vault), 1);
        vault.release();
        vm.deal(address(vault), 0.1 ether - 1);
        uint256 next = block.timestamp + 30 days;
        vm.warp(next - 1);
        vm.expectRevert(abi.encodeWithSelector(FeeVault.Vault_TooEarly.selector, next));
        vault.release();
        vm.warp(next);
        vault.release();
        vm.deal(address(vault), 0.1 ether);
        vm.warp(next + 1 days);
        vault.release();
    }

    function test_nothingIsNotSent() public {
        vm.expectRevert(FeeVault.Vault_Nothing.selector);
        vault.release();
        vm.deal(address(vault), 1);
        vault.release();
    }

    function test_aGenesisThatNamesNobodyKeepsTheFees() public {
        vm.store(address(vault), 0, 0);
        vm.deal(address(vault), 1 ether);
        vm.expectRevert(FeeVault.Vault_Nowhere.selector);
        vault.release();
    }

    function test_itTakesPayments() public {
        (bool taken,) = address(vault).call{value: 1}("");
        check(taken, "refused");
    }
}
