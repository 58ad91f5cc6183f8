// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Claim, Reversion} from "./ClaimsChecker.sol";
import "./EvidenceTypes.sol";
import {ISlasher, Offence} from "./SlasherTypes.sol";

/// @title The slasher's books
/// @notice Every wei that came in is in exactly one place: taken and not charged, reserved for claims, credited, in the pool, burned or
/// paid out. A penalty is charged once a class and operator; proven harm raises it to everything, but for a wrong result of execution, which
/// an honest set with a faulty program can sign: a tenth at most.
/// @dev A settled penalty P gives claims at most 80 % of P, the reporter 5 % of P (at most 25 ether), the fire at least 10 % and the
/// pool the rest. So whoever reports itself loses: 95 % as a mere reporter, 15 % if all claims are its own too.
abstract contract SlasherLedger is ISlasher {
    /// @dev One word. The key is the id.
    struct Record {
        address reporter;
        uint32 revealedAt;
        /// revealedAt - commitBlock
        uint16 age;
        uint32 operator;
        uint8 kind;
        uint8 flags;
    }

    /// @dev One word: who revealed an offence whose reward went to somebody else, and what that cost.
    struct Expense {
        address revealer;
        uint96 amount;
    }

    /// @dev One word: where the offence was committed.
    struct Where {
        uint64 height;
        uint64 epoch;
        uint32 round;
        uint32 generation;
    }

    /// @dev One word. Charges are kept in hundredths of a percent of `seized`.
    struct Account {
        uint128 seized;
        uint16 charged;
        uint16 eq;
        uint16 corr;
        uint16 exec;
        /// offences not settled yet
        uint32 open;
        bool released;
    }

    /// @dev One word a thousand heights: what fraction of the stake committed correlated offences there.
    struct Bucket {
        /// parts of PARTS
        uint64 fraction;
        /// set indexes that are in, of even and of odd epochs
        uint64 even;
        uint64 odd;
    }

    /// @dev What an offence's claims come to.
    struct Tally {
        uint128 claimed;
        /// what claims share, fixed at the settlement
        uint128 share;
    }

    struct ClaimRecord {
        uint256 offence;
        address beneficiary;
        uint96 amount;
        /// names frame and index
        bytes32 place;
    }

    uint256 public constant MAX_REWARD = 25 ether;
    uint256 private constant BPS = 10_000;
    uint16 private constant ALL_BPS = 10_000;
    uint16 private constant EQ_BPS = 1_000;
    uint16 private constant CORR_BPS = 500;
    uint256 private constant CLAIMS_BPS = 8_000;
    uint256 private constant REWARD_BPS = 500;
    uint256 private constant BURN_BPS = 1_000;
    uint16 private constant EXEC_BPS = 1_000;
    uint256 private constant CORRELATION = 3;
    uint256 private constant BUCKET_HEIGHTS = 1_000;
    uint256 private constant PARTS = 1e9;
    /// @dev Commitment and reveal never cost less gas, also in a transaction that does more of them: with two secp256k1 signatures, what
    /// one of ed25519 or two add, and for each of many who are accused at once.
    uint256 private constant REVEAL_GAS = 120_000;
    uint256 private constant ED25519_GAS = 140_000;
    uint256 private constant ED25519_PAIR_GAS = 180_000;
    uint256 private constant REVEAL_OF_MANY_GAS = 50_000;
    uint8 private constant REVERTED = 1;
    uint8 private constant SETTLED = 2;

    IStakeRegistry public immutable registry;
    /// @notice L1 blocks after a reveal in which harm can be shown and claims made.
    uint64 public immutable claimsBlocks;

    mapping(uint256 => Record) private _records;
    mapping(uint256 => Where) private _where;
    mapping(uint256 => Expense) private _expenses;
    mapping(uint256 => Account) private _accounts;
    mapping(uint256 => Bucket) private _buckets;
    mapping(uint256 => Tally) private _tallies;
    /// @dev by offence and acked frame: position of the first frame that was reverted
    mapping(uint256 => mapping(bytes32 => uint64)) private _revertedFrom;
    mapping(bytes32 => ClaimRecord) private _claims;
    /// @dev what a transaction got, whatever offences it was claimed with
    mapping(bytes32 => uint256) private _paidFor;
    /// @notice What an account can take out with `withdraw`, wei.
    mapping(address => uint256) public credit;
    /// @notice What penalties left over, wei: makes up for what an earlier penalty of the same operator took from later claims.
    uint256 public pool;
    /// @notice Sum sent to the zero address, wei.
    uint256 public burned;
    /// @notice Set aside for settled claims that nobody collected yet, wei.
    uint256 public reserved;

    constructor(address registry_, uint64 claimsBlocks_) {
        registry = IStakeRegistry(registry_);
        claimsBlocks = claimsBlocks_;
    }

    /// @notice Adds to the insurance pool, unless it is the registry that pays: that is seized stake.
    receive() external payable {
        if (msg.sender == address(registry)) return;
        pool += msg.value;
        emit Funded(msg.sender, msg.value);
    }

    /// @notice The id of an offence, which is its key; 0 if it is not known.
    function offenceOf(bytes32 key) public view returns (uint256) {
        return _records[uint256(key)].revealedAt == 0 ? 0 : uint256(key);
    }

    /// @notice An offence; all zero if it is not known.
    function offence(uint256 id) public view returns (Offence memory o) {
        Record memory r = _records[id];
        if (r.revealedAt == 0) return o;
        Where memory w = _where[id];
        (o.key, o.operator, o.kind, o.class) = (bytes32(id), r.operator, r.kind, _classOf(r.kind));
        (o.epoch, o.height, o.round) = (w.epoch, w.height, w.round);
        o.seized = _accounts[r.operator].seized;
        (o.revealedAt, o.commitBlock) = (r.revealedAt, r.revealedAt - r.age);
        o.reporter = r.reporter;
        (o.reverted, o.settled) = (r.flags & REVERTED != 0, r.flags & SETTLED != 0);
    }

    /// @notice First L1 block in which `settle` works.
    function settlesAt(uint256 id) public view returns (uint64) {
        return uint64(_known(id).revealedAt + claimsBlocks);
    }

    /// @notice An operator's account: its stake as it was taken, and what was charged of it, wei; its unsettled offences.
    function accountOf(uint256 operator) external view returns (uint256 seized, uint256 charged, uint256 open, bool released) {
        Account memory a = _accounts[operator];
        return (a.seized, _part(a.seized, a.charged), a.open, a.released);
    }

    /// @notice A claim; all zero if it is not known or was collected.
    function claimOf(bytes32 id) external view returns (uint256 offenceId, address beneficiary, uint256 amount) {
        ClaimRecord memory c = _claims[id];
        return (c.offence, c.beneficiary, c.amount);
    }

    /// @notice What the offence would cost if it were settled now, in hundredths of a percent of the stake taken.
    function penaltyBps(uint256 id) public view returns (uint16) {
        Offence memory o = _known(id);
        if (o.class == CLASS_EXEC) return EXEC_BPS;
        if (o.reverted || o.class == CLASS_FULL) return ALL_BPS;
        return o.class == CLASS_EQ ? EQ_BPS : _correlated(_where[id]);
    }

    /// @notice Charges the penalty and shares it out. Anyone may call.
    function settle(uint256 id) external {
        uint64 from = settlesAt(id);
        if (block.number < from) revert Slasher_TooEarly(from);
        Record memory r = _records[id];
        if (r.flags & SETTLED != 0) revert Slasher_Settled();
        uint256 penalty = _charge(r.operator, _classOf(r.kind), penaltyBps(id));
        _records[id].flags = r.flags | SETTLED;
        (uint256 claims, uint256 fromPool) = _shareOfClaims(id, r.operator, penalty);
        uint256 reward = r.reporter == address(0) ? 0 : penalty * REWARD_BPS / BPS;
        if (reward > MAX_REWARD) reward = MAX_REWARD;
        uint256 fire = (penalty * BURN_BPS + BPS - 1) / BPS;
        if (reward != 0) _payReward(id, r.reporter, reward);
        uint256 rest = penalty + fromPool - claims - reward - fire;
        pool = pool - fromPool + rest;
        burned += fire;
        emit Settled(id, penalty, claims, reward, fire, rest);
        _send(address(0), fire);
    }

    /// @notice Credits a claim's share to its beneficiary, once its offence is settled. Anyone may call. With several offences that
    /// caused one reversion a transaction is claimed from each, and gets no more than its amount of all; the rest goes to the pool.
    function collect(bytes32 claimId) external {
        ClaimRecord memory c = _claims[claimId];
        if (c.amount == 0) revert Slasher_UnknownClaim();
        if (_records[c.offence].flags & SETTLED == 0) revert Slasher_TooEarly(settlesAt(c.offence));
        Tally memory t = _tallies[c.offence];
        uint256 share = uint256(c.amount) * t.share / t.claimed;
        uint256 amount = _min(share, c.amount - _paidFor[c.place]);
        // The record stays, without its amount: a claim is made once.
        _claims[claimId].amount = 0;
        _paidFor[c.place] += amount;
        reserved -= share;
        pool += share - amount;
        credit[c.beneficiary] += amount;
        emit Collected(claimId, c.beneficiary, amount);
    }

    /// @notice Credits what penalties left of an operator's stake to its owner, once the stake would have been free. Anyone may call.
    function release(uint256 operator) external {
        Account memory a = _accounts[operator];
        uint256 amount = a.seized - _part(a.seized, a.charged);
        if (a.released || amount == 0) revert Slasher_NothingToRelease();
        if (a.open != 0) revert Slasher_Unsettled(a.open);
        uint256 from = registry.unlocksAt(operator);
        if (block.number < from) revert Slasher_TooEarly(from);
        _accounts[operator].released = true;
        address owner = registry.operatorOf(operator).owner;
        credit[owner] += amount;
        emit Released(operator, owner, amount);
    }

    /// @notice Pays out the sender's credit.
    function withdraw(address to) external returns (uint256 amount) {
        amount = credit[msg.sender];
        if (amount == 0) revert Slasher_NothingToPay();
        credit[msg.sender] = 0;
        emit Paid(msg.sender, to, amount);
        _send(to, amount);
    }

    /// @notice The key of the offence that `f` shows of `operator`.
    function keyOf(Finding memory f, uint256 operator) public pure returns (bytes32) {
        return keccak256(abi.encodePacked("rota/offence/v1", f.group, f.generation, f.epoch, operator, f.height, f.round));
    }

    function _record(bytes32 key, Finding memory f, uint256 operator, address reporter, uint256 made) internal {
        uint256 id = uint256(key);
        _records[id] = Record(reporter, uint32(block.number), uint16(block.number - made), uint32(operator), f.kind, 0);
        _where[id] = Where(f.height, f.epoch, f.round, f.generation);
    }

    /// @dev Takes the stake at the operator's first offence; later ones find it here.
    function _seize(uint256 operator) internal returns (uint256 seized) {
        Account memory a = _accounts[operator];
        a.open++;
        // The first offence comes before any settlement or release, and opens the account for good.
        if (a.seized == 0 && a.charged == 0) {
            seized = registry.seize(operator);
            a.seized = uint128(seized);
        }
        _accounts[operator] = a;
    }

    function _reward(uint256 id, address reporter, uint256 made) internal {
        Record storage r = _records[id];
        address before = r.reporter;
        if (before != address(0) && _expenses[id].revealer == address(0)) {
            uint256 amount = _revealGas(r.kind) * block.basefee;
            _expenses[id] = Expense(before, amount > type(uint96).max ? type(uint96).max : uint96(amount));
        }
        r.reporter = reporter;
        r.age = uint16(r.revealedAt - made);
    }

    function _revealGas(uint8 kind) private pure returns (uint256) {
        if (kind == CERT_TWICE || kind == FALSE_BLOCK) return REVEAL_OF_MANY_GAS;
        bool two = (kind >= FRAME_TWICE && kind <= UNCHAINED) || kind == ACK_TWICE;
        bool one = kind == OTHER_CUT || kind == ACK_AGAINST_VOTE || kind == STATUS_HIDES_ACK;
        return REVEAL_GAS + (two ? ED25519_PAIR_GAS : one ? ED25519_GAS : 0);
    }

    /// @dev Whoever did the work gets the gas back, and no more: a copy earns nothing, and who is contested by the offender loses nothing.
    function _payReward(uint256 id, address reporter, uint256 reward) private {
        Expense memory e = _expenses[id];
        uint256 back = e.amount < reward ? e.amount : reward;
        if (back != 0) credit[e.revealer] += back;
        credit[reporter] += reward - back;
    }

    /// @dev Adds the member's weight to its thousand heights, once an epoch.
    function _correlate(Finding memory f, uint256 index, uint256 weight) internal {
        Bucket memory b = _buckets[_bucketOf(f.generation, f.height / BUCKET_HEIGHTS)];
        uint64 bit = uint64(1) << uint64(index);
        uint64 seen = f.epoch & 1 == 0 ? b.even : b.odd;
        if (seen & bit != 0) return;
        if (f.epoch & 1 == 0) b.even |= bit;
        else b.odd |= bit;
        (, uint256 total) = registry.epochSet(f.epoch);
        b.fraction += uint64(weight * PARTS / total);
        _buckets[_bucketOf(f.generation, f.height / BUCKET_HEIGHTS)] = b;
    }

    function _reverted(uint256 id, Reversion memory r) internal {
        _records[id].flags |= REVERTED;
        uint64 before = _revertedFrom[id][r.tip];
        if (before == 0 || r.fromG < before) _revertedFrom[id][r.tip] = r.fromG;
        emit Reverted(id, r.tip, r.fromG, r.toG);
    }

    function _claim(uint256 id, Claim memory c) internal returns (bytes32 claimId) {
        uint64 from = _revertedFrom[id][c.tip];
        if (from == 0 || c.g < from) revert Slasher_NotReverted();
        bytes32 place = keccak256(abi.encode(c.frameHash, c.index));
        // By offence: else a claim could be wasted on one with nothing left to pay.
        claimId = keccak256(abi.encode(id, place));
        if (_claims[claimId].beneficiary != address(0)) revert Slasher_ClaimedBefore();
        _claims[claimId] = ClaimRecord(id, c.beneficiary, c.amount, place);
        _tallies[id].claimed += c.amount;
        emit Claimed(id, claimId, c.beneficiary, c.amount);
    }

    function _known(uint256 id) internal view returns (Offence memory o) {
        o = offence(id);
        if (o.revealedAt == 0) revert Slasher_UnknownOffence();
    }

    /// @dev A known offence whose time for claims is not over.
    function _open(uint256 id) internal view returns (Offence memory o) {
        o = _known(id);
        if (block.number >= o.revealedAt + claimsBlocks) revert Slasher_TooLate();
    }

    function _generationOf(uint256 id) internal view returns (uint32) {
        return _where[id].generation;
    }

    /// @dev What is charged now: at most what no offence of the class was charged before.
    function _charge(uint256 operator, uint8 class, uint16 due) private returns (uint256) {
        Account memory a = _accounts[operator];
        a.open--;
        uint16 before = a.charged;
        if (!a.released) {
            if (due == ALL_BPS) {
                a.charged = ALL_BPS;
            } else {
                uint16 paid = class == CLASS_EQ ? a.eq : class == CLASS_EXEC ? a.exec : a.corr;
                if (due > paid) {
                    if (class == CLASS_EQ) a.eq = due;
                    else if (class == CLASS_EXEC) a.exec = due;
                    else a.corr = due;
                    a.charged = uint16(_min(ALL_BPS, uint256(before) + due - paid));
                }
            }
        }
        _accounts[operator] = a;
        return _part(a.seized, a.charged) - _part(a.seized, before);
    }

    /// @dev Claims get up to 80 % of the penalty; if earlier penalties of the operator made that less than 80 % of its whole stake, the
    /// pool makes up for it.
    function _shareOfClaims(uint256 id, uint256 operator, uint256 penalty) private returns (uint256 share, uint256 fromPool) {
        Tally memory t = _tallies[id];
        if (t.claimed == 0) return (0, 0);
        share = _min(t.claimed, penalty * CLAIMS_BPS / BPS);
        if (penalty != 0) {
            uint256 limit = _min(t.claimed, uint256(_accounts[operator].seized) * CLAIMS_BPS / BPS);
            fromPool = _min(pool, limit - share);
        }
        share += fromPool;
        _tallies[id].share = uint128(share);
        reserved += share;
    }

    /// @dev max(5 %, min(100 %, 3 times the fraction)). Neighbouring thousands count too: no two offences at most 1,000 heights apart
    /// are ever counted apart.
    function _correlated(Where memory w) private view returns (uint16) {
        uint256 place = w.height / BUCKET_HEIGHTS;
        uint256 sum = uint256(_buckets[_bucketOf(w.generation, place)].fraction) + _buckets[_bucketOf(w.generation, place + 1)].fraction;
        if (place > 0) sum += _buckets[_bucketOf(w.generation, place - 1)].fraction;
        uint256 bps = (CORRELATION * sum * BPS + PARTS - 1) / PARTS;
        if (bps < CORR_BPS) return CORR_BPS;
        return uint16(_min(bps, ALL_BPS));
    }

    function _bucketOf(uint32 generation, uint256 place) private pure returns (uint256) {
        return (uint256(generation) << 64) | place;
    }

    function _classOf(uint8 kind) private pure returns (uint8) {
        if (kind <= OTHER_CUT) return CLASS_EQ;
        if (kind == FALSE_BLOCK) return CLASS_EXEC;
        return kind == CERT_TWICE ? CLASS_FULL : CLASS_CORR;
    }

    function _part(uint256 whole, uint256 bps) private pure returns (uint256) {
        return whole * bps / BPS;
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function _send(address to, uint256 amount) private {
        (bool done,) = to.call{value: amount}("");
        if (!done) revert Slasher_TransferFailed();
    }
}
