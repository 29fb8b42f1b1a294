"""Where a command's results go: a terminal, the standard output, or a file."""

from __future__ import annotations

import errno
import importlib.util
import io
import sys
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["on_paper", "print_bytes", "print_text", "refuse_html_without_extra", "write_file"]

_WIDTH: Final = 120
"""Of text that goes to no terminal."""


def print_text(write: Callable[[Console], None]) -> None:
    """Prints what `write` writes: on a terminal as wide as that is, else as on paper."""
    if _on_terminal():
        write(Console())
    else:
        print_bytes(on_paper(write).encode())


def print_bytes(content: bytes) -> None:
    """Prints what is meant for a file or another program.

    Raises:
        click.ClickException: The standard output takes no more, as on a full disk.
    """
    try:
        click.echo(content, nl=False)
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever reads has had enough
            raise
        raise click.ClickException(f"standard output: {error.strerror}") from None


def on_paper(write: Callable[[Console], None]) -> str:
    """What `write` writes, 120 columns wide and without colours."""
    file = io.StringIO()
    write(Console(file=file, width=_WIDTH, color_system=None))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def _on_terminal() -> bool:
    return sys.stdout.isatty()


def write_file(file: Path, content: bytes) -> None:
    """Writes a file.

    Raises:
        click.ClickException: It can't be written.
    """
    try:
        file.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None


def refuse_html_without_extra() -> None:
    """Says at once what a page needs, rather than at the end.

    Raises:
        click.ClickException: What draws pages isn't installed.
    """
    if not all(map(importlib.util.find_spec, ("jinja2", "matplotlib"))):
        raise click.ClickException("HTML needs an extra: pip install 'askonce[report]'")
