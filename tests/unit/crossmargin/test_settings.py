"""A configuration is read whole, or refused with every problem, its place and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from chains.identifiers import format_address, namespace_of
from chains.registry import FEED_KINDS, PROTOCOLS, operator_of
from crossmargin.cli.context import Context
from crossmargin.settings import Settings, SettingsError, load, locate
from crossmargin.settings.shown import effective

CHAIN = '[[chain]]\nid = "eip155:1"\nrpc = ["http://node.example/v3/abc"]\n'
SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
SOLANA_CHAIN = f'[[chain]]\nid = "{SOLANA}"\nrpc = ["http://solana.example"]\n'
POOL = "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2"
TOKEN = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
VENUE = f'[[venue]]\nid = "aave"\nprotocol = "aave-v3"\nchain = "eip155:1"\naddress = "{POOL}"\nstart_block = 7\n'
FEED = f'[[feed]]\nasset = "eip155:1/erc20:{TOKEN}"\naddress = "{POOL}"\nheartbeat = "1h"\n'

REFUSED = {
    "an unknown key": ("[store]\npth = 'x'\n" + CHAIN, '[store]: unknown key "pth"; did you mean "path"?'),
    "an unknown section": (CHAIN + "[servers]\n", 'unknown section "servers"; did you mean "server"?'),
    "a single table for a list": (
        '[chain]\nid = "eip155:1"\n',
        "[[chain]] must be a list of tables; write [[chain]] before each",
    ),
    "a list for a single table": (CHAIN + "[[store]]\n", "[store] must be one table, not list; write [store]"),
    "no chain": ("", "no chain is configured; add a [[chain]] with an id and rpc"),
    "a missing key": ('[[chain]]\nid = "eip155:1"\n', '[[chain]] #1 "eip155:1": rpc is missing'),
    "a single node": (
        '[[chain]]\nid = "eip155:1"\nrpc = "http://x"\n',
        "rpc must be a list with at least one item, [ … ], not a single str",
    ),
    "no node": (
        '[[chain]]\nid = "eip155:1"\nrpc = []\n',
        "rpc must be a list with at least one item, [ … ], not an empty list",
    ),
    "a node that is no address": (
        '[[chain]]\nid = "eip155:1"\nrpc = ["ws://x"]\n',
        'rpc (item 1) must be an address such as "https://node.example:8545/…" (http or https)',
    ),
    "nodes and an indexer": (
        CHAIN + 'indexer = "http://north:8080"\n',
        "rpc names nodes, and indexer names who asks them; leave one of them out",
    ),
    "a key without an indexer": (
        CHAIN + 'indexer_key = "cm_x"\n',
        "indexer_key is for a chain with an indexer; a node's key stands in its address in rpc",
    ),
    "an indexer that is no address": (
        '[[chain]]\nid = "eip155:1"\nindexer = "north:8080"\n',
        'indexer must be an address such as "https://indexer.example:8080" (http or https)',
    ),
    "a first block to be found where there is no node": (
        '[[chain]]\nid = "eip155:1"\nindexer = "http://north:8080"\n'
        + VENUE.replace("start_block = 7", 'start_block = "auto"'),
        'start_block = "auto" asks nodes, and eip155:1 comes from an indexer',
    ),
    "a chain twice": (CHAIN + CHAIN, '[[chain]] "eip155:1" is written 2 times; write it once'),
    "a chain of another family": (
        CHAIN.replace("eip155:1", "cosmos:hub"),
        'id is wrong: "cosmos:hub" is of namespace "cosmos", which is not supported; use eip155 or solana',
    ),
    "a chain by its name": (
        CHAIN.replace("eip155:1", "eip155:mainnet"),
        'id is wrong: "eip155:mainnet" is no EVM chain; write eip155: and its chain id in digits, like eip155:1',
    ),
    "news from an address that is none": (
        CHAIN + 'ws = "http://node.example"\n',
        'ws must be an address such as "wss://node.example:8900/…" (ws or wss)',
    ),
    "a finality of another family": (
        CHAIN + 'finality = "confirmed"\n',
        'finality must be one of finalized, safe, latest or confirmations:N (confirmations:12), not "confirmed"',
    ),
    "a finality that is none": (
        CHAIN + 'finality = "confirmations:0"\n',
        'finality must be one of finalized, safe, latest or confirmations:N (confirmations:12), not "confirmations:0"',
    ),
    "a completeness that is none": (
        CHAIN + 'completeness = "full"\n',
        'completeness must be one of none, bloom, totals, second-node, receipts, not "full"',
    ),
    "a second node where there is one": (
        CHAIN + 'completeness = "second-node"\n',
        '[[chain]] #1 "eip155:1": completeness "second-node" asks a second node, and rpc names one; name another in rpc',
    ),
    "a number in quotes": (CHAIN + 'start_block = "7"\n', 'start_block must be a whole number, 0 or more, not "7"'),
    "a negative block": (CHAIN + "start_block = -1\n", "start_block must be a whole number, 0 or more, not -1"),
    "a duration without a unit": (
        CHAIN + "poll = 5\n",
        'poll must be a duration such as "30s", "1h" or "1d", not 5',
    ),
    "a protocol that is not supported": (
        CHAIN + VENUE.replace("aave-v3", "aave-v2"),
        '[[venue]] #1 "aave": protocol "aave-v2" is not supported; did you mean "aave-v3"?',
    ),
    "a start that would have to be found": (
        CHAIN
        + VENUE.replace("start_block = 7", 'start_block = "auto"\nholdings = "custody"\ncoin = "slip44:60"').replace(
            "aave-v3", "escrow"
        )
        + 'liabilities = "none"\n',
        'start_block "auto" finds where a contract was deployed, and a custody need not be one; write a block',
    ),
    "a checksum that is wrong": (
        CHAIN + VENUE.replace("0x87870B", "0x87870b"),
        f"has a wrong checksum; if it is right otherwise, write {POOL}",
    ),
    "an address that is too short": (
        CHAIN + VENUE.replace(POOL, "0x12"),
        'address is wrong: "0x12" is no address; write 0x and 40 hexadecimal digits',
    ),
    "a venue on a chain that is not there": (
        CHAIN + VENUE.replace("eip155:1", "eip155:10"),
        '[[venue]] "aave": chain is on a chain that is not configured: unknown chain "eip155:10"; did you mean "eip155:1"?',
    ),
    "a chain that starts after its venue": (
        CHAIN + "start_block = 8\n" + VENUE,
        '[[venue]] "aave": starts at block 7, and its chain only at 8; let the chain start no later',
    ),
    "a chain that would be stale between two questions": (
        CHAIN + 'poll = "1m"\n',
        "stale_after must be longer than poll",
    ),
    "one contract as two venues": (
        CHAIN + VENUE + VENUE.replace('"aave"', '"other"'),
        f"[[venue]] {POOL} on eip155:1 is written 2 times; write it once",
    ),
    "the venue name that the store keeps": (
        CHAIN + VENUE.replace('"aave"', '"feeds"'),
        'id cannot be "feeds", which the store keeps for itself',
    ),
    "a heartbeat that is no whole second": (
        CHAIN + FEED.replace("1h", "500ms"),
        'heartbeat must be in whole seconds such as "30s" or "1h", not "500ms"',
    ),
    "a deviation without a percent sign": (
        CHAIN + FEED + "deviation = 0.5\n",
        'deviation must be a percentage such as "0.5%", not 0.5',
    ),
    "a feed kind that is not there": (
        CHAIN + FEED + 'kind = "pyth"\n',
        'kind must be one of chainlink, redemption-rate, sequencer-uptime, pyth-solana, switchboard, pyth-hermes, not "pyth"',
    ),
    "a protocol that is no text": (
        CHAIN + VENUE.replace('"aave-v3"', "[]"),
        '[[venue]] #1 "aave": protocol must be a text in quotes, not []',
    ),
    "an account without a name": (CHAIN + "[[account]]\nmembers = []\n", "[[account]] #1: id is missing"),
    "an account that looks like an address": (
        CHAIN + f'[[account]]\nid = "{POOL}"\nmembers = ["eip155:1:{POOL}"]\n',
        "id must be a name of letters, digits",
    ),
    "a member twice": (
        CHAIN + f'[[account]]\nid = "a"\nmembers = ["eip155:1:{POOL}", "eip155:1:{POOL.lower()}"]\n',
        "members names the same item twice",
    ),
    "a member elsewhere": (
        CHAIN + f'[[account]]\nid = "a"\nmembers = ["eip155:2:{POOL}"]\n',
        "is on a chain that is not configured",
    ),
    "a port out of range": (
        CHAIN + "[server]\nport = 70000\n",
        "port must be a port, 0 (any free one) to 65535, not 70000",
    ),
    "a truth in quotes": (CHAIN + '[server]\npublic = "yes"\n', 'public must be true or false, not "yes"'),
    "a schedule that is none": (
        CHAIN + '[snapshot]\nschedule = "daily"\n',
        'schedule must be "every 1h" or a cron line such as "0 0 * * *", not "daily"',
    ),
    "a weekday by number": (
        CHAIN + '[snapshot]\nschedule = "0 0 * * 1"\n',
        "write weekdays by name (mon-fri)",
    ),
    "a variable that is not set": (
        CHAIN.replace("abc", "${NODE_KEY}"),
        "rpc: environment variable NODE_KEY is not set; set it, or write ${NODE_KEY:-default}",
    ),
    "a reference that is not closed": (CHAIN.replace("abc", "${NODE"), '"${" is not closed'),
    "no TOML": ("[[chain]\n", "is not TOML"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_with_what_to_write(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]

    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, text)

    assert message in str(refusal.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = CHAIN + VENUE.replace("start_block", "start") + FEED.replace("1h", "soon") + "[server]\nprt = 1\n"

    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, text)

    assert len(refusal.value.problems) == 4
    assert str(refusal.value).startswith(f"{tmp_path / 'crossmargin.toml'} has 4 problems:\n")


def test_a_chain_that_cannot_be_read_is_not_said_to_be_missing_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, CHAIN + 'finality = "soon"\n' + VENUE)

    assert len(refusal.value.problems) == 1


def test_what_is_not_written_has_its_default(tmp_path: Path) -> None:
    settings = read(tmp_path, CHAIN + VENUE + FEED)

    (chain,) = settings.chains
    assert (chain.spec.name, chain.spec.finality, chain.spec.start_block) == ("eip155:1", "finalized", 0)
    assert (chain.poll_s, chain.stale_after_s) == (2.0, 60.0)
    assert chain.spec.completeness == "totals"
    assert (settings.feeds[0].heartbeat_s, settings.feeds[0].deviation) == (3600, 0.01)
    assert (settings.server.host, settings.server.port, settings.server.public) == ("127.0.0.1", 8080, False)
    assert settings.snapshot.schedule is None
    assert settings.policy is None


def test_an_asset_may_say_by_which_bridge_it_came_and_who_issued_it(tmp_path: Path) -> None:
    asset = f'[[asset]]\nid = "eip155:1/erc20:{TOKEN}"\nclass = "stable"\n'

    told = read(tmp_path, CHAIN + asset + 'bridge = "canonical-rollup"\nissuer = "circle"\n')
    silent = read(tmp_path, CHAIN + asset)

    assert [(each.bridge, each.issuer) for each in (*told.assets, *silent.assets)] == [
        ("canonical-rollup", "circle"),
        (None, None),
    ]
    assert effective(told)["asset"][0]["issuer"] == "circle"
    assert "issuer" not in effective(silent)["asset"][0]


def test_a_feed_may_say_who_answers_for_it(tmp_path: Path) -> None:
    told, silent = (read(tmp_path, CHAIN + FEED + more) for more in ('operator = "acme"\n', ""))

    assert [operator_of(each) for each in (*told.feeds, *silent.feeds)] == ["acme", "chainlink"]
    assert effective(told)["feed"][0]["operator"] == "acme"
    assert "operator" not in effective(silent)["feed"][0]


def test_relative_paths_start_at_the_configurations_own_folder(tmp_path: Path) -> None:
    settings = read(tmp_path, '[store]\npath = "here/x.duckdb"\n' + CHAIN)

    assert settings.store == tmp_path / "here" / "x.duckdb"
    assert settings.snapshot.folder == tmp_path / "here" / "snapshots"


def test_addresses_are_read_in_any_case_that_is_honest(tmp_path: Path) -> None:
    mixed, lower = read(tmp_path, CHAIN + VENUE), read(tmp_path, CHAIN + VENUE.replace(POOL, POOL.lower()))

    assert mixed.venues[0].address == lower.venues[0].address == bytes.fromhex(POOL[2:])
    assert format_address("eip155:1", lower.venues[0].address) == POOL


@pytest.mark.parametrize(
    "written, environment, read_as",
    [
        ("${KEY}", {"KEY": "k1"}, "k1"),
        ("${KEY:-none}", {}, "none"),
        ("${KEY:-none}", {"KEY": "k1"}, "k1"),
        ("$${KEY}", {"KEY": "k1"}, "${KEY}"),
        ("a${KEY}b${KEY}", {"KEY": "k1"}, "ak1bk1"),
    ],
)
def test_the_environment_fills_what_refers_to_it(
    tmp_path: Path, written: str, environment: dict[str, str], read_as: str
) -> None:
    settings = read(tmp_path, CHAIN + f'name = "{written}"\n', environment)

    assert settings.chains[0].spec.name == read_as


def test_a_secret_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k1\n")

    settings = read(tmp_path, CHAIN.replace("abc", "${KEY}"), {"KEY_FILE": str(tmp_path / "key")})

    assert settings.chains[0].spec.rpc == ("http://node.example/v3/k1",)


def test_numbers_and_truths_may_come_from_the_environment(tmp_path: Path) -> None:
    settings = read(
        tmp_path, CHAIN + '[server]\nport = "${PORT}"\npublic = "${PUBLIC}"\n', {"PORT": "99", "PUBLIC": "true"}
    )

    assert (settings.server.port, settings.server.public) == (99, True)


@pytest.mark.parametrize(
    "text",
    [
        CHAIN.replace("http://node.example/v3/abc", "ws://${KEY}"),
        CHAIN + 'finality = "${KEY}"\n',
        CHAIN + VENUE.replace(POOL, "${KEY}"),
        CHAIN + '[server]\nport = "${KEY}"\n',
        CHAIN.replace("eip155:1", "${KEY}:1"),
        CHAIN + VENUE.replace("aave-v3", "${KEY}"),
        SOLANA_CHAIN + 'ws = "http://${KEY}"\n',
        SOLANA_CHAIN + 'finality = "${KEY}"\n',
    ],
)
def test_no_message_quotes_what_came_from_the_environment(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, text, {"KEY": "canary"})

    assert "canary" not in str(refusal.value)


def test_no_form_of_the_settings_shows_a_node_whole(tmp_path: Path) -> None:
    settings = read(tmp_path, CHAIN.replace("http://", "http://user:canary@").replace("abc", "canary?k=canary"))

    assert "canary" not in repr(settings)
    assert effective(settings)["chain"][0]["rpc"] == ["http://node.example/•••"]
    assert "canary" not in str(effective(settings))


@pytest.mark.parametrize("chain", [CHAIN, SOLANA_CHAIN], ids=["evm", "solana"])
def test_no_form_of_the_settings_shows_a_websocket_whole(chain: str, tmp_path: Path) -> None:
    settings = read(tmp_path, chain + 'ws = "wss://user:canary@node.example/canary?k=canary"\n')

    assert "canary" not in repr(settings)
    assert effective(settings)["chain"][0]["ws"] == ["wss://node.example/•••"]
    assert "canary" not in str(effective(settings))


def test_a_chain_may_come_from_an_indexer_and_its_key_is_in_no_message(tmp_path: Path) -> None:
    text = '[[chain]]\nid = "eip155:1"\nindexer = "http://north:8080/"\nindexer_key = "${NORTH}"\n'
    settings = read(tmp_path, text, {"NORTH": "cm_verysecret"})
    (chain,) = settings.chains
    context = Context(config=tmp_path / "crossmargin.toml")

    assert chain.indexer is not None
    assert (chain.indexer.url, chain.indexer.key, chain.spec.rpc) == ("http://north:8080", "cm_verysecret", ())
    assert effective(settings)["chain"][0]["indexer"] == "http://north:8080"
    assert "cm_verysecret" not in f"{settings!r}{effective(settings)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NORTH", "cm_verysecret")
        context.settings()
    assert "cm_verysecret" not in context.redactor.scrub("key cm_verysecret at http://north:8080")


def test_a_command_keeps_websockets_out_of_its_messages(tmp_path: Path) -> None:
    read(tmp_path, SOLANA_CHAIN + 'ws = "wss://node.example/s3cr3tcanary"\n')
    context = Context(config=tmp_path / "crossmargin.toml")

    context.settings()

    said = context.redactor.scrub("no answer at wss://node.example/s3cr3tcanary")
    assert said == "no answer at wss://node.example/•••"


def test_the_file_is_the_option_then_the_variable_then_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("option.toml", "variable.toml", "crossmargin.toml"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)

    assert locate(Path("option.toml"), {"CROSSMARGIN_CONFIG": "variable.toml"}) == Path("option.toml")
    assert locate(None, {"CROSSMARGIN_CONFIG": "variable.toml"}) == Path("variable.toml")
    assert locate(None, {}) == Path("crossmargin.toml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError, match=r"there is no configuration file at x\.toml"):
        locate(Path("x.toml"), {})
    with pytest.raises(
        SettingsError,
        match="write one with `crossmargin init`, or name one with --config FILE or in CROSSMARGIN_CONFIG",
    ):
        locate(None, {})


def test_the_example_configuration_shows_every_kind_of_chain_venue_and_feed(checkout: Path) -> None:
    environment = {
        "MAINNET_RPC_KEY": "k1",
        "OPTIMISM_RPC_KEY": "k2",
        "SOLANA_RPC_KEY": "k3",
        "HERMES_KEY": "k4",
        "PERP_DESK_PUBLIC_KEY": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    }

    settings = load(checkout / "config" / "example.toml", environment)

    assert [namespace_of(chain.spec.id) for chain in settings.chains] == ["eip155", "eip155", "solana", "pyth"]
    assert {venue.protocol for venue in settings.venues} == PROTOCOLS.keys()
    assert {feed.kind for feed in settings.feeds} == FEED_KINDS.keys()
    assert {namespace_of(member) for member in settings.accounts[0].members} == {"eip155", "solana"}
    assert settings.assets


def read(folder: Path, text: str, environment: dict[str, str] | None = None) -> Settings:
    path = folder / "crossmargin.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environment or {})
