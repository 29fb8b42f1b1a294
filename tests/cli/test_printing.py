"""Where a command's results go."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import click
import pytest

from askonce.cli.printing import on_paper, print_bytes

if TYPE_CHECKING:
    from rich.console import Console


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Has the standard output fail."""

    def echo(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(click, "echo", echo)


def test_a_full_disk_is_an_error_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that can't be printed whole are no success, and no traceback either."""
    failing(monkeypatch, errno.ENOSPC)
    with pytest.raises(click.ClickException, match="standard output: No space left on device"):
        print_bytes(b"results")


def test_a_reader_that_has_had_enough_is_left_to_click(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe ends the command without a word."""
    failing(monkeypatch, errno.EPIPE)
    with pytest.raises(BrokenPipeError):
        print_bytes(b"results")


def test_paper_is_120_columns_wide() -> None:
    """Text for a file has neither colours nor spaces that nobody sees."""

    def write(console: Console) -> None:
        console.print("word " * 60, style="bold red")

    lines = on_paper(write).splitlines()
    assert [len(line) for line in lines] == [119, 119, 59]
