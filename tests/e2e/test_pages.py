"""The dashboard over a served store: every page is whole, nothing is inline, its tables are CSV too, and what is asked is found."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from crossmargin.archive import Archive
from crossmargin.errors import Busy
from crossmargin.verification import Verification
from crossmargin.verification_worker import Question, checks
from tests.e2e.test_service import get
from tests.support.paged import PAGES, Served


class Outline(HTMLParser):
    """What a page is made of, and what it must not have."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.landmarks: list[str] = []
        self.headings: list[str] = []
        self.wrong: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in {"meta", "link", "br", "input"}:
            self.open.append(tag)
        self.landmarks += [tag] if tag in {"header", "main", "nav"} else []
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []
        self.links += [given["href"] or ""] if tag == "a" and "href" in given else []
        self.wrong += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        self.wrong += ["script without src"] if tag == "script" and "src" not in given else []
        self.wrong += ["th without scope"] if tag == "th" and "scope" not in given else []
        self.wrong += ["svg without a name"] if tag == "svg" and not given.get("aria-label") else []

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"/{tag} closes something else")


def outline(body: str) -> Outline:
    found = Outline()
    found.feed(body)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_and_has_nothing_inline(pages: Served, page: str) -> None:
    answer = get(pages.page(page))
    found = outline(answer.body)
    tables = answer.body.count("<table aria-labelledby")
    files = [link for link in found.links if "csv=" in link and "csv=all" not in link and "query=" not in link]

    assert answer.status == 200
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert (found.wrong, found.open) == ([], [])
    assert {"header", "main", "nav"} <= set(found.landmarks)
    assert found.headings[0] == "h1"
    assert found.headings.count("h1") == 1
    assert '<section class="as-of" aria-label="As of">' in answer.body
    assert len(files) == tables
    assert all(get(pages.url + link.replace("&amp;", "&")).status == 200 for link in files if "verify" not in link)


def test_the_account_page_shows_what_the_document_says(pages: Served) -> None:
    body = get(pages.url + "/ui/accounts/stretched").body
    health = json.loads(get(pages.url + "/v1/accounts/stretched/health").body)

    assert f'title="{health["health_factor"]}"' in body
    interval = health["health_factor_interval"]
    assert f"between {interval['low']} and {interval['high']}; liquidation starts below 1" in body
    assert all(reason["code"] in body for reason in health["reasons"])
    assert all(f"block {cut['block']:,}" in body for cut in health["as_of"].values())
    assert all(f">{venue['venue']}<" in body for venue in health["venues"])


def test_the_history_of_an_account_is_what_snapshots_signed(pages: Served) -> None:
    rows = pages.rows("/ui/accounts/stretched?csv=history")
    signed = [
        json.loads(get(pages.page(f"/ui/snapshots/{name}/proof.json?account=stretched")).body)["account"]
        for name in (pages.newest, pages.oldest)
    ]

    assert [row["snapshot"] for row in rows] == [pages.newest, pages.oldest]
    assert [row["middle"] for row in rows] == [each["health_factor"] for each in signed]
    assert [row["low"] for row in rows] == [each["health_factor_low"] for each in signed]
    assert [row["debt USD"] for row in rows] == [each["debt_usd"] for each in signed]
    assert signed[0]["health_factor"] != signed[1]["health_factor"]
    assert 'class="line"' in get(pages.url + "/ui/accounts/stretched").body


def test_everybody_is_listed_once_worst_first_and_with_every_number(pages: Served) -> None:
    rows = pages.rows("/ui/accounts?csv=all")
    signed = json.loads(get(pages.url + "/v1/accounts").body)["accounts"]
    by_name = {row["account"]: row for row in rows}
    factors = [float(row["health factor"]) for row in rows if row["status"] == "liquidatable" and row["health factor"]]

    assert len(rows) == len(by_name) > 800
    assert all(by_name[each["account"]]["collateral USD"] == each["collateral_usd"] for each in signed)
    assert all(by_name[each["account"]]["health factor"] == (each["health_factor"] or "") for each in signed)
    assert min(factors) < 1
    severity = ["unknown", "liquidatable", "danger", "watch", "healthy", "no_debt"]
    assert [severity.index(row["status"]) for row in rows] == sorted(severity.index(row["status"]) for row in rows)
    assert "eip155:31337=" in rows[0]["as of"]


def test_pages_of_the_list_follow_each_other_until_everybody_was_there(pages: Served) -> None:
    everybody = [row["account"] for row in pages.rows("/ui/accounts?status=watch&csv=all")]
    seen: list[str] = []
    path = "/ui/accounts?status=watch"
    while path:
        body = get(pages.url + path).body
        seen += [row["account"] for row in pages.rows(f"{path}&csv=accounts")]
        following = re.search(r'href="([^"]*cursor=[^"]*)">Next page', body)
        path = following.group(1).replace("&amp;", "&") if following else ""

    assert len(everybody) > 100
    assert seen == everybody
    cursor = re.search(r"cursor=([\w-]+)", get(pages.url + "/ui/accounts?status=watch").body)
    assert cursor is not None
    assert get(f"{pages.url}/ui/accounts?status=danger&cursor={cursor.group(1)}").status == 400


def test_accounts_are_found_by_owner_chain_venue_and_bound(pages: Served) -> None:
    health = json.loads(get(pages.url + "/v1/accounts/stretched/health").body)
    owner = health["members"][0].rpartition(":")[2]
    everybody = pages.rows("/ui/accounts?csv=all")

    assert [row["account"] for row in pages.rows(f"/ui/accounts?csv=all&q={owner.lower()}")] == ["stretched"]
    assert [row["account"] for row in pages.rows(f"/ui/accounts?csv=all&q={quote(owner[4:20])}")] == ["stretched"]
    south = pages.rows("/ui/accounts?csv=all&venue=aave-south")
    assert south == [row for row in everybody if "aave-south" in row["venues"]]
    assert pages.rows("/ui/accounts?csv=all&chain=eip155:31338") == south
    below = pages.rows("/ui/accounts?csv=all&below=1.05")
    assert {row["account"] for row in below} == {
        row["account"]
        for row in everybody
        if min(float(row[name] or 9e9) for name in ("health factor", "weakest unit")) < 1.05
    }
    assert pages.rows("/ui/accounts?csv=all&q=nobody-is-called-so") == []


def test_what_is_none_is_refused(pages: Served) -> None:
    watched = get(pages.url + "/ui/accounts?status=watch&q=stretched").body

    assert ">stretched<" in watched
    assert 'href="/ui/accounts?q=stretched&amp;status=watch&amp;csv=accounts"' in watched
    assert get(pages.url + "/ui/accounts?status=fine").status == 400
    assert get(pages.url + "/ui/accounts?below=much").status == 400
    assert get(pages.url + "/ui/accounts?csv=nothing").status == 404
    assert get(pages.url + "/ui/accounts/nobody").status == 404
    assert get(pages.url + "/ui/assets/..%2Froute.py").status == 404
    assert get(pages.url + "/ui/snapshots/..%2F..%2Fetc").status in {400, 404}
    assert get(pages.url + "/ui/snapshots/20200101T000000Z").status == 404
    assert get(pages.page("/ui/snapshots/{newest}/proof?account=nobody")).status == 404


def test_what_work_another_site_leads_to_is_refused(pages: Served) -> None:
    for path in ("/ui/snapshots/{newest}/verify", "/ui/snapshots/{newest}/proof?account=stretched"):
        assert get(pages.page(path), headers={"Sec-Fetch-Site": "cross-site"}).status == 403


def test_sums_by_venue_are_those_of_all_positions(pages: Served) -> None:
    venues = pages.rows("/?csv=venues")
    accounts = pages.rows("/ui/accounts?csv=all")
    supplied = sum(float(row["supplied USD"]) for row in venues)
    borrowed = sum(float(row["borrowed USD"]) for row in venues)

    assert [row["venue"] for row in venues] == ["aave-north", "aave-south"]
    assert borrowed == pytest.approx(sum(float(row["debt USD"]) for row in accounts), rel=1e-9)
    assert supplied >= sum(float(row["collateral USD"]) for row in accounts) * (1 - 1e-9)
    assert supplied == pytest.approx(sum(float(row["supplied USD"]) for row in pages.rows("/?csv=identities")))


def test_a_snapshot_is_verified_check_by_check(pages: Served) -> None:
    rows = pages.rows("/ui/snapshots/{newest}/verify?csv=checks&recompute=true")

    assert [row["outcome"] for row in rows] == ["right"] * 6
    assert any("computed again" in row["check"] for row in rows)


@pytest.mark.parametrize(
    "harm, wrong, detail",
    [
        ("a row", {"files", "tables"}, "accounts.ndjson has the hash"),
        ("a copy", {"files", "tables"}, "positions.parquet has the hash"),
        ("the manifest", {"signature"}, "the manifest was not signed by"),
        ("the ledger", {"ledger"}, "the ledger has sha256:00"),
    ],
)
def test_what_was_changed_in_a_snapshot_is_found_and_named(
    pages: Served, tmp_path: Path, harm: str, wrong: set[str], detail: str
) -> None:
    shutil.copytree(pages.snapshots, tmp_path / "snapshots")
    archive = Archive(tmp_path / "snapshots")
    last = max(archive.names(), key=lambda name: archive.opened(name).manifest["sequence"])
    folder, recorded = archive.folder_of(last), archive.opened(last).hash
    if harm == "a row":
        changed(folder / "accounts.ndjson", b'"score":54', b'"score":55')
    elif harm == "a copy":
        changed(folder / "positions.parquet", b"PAR1", b"PAR2")
    elif harm == "the manifest":
        changed(folder / "manifest.json", b'"sequence":2', b'"sequence":3')
    else:
        recorded = f"sha256:{'0' * 64}"
    found = Verification().check(archive, last, recorded=recorded, recompute=False)

    assert {each["code"] for each in found["checks"] if each["outcome"] == "wrong"} == wrong
    assert any(detail in fault for each in found["checks"] for fault in each["faults"])
    assert not found["right"]


def test_a_snapshot_that_follows_another_than_is_there_is_found(pages: Served) -> None:
    archive = Archive(pages.snapshots)
    last = max(map(archive.opened, archive.names()), key=lambda pack: int(pack.manifest["sequence"]))
    question = Question(
        folder=str(last.folder), recorded=None, before=("another", f"sha256:{'0' * 64}"), recompute=False
    )
    found = {each["code"]: each for each in checks(question)}

    assert found["chain"]["outcome"] == "wrong"
    assert found["chain"]["faults"] == [
        f"it follows {last.manifest['previous']}, number 1 is another with sha256:{'0' * 64}"
    ]


def changed(path: Path, before: bytes, after: bytes) -> None:
    raw = path.read_bytes()
    assert before in raw
    path.write_bytes(raw.replace(before, after, 1))


def test_only_one_snapshot_is_verified_at_a_time_and_none_for_ever(pages: Served) -> None:
    archive = Archive(pages.snapshots)
    hasty = Verification(shown_s=0)
    found = hasty.check(archive, pages.newest, recorded=None, recompute=True)

    assert {each["outcome"] for each in found["checks"]} == {"unfinished"}
    assert not found["right"]
    with hasty._running, pytest.raises(Busy):
        hasty.check(archive, pages.newest, recorded=None, recompute=False)


def test_the_difference_of_two_snapshots_names_its_causes(pages: Served) -> None:
    body = get(pages.page("/ui/difference?before={oldest}&after={newest}")).body

    assert "other_block eip155:31337" in body
    assert pages.rows("/ui/difference?before={oldest}&after={newest}&csv=sums") != []
