"""A revert that is told as go-ethereum tells it is read without web3, and never otherwise than web3 reads it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.evm.provider import revert_of
from chains.evm.reverts import plain_revert
from chains.rpc import RpcFault

CALL = {"to": "0x" + "11" * 20, "data": "0x01"}
TEXTS = [
    "",
    "execution reverted",
    "execution reverted: no",
    "Execution reverted",
    "VM execution error.",
    "out of gas",
    "header not found",
]
ERROR, PANIC, CUSTOM = "0x08c379a0", "0x4e487b71", "0xdeadbeef"

hexadecimal = st.binary(max_size=80).map(lambda data: "0x" + data.hex())
said = st.one_of(
    st.none(),
    hexadecimal,
    st.builds(str.__add__, st.sampled_from([ERROR, CUSTOM]), hexadecimal.map(lambda text: text[2:])),
    st.sampled_from([PANIC + "00" * 31 + "11", "0x", "0x0", "0xzz", "0xnothing of the kind", "try again later"]),
    st.just({"reason": "overload"}),
)


def fault(code: int, text: str, data: object) -> RpcFault:
    return RpcFault("the node refuses", code=code, text=text, data=data)


@given(code=st.sampled_from([3, -32000, -32015, -32603]), text=st.sampled_from(TEXTS), data=said)
async def test_what_is_read_without_web3_is_what_web3_reads(code: int, text: str, data: object) -> None:
    refusal = fault(code, text, data)

    assert plain_revert(refusal) in {None, await revert_of(refusal, CALL)}


@pytest.mark.parametrize(
    "code, text, data, output",
    [
        (3, "execution reverted: no", "0x08c379a0", b"\x08\xc3\x79\xa0"),
        (3, "revert", "0x", b""),
        (3, "execution reverted", None, b""),
        (-32000, "execution reverted", None, b""),
        (-32000, "execution reverted", "0xdeadbeef01", b"\xde\xad\xbe\xef\x01"),
        (3, "execution reverted", "0x0", b""),
    ],
)
def test_a_plain_revert_needs_no_web3(code: int, text: str, data: object, output: bytes) -> None:
    assert plain_revert(fault(code, text, data)) == output


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PANIC + "ff" * 32, id="a panic that no compiler knows"),
        pytest.param(PANIC, id="a panic without a code"),
        pytest.param("0x556f1830" + "01" * 8, id="half a lookup elsewhere"),
    ],
)
async def test_a_contract_reverts_with_whatever_it_likes(data: str) -> None:
    assert plain_revert(fault(3, "execution reverted", data)) == bytes.fromhex(data[2:])
    assert await revert_of(fault(-32000, "Execution reverted", data), CALL) == bytes.fromhex(data[2:])


@pytest.mark.parametrize(
    "code, text, data",
    [
        (-32015, "VM execution error.", "Reverted 0x"),
        (-32603, "internal error", None),
        (-32000, "out of gas", "0x"),
        (-32000, "Execution reverted", "0xdeadbeef01"),
        (3, "", "0xdeadbeef01"),
    ],
)
def test_what_is_told_otherwise_is_left_to_web3(code: int, text: str, data: object) -> None:
    assert plain_revert(fault(code, text, data)) is None


def test_no_plain_revert_imports_web3() -> None:
    asked = (
        "import asyncio, sys\n"
        "from chains.evm.calls import Calls\n"
        "from chains.evm.ports import ETH_CALL, Read\n"
        "from chains.rpc import RpcFault\n"
        "refused = RpcFault('no', code=3, text='execution reverted', data='0x01')\n"
        "read = Read(1, ETH_CALL, bytes(20), b'')\n"
        "print(asyncio.run(Calls('eip155:1', None)._answer(read, refused)).output, 'web3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("b'\\x01' False\n", "")
