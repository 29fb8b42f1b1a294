"""`askonce simulate`: a provider that isn't one, on a port of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvicorn

from askonce.config import Address
from askonce.http.server import bind
from askonce.http.simulated import KeyRule, SimulatedApp
from askonce.observe.clock import SystemClock
from askonce.upstreams.simulated import SimulatedUpstream, Simulation, read_answers

if TYPE_CHECKING:
    import socket

__all__ = ["simulate"]

_SHARE = click.FloatRange(0, 1)


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
    "--ttft", "ttft_ms", type=click.FloatRange(0), default=0.0, metavar="MS", help="Time to the first token."
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
    error_rate: float,
    rate_limit_rate: float,
    garbage_rate: float,
    half_stream_rate: float,
    answers: dict[str, str],
    api_key: str | None,
    no_api_key_check: bool,
) -> None:
    """Serves a simulated provider with OpenAI's API until it is interrupted.

    Answers, token counts and faults follow from the seed and the requests. A request can direct its own fate with
    an `x_simulate` object: status, retry_after_s, ttft_ms, tokens, break_after_events, garbage, html, no_store,
    max_age_s, code, attempts. What was asked is counted at /stats; POST /stats/reset starts again.
    """
    try:
        simulation = Simulation(
            seed=seed,
            ttft_ms=ttft_ms,
            tokens_per_second=tokens_per_second,
            concurrency_knee=concurrency_knee,
            error_rate=error_rate,
            rate_limit_rate=rate_limit_rate,
            garbage_rate=garbage_rate,
            half_stream_rate=half_stream_rate,
            answers=answers,
        )
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    upstream = SimulatedUpstream(simulation, SystemClock())
    app = SimulatedApp(upstream, KeyRule(required=not no_api_key_check, key=api_key))
    listener = _listen(host, port)
    click.echo(f"Simulated upstream, base_url: http://{Address(host, listener.getsockname()[1])}/v1")
    _serve(app, listener)


def _serve(app: SimulatedApp, listener: socket.socket) -> None:
    """Runs until interrupted. Torn responses are meant: what the server would say of them isn't shown."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])
