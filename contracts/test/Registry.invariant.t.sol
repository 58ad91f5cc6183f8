// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Registry} from "../src/Registry.sol";
import {Operator, Registration, State, Terms} from "../src/RegistryTypes.sol";
import {Fixture} from "./Fixture.sol";
import {Test} from "./Vm.sol";

/// @dev Anything that owners, the slasher and time can do, in any order. Refusals are part of it; what went through is counted.
contract RegistryHandler is Fixture {
    uint64 private constant EVIDENCE = 4;
    uint256 private constant MOST = 40;

    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public seized;
    uint256 private _keys;
    mapping(uint64 => bytes32) private _print;

    constructor() {
        deploy(3);
        for (uint256 i; i < 4; i++) {
            _join(MIN_STAKE * (1 + i));
        }
        registry.freezeSet(0);
        _print[0] = fingerprint(0);
    }

    function terms(uint256 minOperators) internal view override returns (Terms memory t) {
        t = super.terms(minOperators);
        (t.unbondEpochs, t.evidenceEpochs, t.maxShareBps) = (6, uint32(EVIDENCE), 3_000);
    }

    function subject() external view returns (Registry) {
        return registry;
    }

    function fingerprint(uint64 epoch) public view returns (bytes32) {
        bytes memory set = abi.encode(registry.setRecords(epoch), registry.setKeys(epoch));
        return keccak256(abi.encode(set, registry.setHash(epoch), registry.setId(epoch), registry.setTotal(epoch)));
    }

    function unchanged(uint64 epoch) external view returns (bool) {
        return fingerprint(epoch) == _print[epoch];
    }

    function enter(uint256 stake) external {
        if (registry.operatorCount() < MOST) _join(MIN_STAKE + stake % (20 * MIN_STAKE));
    }

    function topUp(uint256 seed, uint256 amount) external {
        (uint256 id, address who) = _pick(seed);
        amount %= 5 ether;
        vm.deal(who, amount);
        vm.prank(who);
        try registry.topUp{value: amount}(id) {
            paidIn += amount;
        } catch {}
    }

    function rotate(uint256 seed) external {
        (uint256 id, address who) = _pick(seed);
        Registration memory r = _newKeys(who);
        vm.prank(who);
        try registry.rotate(id, r) {} catch {}
    }

    function exit(uint256 seed) external {
        (uint256 id, address who) = _pick(seed);
        vm.prank(who);
        try registry.requestExit(id) {} catch {}
    }

    function rejoin(uint256 seed) external {
        (uint256 id, address who) = _pick(seed);
        vm.prank(who);
        try registry.rejoin(id) {} catch {}
    }

    function nominate(uint256 seed) external {
        (uint256 id,) = _pick(seed);
        try registry.nominate(id) {} catch {}
    }

    function withdraw(uint256 seed) external {
        (uint256 id, address who) = _pick(seed);
        uint256 stake = registry.operatorOf(id).stake;
        vm.prank(who);
        try registry.withdraw(id, address(0xcafe)) {
            paidOut += stake;
            _checkEvidenceIsOver(id);
        } catch {}
    }

    function seize(uint256 seed) external {
        // Rarely: a set in which all are jailed teaches nothing.
        if (seed % 5 != 0) return;
        (uint256 id,) = _pick(seed / 5);
        vm.prank(SLASHER);
        seized += registry.seize(id);
    }

    function emergency(uint256 mask) external {
        if (mask % 7 != 0) return;
        vm.prank(address(inbox));
        try registry.freezeEmergency(mask >> 3) returns (uint64 epoch) {
            _print[epoch] = fingerprint(epoch);
        } catch {}
    }

    function pass(uint256 blocks) external {
        vm.roll(block.number + blocks % (3 * EPOCH_BLOCKS));
    }

    function freeze() public {
        uint64 epoch = registry.currentEpoch() + 1;
        try registry.freezeSet(epoch) {
            _print[epoch] = fingerprint(epoch);
        } catch {}
    }

    function freezeAndPass(uint8 times) external {
        for (uint256 i; i < times % 9; i++) {
            freeze();
            vm.roll(block.number + EPOCH_BLOCKS);
        }
    }

    /// @dev I-16: of every set that the operator was in, the time for evidence is over.
    function _checkEvidenceIsOver(uint256 id) private view {
        uint32[] memory epochs = registry.frozenEpochs();
        for (uint256 i; i < epochs.length; i++) {
            for (uint256 j; j < registry.setCount(epochs[i]); j++) {
                (uint256 operator,,,) = registry.member(epochs[i], j);
                if (operator != id) continue;
                check(registry.currentEpoch() > registry.lastUse(epochs[i]) + EVIDENCE, "paid out while it can be guilty");
            }
        }
    }

    function _pick(uint256 seed) private view returns (uint256 id, address who) {
        id = seed % registry.operatorCount();
        who = registry.operatorOf(id).owner;
    }

    function _newKeys(address who) private returns (Registration memory r) {
        uint256 key = 1000 + _keys++;
        r = registration(key);
        (, bytes32 secret) = vm.createEd25519Key(bytes32(key));
        signPossession(r, who, voteSecret(key), secret);
    }

    function _join(uint256 stake) private {
        address who = owner(registry.operatorCount());
        Registration memory r = _newKeys(who);
        vm.deal(who, stake);
        vm.prank(who);
        registry.register{value: stake}(r);
        paidIn += stake;
    }
}

contract RegistryInvariantTest is Test {
    RegistryHandler private handler;
    Registry private registry;

    function setUp() public {
        handler = new RegistryHandler();
        registry = handler.subject();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev I-22, the registry's part: what came in is there, paid out or seized; what is there is the stakes.
    function invariant_stakesAddUp() external view {
        uint256 sum;
        for (uint256 i; i < registry.operatorCount(); i++) {
            sum += registry.operatorOf(i).stake;
        }
        equal(address(registry).balance, sum);
        equal(handler.paidIn(), sum + handler.paidOut() + handler.seized());
    }

    /// @dev Also: no set is empty or too large, weights add up, nobody weighs more than the largest share, ids are ascending in time.
    function invariant_frozenSetsNeverChange() external view {
        uint32[] memory epochs = registry.frozenEpochs();
        for (uint256 i; i < epochs.length; i++) {
            check(handler.unchanged(epochs[i]), "a frozen set changed");
            check(i == 0 || epochs[i] > epochs[i - 1], "epochs out of order");
            uint256 count = registry.setCount(epochs[i]);
            check(count != 0 && count <= 64, "size of a set");
            uint256 sum;
            for (uint256 j; j < count; j++) {
                (,,, uint256 weight) = registry.member(epochs[i], j);
                sum += weight;
            }
            equal(registry.setTotal(epochs[i]), sum);
        }
    }

    /// @dev Who is in the newest set is Active, leaving or jailed, and nobody else is.
    function invariant_statesAndTheNewestSetAgree() external view {
        uint64 last = registry.lastFrozen();
        uint256 count = registry.setCount(last);
        uint256 inside;
        for (uint256 j; j < count; j++) {
            (uint256 id,,,) = registry.member(last, j);
            Operator memory o = registry.operatorOf(id);
            equal(o.left, 0);
            check(o.state == State.Active || o.state == State.Exiting || o.state == State.Jailed, "state of a member");
            equal(registry.unlocksAt(id), type(uint256).max);
        }
        for (uint256 i; i < registry.operatorCount(); i++) {
            if (registry.operatorOf(i).left == 0) inside++;
        }
        equal(inside, count);
    }
}
