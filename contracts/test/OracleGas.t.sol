// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Oracle} from "../src/Oracle.sol";
import {Output} from "../src/OracleTypes.sol";
import {OracleFixture} from "./OracleFixture.sol";

/// @dev The oracle's operations as calls, on a step after others. Each figure holds some constant work of the test itself.
contract OracleGasTest is OracleFixture {
    Output private _o;
    Output private _bad;
    bytes private _proof;
    bytes private _badProof;

    function setUp() public {
        deployOracle();
        finalizeRight(newStep());
        uint64 step = newStep();
        (_o, _bad) = (right(step), wrong(step, 1));
        (_proof, _badProof) = (abi.encode(oracle.hashOf(_o)), abi.encode(oracle.hashOf(_bad)));
        bondOn(revm, ALICE, _o);
        passWindow();
    }

    function test_bond() public {
        bondOn(engine, BOB, _o);
    }

    function test_claimFirst() public {
        oracle.claim(address(revm), _o, "");
    }

    function test_checkpoint() public {
        newStep();
    }
}

contract OracleSecondGasTest is OracleFixture {
    Output private _o;
    Output private _bad;
    bytes private _proof;
    bytes private _badProof;

    function setUp() public {
        deployOracle();
        finalizeRight(newStep());
        uint64 step = newStep();
        (_o, _bad) = (right(step), wrong(step, 1));
        (_proof, _badProof) = (abi.encode(oracle.hashOf(_o)), abi.encode(oracle.hashOf(_bad)));
        bondOn(revm, ALICE, _o);
        passWindow();
        oracle.claim(address(revm), _o, "");
    }

    function test_claimSecondEqual() public {
        oracle.claim(address(proofs), _o, _proof);
    }

    function test_claimDisagreeing() public {
        oracle.claim(address(proofs), _bad, _badProof);
    }

    function test_contradict() public {
        bondOn(revm, EVE, _bad);
    }
}

contract OracleResolveGasTest is OracleFixture {
    Output private _o;
    Output private _bad;

    function setUp() public {
        deployOracle();
        finalizeRight(newStep());
        uint64 step = newStep();
        (_o, _bad) = (right(step), wrong(step, 1));
        bondOn(revm, EVE, _bad);
        bondOn(revm, ALICE, _o);
    }

    function test_resolveByTheSafe() public {
        resolveBy(_o, 6);
    }

    function test_resolveAlone() public {
        resolveAsCouncil(_o);
    }
}

contract OracleSettleGasTest is OracleFixture {
    Output private _bad;

    function setUp() public {
        deployOracle();
        uint64 step = newStep();
        Output memory good = right(step);
        _bad = wrong(step, 1);
        bondOn(revm, EVE, _bad);
        bondOn(revm, ALICE, good);
        resolveAsCouncil(good);
    }

    function test_settleALostBond() public {
        revm.settle(_bad);
    }
}
