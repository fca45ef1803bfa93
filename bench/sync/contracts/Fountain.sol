// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.19;

/// @notice Tells of deposits and withdrawals as a vault does, many in one transaction, as it is told to.
contract Fountain {
    event Deposit(address indexed account, address indexed token, uint256 amount);
    event Withdraw(address indexed account, address indexed token, uint256 amount);

    uint256 private constant RECORD = 54;

    address[] private tokens;

    constructor(address[] memory tokens_) {
        tokens = tokens_;
    }

    /// @param packed Records of 54 bytes: account, number of the token, 1 for a deposit and 0 for a withdrawal, amount.
    function pour(bytes calldata packed) external {
        for (uint256 at = 0; at < packed.length; at += RECORD) {
            address account = address(bytes20(packed[at:at + 20]));
            address token = tokens[uint8(packed[at + 20])];
            uint256 amount = uint256(bytes32(packed[at + 22:at + RECORD]));
            if (packed[at + 21] == 0x01) emit Deposit(account, token, amount);
            else emit Withdraw(account, token, amount);
        }
    }
}
