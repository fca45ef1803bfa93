"""A program that does nothing but call another one: the first account is called with the rest and with the data.

It lets people reach the token program the way they do through a wallet or an aggregator: by an inner instruction.
Nothing of the kind is among the engine's own programs, so it is assembled here, from some seventy instructions of sBPF v0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from hashlib import sha256

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

ROUTER = Pubkey(sha256(b"crossmargin solana devnet router").digest())

HEAP = 0x3_0000_0000
METAS, INSTRUCTION, COUNT = 0x400, 0x800, 0x828
"""Places on the heap; what the runtime wants to know of each account begins at zero."""
INFO_SIZE, META_SIZE = 56, 16
GROWTH = 10_240
"""Free bytes behind the data of every account in the input."""
NOT_REPEATED = 0xFF
SYSCALL = b"sol_invoke_signed_c"

LDDW, LDXB, LDXDW, STXB, STXDW = 0x18, 0x71, 0x79, 0x73, 0x7B
ADD, SUB, AND, MOV, MOV_REGISTER, ADD_REGISTER = 0x07, 0x17, 0x57, 0xB7, 0xBF, 0x0F
JUMP, JUMP_EQUAL, JUMP_UNEQUAL, CALL, EXIT = 0x05, 0x15, 0x55, 0x85, 0x95
INPUT, CURSOR, LEFT, INFO, META = 1, 6, 7, 8, 9


def routed(inner: Instruction) -> Instruction:
    """An instruction, called through the router."""
    callee = AccountMeta(inner.program_id, is_signer=False, is_writable=False)
    return Instruction(ROUTER, bytes(inner.data), [callee, *inner.accounts])


def op(code: int, to: int = 0, of: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """One instruction."""
    return struct.pack("<BBhi", code, to | of << 4, offset, value)


def wide(to: int, value: int) -> bytes:
    """Load 64 bits: an instruction of double length."""
    return op(LDDW, to, value=value & 0xFFFF_FFFF) + op(0, value=value >> 32)


def address_of(to: int, base: int, offset: int) -> bytes:
    """A register plus a constant."""
    return op(MOV_REGISTER, to, base) + op(ADD, to, value=offset)


def copied(code_from: int, at: int, *, stores: Iterable[tuple[int, int, int]]) -> bytes:
    """A field of the account under the cursor, stored by each (code, base, offset)."""
    return op(code_from, 2, CURSOR, at) + b"".join(op(code, base, 2, offset) for code, base, offset in stores)


def described() -> bytes:
    """What the runtime wants to know of the account under the cursor, and the cursor moved to the next."""
    return b"".join(
        [
            address_of(3, CURSOR, 8),  # key
            op(STXDW, INFO, 3, 0),
            op(STXDW, META, 3, 0),
            address_of(3, CURSOR, 72),  # lamports
            op(STXDW, INFO, 3, 8),
            address_of(3, CURSOR, 40),  # owner
            op(STXDW, INFO, 3, 32),
            copied(LDXB, 1, stores=[(STXB, INFO, 48), (STXB, META, 9)]),  # signer
            copied(LDXB, 2, stores=[(STXB, INFO, 49), (STXB, META, 8)]),  # writable
            copied(LDXB, 3, stores=[(STXB, INFO, 50)]),  # executable
            copied(LDXDW, 80, stores=[(STXDW, INFO, 16)]),  # length of the data
            address_of(3, CURSOR, 88),  # data
            op(STXDW, INFO, 3, 24),
            op(ADD_REGISTER, 3, 2),
            op(ADD, 3, value=GROWTH + 7),
            op(AND, 3, value=-8),
            op(LDXDW, 2, 3, 0),  # rent epoch
            op(STXDW, INFO, 2, 40),
            address_of(CURSOR, 3, 8),
            op(ADD, INFO, value=INFO_SIZE),
            op(ADD, META, value=META_SIZE),
            op(SUB, LEFT, value=1),
        ]
    )


def called() -> bytes:
    """The call, from what was described; the cursor is at the data."""
    return b"".join(
        [
            wide(INFO, HEAP),
            op(LDXDW, 4, INFO, 0),
            op(STXDW, INFO, 4, INSTRUCTION),
            address_of(5, INFO, METAS + META_SIZE),
            op(STXDW, INFO, 5, INSTRUCTION + 8),
            op(LDXDW, 3, INFO, COUNT),
            address_of(5, 3, -1),
            op(STXDW, INFO, 5, INSTRUCTION + 16),
            address_of(5, CURSOR, 8),
            op(STXDW, INFO, 5, INSTRUCTION + 24),
            op(LDXDW, 5, CURSOR, 0),
            op(STXDW, INFO, 5, INSTRUCTION + 32),
            address_of(1, INFO, INSTRUCTION),
            op(MOV_REGISTER, 2, INFO),
            op(MOV, 4),
            op(MOV, 5),
            op(CALL, of=0, value=-1),
            op(EXIT),
        ]
    )


def code() -> bytes:
    """The program: describe every account, then call. An account named twice is an error."""
    start = b"".join(
        [
            op(LDXDW, LEFT, INPUT, 0),
            address_of(CURSOR, INPUT, 8),
            wide(INFO, HEAP),
            address_of(META, INFO, METAS),
            op(STXDW, INFO, LEFT, COUNT),
        ]
    )
    body, end = described(), called()
    repeated = len(body) // 8 + 1
    loop = b"".join(
        [
            op(JUMP_EQUAL, LEFT, offset=3 + len(body) // 8, value=0),
            op(LDXB, 2, CURSOR, 0),
            op(JUMP_UNEQUAL, 2, offset=repeated + len(end) // 8, value=NOT_REPEATED),
            body,
            op(JUMP, offset=-(len(body) // 8 + 4)),
        ]
    )
    return start + loop + end + op(MOV, 0, value=1) + op(EXIT)


def program() -> bytes:
    """The program as a shared object: code, and one symbol for the runtime to fill in."""
    text = code()
    call_at = text.rindex(op(CALL, value=-1))
    names = b"\0" + SYSCALL + b"\0"
    text_at = 64 + 3 * 56
    symbols_at = text_at + len(text)
    strings_at = symbols_at + 48
    relocations_at = aligned(strings_at + len(names))
    dynamic_at = relocations_at + 16
    symbols = bytes(24) + struct.pack("<IBBHQQ", 1, 0x10, 0, 0, 0, 0)
    relocations = struct.pack("<QQ", text_at + call_at, 1 << 32 | 10)
    tags = [
        (17, relocations_at),
        (18, 16),
        (19, 16),
        (6, symbols_at),
        (11, 24),
        (5, strings_at),
        (10, len(names)),
        (0, 0),
    ]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    sections = [
        (b".text", 1, 6, text_at, len(text), 0, 0),
        (b".dynsym", 11, 2, symbols_at, len(symbols), 3, 24),
        (b".dynstr", 3, 2, strings_at, len(names), 0, 0),
        (b".rel.dyn", 9, 2, relocations_at, len(relocations), 2, 16),
        (b".dynamic", 6, 3, dynamic_at, len(dynamic), 3, 16),
    ]
    segments = [
        (1, 5, text_at, len(text)),
        (1, 4, symbols_at, dynamic_at + len(dynamic) - symbols_at),
        (2, 6, dynamic_at, len(dynamic)),
    ]
    content = (text + symbols + names).ljust(relocations_at - text_at, b"\0") + relocations + dynamic
    return shared_object(text_at, content, sections, segments)


def shared_object(
    entry: int,
    content: bytes,
    sections: Sequence[tuple[bytes, int, int, int, int, int, int]],
    segments: Sequence[tuple[int, int, int, int]],
) -> bytes:
    """An ELF file around a content whose addresses are its places in the file."""
    names = b"\0" + b"".join(section[0] + b"\0" for section in sections) + b".shstrtab\0"
    names_at = entry + len(content)
    headers_at = aligned(names_at + len(names))
    table = bytes(64)
    for name, kind, flags, at, size, link, entry_size in [*sections, (b".shstrtab", 3, 0, names_at, len(names), 0, 0)]:
        address = at if flags else 0
        table += struct.pack(
            "<IIQQQQIIQQ", names.index(name + b"\0"), kind, flags, address, at, size, link, 0, 8, entry_size
        )
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH",
        3,
        247,
        1,
        entry,
        64,
        headers_at,
        0,
        64,
        56,
        len(segments),
        64,
        len(sections) + 2,
        len(sections) + 1,
    )
    loads = b"".join(
        struct.pack("<IIQQQQQQ", kind, flags, at, at, at, size, size, 8) for kind, flags, at, size in segments
    )
    return (header + loads + content + names).ljust(headers_at, b"\0") + table


def aligned(place: int) -> int:
    """The next multiple of eight."""
    return -(-place // 8) * 8
