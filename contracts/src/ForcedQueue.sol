// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Transactions that the set cannot leave out
/// @notice Anyone puts an L2 transaction here; derivation executes it as soon as the origin of the rollup passes its L1 block, before
/// the transactions of the set, in the order of this queue. The inbox refuses batches that put it off for too long.
/// @dev The transaction itself is in the event only. What it costs goes to the insurance pool. No owner, no upgrade.
contract ForcedQueue {
    /// @dev The entries of one L1 block: those from `first` on, up to the first of the next block.
    struct L1Block {
        uint64 number;
        uint64 timestamp;
        uint64 first;
        uint64 gas;
    }

    error Forced_Length(uint256 length);
    error Forced_Gas(uint256 gas);
    error Forced_BlockFull(uint256 left);
    error Forced_Fee(uint256 required);
    error Forced_NoEntry();
    error Forced_TransferFailed();

    event Enqueued(uint256 indexed index, address indexed sender, uint64 gas, bytes tx);

    /// @notice Bytes of one transaction, at most.
    uint256 public constant MAX_LENGTH = 32_768;
    /// @notice Gas of one transaction, at most: the cap of L1 (EIP-7825), which the rollup shares.
    uint256 public constant MAX_GAS = 16_777_216;
    /// @notice Gas of all transactions of one L1 block, at most: they must fit into one block of the rollup.
    uint256 public constant MAX_BLOCK_GAS = 30_000_000;

    /// @notice Wei for any entry, and for each unit of its gas.
    uint256 public immutable minFee;
    uint256 public immutable gasPrice;
    /// @notice Receives the fees.
    address public immutable pool;

    L1Block[] private _blocks;
    bytes32[] private _hashes;

    constructor(address pool_, uint256 minFee_, uint256 gasPrice_) {
        (pool, minFee, gasPrice) = (pool_, minFee_, gasPrice_);
    }

    /// @notice Wei to send with an entry of this gas.
    function fee(uint64 gas) public view returns (uint256) {
        return minFee + gas * gasPrice;
    }

    /// @notice Puts a signed transaction into the queue.
    /// @param transaction as in a block: the EIP-2718 envelope, or the RLP list of a legacy transaction
    /// @param gas at least its gas limit; with less, derivation skips it
    function enqueue(bytes calldata transaction, uint64 gas) external payable returns (uint256 index) {
        if (transaction.length == 0 || transaction.length > MAX_LENGTH) revert Forced_Length(transaction.length);
        if (gas == 0 || gas > MAX_GAS) revert Forced_Gas(gas);
        uint256 required = fee(gas);
        if (msg.value < required) revert Forced_Fee(required);
        index = _hashes.length;
        _place(index, gas);
        _hashes.push(keccak256(transaction));
        emit Enqueued(index, msg.sender, gas, transaction);
    }

    /// @notice Sends the fees to the pool; anyone may call.
    function collect() external {
        (bool sent,) = pool.call{value: address(this).balance}("");
        if (!sent) revert Forced_TransferFailed();
    }

    function count() external view returns (uint256) {
        return _hashes.length;
    }

    /// @notice Where and when an entry was made, and the hash of its transaction.
    function entry(uint256 index) external view returns (uint64 l1Block, uint64 timestamp, bytes32 txHash) {
        if (index >= _hashes.length) revert Forced_NoEntry();
        (uint256 low, uint256 high) = (0, _blocks.length);
        while (high > low + 1) {
            uint256 middle = (low + high) / 2;
            if (_blocks[middle].first <= index) low = middle;
            else high = middle;
        }
        return (_blocks[low].number, _blocks[low].timestamp, _hashes[index]);
    }

    /// @notice The oldest entry made after an L1 block; timestamp zero if there is none.
    /// @dev Looks back from the newest in steps that double: the origin of a live rollup is close behind L1.
    function oldestAfter(uint256 l1Number) external view returns (uint256 index, uint256 timestamp) {
        // The sought one is the last in the list or before `high`; `low` and all before it are too old.
        uint256 high = _blocks.length;
        uint256 step = 1;
        uint256 low;
        while (high != 0) {
            low = high > step ? high - step : 0;
            if (_blocks[low].number <= l1Number) break;
            (high, step) = (low, step * 2);
        }
        while (high > low + 1) {
            uint256 middle = (low + high) / 2;
            if (_blocks[middle].number <= l1Number) low = middle;
            else high = middle;
        }
        if (high == _blocks.length) return (0, 0);
        return (_blocks[high].first, _blocks[high].timestamp);
    }

    /// @dev Counts the entry's gas against that of its L1 block.
    function _place(uint256 index, uint64 gas) private {
        uint256 blocks = _blocks.length;
        if (blocks == 0 || _blocks[blocks - 1].number != block.number) {
            _blocks.push(L1Block(uint64(block.number), uint64(block.timestamp), uint64(index), gas));
            return;
        }
        L1Block storage b = _blocks[blocks - 1];
        uint256 left = MAX_BLOCK_GAS - b.gas;
        if (gas > left) revert Forced_BlockFull(left);
        b.gas += gas;
    }
}
