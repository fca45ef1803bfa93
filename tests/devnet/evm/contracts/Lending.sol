// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.19;

interface IPriced {
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);
}

/// @notice A price composed of feeds, with the views of the oracles that lending markets use; it has no vaults.
contract ComposedOracle {
    address public immutable BASE_VAULT;
    address public immutable QUOTE_VAULT;
    address public immutable BASE_FEED_1;
    address public immutable BASE_FEED_2;
    address public immutable QUOTE_FEED_1;
    address public immutable QUOTE_FEED_2;
    uint256 public immutable SCALE_FACTOR;

    constructor(address vault, address base1, address base2, address quote1, address quote2, uint256 scale) {
        BASE_VAULT = vault;
        QUOTE_VAULT = address(0);
        BASE_FEED_1 = base1;
        BASE_FEED_2 = base2;
        QUOTE_FEED_1 = quote1;
        QUOTE_FEED_2 = quote2;
        SCALE_FACTOR = scale;
    }

    function price() public view virtual returns (uint256) {
        return (SCALE_FACTOR * read(BASE_FEED_1) * read(BASE_FEED_2)) / (read(QUOTE_FEED_1) * read(QUOTE_FEED_2));
    }

    function read(address feed) private view returns (uint256) {
        if (feed == address(0)) return 1;
        (, int256 answer, , , ) = IPriced(feed).latestRoundData();
        require(answer >= 0, "negative answer");
        return uint256(answer);
    }
}

/// @notice Looks like a composed price and is half of it.
contract FalseOracle is ComposedOracle {
    constructor(address vault, address base1, address base2, address quote1, address quote2, uint256 scale)
        ComposedOracle(vault, base1, base2, quote1, quote2, scale)
    {}

    function price() public view override returns (uint256) {
        return super.price() / 2;
    }
}

struct Params {
    address loanToken;
    address collateralToken;
    address oracle;
    address irm;
    uint256 lltv;
}

interface ILending {
    function accrueInterest(Params memory params) external;

    function market(bytes32 id) external view returns (uint128, uint128, uint128, uint128, uint128, uint128);

    function position(bytes32 id, address user) external view returns (uint256, uint128, uint128);
}

/// @notice Tells what a market and its people would have if interest were added now. To be called, never to be sent.
contract Prober {
    function look(ILending lending, bytes32 id, Params memory params, address[] memory users)
        external
        returns (uint256 time, uint128[6] memory market, uint256[3][] memory positions)
    {
        lending.accrueInterest(params);
        time = block.timestamp;
        (market[0], market[1], market[2], market[3], market[4], market[5]) = lending.market(id);
        positions = new uint256[3][](users.length);
        for (uint256 i = 0; i < users.length; i++) {
            (positions[i][0], positions[i][1], positions[i][2]) = lending.position(id, users[i]);
        }
    }
}

/// @notice An interest rate model with one rate for each market, which is set once.
contract SetOnceRate {
    event SetBorrowRate(bytes32 indexed id, uint256 newBorrowRate);

    mapping(bytes32 => uint256) public borrowRateStored;

    struct Stored {
        uint128 totalSupplyAssets;
        uint128 totalSupplyShares;
        uint128 totalBorrowAssets;
        uint128 totalBorrowShares;
        uint128 lastUpdate;
        uint128 fee;
    }

    function setBorrowRate(bytes32 id, uint256 rate) external {
        require(borrowRateStored[id] == 0, "rate set");
        require(rate != 0, "rate zero");
        borrowRateStored[id] = rate;
        emit SetBorrowRate(id, rate);
    }

    function borrowRateView(Params memory params, Stored memory) external view returns (uint256) {
        return rateOf(params);
    }

    function borrowRate(Params memory params, Stored memory) external view returns (uint256) {
        return rateOf(params);
    }

    function rateOf(Params memory params) private view returns (uint256 rate) {
        rate = borrowRateStored[keccak256(abi.encode(params))];
        require(rate != 0, "rate not set");
    }
}
