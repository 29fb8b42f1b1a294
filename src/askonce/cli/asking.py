"""Calls to a running gateway's admin API, for commands."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import click
import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AdminApi", "takes_gateway"]

_P = ParamSpec("_P")
_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class AdminApi:
    """A gateway and an administrator's key."""

    url: str
    key: str = field(repr=False)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises click.ClickException with the gateway's own sentence."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            data = None if body is None else orjson.dumps(body)
            request = urllib.request.Request(self.url.rstrip("/") + path, data, headers, method=method)  # noqa: S310 - checked
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - checked
                return orjson.loads(response.read())
        except urllib.error.HTTPError as error:
            raise click.ClickException(_told(error)) from None
        except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
            raise click.ClickException(f"{self.url} can't be asked: {error}") from None


def takes_gateway(command: Callable[_P, None]) -> Callable[..., None]:
    """Gives a command `--url` and `--admin-key`, as an `AdminApi` in its first argument."""

    @click.option(
        "--url",
        default="http://127.0.0.1:8080",
        show_default=True,
        callback=_web_address,
        help="Where the gateway is.",
    )
    @click.option(
        "--admin-key",
        envvar="ASKONCE_ADMIN_KEY",
        required=True,
        callback=_header_value,
        help="Or in ASKONCE_ADMIN_KEY, unseen by others.",
    )
    @wraps(command)
    def asking(url: str, admin_key: str, *args: Any, **kwargs: Any) -> None:
        command(AdminApi(url, admin_key), *args, **kwargs)  # type: ignore[arg-type]

    return asking


def _web_address(_context: click.Context, _option: click.Parameter, url: str) -> str:
    try:
        scheme = urllib.parse.urlsplit(url).scheme
    except ValueError as error:
        raise click.BadParameter(f"is no web address: {error}") from None
    if scheme not in {"http", "https"}:
        raise click.BadParameter("must begin with http:// or https://")
    return url


def _header_value(_context: click.Context, _option: click.Parameter, key: str) -> str:
    """The key as a header can carry it; the error doesn't show it."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise click.BadParameter("must be printable ASCII, without a line break")
    return key


def _told(error: urllib.error.HTTPError) -> str:
    """The sentence of an error in OpenAI's shape."""
    with error:
        try:
            return str(orjson.loads(error.read())["error"]["message"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return f"the gateway answered {error.code}"
