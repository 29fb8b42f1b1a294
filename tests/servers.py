"""Real server processes on loopback sockets, for tests through the front door."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 30.0


@dataclass
class Server:
    """A process of ours that listens."""

    process: subprocess.Popen[str]
    base_url: str
    log: Path

    @property
    def root(self) -> str:
        return self.base_url.removesuffix("/v1")

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.root + path, timeout=10) as response:
            text: str = response.read().decode()
            return text

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(
        self, path: str, body: Any, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body, whatever the status."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, data, {"Content-Type": "application/json", **(headers or {})})

    def send(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body, whatever the status."""
        request = urllib.request.Request(self.root + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        total = 0.0
        for line in self.get("/metrics").splitlines():
            if line.startswith((name + "{", name + " ")) and all(
                f'{k}="{v}"' in line for k, v in labels.items()
            ):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def stop(self, kind: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(kind)
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def running(*arguments: str, log: Path, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """`askonce ARGUMENTS` as a process; its first line of output names its base_url."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "askonce", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "base_url: " in line, f"did not start: {log.read_text()}"
        yield Server(process, line.partition("base_url: ")[2].strip(), log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def simulator(folder: Path, *options: str) -> Iterator[Server]:
    """A simulated provider."""
    with running("simulate", "--port", "0", *options, log=folder / "simulator.log") as server:
        yield server


@contextlib.contextmanager
def gateway(folder: Path, config: str, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """A gateway with this configuration (YAML without `listen`)."""
    file = folder / "askonce.yaml"
    file.write_text(f"listen: 127.0.0.1:0\n{config}")
    with running("serve", "-c", str(file), log=folder / "gateway.log", environment=environment) as server:
        yield server


class CallCounter:
    """Counts a simulated provider's calls from now on."""

    def __init__(self, provider: Server) -> None:
        self._provider = provider
        self._before = self.total

    @property
    def total(self) -> int:
        calls: int = self._provider.json("/stats")["calls"]
        return calls

    @property
    def new(self) -> int:
        return self.total - self._before


def until(check: Any, what: str, patience_s: float = PATIENCE_S) -> None:
    """Waits until `check` returns something true."""
    deadline = time.monotonic() + patience_s
    while not check():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)
