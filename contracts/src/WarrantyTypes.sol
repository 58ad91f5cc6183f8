// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What an operator gives back when a frame of its is lost. All zero: nothing.
struct Offer {
    /// refund for one transaction, hundredths of a percent of what it offered for its order
    uint32 bps;
    /// most for one transaction, wei
    uint88 claimCap;
    /// most for all transactions of one term, wei
    uint88 termCap;
}

/// @notice Why a warranty is refused, and what is told.
interface IWarranty {
    /// No warranty with these numbers: all zero or none, the cap of a claim at most that of a term, at most MAX_BPS.
    error Warranty_BadOffer();
    error Warranty_NotOwner();
    /// Too many of its terms were refunded: it can offer again in this epoch.
    error Warranty_Lapsed(uint64 untilEpoch);
    /// The bond can be taken in this epoch; the greatest number if it is not known yet.
    error Warranty_Locked(uint64 untilEpoch);
    error Warranty_NothingPosted();
    /// The frame's leader gave no warranty for this epoch.
    error Warranty_None();
    /// The frame's set is out of force since this epoch, for too long.
    error Warranty_Expired(uint64 lastUse);
    /// The log does not part from the frame where the proof says.
    error Warranty_NotLost();
    /// The frames are not of one term: who signed the first lost one is to be asked.
    error Warranty_OtherTerm();
    /// The log's frame is of the same term: the leader signed both, which is an offence (E1). Bring them to the Slasher.
    error Warranty_Equivocation();
    /// The log's frame is of an earlier term.
    error Warranty_NotLater();
    /// This term was shown to have another first lost frame: the leader signed both, which is an offence (E1).
    error Warranty_TwoHistories(bytes32 first);
    /// The transactions had their refund, offered nothing, or nothing is left of the term's cap or of the bond.
    error Warranty_NothingDue();
    error Warranty_NothingToPay();
    error Warranty_TransferFailed();

    event Posted(uint256 indexed operator, address from, uint256 amount, uint256 bond);
    event Offered(uint256 indexed operator, uint32 bps, uint88 claimCap, uint88 termCap, uint64 fromEpoch);
    event Lapsed(uint256 indexed operator, uint64 fromEpoch, uint64 untilEpoch);
    event Withdrawn(uint256 indexed operator, address to, uint256 amount);
    event Refunded(uint256 indexed operator, address indexed sender, bytes32 frameHash, uint32 index, uint256 amount);
    event Paid(address indexed sender, uint256 amount);
}
