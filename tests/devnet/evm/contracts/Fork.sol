// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.19;

/// @notice Code that computes as other code does and gives itself another number, as forks of a protocol do.
contract Renumbered {
    address private immutable code;
    uint256 private immutable number;

    constructor(address code_, uint256 number_) {
        code = code_;
        number = number_;
    }

    function POOL_REVISION() external view returns (uint256) {
        return number;
    }

    function ATOKEN_REVISION() external view returns (uint256) {
        return number;
    }

    /// @notice What a proxy calls when it is pointed here; the state is there already.
    function initialize(address) external {}

    function initialize(
        address, address, address, address, uint8, string calldata, string calldata, bytes calldata
    ) external {}

    fallback() external {
        address target = code;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let done := delegatecall(gas(), target, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            switch done
            case 0 { revert(0, returndatasize()) }
            default { return(0, returndatasize()) }
        }
    }
}
