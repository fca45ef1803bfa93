// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.19;

interface ISays {
    function latestAnswer() external view returns (int256);

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);

    function decimals() external view returns (uint8);
}

/// @notice A rate that moves without a log: by hand, and by a step every second.
contract SilentRate {
    uint256 public value;
    uint256 public step;
    uint256 public since;
    uint8 public constant decimals = 18;

    constructor(uint256 value_, uint256 step_) {
        set(value_, step_);
    }

    function set(uint256 value_, uint256 step_) public {
        (value, step, since) = (value_, step_, block.timestamp);
    }

    function rate() public view returns (uint256) {
        return value + step * (block.timestamp - since);
    }

    function getRate() external view returns (uint256) {
        return rate();
    }

    function stEthPerToken() external view returns (uint256) {
        return rate();
    }

    function convertToAssets(uint256 shares) external view returns (uint256) {
        return (shares * rate()) / 1e18;
    }
}

/// @notice What many computed sources have: somebody who may change them, and decimals.
abstract contract Governed {
    address public immutable ACL_MANAGER = msg.sender;
    uint8 public immutable DECIMALS;

    constructor(uint8 decimals_) {
        DECIMALS = decimals_;
    }

    function decimals() external view returns (uint8) {
        return DECIMALS;
    }

    function latestAnswer() public view virtual returns (int256);
}

/// @notice A base price times a ratio that counts up to a growing cap; `scale` is one where growth is not scaled.
abstract contract RatioCap is Governed(8) {
    event CapParametersUpdated(
        uint256 snapshotRatio, uint256 snapshotTimestamp, uint256 maxRatioGrowthPerSecond, uint16 maxYearlyRatioGrowthPercent
    );

    ISays public immutable BASE_TO_USD_AGGREGATOR;
    address public immutable RATIO_PROVIDER;
    uint8 public immutable RATIO_DECIMALS;
    uint256 public getSnapshotRatio;
    uint256 public getSnapshotTimestamp;
    uint256 internal growth;
    uint256 private immutable scale;

    constructor(ISays base, address provider, uint256 scale_, uint8 decimals_) {
        BASE_TO_USD_AGGREGATOR = base;
        RATIO_PROVIDER = provider;
        RATIO_DECIMALS = decimals_;
        scale = scale_;
    }

    function setCapParameters(uint256 ratio, uint256 time, uint16 percent) public {
        (getSnapshotRatio, getSnapshotTimestamp) = (ratio, time);
        growth = (ratio * percent * scale) / 10_000 / 365 days;
        emit CapParametersUpdated(ratio, time, growth / scale, percent);
    }

    function getRatio() public view virtual returns (int256);

    function getMaxRatioGrowthPerSecond() external view returns (uint256) {
        return growth / scale;
    }

    function latestAnswer() public view override returns (int256) {
        int256 base = BASE_TO_USD_AGGREGATOR.latestAnswer();
        int256 ratio = getRatio();
        if (base <= 0 || ratio <= 0) return 0;
        int256 most = int256(getSnapshotRatio + (growth * (block.timestamp - getSnapshotTimestamp)) / scale);
        return (base * (ratio > most ? most : ratio)) / int256(10 ** uint256(RATIO_DECIMALS));
    }
}

contract PlainRatioCap is RatioCap {
    constructor(ISays base, address provider) RatioCap(base, provider, 1, 18) {}

    function getRatio() public view override returns (int256) {
        return int256(SilentRate(RATIO_PROVIDER).rate());
    }
}

contract FinerRatioCap is RatioCap {
    uint256 public constant SCALING_FACTOR = 1e6;

    constructor(ISays base, address provider) RatioCap(base, provider, 1e6, 18) {}

    function getMaxRatioGrowthPerSecondScaled() external view returns (uint256) {
        return growth;
    }

    function getRatio() public view override returns (int256) {
        return int256(SilentRate(RATIO_PROVIDER).rate());
    }
}

/// @notice Its ratio is the answer of a feed.
contract FeedRatioCap is RatioCap {
    constructor(ISays base, address provider) RatioCap(base, provider, 1, 8) {}

    function getRatio() public view override returns (int256) {
        return ISays(RATIO_PROVIDER).latestAnswer();
    }
}

contract StableCap is Governed(8) {
    event PriceCapUpdated(int256 priceCap);

    ISays public immutable ASSET_TO_USD_AGGREGATOR;
    int256 public getPriceCap;

    constructor(ISays asset, int256 cap) {
        ASSET_TO_USD_AGGREGATOR = asset;
        setPriceCap(cap);
    }

    function setPriceCap(int256 cap) public {
        getPriceCap = cap;
        emit PriceCapUpdated(cap);
    }

    /// @notice Changes the cap without telling.
    function setSilently(int256 cap) external {
        getPriceCap = cap;
    }

    function latestAnswer() public view override returns (int256) {
        int256 price = ASSET_TO_USD_AGGREGATOR.latestAnswer();
        if (price > getPriceCap) return getPriceCap;
        return price > 0 ? price : int256(0);
    }
}

contract EuroCap is Governed(8) {
    event PriceCapRatioUpdated(int256 priceCapRatio);

    ISays public immutable ASSET_TO_USD_AGGREGATOR;
    ISays public immutable BASE_TO_USD_AGGREGATOR;
    uint8 public constant RATIO_DECIMALS = 8;
    int256 public getPriceCapRatio;

    constructor(ISays asset, ISays base, int256 ratio) {
        (ASSET_TO_USD_AGGREGATOR, BASE_TO_USD_AGGREGATOR) = (asset, base);
        setPriceCapRatio(ratio);
    }

    function setPriceCapRatio(int256 ratio) public {
        getPriceCapRatio = ratio;
        emit PriceCapRatioUpdated(ratio);
    }

    function latestAnswer() public view override returns (int256) {
        int256 most = (BASE_TO_USD_AGGREGATOR.latestAnswer() * getPriceCapRatio) / 1e8;
        int256 price = ASSET_TO_USD_AGGREGATOR.latestAnswer();
        return price > most ? most : price;
    }
}

contract Discount is Governed(8) {
    event DiscountRatePerYearUpdated(uint64 oldDiscountRatePerYear, uint64 newDiscountRatePerYear);

    uint256 public constant PERCENTAGE_FACTOR = 1e18;
    uint256 public constant SECONDS_PER_YEAR = 365 days;
    ISays public immutable ASSET_TO_USD_AGGREGATOR;
    uint256 public immutable MATURITY;
    uint64 public discountRatePerYear;

    constructor(ISays asset, uint256 maturity, uint64 rate) {
        (ASSET_TO_USD_AGGREGATOR, MATURITY) = (asset, maturity);
        setDiscountRatePerYear(rate);
    }

    function setDiscountRatePerYear(uint64 rate) public {
        emit DiscountRatePerYearUpdated(discountRatePerYear, rate);
        discountRatePerYear = rate;
    }

    function latestAnswer() public view override returns (int256) {
        int256 price = ASSET_TO_USD_AGGREGATOR.latestAnswer();
        if (price <= 0) return 0;
        uint256 left = MATURITY > block.timestamp ? MATURITY - block.timestamp : 0;
        uint256 discount = (left * discountRatePerYear) / SECONDS_PER_YEAR;
        return int256((uint256(price) * (PERCENTAGE_FACTOR - discount)) / PERCENTAGE_FACTOR);
    }
}

contract SetPrice is Governed(8) {
    event FixedPriceUpdated(int256 currentPrice, int256 newPrice);

    int256 public price;

    constructor(int256 first) {
        setPrice(first);
    }

    function setPrice(int256 next) public {
        emit FixedPriceUpdated(price, next);
        price = next;
    }

    function latestAnswer() public view override returns (int256) {
        return price;
    }
}

/// @notice A staked asset in its base, by way of the peg.
contract ThroughPeg is Governed(8) {
    ISays public immutable ASSET_TO_PEG;
    ISays public immutable PEG_TO_BASE;
    int256 public immutable DENOMINATOR;

    constructor(ISays asset, ISays peg) {
        (ASSET_TO_PEG, PEG_TO_BASE) = (asset, peg);
        DENOMINATOR = int256(10 ** (uint256(asset.decimals()) + peg.decimals()));
    }

    function latestAnswer() public view override returns (int256) {
        int256 asset = ASSET_TO_PEG.latestAnswer();
        int256 peg = PEG_TO_BASE.latestAnswer();
        if (asset <= 0 || peg <= 0) return 0;
        return (asset * peg * 1e8) / DENOMINATOR;
    }
}

contract OverBase is Governed(18) {
    ISays public immutable ASSET_TO_PEG;
    ISays public immutable BASE_TO_PEG;

    constructor(ISays asset, ISays base) {
        (ASSET_TO_PEG, BASE_TO_PEG) = (asset, base);
    }

    function latestAnswer() public view override returns (int256) {
        int256 asset = ASSET_TO_PEG.latestAnswer();
        int256 base = BASE_TO_PEG.latestAnswer();
        if (asset <= 0 || base <= 0) return 0;
        return (asset * 1e18) / base;
    }
}

/// @notice Answers in rounds alone, as the feeds of some markets do; the product of two feeds, to `decimals`.
contract ProductFeed {
    ISays public immutable priceFeedA;
    ISays public immutable priceFeedB;
    uint8 public immutable decimals;
    int256 public immutable combinedScale;
    int256 public immutable priceFeedScale;

    constructor(ISays a, ISays b, uint8 decimals_) {
        (priceFeedA, priceFeedB, decimals) = (a, b, decimals_);
        combinedScale = int256(10 ** (uint256(a.decimals()) + b.decimals()));
        priceFeedScale = int256(10 ** uint256(decimals_));
    }

    function latestRoundData() external view returns (uint80 round, int256 answer, uint256 begun, uint256 at, uint80 inRound) {
        int256 a;
        (, a, , , ) = priceFeedA.latestRoundData();
        (round, answer, begun, at, inRound) = priceFeedB.latestRoundData();
        answer = a <= 0 || answer <= 0 ? int256(0) : (a * answer * priceFeedScale) / combinedScale;
    }
}

/// @notice Another feed, brought to other decimals.
contract RescaledFeed {
    ISays public immutable underlyingPriceFeed;
    uint8 public immutable decimals;

    constructor(ISays feed, uint8 decimals_) {
        (underlyingPriceFeed, decimals) = (feed, decimals_);
    }

    function latestRoundData() external view returns (uint80 round, int256 answer, uint256 begun, uint256 at, uint80 inRound) {
        (round, answer, begun, at, inRound) = underlyingPriceFeed.latestRoundData();
        uint8 theirs = underlyingPriceFeed.decimals();
        answer = theirs < decimals ? answer * int256(10 ** uint256(decimals - theirs)) : answer / int256(10 ** uint256(theirs - decimals));
    }
}

/// @notice A price made as no other is: nothing tells what of.
contract OwnMake {
    ISays private immutable one;
    ISays private immutable other;
    uint8 public constant decimals = 8;

    constructor(ISays one_, ISays other_) {
        (one, other) = (one_, other_);
    }

    function latestAnswer() external view returns (int256) {
        return (one.latestAnswer() + other.latestAnswer()) / 2;
    }
}

/// @notice A price composed of a vault's rate and two feeds; its owner can make it say something else.
contract VaultOracle {
    address public immutable BASE_VAULT;
    uint256 public constant BASE_VAULT_CONVERSION_SAMPLE = 1e18;
    address public constant QUOTE_VAULT = address(0);
    uint256 public constant QUOTE_VAULT_CONVERSION_SAMPLE = 1;
    address public immutable BASE_FEED_1;
    address public constant BASE_FEED_2 = address(0);
    address public immutable QUOTE_FEED_1;
    address public constant QUOTE_FEED_2 = address(0);
    uint256 public constant SCALE_FACTOR = 1e6;
    uint256 public bent = 1;

    constructor(address vault, address base, address quote) {
        (BASE_VAULT, BASE_FEED_1, QUOTE_FEED_1) = (vault, base, quote);
    }

    function bend(uint256 by) external {
        bent = by;
    }

    function price() external view returns (uint256) {
        (, int256 base, , , ) = ISays(BASE_FEED_1).latestRoundData();
        (, int256 quote, , , ) = ISays(QUOTE_FEED_1).latestRoundData();
        require(base >= 0 && quote >= 0, "negative answer");
        return (SCALE_FACTOR * bent * SilentRate(BASE_VAULT).convertToAssets(1e18) * uint256(base)) / uint256(quote);
    }
}
