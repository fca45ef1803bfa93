// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.19;

import {Internal} from "@chainlink/contracts-ccip/contracts/libraries/Internal.sol";
import {MerkleMultiProof} from "@chainlink/contracts-ccip/contracts/libraries/MerkleMultiProof.sol";

/// Says of messages what an off-ramp says once its oracles signed: the hash and the root are CCIP's own.
contract Ramp {
    event CommitReportAccepted(
        Internal.MerkleRoot[] blessed, Internal.MerkleRoot[] unblessed, Internal.PriceUpdates prices
    );

    function commit(Internal.Any2EVMRampMessage calldata message, bytes calldata onRamp, bytes32[] calldata others)
        external
    {
        bytes32[] memory leaves = new bytes32[](1);
        leaves[0] = Internal._hash(
            message,
            keccak256(
                abi.encode(
                    Internal.ANY_2_EVM_MESSAGE_HASH,
                    message.header.sourceChainSelector,
                    message.header.destChainSelector,
                    keccak256(onRamp)
                )
            )
        );
        Internal.MerkleRoot[] memory roots = new Internal.MerkleRoot[](1);
        roots[0] = Internal.MerkleRoot({
            sourceChainSelector: message.header.sourceChainSelector,
            onRampAddress: onRamp,
            minSeqNr: message.header.sequenceNumber,
            maxSeqNr: message.header.sequenceNumber + 3,
            merkleRoot: MerkleMultiProof._merkleRoot(leaves, others, 0)
        });
        Internal.PriceUpdates memory none;
        emit CommitReportAccepted(new Internal.MerkleRoot[](0), roots, none);
    }
}
