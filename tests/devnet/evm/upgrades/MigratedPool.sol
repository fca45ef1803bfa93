// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {PoolInstance} from '@aave-dao/aave-v3-origin/src/contracts/instances/PoolInstance.sol';
import {IERC20} from '@aave-dao/aave-v3-origin/src/contracts/dependencies/openzeppelin/contracts/IERC20.sol';
import {IPoolAddressesProvider} from '@aave-dao/aave-v3-origin/src/contracts/interfaces/IPoolAddressesProvider.sol';
import {IReserveInterestRateStrategy} from '@aave-dao/aave-v3-origin/src/contracts/interfaces/IReserveInterestRateStrategy.sol';
import {DataTypes} from '@aave-dao/aave-v3-origin/src/contracts/protocol/libraries/types/DataTypes.sol';

/// @notice The pool of 3.6 for a market of 3.0: it begins to count what every reserve has left, in slots that held other numbers.
contract MigratedPool is PoolInstance {
    constructor(IPoolAddressesProvider provider, IReserveInterestRateStrategy strategy) PoolInstance(provider, strategy) {}

    function initialize(IPoolAddressesProvider provider) external override initializer {
        require(provider == ADDRESSES_PROVIDER);
        for (uint256 i = 0; i < _reservesCount; i++) {
            address asset = _reservesList[i];
            if (asset == address(0)) continue;
            DataTypes.ReserveData storage reserve = _reserves[asset];
            reserve.virtualUnderlyingBalance = uint128(IERC20(asset).balanceOf(reserve.aTokenAddress));
            reserve.deficit = 0;
        }
    }
}
