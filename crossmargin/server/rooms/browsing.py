"""`/docs`: the description of this service, to be read in a browser. Everything that it needs is served from here."""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

from aiohttp import web

from crossmargin.errors import NoSuchThing
from crossmargin.server.etags import etag, known
from crossmargin.server.route import Asked, Room

room = Room("service")

ASSETS = Path(__file__).parent.parent / "assets"
PAGE = ASSETS / "docs" / "index.html"
SERVED = {
    "docs.js": (ASSETS / "docs" / "docs.js", "text/javascript"),
    "swagger-ui-bundle.js": (ASSETS / "swagger-ui" / "swagger-ui-bundle.js.gz", "text/javascript"),
    "swagger-ui.css": (ASSETS / "swagger-ui" / "swagger-ui.css.gz", "text/css"),
}
HTML = "text/html; charset=utf-8"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere and nothing inline; the style sheet draws its signs as data."""

GZIP = ".gz"


class AssetPath(Asked):
    """Which file."""

    name: str


@room.get("/docs", answer=HTML, scope=None, cached=False)
async def browse(request: web.Request) -> web.Response:
    """Return this description as a page."""
    del request
    headers = {"Content-Type": HTML, "Content-Security-Policy": POLICY}
    return web.Response(body=PAGE.read_bytes(), headers=headers)


@room.get("/docs/assets/{name}", answer="text/javascript", scope=None, cached=False)
async def show_asset(request: web.Request, path: AssetPath) -> web.Response:
    """Return a file of that page."""
    if path.name not in SERVED:
        raise NoSuchThing("the page has no such file")
    return _file(request, *SERVED[path.name])


def _file(request: web.Request, path: Path, kind: str) -> web.Response:
    kept, tag = _kept(path)
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if known(request.headers.get("If-None-Match"), tag):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = f"{kind}; charset=utf-8"
    if path.suffix != GZIP:
        return web.Response(body=kept, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=kept, headers=headers | {"Content-Encoding": "gzip"})
    return web.Response(body=gzip.decompress(kept), headers=headers)


@lru_cache
def _kept(path: Path) -> tuple[bytes, str]:
    body = path.read_bytes()
    return body, etag(body)
