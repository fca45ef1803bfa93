"""Liabilities by command and by HTTP, over a store with one deposit, up to the health document."""

from __future__ import annotations

import json
import stat
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aggregator.margin.liabilities import LARGEST_ENVELOPE
from chains.model import FEEDS, WHOLE_VENUE, Basis, MarketChange, PositionChange, PriceObservation, Rows, Side
from chains.ports import Covered
from crossmargin.app import opened
from crossmargin.documents import moment
from crossmargin.liabilities import make_key, sign
from crossmargin.settings import load
from tests.support.recorded import CONFIGURATION, crossmargin, service
from tests.unit.store.builders import CHAIN, append, batch, block

OWNER, VAULT, TOKEN, PROXY, SOURCE = (bytes([n]) * 20 for n in (0xA1, 0x0E, 0xC0, 0xF0, 0xF1))
LAST = block(9)
COVERED = Covered(interest="venue:vault", first=1, last=LAST.number, level="fetched", evidence="")
ACCOUNT = f"{CHAIN}:0x{OWNER.hex()}"


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder with a configuration, a store, a key and documents."""

    folder: Path

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        done = crossmargin(self.folder, *arguments, stdin=stdin)
        return done.returncode, done.stdout, done.stderr

    def said(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        found, stdout, stderr = self.run(*arguments, "--json")
        assert found == code, stderr
        return dict(json.loads(stdout))

    def envelope(self, maintenance: str, as_of: int = LAST.time) -> Path:
        """Sign a document, and give the file with its envelope."""
        path = self.folder / f"signed-{maintenance}-{as_of}.json"
        path.write_text(json.dumps(sign(self.document(maintenance, as_of), self.folder / "signer.pem")))
        return path

    def document(self, maintenance: str, as_of: int = LAST.time) -> str:
        said = {
            "version": 1,
            "venue": "vault",
            "as_of": moment(as_of),
            "accounts": [
                {
                    "account": ACCOUNT,
                    "initial_requirement_usd": maintenance,
                    "maintenance_requirement_usd": maintenance,
                    "pnl_usd": "-20",
                }
            ],
        }
        return json.dumps(said)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """OWNER has 500 USDC in the vault; its feed says 1 USD."""
    public = make_key(tmp_path / "signer.pem")
    (tmp_path / CONFIGURATION).write_text(
        f"""
[store]
path = "store.duckdb"

[[chain]]
id = "{CHAIN}"
rpc = ["http://127.0.0.1:9"]

[[venue]]
id = "vault"
protocol = "escrow"
chain = "{CHAIN}"
address = "0x{VAULT.hex()}"
start_block = 1
liabilities = "import"
liability_keys = ["{public}"]
liability_max_age = "10m"

[[asset]]
id = "{CHAIN}/erc20:0x{TOKEN.hex()}"
class = "stable"

[[feed]]
asset = "{CHAIN}/erc20:0x{TOKEN.hex()}"
address = "0x{PROXY.hex()}"
heartbeat = "24h"
"""
    )
    phase = json.dumps({"aggregator": f"0x{SOURCE.hex()}", "decimals": 8, "fault": None, "problem": None})
    token = json.dumps({"decimals": 6, "symbol": "USDC"})
    how = ("escrow-1", Basis.EXACT)
    rows = Rows(
        positions=[PositionChange(3, 0, 0, "vault", OWNER, OWNER, TOKEN, Side.SUPPLY, TOKEN, 500 * 10**6, *how)],
        markets=[
            MarketChange(2, 0, 0, "vault", TOKEN, "token", token, *how),
            MarketChange(1, 0, 0, FEEDS, PROXY, "phase", phase, *how),
        ],
        prices=[PriceObservation(4, 0, 0, SOURCE, 10**8, 1, block(4).time, Basis.EXACT)],
    )
    assert WHOLE_VENUE == b""
    with opened(load(tmp_path / CONFIGURATION, {})) as store:
        append(store, batch(1, LAST.number, rows, covered=[COVERED]))
    return Desk(tmp_path)


def test_until_liabilities_arrive_the_account_is_unknown_and_then_it_is_known(desk: Desk) -> None:
    before = desk.said("health", ACCOUNT, code=3)
    answer = desk.said("liabilities", "import", str(desk.envelope("180")))
    after = desk.said("health", ACCOUNT)

    assert (before["status"], before["reasons"][0]["code"]) == ("unknown", "liabilities_unknown")
    assert (answer["state"], answer["accounts"], answer["newest"]) == ("accepted", 1, 1)
    (unit,) = after["venues"][0]["units"]
    assert unit["health_factor"] == "2.500000"  # 500 / (180 + 20)
    assert after["health_factor"] == "2.325000"  # 500 · 0.93 / (180 + 20)
    assert after["status"] == "healthy"
    assert unit["liabilities"]["state"] == "known"
    assert unit["liabilities"]["document"] == answer["document"]
    assert json.loads(desk.run("inputs", after["input_digest"])[1])["methodology_version"] == "9"


def test_people_read_what_is_required_beside_the_venues_numbers(desk: Desk) -> None:
    desk.said("liabilities", "import", str(desk.envelope("180")))

    _, health, _ = desk.run("health", ACCOUNT)
    _, listed, _ = desk.run("liabilities", "list")

    assert "What other systems require, in USD" in health
    assert "180.00" in health
    assert "vault" in listed
    assert "-20.00" in listed


def test_the_command_says_the_same_beside_a_service_and_alone(desk: Desk) -> None:
    first, second = desk.envelope("180", LAST.time - 60), desk.envelope("190")
    stale = desk.envelope("1", LAST.time - 61)
    alone = desk.said("liabilities", "import", str(first))
    with service(desk.folder, "serve") as (url, _):
        again = desk.said("liabilities", "import", str(first))
        newer = desk.said("liabilities", "import", str(second))
        beside = desk.run("liabilities", "import", str(stale), "--json")
        listed = desk.said("liabilities", "list", "--venue", "vault")
        with urllib.request.urlopen(f"{url}/v1/liabilities?venue=vault", timeout=30) as reply:  # noqa: S310 - our own
            served = json.load(reply)
        health = desk.said("health", ACCOUNT)
    refused = desk.run("liabilities", "import", str(stale), "--json")

    assert again == alone | {"state": "known"}
    assert newer["state"] == "accepted"
    assert health["venues"][0]["units"][0]["liabilities"]["maintenance_requirement_usd"] == "190.00000000"
    assert [without_age(row) for row in listed["liabilities"]] == [without_age(row) for row in served["liabilities"]]
    assert listed["liabilities"][0]["maintenance_requirement_usd"] == "190.00000000"
    assert beside == refused
    assert json.loads(refused[2])["error"]["code"] == "superseded"
    assert refused[0] == 1


def without_age(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "age_s"}


def test_a_document_is_signed_and_taken_in_by_command(desk: Desk) -> None:
    """With a new key, which the configuration is told of, and through a pipe."""
    made = desk.said("liabilities", "key", "second.pem")
    path = desk.folder / CONFIGURATION
    path.write_text(path.read_text().replace("liability_keys = [", f'liability_keys = ["{made["key"]}", '))

    code, envelope, _ = desk.run("liabilities", "sign", "-", "--key", "second.pem", stdin=desk.document("180"))
    taken, stdout, _ = desk.run("liabilities", "import", "-", "--json", stdin=envelope)

    assert (code, taken) == (0, 0)
    assert (json.loads(stdout)["state"], json.loads(stdout)["key"]) == ("accepted", made["key"])
    assert desk.said("liabilities", "list")["liabilities"][0]["key"] == made["key"]


def test_a_forged_document_ends_with_4_and_is_forbidden_over_http(desk: Desk) -> None:
    said = json.loads(desk.envelope("180").read_text())
    said["document"]["accounts"][0]["pnl_usd"] = "1000000"
    forged = desk.folder / "forged.json"
    forged.write_text(json.dumps(said))

    code, stdout, stderr = desk.run("liabilities", "import", str(forged), "--json")
    with service(desk.folder, "serve") as (url, _):
        status, problem = post(url, forged.read_bytes())

    assert (code, stdout, json.loads(stderr)["error"]["code"]) == (4, "", "forged")
    assert (status, problem["code"], problem["exit_code"]) == (403, "forged", 4)
    assert problem["detail"] == json.loads(stderr)["error"]["message"]


def test_http_takes_a_document_from_whoever_signed_it_and_refuses_the_rest(desk: Desk) -> None:
    good = desk.envelope("180").read_bytes()
    with service(desk.folder, "serve") as (url, _):
        taken, answer = post(url, good)
        malformed, problem = post(url, b'{"document": 1}')
        not_text, _ = post(url, b"\xff")
        too_large, large = post(url, good + b" " * LARGEST_ENVELOPE)
        asked, unknown = post(url, good, "?venue=vault")

    assert (taken, answer["state"]) == (200, "accepted")
    assert (malformed, problem["code"], problem["exit_code"]) == (400, "usage", 2)
    assert (not_text, too_large, large["code"]) == (400, 413, "request-entity-too-large")
    assert (asked, unknown["code"]) == (400, "usage")


def post(url: str, body: bytes, query: str = "") -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"{url}/v1/liabilities{query}", data=body, method="POST")  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("import", "absent.json"), "absent.json"),
        (("import", "crossmargin.toml"), "these are no liabilities: this is no JSON"),
        (("list", "--venue", "volt"), 'did you mean "vault"?'),
        (("sign", "crossmargin.toml", "--key", "signer.pem"), "these are no liabilities"),
        (("sign", "crossmargin.toml"), "Missing option"),
        (("key", "signer.pem"), "a key is never overwritten"),
    ],
)
def test_what_cannot_be_done_says_why(desk: Desk, arguments: tuple[str, ...], message: str) -> None:
    code, stdout, stderr = desk.run("liabilities", *arguments)

    assert code in {1, 2}
    assert stdout == ""
    assert message in stderr
    assert "Traceback" not in stderr


def test_a_private_key_is_shown_nowhere(desk: Desk) -> None:
    """Not even where its file is taken for a document."""
    path = desk.folder / "signer.pem"
    secret = path.read_text().splitlines()[1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    for arguments in (
        ("import", "signer.pem"),
        ("sign", "signer.pem", "--key", "signer.pem"),
        ("sign", "document.json", "--key", "crossmargin.toml"),
        ("key", "signer.pem"),
    ):
        _, stdout, stderr = desk.run("liabilities", *arguments, "-v")

        assert secret not in stdout + stderr
        assert secret[-24:] not in stdout + stderr
