// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Rewards} from "../src/Rewards.sol";
import {Fixture} from "./Fixture.sol";

/// @dev Checkpoints with real certificates: trees, lags and headers as the nodes make them.
abstract contract RewardsFixture is Fixture {
    struct Claim {
        address account;
        uint128 amount;
        uint32 index;
        uint32 count;
        bytes32[] branch;
        bytes lag;
        bytes header;
        bytes certificate;
    }

    uint256 internal constant SET = 4;
    uint64 internal constant BEHIND = 64;

    Rewards internal rewards;

    function deployRewards() internal {
        deployWithSet(SET);
        rewards = new Rewards(address(inbox));
    }

    function post(uint64 from, uint64 to) internal {
        oneBlob();
        (bytes memory bitmap, bytes memory sigs) = certify(head(to), 0, 7, SET);
        inbox.submitBatch(batch(from, to), encode(head(to)), bitmap, sigs);
    }

    function leaf(uint256 index, address account, uint128 amount) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(0), uint32(index), account, amount));
    }

    function rootOf(address[] memory accounts, uint128[] memory amounts) internal pure returns (bytes32) {
        if (accounts.length == 0) return 0;
        bytes32[] memory level = _leaves(accounts, amounts);
        while (level.length > 1) level = _above(level);
        return keccak256(abi.encodePacked(uint8(2), uint32(accounts.length), level[0]));
    }

    function branchOf(address[] memory accounts, uint128[] memory amounts, uint256 index) internal pure returns (bytes32[] memory branch) {
        bytes32[] memory level = _leaves(accounts, amounts);
        while (level.length > 1) {
            if (index ^ 1 < level.length) branch = _with(branch, level[index ^ 1]);
            level = _above(level);
            index >>= 1;
        }
    }

    /// @dev The claim of one of the accounts at a checkpoint, in the header `BEHIND` heights later, signed by `mask`.
    function claimOf(uint64 height, address[] memory accounts, uint128[] memory amounts, uint256 index, uint256 mask)
        internal
        view
        returns (Claim memory c)
    {
        (c.account, c.amount, c.index, c.count) = (accounts[index], amounts[index], uint32(index), uint32(accounts.length));
        c.branch = branchOf(accounts, amounts, index);
        c.lag = abi.encodePacked(height, height / 2, keccak256(abi.encode("block", height)), rootOf(accounts, amounts));
        certifyClaim(c, head(height + BEHIND), height, mask);
    }

    function certifyClaim(Claim memory c, Head memory h, uint64 height, uint256 mask) internal view {
        c.header = naming(encode(h), height, keccak256(abi.encodePacked("rota/lag/v1", c.lag)));
        (bytes memory bitmap, bytes memory sigs) = certifyBytes(h, c.header, mask, SET);
        c.certificate = abi.encodePacked(uint32(0), uint8(bitmap.length), bitmap, sigs);
    }

    /// @dev The header with other exec_lag fields.
    function naming(bytes memory header, uint64 height, bytes32 digest) internal pure returns (bytes memory) {
        bytes memory lag = abi.encodePacked(height, digest);
        for (uint256 i; i < lag.length; i++) {
            header[296 + i] = lag[i];
        }
        return header;
    }

    function send(Claim memory c) internal {
        rewards.claim(c.account, c.amount, c.index, c.count, c.branch, c.lag, c.header, c.certificate);
    }

    function _leaves(address[] memory accounts, uint128[] memory amounts) private pure returns (bytes32[] memory level) {
        level = new bytes32[](accounts.length);
        for (uint256 i; i < level.length; i++) {
            level[i] = leaf(i, accounts[i], amounts[i]);
        }
    }

    function _above(bytes32[] memory level) private pure returns (bytes32[] memory above) {
        above = new bytes32[]((level.length + 1) / 2);
        for (uint256 i; i < above.length; i++) {
            bool alone = 2 * i + 1 == level.length;
            above[i] = alone ? level[2 * i] : keccak256(abi.encodePacked(uint8(1), level[2 * i], level[2 * i + 1]));
        }
    }

    function _with(bytes32[] memory list, bytes32 last) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](list.length + 1);
        for (uint256 i; i < list.length; i++) {
            longer[i] = list[i];
        }
        longer[list.length] = last;
    }
}
