// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {BridgedToken} from "../src/BridgedToken.sol";
import {MessagePasser} from "../src/MessagePasser.sol";
import {Withdrawal, Withdrawals} from "../src/PortalTypes.sol";
import {Predeploys} from "../src/Predeploys.sol";
import {StorageProofs} from "../src/StorageProofs.sol";
import {TokenBridgeL1} from "../src/TokenBridgeL1.sol";
import {TokenBridgeL2} from "../src/TokenBridgeL2.sol";
import {ITokenRelease, OriginProof, TokenDeposit, TokenDeposits} from "../src/TokenBridgeTypes.sol";
import {LoneTries} from "./BridgeFixture.sol";
import {Test} from "./Vm.sol";

contract Coin is ERC20 {
    uint256 public immutable tax;

    constructor(string memory name_, uint256 tax_) ERC20(name_, "COIN") {
        tax = tax_;
        _mint(msg.sender, 1e30);
    }

    function decimals() public pure override returns (uint8) {
        return 9;
    }

    /// @dev Some tokens take a part of each transfer.
    function _update(address from, address to, uint256 amount) internal override {
        if (from != address(0) && tax != 0) super._update(from, address(0xfee), tax);
        super._update(from, to, from == address(0) ? amount : amount - tax);
    }
}

/// @dev Tells about itself in a way that a bridge must survive.
contract OddCoin is Coin("", 0) {
    function name() public pure override returns (string memory) {
        assembly ("memory-safe") {
            mstore(0, "MKR")
            return(0, 32)
        }
    }

    function symbol() public pure override returns (string memory) {
        assembly ("memory-safe") {
            mstore(0, 32)
            mstore(32, not(0))
            return(0, 64)
        }
    }
}

/// @dev The L1 origins of the rollup's blocks (EIP-4788), by their time.
contract OriginsDouble {
    mapping(uint256 => bytes32) private _origins;

    function set(uint256 time, bytes32 hash) external {
        _origins[time] = hash;
    }

    fallback(bytes calldata time) external returns (bytes memory) {
        return abi.encode(_origins[uint256(bytes32(time))]);
    }
}

/// @dev Calls as the portal does.
contract PortalDouble {
    address public l2Sender;

    function call(address sender, address target, bytes calldata data) external returns (bool done) {
        l2Sender = sender;
        (done,) = target.call(data);
        l2Sender = address(0);
    }
}

contract TokenBridgeTest is Test {
    address private constant BOB = address(0xb0b);
    uint256 private constant TIME = 1_800_000_000;

    PortalDouble private portal;
    TokenBridgeL1 private l1;
    TokenBridgeL2 private l2 = TokenBridgeL2(Predeploys.TOKEN_BRIDGE);
    Coin private coin;
    uint256 private _blocks;

    function setUp() public {
        vm.etch(Predeploys.TOKEN_BRIDGE, address(new TokenBridgeL2()).code);
        vm.etch(Predeploys.MESSAGE_PASSER, address(new MessagePasser()).code);
        vm.etch(Predeploys.L1_ORIGINS, address(new OriginsDouble()).code);
        portal = new PortalDouble();
        l1 = new TokenBridgeL1(address(portal));
        coin = new Coin("Some Coin", 0);
        coin.approve(address(l1), type(uint256).max);
    }

    /// @dev An L1 block with so many bytes in a slot of a bridge, which is an origin from now on.
    function _origin(address bridge, uint256 index, bytes32 word) private returns (OriginProof memory p) {
        (p.account, p.slot, p.timestamp) = (new bytes[](1), new bytes[](1), TIME + _blocks);
        p.slot[0] = LoneTries.slot(keccak256(abi.encode(index, uint256(0))), RLP.encode(uint256(word)));
        p.account[0] = LoneTries.account(bridge, keccak256(p.slot[0]));
        p.header = LoneTries.header(uint64(_blocks++), keccak256(p.account[0]));
        OriginsDouble(Predeploys.L1_ORIGINS).set(p.timestamp, keccak256(p.header));
    }

    function _deposited(Coin token, uint256 amount) private returns (TokenDeposit memory d, OriginProof memory p) {
        uint256 index = l1.deposit(address(token), BOB, amount);
        d = TokenDeposit(index, address(token), BOB, amount, token.name(), token.symbol(), token.decimals());
        p = _origin(address(l1), index, l1.deposits(index));
    }

    function test_tokensGoThereAndBack() public {
        (TokenDeposit memory d, OriginProof memory p) = _deposited(coin, 500);
        equal(l1.locked(address(coin)), 500);
        BridgedToken there = BridgedToken(l2.take(address(l1), d, p));
        equal(there.balanceOf(BOB), 500);
        equal(keccak256(bytes(there.name())), keccak256("Some Coin"));
        equal(keccak256(bytes(there.symbol())), keccak256("COIN"));
        equal(there.decimals(), 9);
        equal(there.l1Token(), address(coin));

        vm.prank(BOB);
        bytes32 id = l2.giveBack(address(there), address(0xca1), 200);
        equal(there.totalSupply(), 300);
        bytes memory call = abi.encodeCall(ITokenRelease.release, (address(coin), address(0xca1), 200));
        Withdrawal memory w = Withdrawal(0, Predeploys.TOKEN_BRIDGE, address(l1), 0, 300_000, call);
        equal(Withdrawals.hash(w), id);
        check(MessagePasser(payable(Predeploys.MESSAGE_PASSER)).sent(id), "not sent");
        check(portal.call(w.sender, w.target, w.data), "not released");
        equal(coin.balanceOf(address(0xca1)), 200);
        equal(l1.locked(address(coin)), there.totalSupply());
    }

    function test_aDepositIsTakenOnce() public {
        (TokenDeposit memory d, OriginProof memory p) = _deposited(coin, 500);
        l2.take(address(l1), d, p);
        vm.expectRevert(TokenBridgeL2.Bridge_AlreadyTaken.selector);
        l2.take(address(l1), d, p);
        // The second one is the same token.
        (d, p) = _deposited(coin, 1);
        equal(BridgedToken(l2.take(address(l1), d, p)).totalSupply(), 501);
    }

    function test_onlyWhatIsInAnOriginCounts() public {
        (TokenDeposit memory d, OriginProof memory p) = _deposited(coin, 500);
        d.amount += 1;
        vm.expectRevert(StorageProofs.Proof_OtherValue.selector);
        l2.take(address(l1), d, p);
        d.amount -= 1;
        vm.expectRevert();
        l2.take(address(this), d, p);
        p.timestamp += 1;
        vm.expectRevert(TokenBridgeL2.Bridge_NoOrigin.selector);
        l2.take(address(l1), d, p);
        OriginProof memory other = _origin(address(l1), 9, keccak256("another"));
        p.timestamp = other.timestamp;
        vm.expectRevert(abi.encodeWithSelector(TokenBridgeL2.Bridge_OtherOrigin.selector, keccak256(other.header)));
        l2.take(address(l1), d, p);
    }

    /// @dev Storage keeps a word without its leading zeros.
    function test_aHashThatBeginsWithZerosIsProven() public {
        TokenDeposit memory d = TokenDeposit(0, address(coin), BOB, 1, "a", "b", 0);
        while (TokenDeposits.hash(d) >> 240 != 0) d.amount++;
        OriginProof memory p = _origin(address(l1), 0, TokenDeposits.hash(d));
        equal(BridgedToken(l2.take(address(l1), d, p)).balanceOf(BOB), d.amount);
    }

    function test_tokensOfAnotherBridgeAreOtherTokens() public {
        (TokenDeposit memory d, OriginProof memory p) = _deposited(coin, 500);
        address good = l2.take(address(l1), d, p);
        // A liar says that as many as it likes were locked.
        d.amount = 1e30;
        p = _origin(address(0xbad), 0, TokenDeposits.hash(d));
        BridgedToken bad = BridgedToken(l2.take(address(0xbad), d, p));
        check(address(bad) != good, "the same token");
        equal(bad.l1Bridge(), address(0xbad));
        vm.prank(BOB);
        bytes32 id = l2.giveBack(address(bad), BOB, 1e30);
        bytes memory call = abi.encodeCall(ITokenRelease.release, (address(coin), BOB, 1e30));
        equal(id, Withdrawals.hash(Withdrawal(0, Predeploys.TOKEN_BRIDGE, address(0xbad), 0, 300_000, call)));
    }

    function test_onlyTheBridgeOfTheRollupReleases() public {
        _deposited(coin, 500);
        bytes memory call = abi.encodeCall(ITokenRelease.release, (address(coin), BOB, 200));
        vm.expectRevert(TokenBridgeL1.Bridge_NotPortal.selector);
        l1.release(address(coin), BOB, 200);
        check(!portal.call(BOB, address(l1), call), "released for somebody");
        check(!portal.call(Predeploys.TOKEN_BRIDGE, address(l1), abi.encodeCall(ITokenRelease.release, (address(coin), BOB, 501))), "more");
        check(portal.call(Predeploys.TOKEN_BRIDGE, address(l1), call), "not released");
        equal(coin.balanceOf(BOB), 200);
    }

    function test_whatATokenKeepsForItselfIsNotCredited() public {
        Coin taxed = new Coin("Taxed", 10);
        taxed.approve(address(l1), 1_000);
        uint256 index = l1.deposit(address(taxed), BOB, 500);
        equal(l1.locked(address(taxed)), 490);
        equal(l1.deposits(index), TokenDeposits.hash(TokenDeposit(index, address(taxed), BOB, 490, "Taxed", "COIN", 9)));
        vm.expectRevert(TokenBridgeL1.Bridge_Nothing.selector);
        l1.deposit(address(taxed), BOB, 10);
    }

    function test_aTokenNeedNotSayWhatItIs() public {
        OddCoin odd = new OddCoin();
        odd.approve(address(l1), 5);
        uint256 index = l1.deposit(address(odd), BOB, 5);
        equal(l1.deposits(index), TokenDeposits.hash(TokenDeposit(index, address(odd), BOB, 5, "", "", 9)));
    }

    function test_onlyItsOwnTokensAreTakenBack() public {
        vm.expectRevert(TokenBridgeL2.Bridge_NotBridged.selector);
        l2.giveBack(address(coin), BOB, 1);
        (TokenDeposit memory d, OriginProof memory p) = _deposited(coin, 500);
        BridgedToken there = BridgedToken(l2.take(address(l1), d, p));
        vm.expectRevert();
        l2.giveBack(address(there), BOB, 1);
        vm.expectRevert(BridgedToken.Token_NotBridge.selector);
        there.mint(BOB, 1);
        vm.expectRevert(BridgedToken.Token_NotBridge.selector);
        there.describe("x", "y", 1);
    }

    function testFuzz_noMoreThereThanIsLockedHere(uint64[8] calldata amounts, uint256 back) public {
        BridgedToken there;
        for (uint256 i; i < amounts.length; i++) {
            if (amounts[i] == 0) continue;
            (TokenDeposit memory d, OriginProof memory p) = _deposited(coin, amounts[i]);
            there = BridgedToken(l2.take(address(l1), d, p));
            equal(there.totalSupply(), l1.locked(address(coin)));
        }
        if (address(there) == address(0)) return;
        back = back % there.totalSupply() + 1;
        vm.prank(BOB);
        l2.giveBack(address(there), BOB, back);
        check(there.totalSupply() < l1.locked(address(coin)), "more there");
        check(portal.call(Predeploys.TOKEN_BRIDGE, address(l1), abi.encodeCall(ITokenRelease.release, (address(coin), BOB, back))), "stuck");
        equal(there.totalSupply(), l1.locked(address(coin)));
    }
}
