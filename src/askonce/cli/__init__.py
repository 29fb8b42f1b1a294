"""The command line: `askonce serve`, `demo`, `simulate`, `check`, `keys`, `explain`, `evaluate`, `tune`, `report`, `replay`."""

from __future__ import annotations

import click

from askonce import __version__
from askonce.cli.check import check
from askonce.cli.demo import demo
from askonce.cli.evaluate import evaluate
from askonce.cli.explain import explain
from askonce.cli.keys import keys
from askonce.cli.replay import replay
from askonce.cli.report import report
from askonce.cli.serve import serve
from askonce.cli.simulate import simulate
from askonce.cli.tune import tune

__all__ = ["cli"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="askonce")
def cli() -> None:
    """An LLM gateway that never pays twice for the same answer."""


for command in (serve, demo, simulate, check, keys, explain, evaluate, tune, report, replay):
    cli.add_command(command)
