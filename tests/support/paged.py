"""A served store whose pages tests look at: two snapshots, published, SQL for anybody, and a token with a hostile name."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from tests.support.recorded import CONFIGURATION, crossmargin, service

HOSTILE = "<img src=x onerror=alert(1)>"
EARLIER = "2025-01-10T00:00:00Z"
PAGES = (
    "/",
    "/ui/accounts",
    "/ui/accounts/stretched",
    "/ui/alerts",
    "/ui/prices",
    "/ui/chains",
    "/ui/snapshots",
    "/ui/snapshots/{newest}",
    "/ui/snapshots/{newest}/verify?recompute=true",
    "/ui/snapshots/{newest}/proof?account=stretched",
    "/ui/difference?before={oldest}&after={newest}",
    "/ui/policy",
    "/ui/haircuts",
    "/ui/haircuts/history",
    "/ui/risk",
    "/ui/risk/haircuts",
    "/ui/accounts/stretched/advice",
    "/ui/accounts/stretched/what-if",
    "/ui/accounts/stretched/what-if?shock=ETH%3D-0.1",
    "/ui/risk/liquidations",
    "/ui/risk/liquidations?scenario=covid-2020",
    "/ui/sql",
)


class Served:
    """A service over a store with two snapshots."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.snapshots = folder / "snapshots"
        made = json.loads(_answer(f"{url}/v1/snapshots"))["snapshots"]
        self.newest, self.oldest = made[0]["snapshot"], made[-1]["snapshot"]

    def page(self, path: str) -> str:
        """The address of a page of `PAGES`."""
        return self.url + path.format(newest=self.newest, oldest=self.oldest)

    def rows(self, path: str) -> list[dict[str, str]]:
        """A table as CSV, by its columns."""
        return list(csv.DictReader(io.StringIO(_answer(self.page(path)))))


@contextmanager
def served_pages(indexed: Path, folder: Path) -> Iterator[Served]:
    """Serve a copy of an indexed store while the context is open."""
    shutil.copytree(indexed, folder)
    configuration = folder / CONFIGURATION
    text = configuration.read_text(encoding="utf-8").replace('symbol = "WETH"', f'symbol = "{HOSTILE}"')
    configuration.write_text(f"{text}\n[sql]\nanonymous = true\n", encoding="utf-8")
    with service(folder, "serve") as (url, _):
        for arguments in (["snapshot", "create", f"--at={EARLIER}"], ["snapshot", "create"], ["publish"], ["risk-run"]):
            done = crossmargin(folder, *arguments)
            assert done.returncode == 0, done.stderr
        yield Served(url, folder)


def _answer(url: str) -> str:
    with urlopen(url, timeout=60) as answer:  # noqa: S310 - loopback
        body: bytes = answer.read()
        return body.decode()
