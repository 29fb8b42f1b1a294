"""`askonce serve`: the gateway on a socket, until it is told to stop."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import click
import structlog

from askonce import __version__
from askonce.config import Address, ConfigError, Settings, default_settings, load, warnings
from askonce.http.server import bind, server
from askonce.observe.log import configure_logging
from askonce.wiring.batching import check_functions

__all__ = ["serve"]

_GC_THRESHOLDS = (10_000, 20, 50)
"""The collector's pauses grow with what is cached (150 ms for 100,000 answers), and nothing cached is garbage: rarer."""


@click.command(short_help="Run the gateway.")
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="Configuration; without one, OPENAI_API_KEY says it all.",
)
@click.option("--listen", metavar="HOST:PORT", help="Listen here instead of where the configuration says.")
def serve(file: Path | None, listen: str | None) -> None:
    """Runs the gateway until SIGTERM or SIGINT; then running requests end first.

    The first line on standard output is its base_url. Logs go to standard error.
    """
    try:
        settings = load(file, os.environ) if file is not None else default_settings(os.environ)
        check_functions(settings, str(file))
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(1) from None
    configure_logging(settings.log.level, settings.log.format)
    log = structlog.get_logger("askonce")
    for warning in warnings(settings):
        log.warning("configuration", advice=warning)
    _run(settings, file, _address(listen) if listen else settings.listen)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter("must be HOST:PORT", param_hint="--listen")
    return Address(host.strip("[]"), int(port))


def _run(settings: Settings, file: Path | None, address: Address) -> None:
    try:
        listener = bind(address.host, address.port)
    except OSError as error:
        raise click.ClickException(f"Can't listen on {address}: {error.strerror}.") from None
    bound = Address(address.host, listener.getsockname()[1])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ended)
    gc.set_threshold(*_GC_THRESHOLDS)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the file has just been read
    click.echo(f"askonce {__version__}, base_url: http://{bound}/v1")
    server(settings, file).run(sockets=[listener])


def _ended(_number: int, _frame: object) -> None:
    """Takes the signal that the server raises again once it has ended in order: the exit status stays 0."""
