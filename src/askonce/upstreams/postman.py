"""Webhooks over HTTP, to where callers say and to nowhere else.

Callers choose the address, so that every connection is checked: a name is resolved here, only public addresses are
connected to, and redirects aren't followed. Nothing of the answer is shown to anybody but its status.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from askonce import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HttpPostman", "is_public"]

_MAX_URL: Final = 2_000
_OK: Final = range(200, 300)
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All that RFC 4291 and the registries give to the internet: what is outside is local, translated or long deprecated."""
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet's, also where it holds another one inside."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            inner = address.teredo[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast


class _PublicResolver(AbstractResolver):
    """Resolves names to public addresses alone: whatever a name stands for by now is what is connected to."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of a name. Raises OSError where there is none."""
        found = await self._resolver.resolve(host, port, family)
        public = [one for one in found if is_public(one["host"])]
        if not public:
            raise OSError("not a public address")
        return public

    async def close(self) -> None:
        """Holds nothing to close."""


class HttpPostman:
    """Delivers webhooks.

    Args:
        allow_private: Whether private addresses and plain http are allowed.
        allowed_hosts: Patterns of the hosts that may be delivered to.
        timeout_s: How long one delivery may take.
    """

    def __init__(self, *, allow_private: bool, allowed_hosts: Sequence[str], timeout_s: float) -> None:
        self._allow_private = allow_private
        self._allowed_hosts = tuple(pattern.lower() for pattern in allowed_hosts)
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    def refuses(self, url: str) -> str:
        """Why nothing is ever delivered to a URL; "" where nothing speaks against it yet."""
        if len(url) > _MAX_URL or not url.isascii() or not url.isprintable():
            return f"must be a URL of at most {_MAX_URL} printable ASCII characters"
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            return "must be a URL"
        schemes = {"https", "http"} if self._allow_private else {"https"}
        if parts.scheme not in schemes or not host or parts.username is not None:
            return f"must begin with {' or '.join(sorted(schemes))}:// and a host, without a credential"
        return self._refuses_host(host)

    def _refuses_host(self, host: str) -> str:
        if not any(fnmatchcase(host, pattern) for pattern in self._allowed_hosts):
            return "must go to one of the hosts that the gateway's operator allows"
        private = (_is_address(host) and not is_public(host)) or host == "localhost"
        return "must go to a public address" if private and not self._allow_private else ""

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> tuple[bool, str]:
        """Posts a body; whether the receiver took it, and how it went. Never raises."""
        refused = self.refuses(url)
        if refused:
            return False, f"the URL {refused}"
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._connected().post(
                    url, data=body, headers=dict(headers), allow_redirects=False
                ) as response,
            ):
                return response.status in _OK, f"status {response.status}"
        except TimeoutError:
            return False, "timeout"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return False, type(error).__name__

    async def close(self) -> None:
        """Closes pooled connections."""
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = None if self._allow_private else _PublicResolver()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, force_close=True),
                headers={"User-Agent": f"askonce/{__version__}"},
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=65_536,
                max_field_size=65_536,
            )
        return self._session


def _is_address(host: str) -> bool:
    """Whether a host is an IP address in any spelling that a connection would take for one."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.replace(".", "").isdigit() or host.startswith("0x")
    return True
