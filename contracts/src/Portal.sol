// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IOracle} from "./IOracle.sol";
import {IPortal, Withdrawal, Withdrawals} from "./PortalTypes.sol";
import {Predeploys} from "./Predeploys.sol";
import {StorageProofs} from "./StorageProofs.sol";
import {TokenBridgeL1} from "./TokenBridgeL1.sol";

/// @title Portal
/// @notice ETH into the rollup and out of it. A deposit is executed when the origin of the rollup passes its L1 block; a withdrawal
/// is shown in a block that the oracle holds for proven, and paid once it has been shown for long enough.
/// @dev No owner, no upgrade. What is paid is never more than what was deposited and seeded. A target that refuses makes `finalize`
/// revert, with nothing changed: the withdrawal waits for ever, and anyone may try again with more gas or when the target is ready.
contract Portal is IPortal, ReentrancyGuardTransient {
    /// @dev One word.
    struct Books {
        /// deposits ever
        uint64 count;
        /// the L1 block of the newest one
        uint48 l1Block;
        /// how many that block has
        uint16 inBlock;
        /// wei deposited and seeded, less what was paid
        uint128 held;
    }

    struct Shown {
        /// the L2 block that has it
        bytes32 blockHash;
        uint64 l2Block;
        /// when it was shown, seconds; zero if never
        uint64 since;
        bool paid;
    }

    /// @notice Wei of one deposit, at least.
    uint256 public constant MIN_DEPOSIT = 0.0001 ether;
    /// @notice Deposits of one L1 block, at most: the block of the rollup that passes it has all of them.
    uint256 public constant MAX_IN_BLOCK = 1_000;
    /// @dev Cost of a call that sends ETH to a new account, with some room.
    uint256 private constant CALL_RESERVE = 50_000;
    /// @dev Slot 0 of the message passer is the mapping of what was sent; this is `true` there.
    uint256 private constant SENT_SLOT = 0;
    bytes private constant TRUE = hex"01";

    IOracle public immutable oracle;
    /// @notice Seconds between showing a withdrawal and its payment.
    uint256 public immutable maturity;
    /// @notice The bridge for tokens that everyone means who names no other.
    TokenBridgeL1 public immutable tokenBridge;

    Books private _books;
    mapping(bytes32 => Shown) private _shown;
    address private transient _l2Sender;

    constructor(address oracle_, uint256 maturity_) {
        (oracle, maturity) = (IOracle(oracle_), maturity_);
        tokenBridge = new TokenBridgeL1(address(this));
    }

    /// @notice Gives ETH to an account of the rollup. Only ETH arrives there; no code runs.
    /// @dev For a contract here nobody need be at the same address there: it names who gets it.
    function deposit(address to) external payable returns (uint64 index) {
        if (to == address(0)) revert Portal_Target();
        if (msg.value % 1 gwei != 0) revert Portal_NotWholeGwei();
        uint256 amount = msg.value / 1 gwei;
        if (msg.value < MIN_DEPOSIT || amount > type(uint64).max) revert Portal_Amount(MIN_DEPOSIT);
        Books memory b = _books;
        if (b.l1Block != block.number) (b.l1Block, b.inBlock) = (uint48(block.number), 0);
        if (b.inBlock == MAX_IN_BLOCK) revert Portal_BlockFull();
        index = b.count;
        (b.count, b.inBlock, b.held) = (index + 1, b.inBlock + 1, b.held + uint128(msg.value));
        _books = b;
        emit Deposited(index, to, uint64(amount));
    }

    /// @notice Covers what the genesis of the rollup gives out. Nobody gets it back but by a withdrawal.
    function seed() external payable {
        _books.held += uint128(msg.value);
        emit Seeded(msg.sender, msg.value);
    }

    /// @notice Shows a withdrawal in the state of a proven block; anyone may.
    /// @param header of that block, RLP
    /// @param accountProof of the message passer, from the state root down
    /// @param storageProof of the word that the withdrawal sets, from the passer's storage root down
    function prove(Withdrawal calldata w, bytes calldata header, bytes[] calldata accountProof, bytes[] calldata storageProof) external {
        bytes32 id = Withdrawals.hash(w);
        Shown memory s = _shown[id];
        if (s.paid) revert Portal_AlreadyPaid();
        // Showing it again would begin the wait again: only if there is a reason.
        if (s.since != 0 && oracle.provenHash(s.l2Block) == s.blockHash) revert Portal_AlreadyProven();
        (uint256 number, bytes32 hash, bytes32 stateRoot) = StorageProofs.readHeader(header);
        uint64 l2Block = uint64(number);
        if (l2Block != number || oracle.provenHash(l2Block) != hash) revert Portal_NotProven(l2Block);
        bytes32 slot = keccak256(abi.encode(id, SENT_SLOT));
        StorageProofs.requireSlot(stateRoot, Predeploys.MESSAGE_PASSER, slot, TRUE, accountProof, storageProof);
        _shown[id] = Shown(hash, l2Block, uint64(block.timestamp), false);
        emit Proven(id, l2Block, hash);
    }

    /// @notice Pays a withdrawal that was shown for long enough; anyone may.
    function finalize(Withdrawal calldata w) external nonReentrant {
        bytes32 id = Withdrawals.hash(w);
        _checkShown(id);
        uint128 here = _books.held;
        if (w.value > here) revert Portal_Short(here);
        if (w.target == address(this)) revert Portal_Target();
        _shown[id].paid = true;
        _books.held = here - uint128(w.value);
        emit Finalized(id, w.target, w.value);
        // All but one 64th of what is left goes to the target.
        uint256 required = w.gasLimit * 64 / 63 + CALL_RESERVE;
        if (gasleft() < required) revert Portal_Gas(required);
        _l2Sender = w.sender;
        (bool taken,) = w.target.call{value: w.value}(w.data);
        if (!taken) revert Portal_CallFailed();
        _l2Sender = address(0);
    }

    /// @notice Who called the message passer, while its target is called; zero otherwise.
    function l2Sender() external view returns (address) {
        return _l2Sender;
    }

    /// @notice Wei deposited and seeded, less what was paid. ETH that got here in another way is nobody's.
    function held() external view returns (uint256) {
        return _books.held;
    }

    /// @notice Deposits ever.
    function count() external view returns (uint64) {
        return _books.count;
    }

    /// @notice In which L2 block a withdrawal was shown and when (seconds, zero if never), and whether it was paid.
    function shown(bytes32 withdrawal) external view returns (bytes32 blockHash, uint64 l2Block, uint64 since, bool paid) {
        Shown memory s = _shown[withdrawal];
        return (s.blockHash, s.l2Block, s.since, s.paid);
    }

    function _checkShown(bytes32 id) private view {
        Shown memory s = _shown[id];
        if (s.since == 0) revert Portal_Unknown();
        if (s.paid) revert Portal_AlreadyPaid();
        if (oracle.withdrawalsPaused()) revert Portal_Paused();
        if (block.timestamp < s.since + maturity) revert Portal_Immature(s.since + maturity);
        if (oracle.provenHash(s.l2Block) != s.blockHash) revert Portal_NoLongerProven();
    }
}
