// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Warranty} from "../src/Warranty.sol";
import {Offer} from "../src/WarrantyTypes.sol";
import {Test} from "./Vm.sol";
import {WarrantyTrial} from "./WarrantyTrial.sol";

/// @dev Two operators post, offer, lose terms and take their bonds back, in any order and over any time.
contract WarrantyHandler is WarrantyTrial {
    uint256 private constant USERS = 3;
    uint256 private constant TIP_OF_ALL = 50 gwei;

    uint256 public putIn;
    bool public stranger;
    uint64 private _now = EPOCH;
    mapping(uint256 => uint256) public spent;

    constructor() payable {
        vm.deal(address(this), 1e30);
        deployWarranty();
        for (uint64 e = 1; e < 200; e++) {
            if (e != EPOCH) registry.freeze(e);
            registry.setLastUse(e, e);
        }
        for (uint8 i; i < 2; i++) {
            post(i, 0.5 ether);
            offer(i, 99_999, 0.02 ether, 0.05 ether);
        }
    }

    function subject() external view returns (Warranty) {
        return warranty;
    }

    function post(uint8 who, uint96 amount) public {
        uint256 value = 1 + amount % 1 ether;
        warranty.post{value: value}(OP + who % 2);
        putIn += value;
    }

    /// @dev Before the frames' epoch comes, so that there is something to claim.
    function offer(uint8 who, uint32 bps, uint88 claimCap, uint88 termCap) public {
        termCap = uint88(1 + termCap % 0.3 ether);
        registry.setCurrentEpoch(EPOCH - 2);
        vm.prank(owner(1 + who % 2));
        try warranty.set(OP + who % 2, Offer(1 + bps % 1_000_000, uint88(1 + claimCap % termCap), termCap)) {} catch {}
        registry.setCurrentEpoch(_now);
    }

    function stop(uint8 who) external {
        vm.prank(owner(1 + who % 2));
        warranty.set(OP + who % 2, Offer(0, 0, 0));
    }

    function pass(uint8 epochs) external {
        if (_now < 150) _now += epochs % 20;
        registry.setCurrentEpoch(_now);
    }

    /// @dev One of ten terms of either operator, of one of two frames.
    function lose(uint8 who, uint8 round, bool second, uint8 first, uint8 count) external {
        (who, round) = (who % 2, round % 10);
        bytes[] memory txs = transactions(USERS, TIP_OF_ALL);
        Loss memory l = loss(txs);
        l.lost = stream(2, 1 + who, 2 * round, txs);
        l.log = stream(1, 3, 2 * round + 1, transactions(1, 1));
        (l.signer, l.which) = (1 + who, second ? 1 : 0);
        bytes[] memory some = new bytes[](1 + count % USERS);
        for (uint256 i; i < some.length; i++) {
            some[i] = bid(txs, (first + i) % USERS);
        }
        uint256 other = warranty.bondOf(OP + 1 - who);
        try warranty.claim(0, proof(l), some) returns (uint256 sum) {
            spent[who] += sum;
        } catch {}
        if (warranty.bondOf(OP + 1 - who) != other) stranger = true;
    }

    function withdraw(uint8 who) external {
        vm.prank(owner(1 + who % 2));
        try warranty.withdraw(OP + who % 2, owner(1 + who % 2)) {} catch {}
    }

    function refuse(uint8 who, bool whether) external {
        vm.etch(user(who % USERS), whether ? bytes(hex"5f5ffd") : bytes(""));
    }

    function take(uint8 who) external {
        try warranty.pay(user(who % USERS)) {} catch {}
    }

    function sums() external view returns (uint256 bonds, uint256 credits, uint256 received, uint256 back) {
        for (uint256 i; i < 2; i++) {
            bonds += warranty.bondOf(OP + i);
            back += owner(1 + i).balance;
        }
        for (uint256 i; i < USERS; i++) {
            credits += warranty.credit(user(i));
            received += user(i).balance;
        }
    }

    /// @dev The most that the terms of an operator were ever refunded.
    function refunded(uint256 who) external view returns (uint256 sum, uint256 most) {
        for (uint32 round; round < 10; round++) {
            (uint256 amount,) = warranty.refundedOf(0, OP + who, EPOCH, (uint96(10) << 32) | (2 * round));
            sum += amount;
            if (amount > most) most = amount;
        }
    }
}

contract WarrantyInvariantTest is Test {
    WarrantyHandler private handler;
    Warranty private warranty;

    function setUp() public {
        handler = new WarrantyHandler();
        warranty = handler.subject();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_everyWeiIsInOnePlace() external view {
        (uint256 bonds, uint256 credits, uint256 received, uint256 back) = handler.sums();
        equal(warranty.posted(), handler.putIn());
        equal(warranty.paid(), received);
        equal(warranty.withdrawn(), back);
        equal(bonds + credits + received + back, warranty.posted());
        equal(address(warranty).balance, bonds + credits);
    }

    function invariant_onlyTheOwnBondPays() external view {
        check(!handler.stranger(), "a stranger's bond paid");
        for (uint256 i; i < 2; i++) {
            (uint256 sum, uint256 most) = handler.refunded(i);
            equal(sum, handler.spent(i));
            check(most <= 0.3 ether, "more than the cap of a term");
        }
    }
}
