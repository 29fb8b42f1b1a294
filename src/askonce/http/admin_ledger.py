"""The books over HTTP: sums by whatever they are kept by, and single calls, as JSON or CSV. Never a prompt's text."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import orjson
from starlette.responses import Response
from starlette.routing import Route

from askonce.config.units import parse_duration
from askonce.errors import Refusal
from askonce.http.admin_fields import bad, known_fields, limit
from askonce.http.rest import refusing
from askonce.ports import CallEntry, Span, Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from askonce.http.admin_access import AdminAccess
    from askonce.model import Json
    from askonce.ports import Books
    from askonce.wiring import Running

__all__ = ["ledger_routes"]

_HOUR_S: Final = 3_600
_HOURS_A_DAY: Final = 24
_NANO: Final = 10**9
_COLUMNS: Final = ("hour", "day", "tenant", "feature", "model", "outcome")
_FILTERS: Final = ("tenant", "feature", "model", "outcome")
_USUAL_SPAN: Final = "7d"
_ROWS: Final = 10_000
_MOST_ROWS: Final = 100_000
_CALLS: Final = 100
_MOST_CALLS: Final = 10_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for a formula: callers choose models' names."""
_COMMON: Final = ("since", "until", "format", "limit")


def ledger_routes(running: Running, access: AdminAccess) -> list[Route]:
    """`/admin/ledger` and `/admin/ledger/calls`."""

    async def sums(request: Request) -> Response:
        """Sums: `?since=&until=&by=day,feature&tenant=&feature=&model=&outcome=&format=json|csv&limit=`."""
        access.authorise(request)
        query = request.query_params
        known_fields(dict(query), (*_COMMON, "by", *_FILTERS))
        span, by = _span(query, running.gateway.parts.clock.now()), _by(query.get("by", "day,feature"))
        where = {name: query[name] for name in _FILTERS if name in query}
        most = limit(query.get("limit"), _ROWS, _MOST_ROWS)
        write = _writer(query)

        def work(books: Books) -> bytes:
            rows = list(books.sums(span, by, where, most + 1).items())
            return write([_sums(by, key, one) for key, one in rows[:most]], span, has_more=len(rows) > most)

        return await _read(running, work, query)

    async def calls(request: Request) -> Response:
        """Single upstream calls, newest first: `?since=&until=&settled=true|false&format=json|csv&limit=`."""
        access.authorise(request)
        query = request.query_params
        known_fields(dict(query), (*_COMMON, "settled"))
        span, settled = _span(query, running.gateway.parts.clock.now()), _settled(query)
        most = limit(query.get("limit"), _CALLS, _MOST_CALLS)
        write = _writer(query)

        def work(books: Books) -> bytes:
            found = books.calls(span, most + 1, settled=settled)
            return write([_call(one) for one in found[:most]], span, has_more=len(found) > most)

        return await _read(running, work, query)

    return [
        Route("/admin/ledger", refusing(sums)),
        Route("/admin/ledger/calls", refusing(calls)),
    ]


async def _read(running: Running, work: Callable[[Books], bytes], query: QueryParams) -> Response:
    """Reads and writes in the ledger's thread: there may be many rows."""
    try:
        body = await running.ledger.read(work)
    except OSError:
        sentence = "The ledger can't be read now; /healthz says what is wrong with it."
        raise Refusal(503, "ledger_unavailable", sentence, retry_after_s=1) from None
    kind = "text/csv; charset=utf-8" if query.get("format") == "csv" else "application/json"
    return Response(body, media_type=kind)


def _sums(by: Sequence[str], key: Sequence[str | int], sums: Sums) -> Json:
    """A row: what it is kept by, all sums, and money once more in dollars, exactly."""
    names = {
        name: _time(name, value) if isinstance(value, int) else value
        for name, value in zip(by, key, strict=True)
    }
    counts = {**sums._asdict(), "saved_nanousd": sums.saved_nanousd}
    return {**names, **counts, "spent_usd": _usd(sums.spent_nanousd), "saved_usd": _usd(sums.saved_nanousd)}


def _call(call: CallEntry) -> Json:
    at = datetime.fromtimestamp(call.at, UTC).isoformat(timespec="milliseconds")
    return {**call._asdict(), "at": at, "usd": None if call.nanousd is None else _usd(call.nanousd)}


def _time(name: str, value: int) -> str:
    """An hour or a day since 1970 as ISO 8601."""
    moment = datetime.fromtimestamp(value * _HOUR_S * (_HOURS_A_DAY if name == "day" else 1), UTC)
    return moment.strftime("%Y-%m-%d" if name == "day" else "%Y-%m-%dT%H:00:00Z")


def _usd(nanousd: int) -> str:
    """Dollars with nine decimals: every nano-dollar, which a floating-point number wouldn't hold."""
    dollars, rest = divmod(abs(nanousd), _NANO)
    return f"{'-' if nanousd < 0 else ''}{dollars}.{rest:09d}"


def _writer(query: QueryParams) -> Callable[..., bytes]:
    """What writes rows in the form that is asked for. Raises Refusal."""
    form = query.get("format", "json")
    if form not in {"json", "csv"}:
        raise bad("format", "must be json or csv")
    return _csv if form == "csv" else _json


def _json(rows: list[Json], span: Span, *, has_more: bool) -> bytes:
    covered = {"since": _time("hour", span.since_hour), "until": _time("hour", span.until_hour)}
    return orjson.dumps({**covered, "rows": rows, "has_more": has_more})


def _csv(rows: list[Json], span: Span, *, has_more: bool) -> bytes:  # noqa: ARG001 - the other form's shape
    file = io.StringIO()
    if rows:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        writer.writerows(map(_plain, (row.values() for row in rows)))
    return file.getvalue().encode("utf-8", "replace")


def _plain(values: Iterable[object]) -> list[object]:
    """Cells that no spreadsheet takes for a formula."""
    return [f"'{one}" if isinstance(one, str) and one.startswith(_FORMULA) else one for one in values]


def _by(text: str) -> list[str]:
    """What sums are kept apart by. Raises Refusal."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(set(names)) != len(names) or not set(names) <= set(_COLUMNS):
        raise bad("by", f"must be some of {', '.join(_COLUMNS)}, each once, separated by commas")
    return names


def _settled(query: QueryParams) -> bool | None:
    given = query.get("settled")
    if given not in {None, "true", "false"}:
        raise bad("settled", "must be true or false")
    return None if given is None else given == "true"


def _span(query: QueryParams, now: float) -> Span:
    """Whole hours. Raises Refusal."""
    until = _moment(query, "until", "", now)
    since = _moment(query, "since", _USUAL_SPAN, now)
    span = Span(
        int(since // _HOUR_S), -int(-until // _HOUR_S) if "until" in query else int(until // _HOUR_S) + 1
    )
    if span.since_hour >= span.until_hour:
        raise bad("since", "must be before `until`")
    return span


def _moment(query: QueryParams, name: str, usual: str, now: float) -> float:
    """Unix seconds of a duration before now (`7d`) or a time with an offset (ISO 8601). Raises Refusal."""
    given = query.get(name, usual)
    if not given:
        return now
    try:
        moment = datetime.fromisoformat(given.replace(" ", "+"))
    except ValueError:
        moment = None
    try:
        at = now - parse_duration(given) if moment is None else moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise bad(
            name, "must be a duration such as 7d, or a time such as 2026-11-21T09:00:00+00:00"
        ) from None
    if moment is not None and moment.tzinfo is None:
        at = moment.replace(tzinfo=UTC).timestamp()
    return min(max(0.0, at), 4e9)
