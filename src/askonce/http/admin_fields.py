"""What administrators write in their requests, read strictly: an unknown field is refused, never ignored.

Forgetting the wrong answers because of a misspelt field would be worse than any error.
"""

from __future__ import annotations

import difflib
import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.administration.asking import Described
from askonce.config.units import parse_duration
from askonce.errors import Refusal
from askonce.model import Endpoint
from askonce.ports import Selection

if TYPE_CHECKING:
    from collections.abc import Collection

    from askonce.model import Json

__all__ = [
    "DESCRIBING",
    "KEY_ACCOUNT",
    "SELECTING",
    "TENANT_NAME",
    "bad",
    "described",
    "flag",
    "hex_key",
    "known_fields",
    "limit",
    "selection",
    "share",
    "text",
]

SELECTING: Final = ("entry", "tags", "feature", "model", "tenant", "older_than", "created_before")
"""Fields that say which entries are meant."""
DESCRIBING: Final = ("request", "endpoint", "headers", "tenant", "feature")
"""Fields that describe a request."""
TENANT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""A configured tenant's name."""
KEY_ACCOUNT: Final = re.compile(r"key:[0-9a-f]{12,64}(/.+)?")
"""A passed-through credential as reports name it."""
_KEPT_TENANT: Final = "tenant:"
_KEY_BYTES: Final = 32


def bad(name: str, sentence: str) -> Refusal:
    """The refusal of a field's value."""
    return Refusal(400, "invalid_field", f"`{name}` {sentence}.", param=name)


def known_fields(body: Json, known: Collection[str]) -> None:
    """Refuses a body with a field that isn't known."""
    for name in body:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else f"; there are: {', '.join(known)}."
            raise Refusal(400, "unknown_field", f"There is no field `{name[:40]}`{hint}", param=name[:40])


def text(body: Json, name: str, default: str = "") -> str:
    """A string. Raises Refusal."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise bad(name, "must be a string")
    return value


def flag(body: Json, name: str) -> bool:
    """A switch, off unless given. Raises Refusal."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise bad(name, "must be true or false")
    return value


def share(body: Json, name: str) -> float | None:
    """A number from 0 to 1; None where it isn't given. Raises Refusal."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise bad(name, "must be a number from 0 to 1")
    return float(value)


def limit(given: str | None, default: int, most: int) -> int:
    """How many are asked for. Raises Refusal."""
    if given is None:
        return default
    # Python refuses to read thousands of digits: they are counted first.
    if given.isascii() and given.isdigit() and len(given) <= len(str(most)) and 0 < int(given) <= most:
        return int(given)
    raise bad("limit", f"must be a number from 1 to {most}")


def hex_key(value: object, name: str) -> bytes:
    """An entry's key, as `X-Askonce-Entry` has it. Raises Refusal."""
    try:
        key = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise bad(name, f"must be {2 * _KEY_BYTES} hexadecimal digits, as in X-Askonce-Entry")
    return key


def selection(body: Json, now: float, *, named: bool) -> Selection:
    """Which entries a body means; `now` in Unix seconds; `named`: tenants have names in the configuration. Raises Refusal."""
    entries = [hex_key(one, "entry") for one in _several(body, "entry")]
    return Selection(
        entries=frozenset(entries) if entries else None,
        tags=frozenset(_several(body, "tags")),
        features=frozenset(_several(body, "feature")),
        models=frozenset(_several(body, "model")),
        tenants=frozenset(_account(one, named=named) for one in _several(body, "tenant")),
        created_before=_created_before(body, now),
    )


def _account(tenant: str, *, named: bool) -> str:
    """A tenant; never a credential, which would stand in the trail. Raises Refusal."""
    if KEY_ACCOUNT.fullmatch(tenant) or (
        TENANT_NAME.fullmatch(tenant.removeprefix(_KEPT_TENANT))
        and (named or tenant.startswith(_KEPT_TENANT))
    ):
        return tenant
    raise bad("tenant", "must be a configured tenant's name, or `key:` and at least 12 digits as in reports")


def described(body: Json) -> Described:
    """A request that an administrator describes: `request` is its body. Raises Refusal."""
    asked = body.get("request")
    if not isinstance(asked, dict):
        raise bad("request", "must be the request's body, a JSON object")
    headers = body.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise bad("headers", "must be an object of strings")
    try:
        raw = orjson.dumps(asked)
    except TypeError:
        raise bad("request", "is nested too deeply") from None
    endpoint = text(body, "endpoint", Endpoint.CHAT.value)
    if endpoint not in set(Endpoint):
        raise bad("endpoint", f"must be one of {', '.join(Endpoint)}")
    return Described(
        raw,
        Endpoint(endpoint),
        {name.lower().encode("latin-1", "replace"): _header(value) for name, value in headers.items()},
        text(body, "tenant"),
        text(body, "feature"),
    )


def _header(value: str) -> bytes:
    return value.encode("utf-8", "replace")


def _several(body: Json, name: str) -> list[str]:
    """One string or a list of them; empty where it isn't given."""
    value: Any = body.get(name)
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one for one in values):
        raise bad(name, "must be a string, or a list of strings that isn't empty")
    return values


def _created_before(body: Json, now: float) -> float | None:
    bounds = []
    if body.get("older_than") is not None:
        try:
            bounds.append(now - parse_duration(body["older_than"]))
        except ValueError as error:
            raise bad("older_than", str(error)) from None
    if body.get("created_before") is not None:
        bounds.append(_moment(body["created_before"]))
    return min(bounds, default=None)


def _moment(value: object) -> float:
    """Unix seconds, or ISO 8601 with an offset."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise bad("created_before", "must be Unix seconds, or a time such as 2026-11-21T09:00:00+00:00")
    return moment.timestamp()
