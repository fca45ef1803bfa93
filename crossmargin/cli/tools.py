"""`mcp`: what the product answers, as read-only tools of the Model Context Protocol over stdin and stdout; needs the extra `mcp`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.reference import reference
from crossmargin.desk import Desk
from crossmargin.documents import Document, encode
from crossmargin.failures import failure_of
from crossmargin.logs import logger
from crossmargin.packaged import program_version
from crossmargin.settings import Settings
from crossmargin.settings.shown import effective
from crossmargin.sql.guard import Guard, Limits

ABOUT = (
    "Health, positions and venues of accounts of lending protocols, each as of a named block. Decimals and raw integers are strings, null "
    "is not known and never zero, and a status `unknown` is no good news: its reasons say why. Nothing here changes anything."
)
ASKED_BY = "mcp"
VENUE = ("id", "protocol", "chain", "address", "start_block")
READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

Account = Annotated[
    str, Field(description="A margin account, a CAIP-10 account (eip155:1:0x…), or a bare address.", max_length=160)
]
At = Annotated[
    str | None,
    Field(
        description="A block of each chain (eip155:1=20100000) or a time (2026-01-31T00:00:00Z); now.", max_length=400
    ),
]
Query = Annotated[
    str, Field(description="One SELECT over views of the schema `public`.", min_length=1, max_length=20_000)
]


class Topic(StrEnum):
    """What `docs` tells of."""

    SQL = "sql"
    COMMANDS = "commands"


def serve(context: Context) -> None:
    """Answer on stdin and stdout until stdin ends."""
    settings = context.settings()
    said = settings.sql
    limits = Limits(timeout_s=said.timeout_s, rows=said.rows, bytes=said.bytes, workers=said.workers)
    log = logger(context.redactor, as_json=context.log_json, quiet=True)
    guard = Guard(settings.publish.folder, limits, log)
    try:
        Tools(context, settings, guard).server().run("stdio")
    finally:
        guard.close()


class Tools:
    """Answers each question as the command of that name does: a running service, or the store itself, and SQL by what is published."""

    def __init__(self, context: Context, settings: Settings, guard: Guard) -> None:
        self._context, self._settings, self._guard = context, settings, guard

    def server(self) -> MCPServer:
        """Make the server with its tools."""
        made = MCPServer("crossmargin", version=program_version(), instructions=ABOUT, log_level="CRITICAL")
        for tool in (self.health, self.positions, self.venues, self.sql, self.docs):
            made.add_tool(tool, annotations=READS, structured_output=False)
        return made

    async def health(self, account: Account, at: At = None) -> str:
        """The health document of an account: the house's health, every venue's own beside it, prices, and why something is unknown."""
        return await self._told(lambda: self._asked(lambda desk: desk.health(account, at), writes=True))

    async def positions(self, account: Account, at: At = None) -> str:
        """What an account has supplied and owes, venue by venue."""
        return await self._told(lambda: self._asked(lambda desk: desk.positions(account, at)))

    async def venues(self) -> str:
        """The venues that are followed, and how far each chain is and whether it may be believed."""
        return await self._told(self._venues)

    async def sql(self, query: Query) -> str:
        """Rows of one SELECT over what was last published; `docs` with the topic sql names the views and what their columns mean."""
        return await self._told(lambda: self._guard.ask(query, key=ASKED_BY).body)

    async def docs(self, topic: Topic) -> str:
        """What the views of SQL and their columns mean (sql), or what each command does (commands)."""
        if topic is Topic.COMMANDS:
            return reference()
        return await self._told(lambda: self._asked(lambda desk: desk.schema()))

    def _venues(self) -> bytes:
        rows = effective(self._settings)["venue"]
        chains = json.loads(self._asked(lambda desk: desk.status()))
        return encode({"venues": [{key: row[key] for key in VENUE} for row in rows], "status": chains})

    def _asked(self, question: Callable[[Desk], Document], *, writes: bool = False) -> bytes:
        """Ask the desk; `writes`: the store keeps what was answered, as it does for the command."""
        with desk_of(self._context, writes=writes) as desk:
            return encode(question(desk))

    async def _told(self, work: Callable[[], bytes]) -> str:
        """Do it in a thread; what is refused is told in the words of the command line, without secrets. Raises `ToolError`."""
        try:
            return (await asyncio.to_thread(work)).decode()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told without secrets
            failure = failure_of(error)
            raise ToolError(self._context.redactor.scrub(f"{failure.code}: {failure.message}")) from None
