// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "../src/Digests.sol";
import {EvidenceReader} from "../src/EvidenceReader.sol";
import {Warranty} from "../src/Warranty.sol";
import {Offer} from "../src/WarrantyTypes.sol";
import {FakeRegistry} from "./FakeRegistry.sol";
import {Trial} from "./Trial.sol";

/// @dev Leader 1 led the term (10, 0) and was lost after g 100: its frames from 101 on are not on the log, which leader 2 went on with in
/// the term (10, 1).
abstract contract WarrantyTrial is Trial {
    uint256 internal constant USER = 0x05e4;
    uint256 internal constant OP = 11;
    uint256 internal constant TIP = 2 gwei;

    /// @dev What a proof is made of; each test changes one thing.
    struct Loss {
        /// lost frames of the term, oldest first
        F[] lost;
        F[] log;
        /// the frame claimed for, of `lost`
        uint256 which;
        /// how many headers go into the proof; 0: all down to the first
        uint256 depth;
        /// place of the log's frame among `log`
        uint256 place;
        uint16 signer;
        uint8 certMask;
    }

    Warranty internal warranty;

    function deployWarranty() internal {
        deployTrial();
        registry.setCurrentEpoch(EPOCH - 2);
        // One verifier for both: they check against the same sets.
        warranty = new Warranty(address(registry), address(claimsChecker.verifier()));
    }

    function theOffer() internal pure returns (Offer memory) {
        // Ten times the offer, at most 0.02 ether a transaction and 0.05 ether a term.
        return Offer(100_000, 0.02 ether, 0.05 ether);
    }

    /// @dev Operator 11, which is member 1, posts a bond and offers; it holds for the trial's epoch.
    function offering(uint256 amount) internal {
        vm.deal(address(this), address(this).balance + amount);
        warranty.post{value: amount}(OP);
        vm.prank(owner(1));
        warranty.set(OP, theOffer());
        registry.setCurrentEpoch(EPOCH);
    }

    /// @dev A fee market transaction of account `secret` with a tip and 21,000 gas.
    function transaction(uint256 secret, uint256 nonce, uint64 tip) internal pure returns (bytes memory) {
        bytes memory fees = abi.encodePacked(uint8(0x88), tip, uint8(0x88), type(uint64).max);
        bytes memory fields = abi.encodePacked(hex"8301142c", uint8(nonce), fees, hex"82520894", address(0xbeef), hex"8080c0");
        bytes memory unsigned = abi.encodePacked(uint8(2), uint8(0xc0 + fields.length), fields);
        if (fields.length > 55) unsigned = abi.encodePacked(uint8(2), uint8(0xf8), uint8(fields.length), fields);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, keccak256(unsigned));
        bytes memory whole = abi.encodePacked(fields, v == 27 ? uint8(0x80) : uint8(1), uint8(0xa0), r, uint8(0xa0), s);
        return abi.encodePacked(uint8(2), uint8(0xf8), uint8(whole.length), whole);
    }

    /// @dev Transactions 1 to `count` of as many users.
    function transactions(uint256 count, uint256 tip) internal pure returns (bytes[] memory out) {
        out = new bytes[](count);
        for (uint256 i; i < count; i++) {
            out[i] = transaction(USER + i, 1 + i, uint64(tip));
        }
    }

    function user(uint256 i) internal pure returns (address) {
        return vm.addr(USER + i);
    }

    function txLeaves(bytes[] memory txs) internal pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](txs.length);
        for (uint256 i; i < txs.length; i++) {
            hashes[i] = keccak256(txs[i]);
        }
        return leaves(hashes, 0);
    }

    /// @dev What `claim` is given for the transaction at `index`.
    function bid(bytes[] memory txs, uint256 index) internal pure returns (bytes memory) {
        return abi.encodePacked(uint32(txs[index].length), txs[index], uint128(0), branchOf(txLeaves(txs), index));
    }

    function bids(bytes[] memory txs) internal pure returns (bytes[] memory out) {
        out = new bytes[](txs.length);
        for (uint256 i; i < txs.length; i++) {
            out[i] = bid(txs, i);
        }
    }

    /// @dev `count` frames of a term from g 101 on, each with the same transactions.
    function stream(uint256 count, uint16 leader, uint32 round, bytes[] memory txs) internal view returns (F[] memory out) {
        out = new F[](count);
        bytes32 prev = keccak256("parent");
        for (uint256 i; i < count; i++) {
            F memory f = plainFrame();
            (f.g, f.seq, f.prev, f.leader, f.termRound) = (101 + uint64(i), 1 + uint32(i), prev, leader, round);
            (f.txs, f.txRoot) = (uint32(txs.length), rootOf(txLeaves(txs)));
            out[i] = f;
            prev = hashOf(f);
        }
    }

    function loss(bytes[] memory txs) internal view returns (Loss memory l) {
        l.lost = stream(2, 1, 0, txs);
        l.log = stream(2, 2, 1, transactions(1, 1));
        (l.signer, l.certMask) = (1, 14);
    }

    /// @dev Height 10 is g 100 to 102.
    function proof(Loss memory l) internal view returns (bytes memory) {
        bytes32[] memory hashes = new bytes32[](1 + l.log.length);
        hashes[0] = keccak256("parent");
        for (uint256 i; i < l.log.length; i++) {
            hashes[i + 1] = hashOf(l.log[i]);
        }
        bytes memory h = header(10, 100, hashes, l.log[l.log.length - 1]);
        uint256 depth = l.depth == 0 ? l.which + 1 : l.depth;
        bytes memory chain = seqSign(l.signer, Digests.TAG_FRAME, enc(l.lost[l.which]));
        chain = bytes.concat(chain, abi.encodePacked(uint16(depth)));
        for (uint256 i; i < depth; i++) {
            chain = bytes.concat(chain, enc(l.lost[l.which - i]));
        }
        bytes memory canonical = bytes.concat(enc(l.log[l.place]), branchOf(leaves(hashes, 0), l.place + 1));
        return bytes.concat(chain, canonical, h, certificate(h, 10, 0, l.certMask));
    }
}
