"""Pictures of every page of a service: `python -m tests.support.pictures ADDRESS FOLDER`; `scripts/screenshots` runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode
from urllib.request import urlopen

from playwright.sync_api import Browser, FloatRect, ViewportSize

from tests.support.browser import browsing

ACCOUNT = "stretched"
QUERY = """SELECT venue_id, side, count(*) AS positions, count(DISTINCT owner_address) AS owners
FROM fct_position GROUP BY venue_id, side ORDER BY venue_id, side"""
PHONE, WIDE = 360, 1080
TALLEST = 1000
"""Pixels of a page that are shown: the beginning says enough."""

ALSO_DARK = ("account", "snapshots", "risk")
ALSO_NARROW = ("accounts", "account", "snapshot", "risk", "what-if")


def main(address: str, folder: Path) -> None:
    """Write a PNG for each page, and for some also in dark and narrow."""
    paths = _paths(address)
    with browsing() as browser:
        if browser is None:
            sys.exit(
                "There is no Chromium here: install it (Debian, Ubuntu: apt install chromium), or run .venv/bin/playwright install chromium"
            )
        for old in folder.glob("*.png"):
            old.unlink()
        for name, path in paths.items():
            _shoot(browser, f"{address}{path}", folder / f"{name}.png", width=WIDE, scheme="light")
        for name in ALSO_DARK:
            _shoot(browser, f"{address}{paths[name]}", folder / f"{name}-dark.png", width=WIDE, scheme="dark")
        for name in ALSO_NARROW:
            _shoot(browser, f"{address}{paths[name]}", folder / f"{name}-narrow.png", width=PHONE, scheme="light")


def _paths(address: str) -> dict[str, str]:
    with urlopen(f"{address}/v1/snapshots", timeout=60) as answer:  # noqa: S310 - the service that was named
        made = [line["snapshot"] for line in json.loads(answer.read())["snapshots"] if line["manifest_hash"]]
    newest, before = made[0], made[1]
    return {
        "overview": "/",
        "accounts": "/ui/accounts",
        "account": f"/ui/accounts/{ACCOUNT}",
        "alerts": "/ui/alerts",
        "prices": "/ui/prices",
        "chains": "/ui/chains",
        "snapshots": "/ui/snapshots",
        "snapshot": f"/ui/snapshots/{newest}",
        "verified": f"/ui/snapshots/{newest}/verify?recompute=true",
        "proof": f"/ui/snapshots/{newest}/proof?account={ACCOUNT}",
        "difference": f"/ui/difference?before={before}&after={newest}",
        "policy": "/ui/policy",
        "haircuts": "/ui/haircuts",
        "haircuts-history": "/ui/haircuts/history",
        "risk": "/ui/risk",
        "risk-haircuts": "/ui/risk/haircuts",
        "liquidations": "/ui/risk/liquidations?scenario=covid-2020",
        "advice": f"/ui/accounts/{ACCOUNT}/advice",
        "what-if": f"/ui/accounts/{ACCOUNT}/what-if",
        "what-if-shocked": f"/ui/accounts/{ACCOUNT}/what-if?shock=ETH%3D-0.1",
        "sql": f"/ui/sql?{urlencode({'query': QUERY})}",
    }


def _shoot(browser: Browser, url: str, path: Path, *, width: int, scheme: Literal["dark", "light"]) -> None:
    """Take the top of a page, as tall as it is, up to `TALLEST`."""
    context = browser.new_context(viewport=ViewportSize(width=width, height=600), color_scheme=scheme)
    page = context.new_page()
    page.goto(url, wait_until="load")
    tall: int = page.evaluate("document.documentElement.scrollHeight")
    clip = FloatRect(x=0, y=0, width=width, height=min(tall, TALLEST))
    page.screenshot(path=path, full_page=True, clip=clip)
    context.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]))
