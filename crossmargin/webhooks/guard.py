"""Where webhooks may go: over TLS to addresses of the public internet, checked after names are resolved and used as they were resolved."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from crossmargin.errors import UsageError

LONGEST_URL = 2000
UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that was given out to the public internet (IANA)."""

CLOSED = tuple(map(ipaddress.ip_network, ("192.88.99.0/24", "2001::/32", "2002::/16", "3fff::/20")))
"""Ways of IPv6 over IPv4, and examples, which not every release of Python knows."""


class Refused(OSError):
    """An address that webhooks do not go to."""


def check_url(url: str, *, loopback: bool) -> None:
    """Refuse an address that webhooks may not go to, as far as it can be seen without asking for names; raises `UsageError`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"this is no address of the web: {error}") from error
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > LONGEST_URL or not host:
        raise UsageError(f"a webhook's address must be a URL of at most {LONGEST_URL} characters in ASCII")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise UsageError("a webhook's address must have no user, password or fragment: what is sent is signed")
    if parts.scheme != "https" and not (loopback and parts.scheme == "http" and _is_own(host)):
        raise UsageError(
            "a webhook's address must begin with https://; for this machine http:// is let through with loopback = true in [webhooks]"
        )
    if _is_address(host) and not is_open(host, loopback=loopback):
        raise UsageError(f"{host} is no address of the public internet; webhooks do not go there")
    if not _is_address(host) and host.replace(".", "").isdigit():
        raise UsageError(f"{host} is an address of another way of writing; write four numbers with points, or a name")


def is_open(address: str, *, loopback: bool) -> bool:
    """Whether an IP address is one of the public internet, or this machine's own where that is let through."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_open(str(found.ipv4_mapped), loopback=loopback)
        if not found.is_loopback and found not in UNICAST:
            return False
    if found.is_loopback:
        return loopback
    if any(found in network for network in CLOSED):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


class Resolver(AbstractResolver):
    """Resolves names and gives open addresses alone; the connection is made to what is given, so that no second answer counts."""

    def __init__(self, *, loopback: bool) -> None:
        self._loopback = loopback
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raises `Refused` where one of them is not open: an honest name has none."""
        found = await self._inner.resolve(host, port, family)
        for each in found:
            if not is_open(each["host"], loopback=self._loopback):
                raise Refused(f"{host} leads to {each['host']}, which is no address of the public internet")
        return found

    async def close(self) -> None:
        await self._inner.close()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_own(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
