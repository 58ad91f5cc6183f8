// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Portal} from "../src/Portal.sol";
import {Withdrawal, Withdrawals} from "../src/PortalTypes.sol";
import {BridgeFixture, Evidence, OracleDouble} from "./BridgeFixture.sol";
import {Test} from "./Vm.sol";

/// @dev Money goes in, withdrawals of any size are shown and paid in any order, the oracle changes its mind, time passes.
contract PortalHandler is BridgeFixture {
    uint256 public putIn;
    uint256 public paidOut;
    bool public twice;
    Withdrawal[] private _sent;
    mapping(uint256 => uint256) private _paid;
    bool private _lured;

    constructor() payable {
        deployPortal();
        vm.deal(address(this), 1e30);
        seed(50 ether);
    }

    function subject() external view returns (Portal) {
        return portal;
    }

    function seed(uint96 amount) public {
        uint256 wei_ = amount % 100 ether;
        portal.seed{value: wei_}();
        putIn += wei_;
    }

    function deposit(uint32 gwei_, address to) external {
        uint256 wei_ = uint256(gwei_) * 1 gwei;
        if (wei_ < portal.MIN_DEPOSIT() || to == address(0)) return;
        portal.deposit{value: wei_}(to);
        putIn += wei_;
    }

    function show(uint96 value) external {
        Withdrawal memory w = withdrawal(_sent.length, address(this), value % 60 ether);
        _sent.push(w);
        prove(w, uint64(_sent.length));
    }

    function showAgain(uint256 which, uint64 l2Block) external {
        if (_sent.length == 0) return;
        Withdrawal memory w = _sent[which % _sent.length];
        l2Block = 200 + l2Block % 1_000;
        Evidence memory e = evidence(w, l2Block);
        oracle.set(l2Block, keccak256(e.header));
        try portal.prove(w, e.header, e.account, e.slot) {} catch {}
    }

    function changeMind(uint64 l2Block, bytes32 hash) external {
        oracle.set(l2Block % 60, hash);
    }

    function pass(uint32 time) external {
        vm.warp(block.timestamp + time % 2 days);
    }

    function pay(uint256 which) public {
        if (_sent.length == 0) return;
        which %= _sent.length;
        try portal.finalize(_sent[which]) {
            paidOut += _sent[which].value;
            if (_paid[which]++ != 0) twice = true;
        } catch {}
    }

    /// @dev It is called while it is paid, and asks for more.
    receive() external payable {
        if (_lured) return;
        _lured = true;
        for (uint256 i; i < _sent.length && i < 3; i++) {
            try portal.finalize(_sent[i]) {
                twice = true;
            } catch {}
        }
        _lured = false;
    }
}

contract PortalInvariantTest is Test {
    PortalHandler private handler;
    Portal private portal;

    function setUp() public {
        handler = new PortalHandler();
        portal = handler.subject();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_itHoldsWhatWasPutInLessWhatWasPaid() external view {
        equal(portal.held(), handler.putIn() - handler.paidOut());
        check(address(portal).balance >= portal.held(), "it holds less than its books say");
    }

    function invariant_nothingIsPaidTwice() external view {
        check(!handler.twice(), "paid twice");
    }
}
