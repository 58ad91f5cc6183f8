// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What can be wrong with a certificate. The inbox passes these on as they are.
interface ICertificateErrors {
    /// No set is frozen for the epoch.
    error Inbox_UnknownEpoch(uint64 epoch);
    /// The bitmap does not fit the set (length, bits beyond the last signer) or the signatures do not fit the bitmap.
    error Inbox_SignatureCount();
    /// The signature of this signer index is malformed, malleable or another key's.
    error Inbox_BadSignature(uint256 index);
}

/// @title Check of a quorum's signatures
/// @notice secp256k1 now; an aggregate scheme can take its place for large sets without a change to the inbox.
interface ICertificateVerifier is ICertificateErrors {
    /// @notice Adds up the stake that signed. Reverts unless every signature named by the bitmap is good.
    /// @param epoch epoch whose frozen set signed
    /// @param digest what each of them signed
    /// @param bitmap bit i of byte i/8, least significant first, is signer index i; bytes that are missing at the end are zero
    /// @param sigs the signatures of the set bits, in ascending index
    /// @return weight stake that signed, gwei
    /// @return total stake of the set, gwei
    function weigh(uint64 epoch, bytes32 digest, bytes calldata bitmap, bytes calldata sigs)
        external
        view
        returns (uint256 weight, uint256 total);
}
