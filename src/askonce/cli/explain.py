"""`askonce explain`: why a running gateway answers a request as it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click
import orjson

from askonce.cli.asking import takes_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.cli.asking import AdminApi

__all__ = ["explain"]

_NEIGHBOURS: Final = 5


@click.command(short_help="Say why a request was answered as it was.")
@takes_gateway
@click.argument("request_id", required=False)
@click.option(
    "--request",
    "body",
    type=click.File("rb"),
    help="A request's body instead of a recent one's id; - reads it.",
)
@click.option("--tenant", default="", help="Who asks, with --request.")
@click.option("--feature", default="", help="The feature, with --request.")
@click.option("--against", metavar="REQUEST_ID", help="A recent request to compare with.")
@click.option(
    "--against-request",
    "other",
    type=click.File("rb"),
    help="A body to compare with, of the same tenant and feature.",
)
@click.option("--json", "as_json", is_flag=True, help="Show all that the gateway says.")
def explain(
    api: AdminApi, request_id: str | None, body: BinaryIO | None, *, as_json: bool, **named: Any
) -> None:
    """Says why the recent request REQUEST_ID (its X-Request-Id) was answered as it was, and what would become of it now."""
    if (request_id is None) == (body is None):
        raise click.UsageError("Give a request's id, or its body with --request.")
    if named["against"] is not None and named["other"] is not None:
        raise click.UsageError("Compare with --against or --against-request, not with both.")
    who = {name: named[name] for name in ("tenant", "feature") if named[name]}
    asked: dict[str, Any] = {"request_id": request_id} if body is None else {"request": _read(body), **who}
    if named["other"] is not None:
        asked["against"] = {"request": _read(named["other"]), **who}
    elif named["against"] is not None:
        asked["against"] = named["against"]
    told = api.call("POST", "/admin/explain", asked)
    if as_json:
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo("\n".join(_lines(told)))


def _read(file: BinaryIO) -> Any:
    try:
        return orjson.loads(file.read())
    except orjson.JSONDecodeError:
        raise click.BadParameter("is no JSON") from None


def _lines(told: Any) -> Iterator[str]:
    if "then" in told:
        then = told["then"]
        yield f"then: {then['outcome']} ({then['reason']}), status {then['status']}"
    yield f"now: {told['decision']['sentence']}"
    request, stored = told["request"], told["stored"]
    yield f"asked: {request['endpoint']} of {request['model']} by {request['tenant']}, feature {request['feature']}"
    yield f"key: {request['exact_key'] or 'none: ' + request['unshared']}"
    yield f"stored: {stored['state']}"
    yield f"semantic: {told['semantic']['mode']}, {told['semantic']['reason']}"
    for near in told["semantic"]["neighbours"][:_NEIGHBOURS]:
        yield f"  {_neighbour(near)}"
    if "against" in told:
        yield from _against(told["against"])


def _neighbour(near: Any) -> str:
    parts = [f"similarity {near['similarity']}"]
    if "probability" in near:
        parts.append(f"probability {near['probability']} of {near['threshold']}")
    parts.append(near["reason"])
    if near.get("text"):
        parts.append(repr(near["text"]))
    return ", ".join(parts)


def _against(against: Any) -> Iterator[str]:
    same = "the same key" if against["same_key"] else "another key"
    yield f"against: {same}, {'the same' if against['same_partition'] else 'another'} partition"
    for place in against["apart"]:
        yield f"  apart by {place}"
    for place in against.get("differences", ()):
        values = [orjson.dumps(place[side]).decode()[:80] for side in ("one", "other") if side in place]
        yield f"  {place['pointer']} ({place['how']}): {' | '.join(values)}"
