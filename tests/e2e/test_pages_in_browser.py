"""The dashboard in a real browser: no complaint, no barrier, no sideways scrolling, all of it by keyboard, and hostile names do nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.browser import browsing, faults_of
from tests.support.paged import HOSTILE, PAGES, Served

AXE = Path(__file__).parent.parent / "devnet" / "evm" / "node_modules" / "axe-core" / "axe.min.js"
PHONE, DESK = ViewportSize(width=360, height=740), ViewportSize(width=1200, height=800)
GRAVE = {"serious", "critical"}
OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""Those rules of axe that look at colours: all that can be otherwise in the dark, where no element is another one."""


@dataclass
class Visit:
    """A page of the browser, and what it complained about."""

    served: Served
    page: Page
    faults: list[str] = field(default_factory=list)

    def to(self, path: str) -> None:
        self.page.goto(self.served.page(path), wait_until="load")

    def violations(self, scheme: str) -> list[str]:
        """What axe finds grave, in light or dark."""
        self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        asked = {"resultTypes": ["violations"]} | ({"runOnly": OF_COLOURS} if scheme == "dark" else {})
        found = self.page.evaluate("asked => axe.run(document, asked).then(said => said.violations)", asked)
        return [
            f"{scheme}: {each['id']}: {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in GRAVE
        ]

    def sideways(self) -> int:
        """How many pixels of the page stand out to the right."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wide

    def torn(self) -> list[str]:
        """Names of columns that are torn into lines, as they are where a table is squeezed."""
        names: list[str] = self.page.evaluate(
            """[...document.querySelectorAll(".wide th")]
               .filter(each => each.getBoundingClientRect().height > 2 * parseFloat(getComputedStyle(each).lineHeight))
               .map(each => each.textContent)"""
        )
        return names


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        if found is None:
            pytest.skip("no Chromium is installed here: install chromium, or run `playwright install chromium`")
        yield found


@pytest.fixture
def visit(browser: Browser, pages: Served) -> Iterator[Visit]:
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    yield Visit(served=pages, page=page, faults=faults_of(page))
    context.close()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_complains_about_nothing_and_bars_nobody(visit: Visit, path: str) -> None:
    visit.to(path)
    violations = [*visit.violations("light"), *visit.violations("dark")]
    visit.page.set_viewport_size(PHONE)

    assert visit.page.title().endswith("crossmargin")
    assert visit.faults == []
    assert violations == []
    assert visit.sideways() == 0
    assert visit.torn() == []


def test_a_slider_shows_what_would_become_of_an_account(visit: Visit) -> None:
    visit.to("/ui/accounts/stretched")
    visit.page.click("text=What if")
    price, debt = (visit.page.locator(f"#what-if input[{which}]").first for which in ("data-shock", "data-less^=repay"))
    visit.page.wait_for_load_state("load")
    assert visit.page.locator("table").count() == 0

    for slider in (price, debt):
        with visit.page.expect_navigation():
            slider.focus()
            slider.press("PageDown")
    rows = {row.inner_text().split("\t")[0]: row.inner_text() for row in visit.page.locator("tbody tr").all()}

    moved = price.get_attribute("data-shock")
    assert visit.page.locator("input[name=shock]").input_value().startswith(f"{moved}=-0.")
    assert visit.page.locator("input[name=do]").input_value().startswith("repay:")
    assert "health factor" in rows
    assert int(price.input_value()) < 0 > int(debt.input_value())
    assert visit.faults == []


def test_a_broken_page_is_found(visit: Visit) -> None:
    """What is looked for above is there to be found."""
    visit.to("/ui/policy")
    visit.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)><p style=\"width:9000px\">wide</p><button></button>')"
    )
    while not any("Content Security Policy" in fault for fault in visit.faults):
        visit.page.wait_for_timeout(20)
    violations = visit.violations("light")
    visit.page.set_viewport_size(PHONE)

    assert any("image-alt" in each for each in violations)
    assert any("button-name" in each for each in violations)
    visit.page.evaluate(
        "document.querySelector('h1').textContent = 'x'.repeat(400); document.querySelector('h1').className = 'number'"
    )
    assert visit.sideways() > 0


def test_all_of_it_is_done_by_keyboard(visit: Visit) -> None:
    visit.to("/ui/accounts")
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert visit.page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.activeElement.id") == "main"

    seen = []
    for _ in range(40):
        visit.page.keyboard.press("Tab")
        seen.append(visit.page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name"))
        outline = visit.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", seen[-1]
        if seen[-1] == "score":
            break

    assert {"q", "Find", "CSV", "account", "health factor"} <= set(seen)
    assert seen[-1] == "score"
    visit.page.keyboard.press("Enter")
    head = visit.page.locator("th", has_text="score")
    assert head.get_attribute("aria-sort") == "ascending"
    scores = [int(each) for each in visit.page.locator("tbody td:nth-child(5)").all_inner_texts() if each != "–"]
    assert scores == sorted(scores)
    visit.page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"


def test_somebody_finds_an_account_and_looks_at_it(visit: Visit) -> None:
    visit.to("/")
    visit.page.get_by_role("link", name="Accounts", exact=True).click()
    visit.page.get_by_label("Account or owner").fill("stretched")
    visit.page.get_by_role("button", name="Find").click()
    assert visit.page.locator("#accounts").inner_text() == "1 to 1 of 1"
    visit.page.get_by_role("link", name="stretched").click()

    assert visit.page.locator("h1").inner_text() == "Account stretched"
    assert visit.page.get_by_role("img", name="health factor").first.is_visible()
    assert visit.page.locator(".course circle").count() == 2
    assert visit.faults == []


def test_hostile_names_of_tokens_are_shown_and_do_nothing(visit: Visit) -> None:
    asked = []
    visit.page.on("dialog", lambda dialog: asked.append(dialog.message))
    for path in ("/ui/accounts/stretched", "/ui/haircuts", "/ui/snapshots/{newest}"):
        visit.to(path)
        assert HOSTILE in visit.page.locator("main").inner_text(), path
        assert visit.page.locator("main img").count() == 0

    assert asked == []
    assert visit.faults == []


def test_a_snapshot_is_verified_at_the_press_of_a_button(visit: Visit) -> None:
    visit.to("/ui/snapshots")
    assert visit.page.locator(".months td.good").count() == 2
    visit.page.get_by_role("link", name=visit.served.newest).click()
    visit.page.get_by_role("button", name="Verify").click()

    assert "nothing wrong" in visit.page.locator(".figures").inner_text()
    assert visit.page.locator("tbody tr").count() == 6
    assert visit.faults == []


def test_somebody_takes_a_proof_away(visit: Visit) -> None:
    visit.to("/ui/snapshots/{newest}")
    visit.page.get_by_label("Account").fill("stretched")
    visit.page.get_by_role("button", name="Prove").click()
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Download the proof").click()

    proof = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert proof["account"]["account"] == "stretched"
    assert len(proof["units"]) == visit.page.locator("tbody tr").count()


def test_two_snapshots_are_compared(visit: Visit) -> None:
    visit.to("/ui/snapshots")
    visit.page.get_by_role("button", name="Compare").click()

    assert "other_block" in visit.page.locator("main").inner_text()
    assert visit.faults == []


def test_the_console_runs_a_query_and_gives_its_rows_as_a_file(visit: Visit) -> None:
    visit.to("/ui/sql")
    visit.page.get_by_label("Query").fill("SELECT venue_id FROM dim_venue ORDER BY venue_id")
    visit.page.get_by_role("button", name="Ask").click()
    assert visit.page.locator("tbody").first.inner_text().split() == ["aave-north", "aave-south"]
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Rows as CSV").click()

    assert Path(download.value.path()).read_text(encoding="utf-8").split() == ["venue_id", "aave-north", "aave-south"]
    visit.page.get_by_label("Query").fill("DROP TABLE dim_venue")
    visit.page.get_by_role("button", name="Ask").click()
    assert "Some of this may be out of date or wrong" in visit.page.get_by_role("alert").inner_text()
    assert visit.faults == []


def test_dark_stays_dark(visit: Visit) -> None:
    visit.to("/")
    visit.page.get_by_role("button", name="Dark or light").click()
    first = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    visit.to("/ui/chains")

    assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == first == "rgb(18, 22, 27)"
