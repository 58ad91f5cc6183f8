// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Digests} from "./Digests.sol";
import {HeaderFields} from "./HeaderFields.sol";
import {ICertificateErrors, ICertificateVerifier} from "./ICertificateVerifier.sol";
import {Inbox} from "./Inbox.sol";
import {Registry} from "./Registry.sol";
import {State} from "./RegistryTypes.sol";

/// @notice What can be wrong with a claim, and what is told of a good one.
interface IRewards {
    /// A length does not fit: of the checkpoint, the header or the certificate.
    error Rewards_Malformed();
    /// The header is of another generation than the inbox is in.
    error Rewards_WrongGeneration(uint32 generation);
    /// Nothing of the header's height was accepted by the inbox yet; its tip.
    error Rewards_NotPosted(uint64 tip);
    /// The set was out of force for too long, since this L1 block: claim with a newer header.
    error Rewards_CertificateExpired(uint256 end);
    /// Not more than two thirds of the stake signed.
    error Rewards_Quorum(uint256 weight, uint256 total);
    /// The header names another checkpoint.
    error Rewards_OtherCheckpoint();
    /// The branch does not lead from the account and its amount to the checkpoint's root.
    error Rewards_NotProven();
    /// The account was paid by this newer height already.
    error Rewards_Older(uint64 height);
    /// The account has had all that the checkpoint gives it, or there is nothing here to pay with.
    error Rewards_NothingDue();
    /// The account does not take the payment.
    error Rewards_PaymentFailed();
    /// Only the operator's owner names who posts for it.
    error Rewards_NotOwner();
    /// The operator has named nobody.
    error Rewards_NoPoster();
    /// The operator has no stake that is locked: it never was in a set, is out of all of them for long, or was slashed.
    error Rewards_NoOperator(State state);

    /// Somebody put money in.
    event Funded(address indexed from, uint256 amount);
    /// An account is refunded from now on; zero for none.
    event PosterNamed(uint256 indexed operator, address indexed poster);
    /// What posting cost was paid back; `refunded` is what the account has had back in all.
    event Refunded(uint256 indexed operator, address indexed poster, uint256 amount, uint256 refunded);
    /// An account was paid for a height; `claimed` is what it has had in all.
    event Paid(address indexed account, uint64 indexed height, uint256 amount, uint256 claimed);
}

/// @title Rewards
/// @notice Pays operators on L1 what the rollup's fees earned them. A header that more than two thirds of a set signed names the
/// execution of an earlier height, and that has the sum each account earned since genesis. A part of what comes in is no one's reward:
/// it pays back what posting batches cost the operators.
/// @dev No owner, no upgrade. It holds what was put in and owes nothing beyond that: with too little here, who claims first is paid
/// first, and the rest stays claimable. A set out of force for longer than the inbox takes its certificates cannot sign for money.
contract Rewards is IRewards, ICertificateErrors {
    /// @dev One word an account.
    struct Account {
        /// wei paid in all
        uint128 claimed;
        /// the newest height that it was paid for
        uint64 height;
    }

    /// @dev `height u64 || block number u64 || block hash 32 || rewards root 32`
    uint256 private constant LAG = 80;
    uint256 private constant ROOT = 48;
    /// @notice What is set aside for posting of all that comes in, in ten-thousandths: as much as the nodes leave out of their sums.
    uint256 public constant POSTING_BPS = 500;

    Inbox public immutable inbox;
    Registry public immutable registry;
    ICertificateVerifier public immutable verifier;
    uint256 private immutable _grace;
    uint64 private immutable _l2ChainId;
    bytes32 private immutable _genesisHash;

    mapping(address => Account) private _accounts;
    /// @notice Wei put in and paid out, in all.
    uint256 public funded;
    uint256 public paid;
    /// @notice Wei kept for refunds.
    uint256 public posting;
    /// @notice Who posts for an operator, as its owner says.
    mapping(uint256 => address) public posterOf;
    /// @notice Wei paid back to an account that posts, in all.
    mapping(address => uint256) public refunded;

    constructor(address inbox_) {
        inbox = Inbox(inbox_);
        registry = inbox.registry();
        verifier = inbox.verifier();
        _grace = inbox.CERT_GRACE() * registry.epochBlocks();
        _l2ChainId = registry.l2ChainId();
        _genesisHash = registry.genesisHash();
    }

    /// @notice Puts money in. Nobody gets it back but as a reward, or for posting.
    function fund() external payable {
        funded += msg.value;
        posting += msg.value * POSTING_BPS / 10_000;
        emit Funded(msg.sender, msg.value);
    }

    /// @notice What an account was paid in all, and the newest height that it was paid for.
    function claimed(address account) external view returns (uint128 amount, uint64 height) {
        return (_accounts[account].claimed, _accounts[account].height);
    }

    /// @notice Says who posts for an operator; its owner calls. Zero for nobody.
    function namePoster(uint256 operator, address poster) external {
        if (registry.operatorOf(operator).owner != msg.sender) revert Rewards_NotOwner();
        posterOf[operator] = poster;
        emit PosterNamed(operator, poster);
    }

    /// @notice Pays an operator's poster back what posting cost it and was not paid back yet; anyone may call. With too little set aside,
    /// as much as there is.
    /// @dev For members alone, and for those who were and whose stake is still locked: others may post, and bear the cost.
    function refund(uint256 operator) external {
        address poster = posterOf[operator];
        if (poster == address(0)) revert Rewards_NoPoster();
        State state = registry.stateOf(operator);
        if (state == State.Jailed || registry.unlocksAt(operator) <= block.number) revert Rewards_NoOperator(state);
        uint256 due = inbox.postage(poster) - refunded[poster];
        if (due > posting) due = posting;
        if (due == 0) revert Rewards_NothingDue();
        posting -= due;
        paid += due;
        refunded[poster] += due;
        emit Refunded(operator, poster, due, refunded[poster]);
        _send(poster, due);
    }

    /// @notice Pays an account what it earned and was not paid yet; anyone may call. With too little here, as much as there is.
    /// @param account who is paid
    /// @param amount all that it earned up to the checkpoint, wei
    /// @param index its place among the accounts
    /// @param count how many there are
    /// @param branch siblings from its leaf up
    /// @param lag the checkpoint: `height u64 || block number u64 || block hash || rewards root`
    /// @param header encoded header that names it, of a height that was posted
    /// @param certificate of that header by the set of its epoch: `round u32 || bitmap length u8 || bitmap || signature 65 bytes each`
    function claim(
        address account,
        uint128 amount,
        uint32 index,
        uint32 count,
        bytes32[] calldata branch,
        bytes calldata lag,
        bytes calldata header,
        bytes calldata certificate
    ) external {
        _checkHeader(lag, header);
        _checkCertificate(header, certificate);
        _checkBranch(account, amount, index, count, branch, lag);
        _pay(account, amount, uint64(bytes8(lag[0:8])));
    }

    function _checkHeader(bytes calldata lag, bytes calldata header) private view {
        if (lag.length != LAG || header.length != HeaderFields.LENGTH) revert Rewards_Malformed();
        HeaderFields.Fields memory h = HeaderFields.read(header);
        if (h.generation != inbox.generation()) revert Rewards_WrongGeneration(h.generation);
        (uint64 tip,,,) = inbox.tip();
        if (h.height > tip) revert Rewards_NotPosted(tip);
        (uint64 height, bytes32 digest) = HeaderFields.checkpoint(header);
        bool names = height == uint64(bytes8(lag[0:8])) && digest == keccak256(abi.encodePacked("rota/lag/v1", lag));
        if (!names) revert Rewards_OtherCheckpoint();
    }

    function _checkCertificate(bytes calldata header, bytes calldata c) private view {
        if (c.length < 5 || c.length < 5 + uint256(uint8(c[4]))) revert Rewards_Malformed();
        HeaderFields.Fields memory h = HeaderFields.read(header);
        (, uint256 end) = registry.inForce(h.epoch);
        if (block.number >= end && block.number - end > _grace) revert Rewards_CertificateExpired(end);
        uint256 sigs = 5 + uint256(uint8(c[4]));
        bytes32 digest = _precommit(h, keccak256(header), uint32(bytes4(c[0:4])));
        (uint256 weight, uint256 total) = verifier.weigh(h.epoch, digest, c[5:sigs], c[sigs:]);
        if (weight * 3 <= total * 2) revert Rewards_Quorum(weight, total);
    }

    /// @dev What the signers of the header's certificate signed.
    function _precommit(HeaderFields.Fields memory h, bytes32 headerHash, uint32 round) private view returns (bytes32) {
        bytes32 ctx = Digests.context(_l2ChainId, address(registry), _genesisHash, h.generation);
        bytes32 valueId = Digests.digest(Digests.TAG_HEADER, ctx, headerHash);
        return Digests.typed(Digests.separator(ctx, address(registry)), Digests.precommit(h.epoch, h.height, round, valueId));
    }

    /// @dev The tree of docs/protocol.md section 6: leaf, node and root have prefixes of their own, the root names the count.
    function _checkBranch(address account, uint128 amount, uint32 index, uint32 count, bytes32[] calldata branch, bytes calldata lag)
        private
        pure
    {
        if (index >= count) revert Rewards_NotProven();
        bytes32 top = _climb(keccak256(abi.encodePacked(uint8(0), index, account, amount)), index, count, branch);
        if (keccak256(abi.encodePacked(uint8(2), count, top)) != bytes32(lag[ROOT:LAG])) revert Rewards_NotProven();
    }

    function _climb(bytes32 top, uint256 place, uint256 width, bytes32[] calldata branch) private pure returns (bytes32) {
        uint256 used;
        for (; width > 1; width = (width + 1) >> 1) {
            // An odd node at the end moves up as it is.
            if (place ^ 1 < width) {
                if (used == branch.length) revert Rewards_NotProven();
                bytes32 sibling = branch[used++];
                top = place & 1 == 0
                    ? keccak256(abi.encodePacked(uint8(1), top, sibling))
                    : keccak256(abi.encodePacked(uint8(1), sibling, top));
            }
            place >>= 1;
        }
        if (used != branch.length) revert Rewards_NotProven();
        return top;
    }

    /// @dev The books are changed before the call: whoever calls back finds the payment made.
    function _pay(address account, uint128 amount, uint64 height) private {
        Account memory a = _accounts[account];
        if (height < a.height) revert Rewards_Older(a.height);
        uint256 due = amount > a.claimed ? amount - a.claimed : 0;
        uint256 free = address(this).balance - posting;
        if (due > free) due = free;
        if (due == 0) revert Rewards_NothingDue();
        uint256 sum = a.claimed + due;
        _accounts[account] = Account(uint128(sum), height);
        paid += due;
        emit Paid(account, height, due, sum);
        _send(account, due);
    }

    function _send(address to, uint256 amount) private {
        (bool taken,) = to.call{value: amount}("");
        if (!taken) revert Rewards_PaymentFailed();
    }
}
