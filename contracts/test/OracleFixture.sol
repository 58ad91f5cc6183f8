// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Safe} from "@safe-global/safe-smart-account/contracts/Safe.sol";
import {Enum} from "@safe-global/safe-smart-account/contracts/libraries/Enum.sol";
import {SafeProxyFactory} from "@safe-global/safe-smart-account/contracts/proxies/SafeProxyFactory.sol";
import {BondedSlot} from "../src/BondedSlot.sol";
import {IProofSlot} from "../src/IProofSlot.sol";
import {Oracle, OracleRules} from "../src/Oracle.sol";
import {Checkpoint, Output, Standing, Tip} from "../src/OracleTypes.sol";
import {Timelock30} from "../src/Timelock30.sol";
import {Test} from "./Vm.sol";

/// @dev What the oracle reads of registry and inbox, set by the test.
contract FakeRollup {
    uint64 public constant l2ChainId = 70_700;
    bytes32 public genesisHash;
    bytes32 public tipValueId;
    uint32 public generation;
    bool public inFallback;

    constructor(bytes32 genesisHash_) {
        genesisHash = genesisHash_;
    }

    function registry() external view returns (address) {
        return address(this);
    }

    function post(bytes32 tip) external {
        tipValueId = tip;
    }

    function fall(uint32 generation_, bool going) external {
        (generation, inFallback) = (generation_, going);
    }
}

/// @dev A verifier of proofs: a proof is good if it is the statement itself.
contract ProofSlot is IProofSlot {
    string public constant basis = "test proofs";
    address public oracle;

    constructor(address oracle_) {
        oracle = oracle_;
    }

    function verify(Output calldata, bytes32 statement, bytes calldata proof) external pure returns (bool) {
        return proof.length == 32 && bytes32(proof) == statement;
    }

    function contested(uint64, bytes32) external pure returns (bool) {
        return false;
    }
}

/// @dev An oracle with two bonded slots and one of proofs, a council of eight behind a real Safe, and its timelock.
abstract contract OracleFixture is Test {
    uint256 internal constant BOND = 1 ether;
    uint64 internal constant WINDOW = 50;
    uint64 internal constant INTERVAL = 20;
    uint64 internal constant FINAL = 10;
    uint256 internal constant NOW = 1_000_000;
    uint256 internal constant TODAY = 1_700_000_000;
    bytes32 internal constant GENESIS_BLOCK = keccak256("block 0");
    bytes internal constant PARAMETERS = "parameters";
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);
    address internal constant EVE = address(0xe7e);

    FakeRollup internal rollup;
    Safe internal safe;
    Timelock30 internal timelock;
    Oracle internal oracle;
    BondedSlot internal revm;
    BondedSlot internal engine;
    ProofSlot internal proofs;
    uint256 private _posted;

    function deployOracle() internal {
        vm.roll(NOW);
        vm.warp(TODAY);
        rollup = new FakeRollup(keccak256(abi.encodePacked("rota/genesis/v1", GENESIS_BLOCK, PARAMETERS)));
        safe = newSafe(8, 6);
        timelock = new Timelock30(37 days, address(safe));
        address[] memory slots = new address[](3);
        uint256 nonce = vm.getNonce(address(this));
        for (uint256 i; i < 3; i++) {
            slots[i] = vm.computeCreateAddress(address(this), nonce + 1 + i);
        }
        oracle =
            new Oracle(address(rollup), address(safe), address(timelock), slots, OracleRules(INTERVAL, FINAL), GENESIS_BLOCK, PARAMETERS);
        revm = new BondedSlot(address(oracle), "re-execution with revm, bonded", BOND, WINDOW);
        engine = new BondedSlot(address(oracle), "re-execution with another client, bonded", BOND, WINDOW);
        proofs = new ProofSlot(address(oracle));
        vm.deal(ALICE, 1000 ether);
        vm.deal(BOB, 1000 ether);
        vm.deal(EVE, 1000 ether);
    }

    function memberSecret(uint256 i) internal pure returns (uint256) {
        return 0xc0417c11 + i;
    }

    function newSafe(uint256 members, uint256 threshold) internal returns (Safe) {
        address[] memory owners = new address[](members);
        for (uint256 i; i < members; i++) {
            owners[i] = vm.addr(memberSecret(i));
        }
        bytes memory setup = abi.encodeCall(Safe.setup, (owners, threshold, address(0), "", address(0), address(0), 0, payable(address(0))));
        return Safe(payable(address(new SafeProxyFactory().createProxyWithNonce(address(new Safe()), setup, 0))));
    }

    /// @dev A transaction of the Safe with the signatures of so many members.
    function byCouncil(address to, bytes memory data, uint256 signers) internal {
        safe.execTransaction(to, 0, data, Enum.Operation.Call, 0, 0, 0, address(0), payable(address(0)), _signatures(to, data, signers));
    }

    /// @dev The Safe's transaction is refused.
    function refusedByCouncil(address to, bytes memory data, uint256 signers) internal {
        bytes memory signatures = _signatures(to, data, signers);
        vm.expectRevert();
        safe.execTransaction(to, 0, data, Enum.Operation.Call, 0, 0, 0, address(0), payable(address(0)), signatures);
    }

    function _signatures(address to, bytes memory data, uint256 signers) private view returns (bytes memory all) {
        bytes32 hash = safe.getTransactionHash(to, 0, data, Enum.Operation.Call, 0, 0, 0, address(0), address(0), safe.nonce());
        uint256[] memory secrets = new uint256[](signers);
        for (uint256 i; i < signers; i++) {
            uint256 at = i;
            for (; at > 0 && vm.addr(secrets[at - 1]) > vm.addr(memberSecret(i)); at--) {
                secrets[at] = secrets[at - 1];
            }
            secrets[at] = memberSecret(i);
        }
        for (uint256 i; i < signers; i++) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(secrets[i], hash);
            all = bytes.concat(all, abi.encodePacked(r, s, v));
        }
    }

    /// @dev A batch, a checkpoint, and its block final.
    function newStep() internal returns (uint64 step) {
        rollup.post(keccak256(abi.encode("tip", ++_posted)));
        vm.roll(block.number + INTERVAL + 1);
        vm.warp(block.timestamp + 12 * (INTERVAL + 1));
        step = oracle.checkpoint();
        vm.roll(block.number + FINAL);
    }

    /// @dev What is right for a step on top of what is final.
    function right(uint64 step) internal view returns (Output memory o) {
        o.step = step;
        o.parent = oracle.outputOf(step - 1);
        o.l2Block = step * 100;
        o.l2Hash = keccak256(abi.encode("block", o.l2Block));
        o.height = step * 400;
        o.valueId = keccak256(abi.encode("value", o.height));
    }

    /// @dev The same with another block hash.
    function wrong(uint64 step, uint256 salt) internal view returns (Output memory o) {
        o = right(step);
        o.l2Hash = keccak256(abi.encode("wrong", salt));
    }

    /// @dev Headers, newest first, that lead down to a hash. Only their parents and their length are those of real ones.
    function headersTo(bytes32 parent, uint256 count) internal pure returns (bytes[] memory headers) {
        headers = new bytes[](count);
        for (uint256 i = count; i > 0; i--) {
            headers[i - 1] = header(parent, i);
            parent = keccak256(headers[i - 1]);
        }
    }

    function header(bytes32 parent, uint256 salt) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"f90200a0", parent, keccak256(abi.encode(salt)), new bytes(448));
    }

    function bondOn(BondedSlot slot, address who, Output memory o) internal {
        vm.prank(who);
        slot.propose{value: BOND}(o);
    }

    function claim(address slot, Output memory o) internal {
        oracle.claim(slot, o, "");
    }

    function prove(Output memory o) internal {
        oracle.claim(address(proofs), o, abi.encode(oracle.hashOf(o)));
    }

    function passWindow() internal {
        vm.roll(block.number + WINDOW);
    }

    /// @dev The step becomes final as it should, by the two bonded slots.
    function finalizeRight(uint64 step) internal {
        Output memory o = right(step);
        bondOn(revm, ALICE, o);
        bondOn(engine, BOB, o);
        passWindow();
        claim(address(revm), o);
        claim(address(engine), o);
    }

    function resolveBy(Output memory o, uint256 signers) internal {
        byCouncil(address(oracle), abi.encodeCall(Oracle.resolve, (o)), signers);
    }

    function resolveIsRefused(Output memory o, uint256 signers) internal {
        refusedByCouncil(address(oracle), abi.encodeCall(Oracle.resolve, (o)), signers);
    }

    /// @dev The call of the oracle alone, as the Safe would make it.
    function resolveAsCouncil(Output memory o) internal {
        vm.prank(address(safe));
        oracle.resolve(o);
    }
}
