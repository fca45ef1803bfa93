// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.19;

/// @notice A wallet of one owner, who can be replaced: what counts as its signature is the owner's (EIP-1271).
contract Wallet {
    address public owner;
    bool public mute;

    constructor(address first) {
        owner = first;
    }

    receive() external payable {}

    function replace(address next) external {
        owner = next;
    }

    function fallSilent() external {
        mute = true;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        require(!mute, "mute");
        if (signature.length != 65) return 0xffffffff;
        address signer = ecrecover(digest, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
        return signer != address(0) && signer == owner ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}
