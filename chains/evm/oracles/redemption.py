"""What contracts are asked to tell what one of a token is worth in another: staked Ether, and shares of ERC-4626 vaults."""

from chains.evm.abi import Function

CONVERT_TO_ASSETS = Function("convertToAssets(uint256 shares)", "uint256")
PLAIN = {name: Function(f"{name}()", "uint256") for name in ("stEthPerToken", "getRate", "getExchangeRate")}


def question(view: str, share_decimals: int) -> bytes:
    """Return the calldata that asks for the worth of one whole token of so many decimals; a plain view knows the token itself."""
    if view in PLAIN:
        return PLAIN[view].calldata()
    return CONVERT_TO_ASSETS.calldata(10**share_decimals)
