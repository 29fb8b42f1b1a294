"""`askonce serve`, as far as it gets before it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from askonce.cli.check import check
from askonce.cli.serve import serve

if TYPE_CHECKING:
    from pathlib import Path

    import click

CONFIG = """\
upstreams:
  - {name: engine, type: python, function: "nowhere:echo", models: [engine-1]}
"""


@pytest.mark.parametrize("command", [serve, check])
def test_a_function_that_is_not_there_is_said_before_the_start(
    command: click.Command, tmp_path: Path
) -> None:
    """The gateway doesn't start without its engine, and says which line of the configuration is to be mended."""
    file = tmp_path / "askonce.yaml"
    file.write_text(CONFIG)
    arguments = ["-c", str(file)] if command is serve else [str(file)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    assert "upstreams[0].function: nowhere:echo can't be imported" in result.output
