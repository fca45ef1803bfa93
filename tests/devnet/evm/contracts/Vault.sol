// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.19;

/// @notice Holds ERC-20s for those who deposit them, and pays out what each of them put in.
contract Vault {
    event Deposit(address indexed account, address indexed token, uint256 amount);
    event Withdraw(address indexed account, address indexed token, uint256 amount);

    /// @notice What an account may withdraw of a token.
    mapping(address => mapping(address => uint256)) public balanceOf;

    function deposit(address token, uint256 amount) external {
        depositFor(msg.sender, token, amount);
    }

    /// @notice Takes tokens of the caller and credits an account with what arrived of them.
    function depositFor(address account, address token, uint256 amount) public {
        uint256 before = held(token);
        call(token, abi.encodeWithSignature("transferFrom(address,address,uint256)", msg.sender, address(this), amount));
        uint256 arrived = held(token) - before;
        balanceOf[account][token] += arrived;
        emit Deposit(account, token, arrived);
    }

    function withdraw(address token, uint256 amount) external {
        withdrawTo(token, msg.sender, amount);
    }

    /// @notice Pays tokens of the caller out to anybody.
    function withdrawTo(address token, address to, uint256 amount) public {
        require(balanceOf[msg.sender][token] >= amount, "more than is held");
        balanceOf[msg.sender][token] -= amount;
        emit Withdraw(msg.sender, token, amount);
        call(token, abi.encodeWithSignature("transfer(address,uint256)", to, amount));
    }

    function held(address token) private view returns (uint256) {
        (bool done, bytes memory answer) = token.staticcall(abi.encodeWithSignature("balanceOf(address)", address(this)));
        require(done && answer.length == 32, "no token");
        return abi.decode(answer, (uint256));
    }

    /// @dev Some tokens answer nothing where the standard says true.
    function call(address token, bytes memory data) private {
        (bool done, bytes memory answer) = token.call(data);
        require(done && (answer.length == 0 || abi.decode(answer, (bool))), "transfer failed");
    }
}

/// @notice Says whatever it is told to say.
contract Herald {
    function tell(bytes32[] calldata topics, bytes memory data) external {
        bytes32 first = topics[0];
        bytes32 second = topics.length > 1 ? topics[1] : bytes32(0);
        bytes32 third = topics.length > 2 ? topics[2] : bytes32(0);
        assembly {
            let body := add(data, 32)
            switch topics.length
            case 1 { log1(body, mload(data), first) }
            case 2 { log2(body, mload(data), first, second) }
            default { log3(body, mload(data), first, second, third) }
        }
    }
}
