"""A contract that says what a vault of another make would say, which need not be true."""

from collections.abc import Mapping, Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.ledger import invoke
from tests.devnet.evm.vault import Custody

CREDITED, DEBITED = "Credited(bytes32,address,uint64[2],uint256)", "Debited(address,uint256)"
MEMO = b"\x07" * 32
TIMES = (1, 2)


class Herald:
    """Says anything about the accounts of a custody and its first token."""

    OPTIONS: Mapping[str, str] = {
        "deposit_event": "event Credited(bytes32 indexed memo, address account, uint64[2] times, uint256 amount)",
        "withdraw_event": "Debited(address indexed account, uint256 amount);",
    }

    def __init__(self, custody: Custody) -> None:
        self.custody = custody
        self.options = {**self.OPTIONS, "token": custody.vault.tokens[0].address}
        self.address = custody.ledger.deploy(custody.stranger, own_bytecode("Herald"))
        self.start_block = custody.node.height()

    def credited(self, account: str, amount: int) -> None:
        """Let an account be credited, in a block of its own."""
        self.say(CREDITED, [MEMO], encode(["address", "uint64[2]", "uint256"], [account, TIMES, amount]))

    def debited(self, account: str, amount: int) -> None:
        """Let an account be debited, in a block of its own."""
        self.say(DEBITED, [encode(["address"], [account])], encode(["uint256"], [amount]))

    def say(self, signature: str, topics: Sequence[bytes], data: bytes) -> None:
        """Emit a log by this name and of any shape, in a block of its own."""
        words = [keccak(text=signature), *topics]
        self.custody.ledger.do(
            invoke(self.custody.stranger, self.address, "tell(bytes32[],bytes)", words, data),
        )
