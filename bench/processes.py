"""Processes of ours for benchmarks: started, pinned to a core, measured, ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Process", "gateway", "python", "simulator"]


class Process:
    """A running server: its address, its CPU time and its memory."""

    def __init__(self, process: subprocess.Popen[str], base_url: str) -> None:
        self._stats = psutil.Process(process.pid)
        self.base_url = base_url
        self.root = base_url.removesuffix("/v1")
        self.port = int(self.root.rsplit(":", 1)[1])

    @property
    def cpu_s(self) -> float:
        """CPU seconds so far, all threads."""
        times = self._stats.cpu_times()
        return float(times.user + times.system)

    @property
    def resident_bytes(self) -> int:
        """Resident memory."""
        return int(self._stats.memory_info().rss)


@contextlib.contextmanager
def python(*arguments: str, core: int) -> Iterator[Process]:
    """`python ARGUMENTS` on one core; its first line of output names its base_url."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONOPTIMIZE": "1"},
    )
    os.sched_setaffinity(process.pid, {core})
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield Process(process, line.partition("base_url: ")[2].strip())
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def simulator(*options: str, core: int = 1) -> Iterator[Process]:
    """A simulated provider."""
    with python("-m", "askonce", "simulate", "--port", "0", *options, core=core) as process:
        yield process


@contextlib.contextmanager
def gateway(
    upstream: str, extra: str = "", core: int = 0, store: str = "sqlite", settings: str = ""
) -> Iterator[Process]:
    """A gateway before `upstream`, with a store of its own; `extra` is YAML, `settings` the upstream's (`, key: value`)."""
    with tempfile.TemporaryDirectory(prefix="askonce-bench-") as directory:
        config = Path(directory) / "askonce.yaml"
        url = "memory:" if store == "memory" else f"sqlite://{directory}/askonce.db"
        config.write_text(
            f"listen: 127.0.0.1:0\nstore: '{url}'\nlog: {{level: error}}\n"
            f"upstreams: [{{name: simulated, base_url: '{upstream}'{settings}}}]\n{extra}"
        )
        with python("-m", "askonce", "serve", "-c", str(config), core=core) as process:
            yield process
