// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

import {MathUtils} from "@aave/core-v3/contracts/protocol/libraries/math/MathUtils.sol";
import {PercentageMath} from "@aave/core-v3/contracts/protocol/libraries/math/PercentageMath.sol";
import {WadRayMath} from "@aave/core-v3/contracts/protocol/libraries/math/WadRayMath.sol";
import {MathLib} from "@morpho-org/morpho-blue/src/libraries/MathLib.sol";
import {SharesMathLib} from "@morpho-org/morpho-blue/src/libraries/SharesMathLib.sol";

/// @notice The protocols' own libraries, as views that can be asked.
contract AaveArithmetic {
    function rayMul(uint256 a, uint256 b) external pure returns (uint256) {
        return WadRayMath.rayMul(a, b);
    }

    function rayDiv(uint256 a, uint256 b) external pure returns (uint256) {
        return WadRayMath.rayDiv(a, b);
    }

    function wadDiv(uint256 a, uint256 b) external pure returns (uint256) {
        return WadRayMath.wadDiv(a, b);
    }

    function percentMul(uint256 a, uint256 b) external pure returns (uint256) {
        return PercentageMath.percentMul(a, b);
    }

    function linear(uint256 rate, uint256 elapsed) external view returns (uint256) {
        return MathUtils.calculateLinearInterest(rate, uint40(block.timestamp - elapsed));
    }

    function compounded(uint256 rate, uint256 elapsed) external pure returns (uint256) {
        return MathUtils.calculateCompoundedInterest(rate, 0, elapsed);
    }
}

contract MorphoArithmetic {
    function toSharesDown(uint256 amount, uint256 assets, uint256 shares) external pure returns (uint256) {
        return SharesMathLib.toSharesDown(amount, assets, shares);
    }

    function toAssetsDown(uint256 amount, uint256 assets, uint256 shares) external pure returns (uint256) {
        return SharesMathLib.toAssetsDown(amount, assets, shares);
    }

    function toAssetsUp(uint256 amount, uint256 assets, uint256 shares) external pure returns (uint256) {
        return SharesMathLib.toAssetsUp(amount, assets, shares);
    }

    function mulDivUp(uint256 a, uint256 b, uint256 c) external pure returns (uint256) {
        return MathLib.mulDivUp(a, b, c);
    }

    function compounded(uint256 rate, uint256 elapsed) external pure returns (uint256) {
        return MathLib.wTaylorCompounded(rate, elapsed);
    }
}
