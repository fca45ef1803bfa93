"""The tools of `crossmargin mcp`, asked by the protocol's own client over stdin and stdout of the installed command."""

from __future__ import annotations

import json
from typing import Any

from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent

from tests.e2e.conftest import Indexed
from tests.support.forked import COMMAND
from tests.support.recorded import crossmargin, environment

CANARY = "s3cr3tcanary0123456789"


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def test_tools_answer_what_the_commands_do(indexed: Indexed) -> None:
    """One node's address has a canary, which no answer and no refusal may show."""
    path = indexed.folder / "crossmargin.toml"
    address = indexed.nodes[0].url
    path.write_text(path.read_text().replace(address, f"{address}{CANARY}"))
    assert crossmargin(indexed.folder, "publish").returncode == 0
    health = json.loads(crossmargin(indexed.folder, "health", "stretched", "--json").stdout)
    positions = json.loads(crossmargin(indexed.folder, "positions", "stretched", "--json").stdout)
    server = StdioServerParameters(
        command=COMMAND, args=["--config", str(path), "mcp"], env=environment(None), cwd=str(indexed.folder)
    )
    said: dict[str, Any] = {}
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        for name, arguments in {
            "health": {"account": "stretched"},
            "positions": {"account": "stretched"},
            "venues": {},
            "sql": {"query": "SELECT count(*) AS chains FROM public.dim_chain"},
            "docs": {"topic": "sql"},
        }.items():
            result = await session.call_tool(name, arguments)
            assert not result.is_error, text_of(result)
            said[name] = json.loads(text_of(result))
        commands = await session.call_tool("docs", {"topic": "commands"})
        refused = [
            await session.call_tool("health", {"account": "nobody-here"}),
            await session.call_tool("sql", {"query": "DROP VIEW public.dim_chain"}),
            await session.call_tool("sql", {"query": "SELECT * FROM read_text('/etc/passwd')"}),
            await session.call_tool("docs", {"topic": "everything"}),
        ]

    assert sorted(tool.name for tool in tools) == ["docs", "health", "positions", "sql", "venues"]
    assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools)
    assert said["health"]["venues"] == health["venues"]
    assert said["health"]["input_digest"] == health["input_digest"]
    assert said["positions"] == positions
    assert [venue["protocol"] for venue in said["venues"]["venues"]] == ["aave-v3", "aave-v3"]
    assert said["sql"]["rows"] == [[2]]
    assert "fct_position" in {view["name"] for view in said["docs"]["views"]}
    assert "`snapshot create`" in text_of(commands)
    assert all(each.is_error for each in refused)
    assert text_of(refused[0]).startswith(("Error executing tool health: not-found", "not-found"))
    everything = json.dumps(said) + "".join(map(text_of, [commands, *refused]))
    assert CANARY not in everything
    assert "/etc/passwd" not in "".join(map(text_of, refused[:2]))
