// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IProofSlot} from "./IProofSlot.sol";
import {Oracle} from "./Oracle.sol";
import {Output} from "./OracleTypes.sol";

/// @notice Why a bonded slot refuses, and what it tells.
interface IBondedSlot {
    error BondedSlot_BadTerms();
    /// This much is at stake with each output, wei.
    error BondedSlot_WrongBond(uint256 bond);
    /// The output is bonded already.
    error BondedSlot_Bonded();
    /// The oracle does not ask this slot any more.
    error BondedSlot_Retired();
    error BondedSlot_UnknownOutput();
    error BondedSlot_Settled();
    /// The step is not final yet.
    error BondedSlot_Open(uint64 step);
    error BondedSlot_NothingToCollect();
    error BondedSlot_TransferFailed();

    event Bonded(uint64 indexed step, bytes32 indexed output, address indexed claimant, Output value);
    event Contradicted(uint64 indexed step, bytes32 first, bytes32 output, address claimant);
    event Settled(uint64 indexed step, bytes32 indexed output, address claimant, bool right, uint256 toWinner, uint256 burned);
    event Collected(address indexed account, uint256 amount);
}

/// @title Re-execution, with a bond
/// @notice Not a proof: somebody executed the step with the implementation that `basis` names and stakes money on what came out. Anyone who gets
/// another output stakes as much on that one. The first contradiction freezes the slot for the step, for good: it shows both, and the oracle
/// leaves the choice to the council. What nobody contradicted in time, the slot shows.
/// @dev No owner, no upgrade. Bonds are returned when the oracle has decided the step, whoever decided it. Half of a lost bond goes to whoever bonded
/// the right output here, the rest is burned: contradicting oneself costs money.
contract BondedSlot is IProofSlot, IBondedSlot {
    struct Bond {
        address claimant;
        uint64 l1Block;
        bool settled;
    }

    /// @dev What was bonded on top of one parent.
    struct Place {
        bytes32 first;
        bool contested;
    }

    address public immutable oracle;
    uint256 public immutable bond;
    /// @notice L1 blocks in which an output can be contradicted before the slot shows it. It can still be until the step is final.
    uint64 public immutable windowBlocks;
    string public basis;

    mapping(bytes32 => Bond) public bondOf;
    mapping(bytes32 => Place) private _places;
    /// @notice Wei that an account can collect.
    mapping(address => uint256) public creditOf;
    /// @notice Wei in bonds that are not settled, and in credits.
    uint256 public staked;
    uint256 public credits;

    constructor(address oracle_, string memory basis_, uint256 bond_, uint64 windowBlocks_) {
        if (bond_ == 0 || windowBlocks_ == 0) revert BondedSlot_BadTerms();
        (oracle, bond, windowBlocks, basis) = (oracle_, bond_, windowBlocks_, basis_);
    }

    /// @notice Stakes a bond on an output. If there is another one for that step and parent, this contradicts it.
    function propose(Output calldata o) external payable {
        if (msg.value != bond) revert BondedSlot_WrongBond(bond);
        if (!Oracle(oracle).isSlot(address(this))) revert BondedSlot_Retired();
        bytes32 output = Oracle(oracle).claimable(o);
        if (bondOf[output].claimant != address(0)) revert BondedSlot_Bonded();
        bondOf[output] = Bond(msg.sender, uint64(block.number), false);
        staked += msg.value;
        emit Bonded(o.step, output, msg.sender, o);
        Place storage p = _places[_place(o)];
        if (p.first == 0) {
            p.first = output;
            return;
        }
        p.contested = true;
        emit Contradicted(o.step, p.first, output, msg.sender);
        // The oracle must know before anyone finalizes the other one.
        if (Oracle(oracle).tip().step + 1 == o.step) Oracle(oracle).claim(address(this), o, "");
    }

    /// @notice Returns or divides a bond once the oracle has decided the step; anyone may call.
    function settle(Output calldata o) external {
        bytes32 output = Oracle(oracle).hashOf(o);
        Bond memory b = bondOf[output];
        if (b.claimant == address(0)) revert BondedSlot_UnknownOutput();
        if (b.settled) revert BondedSlot_Settled();
        bytes32 right = Oracle(oracle).outputOf(o.step);
        if (right == 0) revert BondedSlot_Open(o.step);
        bondOf[output].settled = true;
        staked -= bond;
        address winner = bondOf[right].claimant;
        uint256 toWinner = output == right ? bond : winner == address(0) ? 0 : bond / 2;
        creditOf[winner] += toWinner;
        credits += toWinner;
        emit Settled(o.step, output, b.claimant, output == right, toWinner, bond - toWinner);
        if (bond > toWinner) _send(address(0), bond - toWinner);
    }

    /// @notice Pays the sender what it has here.
    function collect() external {
        uint256 amount = creditOf[msg.sender];
        if (amount == 0) revert BondedSlot_NothingToCollect();
        creditOf[msg.sender] = 0;
        credits -= amount;
        emit Collected(msg.sender, amount);
        _send(msg.sender, amount);
    }

    /// @inheritdoc IProofSlot
    function verify(Output calldata o, bytes32 statement, bytes calldata) external view returns (bool) {
        Bond memory b = bondOf[statement];
        if (b.claimant == address(0)) return false;
        return _places[_place(o)].contested || block.number >= b.l1Block + windowBlocks;
    }

    /// @inheritdoc IProofSlot
    function contested(uint64 step, bytes32 parent) external view returns (bool) {
        return _places[keccak256(abi.encode(step, parent))].contested;
    }

    function _place(Output calldata o) private pure returns (bytes32) {
        return keccak256(abi.encode(o.step, o.parent));
    }

    function _send(address to, uint256 amount) private {
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert BondedSlot_TransferFailed();
    }
}
