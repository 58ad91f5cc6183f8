// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Output} from "../src/OracleTypes.sol";
import {OracleFixture} from "./OracleFixture.sol";

/// @dev For which blocks stake can be taken: those on which slots agreed, never those that the council chose.
contract AgreedTest is OracleFixture {
    function setUp() public {
        deployOracle();
    }

    /// @dev `what` with the hash of a header above `parent`.
    function _above(Output memory what, bytes32 parent) private pure returns (Output memory) {
        what.l2Hash = keccak256(header(parent, 0));
        return what;
    }

    function _finalize(Output memory o) private {
        bondOn(revm, ALICE, o);
        bondOn(engine, BOB, o);
        passWindow();
        claim(address(revm), o);
        claim(address(engine), o);
    }

    function _choose(Output memory o) private {
        Output memory other = wrong(o.step, 9);
        bondOn(revm, ALICE, other);
        bondOn(revm, BOB, o);
        resolveBy(o, 6);
    }

    function _ancestor(uint64 l2Block, bytes32 parent) private {
        bytes[] memory headers = new bytes[](1);
        headers[0] = header(parent, 0);
        oracle.proveAncestor(l2Block, headers);
    }

    function test_whatSlotsAgreeOnAndItsAncestors() public {
        bytes32 parent = keccak256("parent");
        Output memory o = _above(right(newStep()), parent);
        _finalize(o);
        equal(oracle.agreedHash(o.l2Block), o.l2Hash);
        equal(oracle.agreedHash(o.l2Block - 1), 0);
        _ancestor(o.l2Block, parent);
        equal(oracle.agreedHash(o.l2Block - 1), parent);
    }

    function test_neitherTheCouncilsChoiceNorItsAncestors() public {
        bytes32 parent = keccak256("parent");
        Output memory o = _above(right(newStep()), parent);
        _choose(o);
        _ancestor(o.l2Block, parent);
        equal(oracle.provenHash(o.l2Block), o.l2Hash);
        equal(oracle.provenHash(o.l2Block - 1), parent);
        equal(oracle.agreedHash(o.l2Block), 0);
        equal(oracle.agreedHash(o.l2Block - 1), 0);
    }

    /// @dev Slots agree later on a block above: then they agree on all below it, and what was agreed stays.
    function test_aLaterAgreementCoversWhatIsBelow() public {
        Output memory o = right(newStep());
        _choose(o);
        Output memory next = right(newStep());
        // The block right above the chosen one.
        (next.l2Block, next) = (o.l2Block + 1, _above(next, o.l2Hash));
        _finalize(next);
        equal(oracle.agreedHash(o.l2Block), 0);
        _ancestor(next.l2Block, o.l2Hash);
        equal(oracle.agreedHash(o.l2Block), o.l2Hash);
    }

    /// @dev A step without a new block repeats what is final: nothing else would be taken.
    function test_repeatingTheCouncilIsNoAgreement() public {
        Output memory o = right(newStep());
        _choose(o);
        Output memory same = o;
        same.step = newStep();
        same.parent = oracle.outputOf(same.step - 1);
        _finalize(same);
        equal(oracle.tip().step, same.step);
        equal(oracle.agreedHash(o.l2Block), 0);
    }
}
