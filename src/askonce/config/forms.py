"""The types of configuration values: how each is checked on the way in and written in the reference."""

import difflib
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator
from pydantic.fields import FieldInfo

from askonce.config.units import (
    format_duration,
    format_share,
    format_size,
    format_switch,
    parse_duration,
    parse_share,
    parse_size,
    parse_switch,
)

__all__ = [
    "Address",
    "BaseUrl",
    "Count",
    "Form",
    "KeyDigest",
    "Linger",
    "Listen",
    "MemoryStore",
    "Number",
    "Seconds",
    "SecondsOrZero",
    "Share",
    "Size",
    "Slug",
    "SqliteStore",
    "StoreUrl",
    "Switch",
    "one_of",
    "written",
]


@dataclass(frozen=True, slots=True)
class Form:
    """How values of a type are written.

    Attributes:
        name: What the reference calls the type.
        write: A value in the form that the configuration takes.
    """

    name: str
    write: Callable[[Any], str]


def written(field: FieldInfo, value: object) -> str:
    """A value of a field in the form that the configuration takes."""
    writers = [form.write for form in field.metadata if isinstance(form, Form)]
    return writers[0](value) if writers else str(value)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `host` is a name or an IP address without brackets; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """Answers are kept in memory alone."""

    def __str__(self) -> str:
        return "memory:"


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """Answers are kept in a SQLite file; a relative `path` starts at the working directory."""

    path: Path

    def __str__(self) -> str:
        return f"sqlite://{self.path}" if self.path.is_absolute() else f"sqlite:{self.path}"


_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9][A-Za-z0-9._-]*)):([0-9]{1,5})")
_HEX_DIGITS: Final = 64
_MAX_PORT: Final = 65_535


def _parse_listen(value: object) -> Address:
    if isinstance(value, Address):
        return value
    match = _ADDRESS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[3]) > _MAX_PORT:
        raise ValueError('must be host:port such as 127.0.0.1:8080, 0.0.0.0:8080 or "[::1]:8080" (in quotes)')
    host = match[1] or match[2]
    if match[1] or re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("must be host:port with a valid IP address or a host name") from None
    return Address(host, int(match[3]))


def _parse_store(value: object) -> MemoryStore | SqliteStore:
    if isinstance(value, MemoryStore | SqliteStore):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if text in {"memory:", "memory"}:
        return MemoryStore()
    if text.startswith(("redis:", "rediss:", "valkey:")):
        raise ValueError("Redis is not available in this version; use memory: or sqlite:///path")
    if not text.startswith("sqlite:"):
        raise ValueError("must be memory: or sqlite:///path")
    return SqliteStore(_sqlite_path(text.removeprefix("sqlite:")))


def _sqlite_path(rest: str) -> Path:
    """The file in what follows `sqlite:`: `///x` and `////x` are the absolute path /x, `x` is relative."""
    if rest.startswith("///"):
        rest = "/" + rest.lstrip("/")
    elif rest.startswith("//./"):
        rest = rest.removeprefix("//./")
    elif rest.startswith("//"):
        raise ValueError("must be sqlite:///absolute/path or sqlite:relative/path")
    if ":memory:" in rest:
        raise ValueError("must be memory: for a store without a file")
    if rest.startswith("~"):
        raise ValueError("must not begin with ~; write ${HOME} instead")
    if rest.endswith("/") or Path(rest).name in {"", ".."}:
        raise ValueError("must name a file, such as sqlite:///var/lib/askonce/askonce.db")
    return Path(rest)


def _check_base_url(value: str) -> str:
    wanted = "must be a URL such as https://api.openai.com/v1"
    try:
        url = urlsplit(value)
        has_host = bool(url.hostname) and url.port != 0
    except ValueError:
        raise ValueError(wanted) from None
    if url.scheme not in {"http", "https"} or not has_host or re.search(r"[\s\x00-\x1f]", value):
        raise ValueError(wanted)
    if url.username is not None or url.password is not None:
        raise ValueError("must not hold a credential; put it in api_key")
    if url.query or url.fragment:
        raise ValueError("must not hold a query or fragment")
    path = url.path.rstrip("/")
    if path.endswith(("/completions", "/embeddings", "/models")):
        raise ValueError("must end before the endpoint's path, as in https://api.openai.com/v1")
    return value.rstrip("/")


def _parse_key_digest(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    digits = value.removeprefix("sha256:") if isinstance(value, str) and value.startswith("sha256:") else ""
    if len(digits) == _HEX_DIGITS and re.fullmatch("[0-9A-Fa-f]+", digits):
        return bytes.fromhex(digits)
    raise ValueError(
        'must be "sha256:" and 64 hex digits, never the key itself; run `askonce keys new` for a key and its hash'
    )


def _key_line(digest: bytes) -> str:
    return f"sha256:{digest.hex()}"


def _parse_linger(value: object) -> float | None:
    if value is None or value == "finish":
        return None
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError("must be a duration such as 5s, or finish") from None


def _refuse_switch(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic collects ValueErrors alone
    return value


def one_of(*options: str) -> BeforeValidator:
    """A check that a value is one of `options`, with the nearest one in the error.

    Booleans stand for `on` and `off`, as YAML 1.1 reads these words.
    """

    def check(value: object) -> str:
        word = format_switch(value) if isinstance(value, bool) else value
        if isinstance(word, str) and word.lower() in options:
            return word.lower()
        listed = f"{', '.join(options[:-1])} or {options[-1]}"
        near = difflib.get_close_matches(word.lower(), options, n=1) if isinstance(word, str) else []
        raise ValueError(f"must be {listed}" + (f'; did you mean "{near[0]}"?' if near else ""))

    return BeforeValidator(check)


Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0), Form("duration", format_duration)]
"""A duration above zero, in seconds."""
SecondsOrZero = Annotated[float, BeforeValidator(parse_duration), Form("duration", format_duration)]
"""A duration in seconds."""
Linger = Annotated[
    float | None,
    PlainValidator(_parse_linger),
    Form("duration or `finish`", lambda value: "finish" if value is None else format_duration(value)),
]
"""A duration in seconds; None is `finish`."""
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0), Form("size", format_size)]
"""A size in bytes, above zero."""
Share = Annotated[float, BeforeValidator(parse_share), Form("share", format_share)]
"""A share between 0 and 1."""
Switch = Annotated[bool, BeforeValidator(parse_switch), Form("`on` or `off`", format_switch)]
"""A switch."""
Count = Annotated[int, BeforeValidator(_refuse_switch), Form("whole number", str)]
"""A whole number."""
Number = Annotated[float, BeforeValidator(_refuse_switch), Form("number", "{:g}".format)]
"""A number."""
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$"), Form("name", str)]
"""A name that is safe in headers, metrics and keys."""
KeyDigest = Annotated[
    bytes,
    PlainValidator(_parse_key_digest),
    PlainSerializer(_key_line, return_type=str),
    Form("`sha256:` and 64 hex digits", _key_line),
]
"""SHA-256 of a key: 32 bytes."""
Listen = Annotated[
    Address, PlainValidator(_parse_listen), PlainSerializer(str, return_type=str), Form("host:port", str)
]
"""Where to listen."""
StoreUrl = Annotated[
    MemoryStore | SqliteStore,
    PlainValidator(_parse_store),
    PlainSerializer(str, return_type=str),
    Form("`memory:` or `sqlite:///path`", str),
]
"""Where answers are kept."""
BaseUrl = Annotated[str, AfterValidator(_check_base_url), Form("URL", str)]
"""An http(s) URL without credentials, query and trailing slash."""
