"""The policy as governance: published before it counts, previewed against the whole book, named by every answer that used it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aggregator.margin.canonical import from_json
from aggregator.margin.health import evaluate
from crossmargin.app import opened, policy_of
from crossmargin.documents import moment
from crossmargin.errors import BadPolicy, DeskError, NoSuchThing
from crossmargin.local_desk import LocalDesk
from crossmargin.packaged import config
from crossmargin.refusals import NoticeTooShort, NotScheduled, Retroactive, VersionTaken
from crossmargin.settings import load
from indexer.store import Store
from tests.e2e.conftest import Indexed
from tests.e2e.test_service import get
from tests.e2e.test_snapshots import Clock
from tests.support.recorded import CONFIGURATION, crossmargin, recorded, service

DAY = 86_400


def policy(version: str, since: int | None = None, *, threshold: float = 0.85, **said: str) -> str:
    """The shipped policy with another threshold for majors, and the haircut that it needs, under a head."""
    shipped = config("policy.toml").read_text(encoding="utf-8")
    major = shipped[shipped.index("[class.major]") : shipped.index("[class.lst]")]
    terms = {
        "haircut = 0.20": f"haircut = {max(0.2, 1 - threshold):.2f}",
        "threshold = 0.85": f"threshold = {threshold}",
    }
    assert [major.count(term) for term in terms] == [1, 1]
    changed = major
    for old, new in terms.items():
        changed = changed.replace(old, new)
    written = shipped.replace(major, changed)
    head = {"version": version, **said} | ({} if since is None else {"effective_from": moment(since)})
    return written + "\n[policy]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in head.items())


class House:
    """A desk over an indexed store, with a hand on the clock."""

    def __init__(self, folder: Path, store: Store, now: int) -> None:
        self.folder, self.clock = folder, Clock(now)
        self.settings = load(folder / CONFIGURATION, {})
        self.desk = LocalDesk(self.settings, store, policy_of(self.settings), clock=self.clock)

    def schedule(self, text: str, *, emergency: bool = False) -> dict[str, Any]:
        return dict(self.desk.schedule_policy(text, emergency=emergency, who="tester"))

    def states(self) -> list[tuple[str | None, str]]:
        return [(row["version"], row["state"]) for row in self.desk.policies()["policies"]]


@pytest.fixture
def store(indexed: Indexed) -> Iterator[Store]:
    with opened(load(indexed.folder / CONFIGURATION, {})) as store:
        yield store


@pytest.fixture
def tip() -> int:
    """The time of the newest recorded block."""
    return max(int(recording.blocks[max(recording.blocks)]["timestamp"], 16) for recording in recorded())


@pytest.fixture
def house(indexed: Indexed, store: Store, tip: int) -> House:
    """Two days before the newest block, with the shipped policy in force."""
    house = House(indexed.folder, store, tip - 2 * DAY)
    house.desk.begin_policy(accept=False)
    return house


def test_a_scheduled_policy_counts_from_the_first_block_at_its_moment(house: House, tip: int) -> None:
    since = tip - 60
    house.schedule(policy("tight", since, threshold=0.5, note="less for majors", approved_by="committee"))
    shipped = house.desk.policy(f"@{tip - 2 * DAY}")

    before = house.desk.health("stretched", f"@{since - 1}")
    after = house.desk.health("stretched", f"@{tip}")
    unchanged = house.desk.health("stretched", f"@{since - 1}")

    assert before["policy"] == {"version": None, "digest": shipped["digest"], "effective_from": None}
    assert after["policy"]["version"] == "tight"
    assert after["policy"]["effective_from"] == moment(since)
    assert after["policy"]["digest"] != shipped["digest"]
    assert unchanged == before
    text = house.desk.inputs(after["input_digest"])
    assert evaluate(from_json(text)).model_dump(mode="json") == after
    kept = json.loads(text)
    assert kept["policy"]["classes"]["major"]["liquidation_threshold"] == 0.5
    assert kept["policy_stamp"] == {"version": "tight", "effective_from": since}


def test_a_policy_counts_from_its_moment_on_whenever_the_last_stored_block_was(house: House) -> None:
    """Final blocks in which nothing happened are not stored: who asks of a moment after them gets the policy of that moment."""
    times = sorted({int(block["timestamp"], 16) for recording in recorded() for block in recording.blocks.values()})
    last = next(one for one, other in reversed([*pairwise(times)]) if other - one > 3 and one > house.clock.now)
    house.schedule(policy("loose", last + 2, threshold=0.9))

    before, after = (house.desk.health("stretched", f"@{last + more}") for more in (1, 2))

    assert before["as_of"] == after["as_of"]
    assert (before["policy"]["version"], after["policy"]["version"]) == (None, "loose")


@pytest.mark.parametrize("estimated", [False, True])
def test_a_preview_tells_what_health_documents_say_once_it_counts(
    house: House,
    tip: int,
    estimated: bool,  # noqa: FBT001
) -> None:
    tight = policy("tight", tip, threshold=0.5)
    if estimated:
        last = datetime.fromtimestamp(tip, UTC).date() - timedelta(days=4)
        days = [[str(last - timedelta(days=200 - n)), 1000.0 * 1.4 ** (n % 2), None, None] for n in range(201)]
        house.desk.import_prices({"identity": "ETH", "source": "desk", "gaps": False, "days": days})
    told = house.desk.preview_policy(tight)
    before = [house.desk.health(row["account"], f"@{tip}") for row in house.desk.accounts()["accounts"]]

    house.schedule(tight)
    after = [house.desk.health(document["account"], f"@{tip}") for document in before]

    fallen = {
        new["account"]
        for old, new in zip(before, after, strict=True)
        if new["health_factor"] and Decimal(new["health_factor"]) < 1 <= Decimal(old["health_factor"])
    }
    named = {row["account"]: row for row in told["newly_below"]}
    assert fallen != set()
    assert fallen <= named.keys()
    factors = {document["account"]: document["health_factor"] for document in after}
    assert {name: named[name]["after"]["health_factor"] for name in fallen} == {name: factors[name] for name in fallen}
    judged = {row["account"]: row["before"]["health_factor"] for row in told["newly_below"]}
    known = {document["account"]: document["health_factor"] for document in before}
    assert {name: judged[name] for name in fallen} == {name: known[name] for name in fallen}
    worst = [Decimal(row["after"]["health_factor"]) for row in told["newly_below"]]
    assert worst == sorted(worst)
    assert Decimal(told["at_stake"]["debt_usd"]) == sum(
        Decimal(row["after"]["debt_usd"]) for row in told["newly_below"]
    )
    assert [change["key"] for change in told["changes"]] == ["class.major.haircut", "class.major.liquidation_threshold"]
    assert sum(both["before"]["accounts"] for both in told["statuses"].values()) == told["accounts"]
    assert sum(both["after"]["accounts"] for both in told["statuses"].values()) == told["accounts"]


def test_the_snapshot_names_its_policy(house: House, tip: int) -> None:
    house.schedule(policy("tight", tip - 60, threshold=0.5))

    early, late = (house.desk.create_snapshot(f"@{at}") for at in (tip - 61, tip))

    named = [json.loads((Path(made["path"]) / "manifest.json").read_text())["policy"] for made in (early, late)]
    assert [(each["version"], each["effective_from"]) for each in named] == [(None, None), ("tight", moment(tip - 60))]
    assert named[0]["digest"] != named[1]["digest"]


def test_the_snapshot_names_what_was_estimated_and_the_regime(house: House, tip: int) -> None:
    def named(at: int) -> dict[str, Any]:
        made = house.desk.create_snapshot(f"@{at}")
        told: dict[str, Any] = json.loads((Path(made["path"]) / "manifest.json").read_text())["risk"]
        return told

    before = named(tip - 61)
    assert (before["regime"], before["regime_reasons"]) == ("calm", [])
    last = datetime.fromtimestamp(house.clock.now, UTC).date() - timedelta(days=1)
    days = [[str(last - timedelta(days=90 - n)), 1000.0 + 10 * (n % 7), None, None] for n in range(90)]
    days.append([str(last), 500.0, None, None])
    house.desk.import_prices({"identity": "ETH", "source": "desk", "gaps": False, "days": days})

    document = house.desk.health("stretched", f"@{tip}")
    after = named(tip)
    assert after["digest"] != before["digest"]
    assert after == {
        "digest": json.loads(house.desk.inputs(document["input_digest"]))["risk"]["digest"],
        "regime": "stress",
        "regime_reasons": ["market_fell"],
    }


@pytest.mark.parametrize(
    "version, days, threshold, options, refusal",
    [
        ("b", -3, 0.9, {}, Retroactive),
        ("b", -3, 0.9, {"emergency": True}, Retroactive),
        ("b", -1, 0.9, {}, Retroactive),
        ("a", 0, 0.91, {}, VersionTaken),
        ("a", 0, 0.9, {"emergency": True}, VersionTaken),
    ],
)
def test_what_would_change_answers_or_a_published_policy_is_refused_and_changes_nothing(
    house: House,
    tip: int,
    *,
    version: str,
    days: int,
    threshold: float,
    options: dict[str, bool],
    refusal: type[DeskError],
) -> None:
    house.schedule(policy("a", tip - DAY + 100, threshold=0.9))
    before = house.states()

    with pytest.raises(refusal):
        house.schedule(policy(version, tip + days * DAY, threshold=threshold), **options)

    assert house.states() == before == [(None, "in force"), ("a", "scheduled")]


@pytest.mark.parametrize(
    "pool, complaint",
    [
        ('kind = "isolated"\nvenues = ["avae-north"]', 'venues: unknown name "avae-north"; did you mean "aave-north"'),
        ("cap_usd = { EHT = 5e6 }", 'cap_usd: unknown name "EHT"; did you mean "ETH"'),
    ],
)
def test_a_policy_whose_pools_name_what_is_not_there_is_refused_wherever_it_is_sent(
    house: House, pool: str, complaint: str
) -> None:
    text = f'{policy("pooled")}\n[[pool]]\nid = "a"\n{pool}\n'
    (house.folder / "pooled.toml").write_text(text, encoding="utf-8")

    checked = crossmargin(house.folder, "policy", "check", "pooled.toml")

    for entered in (house.schedule, house.desk.preview_policy):
        with pytest.raises(BadPolicy, match=complaint):
            entered(text)
    assert checked.returncode == 2
    assert complaint in checked.stderr
    assert house.states() == [(None, "in force")]


def test_a_tightening_needs_the_notice_of_the_policy_in_force_or_is_an_emergency(house: House, tip: int) -> None:
    soon = house.clock.now + DAY - 1
    with pytest.raises(NoticeTooShort, match=r"class\.major\.liquidation_threshold"):
        house.schedule(policy("tight", soon, threshold=0.8, notice="1s"))

    assert house.schedule(policy("loose", soon, threshold=0.9))["emergency"] is False
    done = house.schedule(policy("tight", threshold=0.8), emergency=True)

    assert (done["emergency"], done["effective_from"]) == (True, moment(house.clock.now))
    assert [(row["version"], row["emergency"]) for row in house.desk.policies()["policies"]] == [
        (None, False),
        ("tight", True),
        ("loose", False),
    ]
    assert house.desk.health("stretched", f"@{tip}")["policy"]["version"] == "loose"


def test_notice_is_shortened_with_the_notice_that_is_promised(house: House) -> None:
    """Otherwise two files that follow each other would tighten without any."""
    now = house.clock.now
    with pytest.raises(NoticeTooShort, match=r"policy\.notice_s"):
        house.schedule(policy("hasty", now, notice="1s"))

    assert house.schedule(policy("hasty", now + DAY, notice="1s"))["state"] == "scheduled"
    house.clock.now = now + DAY
    assert house.schedule(policy("tight", now + DAY + 1, threshold=0.8, notice="1s"))["state"] == "scheduled"


def test_the_very_same_file_is_known_already(house: House, tip: int) -> None:
    text = policy("a", tip, threshold=0.9)

    assert [house.schedule(text)["state"] for _ in range(2)] == ["scheduled", "known"]
    assert len(house.states()) == 2


def test_a_scheduled_policy_is_withdrawn_and_stays_in_the_ledger(house: House, tip: int) -> None:
    house.schedule(policy("tight", tip - 60, threshold=0.5))
    shipped = house.desk.policy(f"@{tip - 61}")["digest"]

    done = house.desk.withdraw_policy("tight", note="second thoughts", emergency=False, who="tester")

    assert (done["state"], done["withdrawn"]["note"], done["withdrawn"]["by"]) == (
        "withdrawn",
        "second thoughts",
        "tester",
    )
    assert house.states() == [(None, "in force"), ("tight", "withdrawn")]
    assert house.desk.health("stretched", f"@{tip}")["policy"]["digest"] == shipped
    assert house.desk.policy(None)["next"] == []
    again = house.desk.withdraw_policy("tight", note="", emergency=False, who="other")
    assert (again["state"], again["withdrawn"]["by"]) == ("known", "tester")
    with pytest.raises(VersionTaken, match="was withdrawn"):
        house.schedule(policy("tight", tip - 60, threshold=0.5))
    house.schedule(policy("tight-2", tip - 60, threshold=0.5))
    assert house.desk.health("stretched", f"@{tip}")["policy"]["version"] == "tight-2"
    (kept,) = house.desk.sql("SELECT withdrawal_note FROM public.fct_policy WHERE version = 'tight'")["rows"]
    assert kept == ["second thoughts"]


def test_what_counts_is_not_withdrawn_and_what_follows_keeps_its_notice(house: House, tip: int) -> None:
    now = house.clock.now
    house.schedule(policy("loose", now, threshold=0.9))
    house.schedule(policy("tight", now + DAY, threshold=0.7))
    house.schedule(policy("tighter", now + 2 * DAY, threshold=0.6))

    with pytest.raises(Retroactive, match="counts since"):
        house.desk.withdraw_policy("loose", note="", emergency=False, who="tester")
    with pytest.raises(NoSuchThing, match="tighter"):
        house.desk.withdraw_policy("nothing", note="", emergency=False, who="tester")
    house.clock.now = now + DAY - 60
    house.schedule(policy("looser", now + 2 * DAY - 60, threshold=0.65, note="x"), emergency=True)
    house.clock.now = now + DAY + 3600
    with pytest.raises(Retroactive):
        house.desk.withdraw_policy("tight", note="", emergency=False, who="tester")
    with pytest.raises(NoticeTooShort, match="tightens"):
        house.desk.withdraw_policy("looser", note="", emergency=False, who="tester")
    done = house.desk.withdraw_policy("looser", note="", emergency=True, who="tester")
    assert done["withdrawn"]["emergency"] is True


def test_a_configured_file_that_nobody_scheduled_is_refused_until_it_is_accepted(house: House, tip: int) -> None:
    path = house.folder / "mine.toml"
    path.write_text(policy("mine", threshold=0.7))
    configuration = house.folder / CONFIGURATION
    configuration.write_text(f'{configuration.read_text()}\n[policy]\npath = "{path}"\n')
    with opened_again(house) as changed:
        for writes in (True, False):
            with pytest.raises(NotScheduled, match=r"crossmargin policy schedule .*--accept-policy"):
                changed.desk.begin_policy(accept=False, writes=writes)

        assert changed.desk.begin_policy(accept=True) == "in force"
        assert changed.states() == [(None, "superseded"), ("mine", "in force")]
        changed.clock.now += DAY
        assert changed.desk.begin_policy(accept=False) == "in force"
        assert changed.desk.health("stretched", f"@{tip}")["policy"]["version"] == "mine"

    assert house.desk.begin_policy(accept=False) == "superseded"


class opened_again:  # noqa: N801 - reads as a context
    """Another desk over the same store, as its configuration is now."""

    def __init__(self, house: House) -> None:
        self._house = House(house.folder, house.desk._store, house.clock.now)

    def __enter__(self) -> House:
        return self._house

    def __exit__(self, *_: object) -> None:
        """The store stays open."""


def test_the_command_previews_schedules_and_lists_and_refuses_a_strange_file(indexed: Indexed) -> None:
    folder = indexed.folder
    (folder / "tight.toml").write_text(policy("tight", 4_000_000_000, threshold=0.5))
    (folder / "bad.toml").write_text(policy("bad word"))

    asked = [
        crossmargin(folder, "policy", *words)
        for words in (
            ("check", "tight.toml", "--json"),
            ("check", "bad.toml"),
            ("preview", "tight.toml", "--fail"),
            ("schedule", "tight.toml"),
            ("list", "--json"),
            ("show", "--at", "@4000000000", "--json"),
        )
    ]
    (folder / CONFIGURATION).write_text((folder / CONFIGURATION).read_text() + '\n[policy]\npath = "other.toml"\n')
    (folder / "other.toml").write_text(policy("other", threshold=0.9))
    strange = crossmargin(folder, "health", "stretched")

    assert [done.returncode for done in asked] == [0, 2, 5, 0, 0, 0], [done.stderr for done in asked]
    assert "accounts fall below 1" in asked[2].stdout
    assert [row["version"] for row in json.loads(asked[4].stdout)["policies"]] == [None, "tight"]
    assert json.loads(asked[5].stdout)["version"] == "tight"
    assert strange.returncode == 2
    assert "policy schedule" in strange.stderr
    assert crossmargin(folder, "health", "stretched", "--accept-policy", "--json").returncode in {0, 3}


def test_beside_a_service_commands_go_through_it_and_only_the_owner_decides(indexed: Indexed) -> None:
    folder = indexed.folder
    (folder / "tight.toml").write_text(policy("tight", 4_000_000_000, threshold=0.5))
    body = json.dumps({"policy": (folder / "tight.toml").read_text(), "emergency": False, "who": "somebody"}).encode()
    linking = json.dumps({"envelope": "{}", "who": "somebody"}).encode()

    with service(folder, "serve") as (url, _):
        strangers = [
            get(f"{url}/v1/{path}", body=sent).status
            for path, sent in (
                ("policies", body),
                ("policies/preview", body),
                ("policies/withdraw", body),
                ("transfers", body),
                ("accounts/stretched/members", linking),
                ("accounts/stretched/members/revoke", linking),
            )
        ]
        asked = [
            crossmargin(folder, *words).returncode
            for words in (
                ("policy", "preview", "tight.toml", "--fail", "--json"),
                ("policy", "schedule", "tight.toml"),
                ("policy", "schedule", "tight.toml"),
                ("account", "revoke", "stretched", "--wallet", "0x" + "00" * 19 + "01", "--by-operator"),
                ("health", "stretched", "--accept-policy"),
            )
        ]
        listed = json.loads(get(f"{url}/v1/policies").body)["policies"]
        shown = json.loads(get(f"{url}/v1/policy?at=@4000000000").body)
        taken_back = crossmargin(folder, "policy", "withdraw", "tight", "--note", "second thoughts")
        left = json.loads(get(f"{url}/v1/policy?at=@4000000000").body)

    assert strangers == [401] * 6
    assert (taken_back.returncode, left["version"]) == (0, None)
    assert asked == [5, 0, 0, 2, 2]
    assert [row["version"] for row in listed] == [None, "tight"]
    assert shown["version"] == "tight"
