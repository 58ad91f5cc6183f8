// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "../src/Digests.sol";
import {Trial} from "./Trial.sol";

/// @dev The slasher under any order of calls: every wei is in one place (I-22), and doing something twice or in another order
/// changes nothing (I-23).
contract SlasherMoneyTest is Trial {
    address private constant REPORTER = address(0x4e9);

    uint256[] private _ids;
    mapping(uint256 => bool) private _has;
    uint256 private _sent;
    uint256 private _paid;
    bytes[] private _evidence;

    function setUp() public {
        deployTrial();
        // Votes are the cheapest evidence: the signatures are not what is tested here.
        for (uint16 i; i < 4; i++) {
            _evidence.push(voteTwice(i, 10));
            _evidence.push(voteTwice(i, 5_000));
            _evidence.push(bytes.concat(head(10, i), vote(i, 10, 0, 2, keccak256("a")), vote(i, 10, 0, 2, keccak256("b"))));
        }
        _evidence.push(frameTwice(1, 10));
        _evidence.push(frameTwice(2, 11));
        _evidence.push(bytes.concat(head(12, 0xffff), _cert(keccak256("a"), 7), _cert(keccak256("b"), 14)));
    }

    function _cert(bytes32 value, uint8 mask) private view returns (bytes memory out) {
        out = abi.encodePacked(uint64(10), uint32(0), value, uint8(1), mask);
        for (uint256 i; i < 4; i++) {
            if ((mask >> i) & 1 == 1) out = bytes.concat(out, voteSign(i, Digests.precommit(EPOCH, 10, 0, value)));
        }
    }

    /// @dev The offences of an evidence: the key for one operator; for the certificates those of operators 11 and 12.
    function _learn(bytes memory evidence) private {
        uint256 id = uint256(slasher.check(evidence).key);
        if (_has[id] || slasher.offenceOf(bytes32(id)) == 0) return;
        _has[id] = true;
        _ids.push(id);
    }

    function _act(uint256 dice) private {
        uint256 what = dice % 8;
        uint256 pick = (dice >> 8) % 64;
        if (what < 3) {
            bytes memory evidence = _evidence[pick % _evidence.length];
            address who = what == 0 ? address(0) : what == 1 ? REPORTER : owner(pick % 4);
            if (who == address(0)) {
                try slasher.report(evidence) {} catch {}
            } else {
                slasher.commit(slasher.commitmentOf(evidence, who, "salt"));
                vm.roll(block.number + 1);
                vm.prank(who);
                try slasher.reveal(evidence, "salt") {} catch {}
            }
            _learn(evidence);
        } else if (what == 3) {
            vm.roll(block.number + 1 + (dice >> 16) % CLAIMS);
        } else if (what == 4 && _ids.length != 0) {
            uint256 id = _ids[pick % _ids.length];
            bool early = block.number < slasher.settlesAt(id) || slasher.offence(id).settled;
            try slasher.settle(id) {
                check(!early, "settled at the wrong time");
            } catch {
                check(early, "not settled");
            }
        } else if (what == 5) {
            try slasher.release(operator(pick % 4)) {} catch {}
        } else if (what == 6) {
            address who = pick % 2 == 0 ? REPORTER : owner(pick % 4);
            uint256 credit = slasher.credit(who);
            vm.prank(who);
            try slasher.withdraw(address(0xcafe)) returns (uint256 amount) {
                equal(amount, credit);
                _paid += amount;
            } catch {
                equal(credit, 0);
            }
        } else if (what == 7) {
            uint256 amount = pick * 1 gwei;
            vm.deal(address(this), amount);
            (bool done,) = address(slasher).call{value: amount}("");
            check(done, "sent");
            _sent += amount;
        }
    }

    /// @dev Stakes and gifts are what is with the registry, in the fire, paid, credited, in the pool, reserved or still an operator's.
    function _conserved() private view {
        uint256 held = slasher.pool() + slasher.reserved() + slasher.credit(REPORTER);
        uint256 left;
        for (uint256 i; i < 4; i++) {
            held += slasher.credit(owner(i));
            (uint256 seized, uint256 charged,, bool released) = slasher.accountOf(operator(i));
            check(charged <= seized, "charged more than there was");
            if (!released) held += seized - charged;
            left += registry.stakeOf(operator(i));
            check(registry.seizures(operator(i)) <= 1, "seized once");
        }
        equal(address(slasher).balance, held);
        equal(left + held + slasher.burned() + _paid, 4 * STAKE + _sent);
        equal(address(0).balance, slasher.burned());
        equal(address(0xcafe).balance, _paid);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_everyWeiIsInOnePlace(uint256[48] calldata dice) public {
        for (uint256 i; i < dice.length; i++) {
            _act(dice[i]);
            _conserved();
        }
    }

    /// @dev Whatever the order in which evidence comes in and is settled, operators lose the same. Evidence of other heights and
    /// classes is among it.
    /// forge-config: default.fuzz.runs = 24
    function testFuzz_theOrderChangesNothing(uint256 seed, bool reverse) public {
        uint256 count = _evidence.length;
        uint256[] memory order = new uint256[](count);
        for (uint256 i; i < count; i++) {
            order[i] = i;
        }
        for (uint256 i = count - 1; i > 0; i--) {
            seed = uint256(keccak256(abi.encode(seed)));
            (order[i], order[seed % (i + 1)]) = (order[seed % (i + 1)], order[i]);
        }
        for (uint256 i; i < count; i++) {
            try slasher.report(_evidence[order[i]]) {} catch {}
            try slasher.report(_evidence[order[i]]) {
                check(false, "processed twice");
            } catch {}
            _learn(_evidence[order[i]]);
        }
        vm.roll(block.number + CLAIMS);
        for (uint256 i; i < _ids.length; i++) {
            slasher.settle(_ids[reverse ? _ids.length - 1 - i : i]);
            _conserved();
        }
        // Members 0 and 3 are not in both certificates; with all four voting twice in one place they lose everything all the same.
        for (uint256 i; i < 4; i++) {
            (uint256 seized, uint256 charged,,) = slasher.accountOf(operator(i));
            equal(seized, STAKE);
            equal(charged, STAKE);
        }
    }

    /// @dev One class at a time: the second offence of a class costs nothing more, of another class it adds up, in any order.
    /// forge-config: default.fuzz.runs = 16
    function testFuzz_classesAddUp(bool first, bool second) public {
        bytes memory eq = frameTwice(1, 10);
        bytes memory again = frameTwice(1, 5_000);
        bytes memory corr = voteTwice(1, 10);
        slasher.report(first ? eq : corr);
        slasher.report(again);
        slasher.report(first ? corr : eq);
        _learn(eq);
        _learn(again);
        _learn(corr);
        vm.roll(block.number + CLAIMS);
        for (uint256 i; i < 3; i++) {
            slasher.settle(_ids[second ? 2 - i : i]);
        }
        (, uint256 charged,,) = slasher.accountOf(operator(1));
        // A tenth, and three times a quarter.
        equal(charged, STAKE * 85 / 100);
        _conserved();
    }
}
