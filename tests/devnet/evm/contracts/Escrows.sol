// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.19;

import "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

/// @notice An ERC-4626 vault of any asset; what it is given, or loses, changes what its shares are worth without an event of its own.
contract Shares is ERC4626 {
    bool public silent;

    constructor(IERC20 asset_) ERC4626(IERC20Metadata(address(asset_))) ERC20("Shares", "shVTB") {}

    function lose(uint256 amount) external {
        ERC20(asset()).transfer(address(0xdead), amount);
    }

    /// @notice Makes it keep to itself what shares are worth, or speak again.
    function silence() external {
        silent = !silent;
    }

    function convertToAssets(uint256 shares) public view override returns (uint256) {
        require(!silent, "silent");
        return super.convertToAssets(shares);
    }
}

/// @notice A margin contract: accounts are ids that somebody owns, and one signed event tells of what changes; the zero address is the coin.
contract Margin {
    event AccountOwned(bytes32 indexed account, address indexed owner);
    event CollateralChanged(bytes32 indexed account, address indexed token, int256 amount);
    event Bonus(bytes32 indexed account, address token, uint128 amount);

    mapping(bytes32 => mapping(address => int256)) public collateral;

    receive() external payable {}

    function open(bytes32 account, address owner) external {
        emit AccountOwned(account, owner);
    }

    function deposit(bytes32 account, address token, uint256 amount) external payable {
        if (token == address(0)) amount = msg.value;
        else IERC20(token).transferFrom(msg.sender, address(this), amount);
        change(account, token, int256(amount));
    }

    function withdraw(bytes32 account, address token, uint256 amount) external {
        change(account, token, -int256(amount));
        if (token == address(0)) payable(msg.sender).transfer(amount);
        else IERC20(token).transfer(msg.sender, amount);
    }

    /// @notice Credits an account with what others lost, and tells of it in another way.
    function reward(bytes32 account, address token, uint128 amount) external {
        collateral[account][token] += int256(uint256(amount));
        emit Bonus(account, token, amount);
    }

    /// @notice Loses tokens without a word.
    function drain(address token, uint256 amount) external {
        IERC20(token).transfer(address(0xdead), amount);
    }

    function change(bytes32 account, address token, int256 amount) private {
        collateral[account][token] += amount;
        emit CollateralChanged(account, token, amount);
    }
}

/// @notice Anybody may put other code behind it.
contract Upgradeable is ERC1967Proxy {
    constructor(address logic) ERC1967Proxy(logic, "") {}

    function upgradeTo(address logic) external {
        _upgradeTo(logic);
    }
}

/// @notice A token whose balances grow without a transfer.
contract Rebasing is ERC20 {
    uint256 public factor = 1;

    constructor() ERC20("Rebasing", "RB") {
        _mint(msg.sender, 10 ** 30);
    }

    function rebase(uint256 to) external {
        factor = to;
    }

    function balanceOf(address account) public view override returns (uint256) {
        return super.balanceOf(account) * factor;
    }
}
