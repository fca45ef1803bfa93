"""A real browser for tests of pages: the Chromium that is installed, or the one that `playwright install chromium` brought."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


def installed() -> str | None:
    """Where a Chromium of the system is, `None` where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browsing() -> Iterator[Browser | None]:
    """Run a browser while the context is open; gives `None` where this machine has none."""
    with sync_playwright() as playwright:
        own = installed()
        if own is None and not Path(playwright.chromium.executable_path).exists():
            yield None
            return
        browser = playwright.chromium.launch(executable_path=own, args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()


def faults_of(page: Page) -> list[str]:
    """Collect from now on what a page complains about: errors of scripts, of its console, refused by its policy, or not answered."""
    found: list[str] = []
    page.on("console", lambda said: found.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("requestfailed", lambda request: found.append(f"{request.url} failed"))
    return found
