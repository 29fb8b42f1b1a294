"""`askonce simulate`: a provider that isn't one, on a port of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvicorn

from askonce.config import Address
from askonce.http.server import bind
from askonce.http.simulated import KeyRule, SimulatedApp, SimulatedProtocol
from askonce.observe.clock import SystemClock
from askonce.upstreams.simulated import (
    BatchRules,
    LimitKind,
    OutageKind,
    PlannedOutage,
    RateLimits,
    SimulatedBatches,
    SimulatedUpstream,
    Simulation,
    read_answers,
)

if TYPE_CHECKING:
    import socket

__all__ = ["simulate"]

_SHARE = click.FloatRange(0, 1)
_RATE = click.FloatRange(1)
_MILLISECONDS = click.FloatRange(0)


class _Outage(click.ParamType[PlannedOutage]):
    """`AT:SECONDS:KIND`, times in seconds."""

    name = "outage"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> PlannedOutage:
        """The outage, or a sentence that says what it should look like."""
        if isinstance(value, PlannedOutage):
            return value
        after_s, seconds, kind = [*str(value).split(":", 2), "", ""][:3]
        try:
            return PlannedOutage(OutageKind(kind), float(seconds), float(after_s))
        except ValueError:
            kinds = ", ".join(OutageKind)
            self.fail(f"{value!r} is not AT:SECONDS:KIND with KIND one of {kinds}.", param, ctx)


def _read_answers(_context: click.Context, _option: click.Parameter, path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        return read_answers(path)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path}: {error}") from None


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket: connections wait in it while the server starts."""
    try:
        return bind(host, port)
    except OSError as error:
        raise click.ClickException(f"Can't listen on {host}, port {port}: {error.strerror}.") from None


@click.command(short_help="Serve a simulated provider.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0 takes a free one."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Other seeds give other answers and faults."
)
@click.option(
    "--ttft", "ttft_ms", type=_MILLISECONDS, default=0.0, metavar="MS", help="Time to the first token."
)
@click.option(
    "--tps",
    "tokens_per_second",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Tokens per second of each answer; all at once if not given.",
)
@click.option(
    "--knee",
    "concurrency_knee",
    type=click.IntRange(1),
    metavar="N",
    help="Calls at once beyond which all slow down.",
)
@click.option(
    "--slots",
    type=click.IntRange(1),
    metavar="N",
    help="Calls that are worked on at a time, the others wait; any number if not given.",
)
@click.option(
    "--call-ms",
    type=_MILLISECONDS,
    default=0.0,
    metavar="MS",
    help="Fixed time of a call before its first token.",
)
@click.option(
    "--item-ms",
    type=_MILLISECONDS,
    default=0.0,
    metavar="MS",
    help="Time per conversation, prompt or text of a call before its first token.",
)
@click.option("--requests-per-second", type=_RATE, metavar="N", help="Calls in a second; 429 above.")
@click.option("--requests-per-minute", type=_RATE, metavar="N", help="Calls in a minute; 429 above.")
@click.option("--tokens-per-minute", type=_RATE, metavar="N", help="Tokens in a minute; 429 above.")
@click.option(
    "--limit-kind",
    type=click.Choice([kind.value for kind in LimitKind]),
    default=LimitKind.TOKEN_BUCKET.value,
    show_default=True,
    help="How these limits count.",
)
@click.option("--limit-per-key", is_flag=True, help="Give each key limits of its own.")
@click.option("--no-retry-after", is_flag=True, help="Don't say with a 429 when to come again.")
@click.option("--no-limit-headers", is_flag=True, help="Send no x-ratelimit headers.")
@click.option(
    "--outage",
    "outages",
    type=_Outage(),
    multiple=True,
    metavar="AT:SECONDS:KIND",
    help="Be dead from AT seconds after the first call on; KIND is refuse, reset, 500 or hang. Repeatable.",
)
@click.option("--error-rate", type=_SHARE, default=0.0, help="Share of calls that fail with 500.")
@click.option("--rate-limit-rate", type=_SHARE, default=0.0, help="Share of calls that fail with 429.")
@click.option("--garbage-rate", type=_SHARE, default=0.0, help="Share of answers that are malformed.")
@click.option("--half-stream-rate", type=_SHARE, default=0.0, help="Share of answers that break off.")
@click.option(
    "--answers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=_read_answers,
    help='JSON Lines of {"question" or "questions", "answer"} to answer from.',
)
@click.option(
    "--batch-delay",
    "batch_delay_s",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    metavar="S",
    help="Seconds that a batch takes.",
)
@click.option("--batch-fail-rate", type=_SHARE, default=0.0, help="Share of batches that fail as a whole.")
@click.option("--batch-expire-rate", type=_SHARE, default=0.0, help="Share of batches' lines that expire.")
@click.option(
    "--batch-error-rate", type=_SHARE, default=0.0, help="Share of batches' lines that fail with 500."
)
@click.option("--api-key", metavar="KEY", help="Accept this key alone; any key is accepted if not given.")
@click.option("--no-api-key-check", is_flag=True, help="Accept requests without a key.")
def simulate(
    *,
    host: str,
    port: int,
    seed: int,
    ttft_ms: float,
    tokens_per_second: float | None,
    concurrency_knee: int | None,
    slots: int | None,
    call_ms: float,
    item_ms: float,
    requests_per_second: float | None,
    requests_per_minute: float | None,
    tokens_per_minute: float | None,
    limit_kind: str,
    limit_per_key: bool,
    no_retry_after: bool,
    no_limit_headers: bool,
    outages: tuple[PlannedOutage, ...],
    error_rate: float,
    rate_limit_rate: float,
    garbage_rate: float,
    half_stream_rate: float,
    answers: dict[str, str],
    batch_delay_s: float,
    batch_fail_rate: float,
    batch_expire_rate: float,
    batch_error_rate: float,
    api_key: str | None,
    no_api_key_check: bool,
) -> None:
    """Serves a simulated provider with OpenAI's API until it is interrupted.

    Answers, token counts and faults follow from the seed and the requests. A request can direct its own fate with
    an `x_simulate` object: status, retry_after_s, ttft_ms, tokens, break_after_events, garbage, html, no_store,
    max_age_s, code, attempts. What was asked is counted at /stats; POST /stats/reset starts again. POST /outage with
    {"kind": "refuse", "seconds": 20} has it be dead for a while.
    """
    try:
        simulation = Simulation(
            seed=seed,
            ttft_ms=ttft_ms,
            tokens_per_second=tokens_per_second,
            concurrency_knee=concurrency_knee,
            slots=slots,
            call_ms=call_ms,
            item_ms=item_ms,
            rate_limits=RateLimits(
                requests_per_second=requests_per_second,
                requests_per_minute=requests_per_minute,
                tokens_per_minute=tokens_per_minute,
                kind=LimitKind(limit_kind),
                per_key=limit_per_key,
                retry_after=not no_retry_after,
                headers=not no_limit_headers,
            ),
            outages=outages,
            error_rate=error_rate,
            rate_limit_rate=rate_limit_rate,
            garbage_rate=garbage_rate,
            half_stream_rate=half_stream_rate,
            answers=answers,
        )
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    upstream = SimulatedUpstream(simulation, SystemClock())
    rules = BatchRules(batch_delay_s, batch_fail_rate, batch_expire_rate, batch_error_rate)
    batches = SimulatedBatches(upstream, rules, SystemClock(), seed)
    app = SimulatedApp(upstream, KeyRule(required=not no_api_key_check, key=api_key), batches)
    listener = _listen(host, port)
    click.echo(f"Simulated upstream, base_url: http://{Address(host, listener.getsockname()[1])}/v1")
    _serve(app, listener)


def _serve(app: SimulatedApp, listener: socket.socket) -> None:
    """Runs until interrupted. Torn responses are meant: what the server would say of them isn't shown."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=SimulatedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])
