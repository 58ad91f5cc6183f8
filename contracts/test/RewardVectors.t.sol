// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EcdsaCertificateVerifier} from "../src/EcdsaCertificateVerifier.sol";
import {IRewards, Rewards} from "../src/Rewards.sol";
import {FixedSet} from "./Fixture.sol";
import {Test} from "./Vm.sol";

/// @dev What Rewards asks an inbox.
contract PostedInbox {
    uint256 public constant CERT_GRACE = 4;
    address public immutable registry;
    address public immutable verifier;
    uint32 public immutable generation;
    uint64 private immutable _tip;

    constructor(address registry_, uint32 generation_, uint64 tip_) {
        (registry, generation, _tip) = (registry_, generation_, tip_);
        verifier = address(new EcdsaCertificateVerifier(registry_));
    }

    function tip() external view returns (uint64, uint64, uint64, bool) {
        return (_tip, 0, 0, false);
    }
}

/// @dev A checkpoint that the nodes make, from the file that their tests write: tree, header and certificate.
contract RewardVectorsTest is Test {
    string private json;
    Rewards private rewards;

    function setUp() public {
        string memory formats = vm.readFile("../tests/vectors/formats.json");
        json = vm.readFile("../tests/vectors/rewards.json");
        address registry = vm.parseJsonAddress(formats, ".registry");
        vm.chainId(vm.parseJsonUint(formats, ".l1_chain_id"));
        FixedSet set = new FixedSet(
            vm.parseJsonBytes(formats, ".set_packed"),
            vm.parseJsonUint(formats, ".set_total_gwei"),
            uint64(vm.parseJsonUint(formats, ".set_epoch")),
            uint64(vm.parseJsonUint(formats, ".l2_chain_id")),
            vm.parseJsonBytes32(formats, ".genesis_hash")
        );
        vm.etch(registry, address(set).code);
        uint64 tip = uint64(vm.parseJsonUint(json, ".header_height"));
        uint32 generation = uint32(vm.parseJsonUint(formats, ".generation"));
        rewards = new Rewards(address(new PostedInbox(registry, generation, tip)));
        rewards.fund{value: 100 ether}();
    }

    function _branch(string memory name) private view returns (bytes32[] memory) {
        return vm.parseJsonBytes32Array(json, string.concat(".tree7_branch_", name));
    }

    function _claim(uint256 index, uint256 amount, bytes32[] memory branch) private {
        address[] memory accounts = abi.decode(vm.parseJson(json, ".tree7_accounts"), (address[]));
        rewards.claim(
            accounts[index],
            uint128(amount),
            uint32(index),
            uint32(accounts.length),
            branch,
            vm.parseJsonBytes(json, ".lag_enc"),
            vm.parseJsonBytes(json, ".header_enc"),
            vm.parseJsonBytes(json, ".certificate")
        );
        equal(accounts[index].balance, amount);
    }

    function test_everyAccountOfTheNodesTreeIsPaid() public {
        string[7] memory names = ["0", "1", "2", "3", "4", "5", "6"];
        bytes32[] memory amounts = vm.parseJsonBytes32Array(json, ".tree7_amounts");
        for (uint256 i; i < 7; i++) {
            _claim(i, uint256(amounts[i]), _branch(names[i]));
        }
    }

    function test_whatIsKeptForPostingIsWhatTheNodesLeaveOut() public view {
        equal(rewards.POSTING_BPS(), vm.parseJsonUint(json, ".posting_bps"));
    }

    function test_anotherAmountIsNot() public {
        bytes32[] memory amounts = vm.parseJsonBytes32Array(json, ".tree7_amounts");
        bytes32[] memory branch = _branch("2");
        vm.expectRevert(IRewards.Rewards_NotProven.selector);
        this.claimOther(uint256(amounts[2]) + 1, branch);
    }

    function claimOther(uint256 amount, bytes32[] memory branch) external {
        _claim(2, amount, branch);
    }
}
