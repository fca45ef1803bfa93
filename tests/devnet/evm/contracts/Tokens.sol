// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.19;

/// @notice Balances and allowances; anybody may mint.
abstract contract Ledger {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    function spend(address from, uint256 amount) internal {
        require(allowance[from][msg.sender] >= amount, "not allowed");
        allowance[from][msg.sender] -= amount;
    }

    function move(address from, address to, uint256 amount, uint256 fee) internal {
        require(balanceOf[from] >= amount, "not enough");
        balanceOf[from] -= amount;
        balanceOf[to] += amount - fee;
        emit Transfer(from, to, amount - fee);
        if (fee > 0) emit Transfer(from, address(0), fee);
    }
}

/// @notice An ERC-20 that burns a part of every transfer, or nothing.
contract Token is Ledger {
    string public symbol;
    uint8 public immutable decimals;
    uint256 public immutable feeBps;

    constructor(string memory symbol_, uint8 decimals_, uint256 feeBps_) {
        symbol = symbol_;
        decimals = decimals_;
        feeBps = feeBps_;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        move(msg.sender, to, amount, (amount * feeBps) / 10_000);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        spend(from, amount);
        move(from, to, amount, (amount * feeBps) / 10_000);
        return true;
    }
}

/// @notice A token from before the standard: transfers answer nothing, the symbol is one word, and decimals are unknown.
contract OldToken is Ledger {
    bytes32 public constant symbol = "OLD";

    function transfer(address to, uint256 amount) external {
        move(msg.sender, to, amount, 0);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        spend(from, amount);
        move(from, to, amount, 0);
    }
}
