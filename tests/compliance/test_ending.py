"""How the process ends, and how it doesn't even begin: in order, and with a sentence."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest

from servers import Server, gateway, until

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "upstreams: [{{name: p, base_url: '{upstream}'}}]\ndefaults: {{semantic: 'off', linger: 0}}\n{more}"
LONG: Any = {"x_simulate": {"tokens": 50, "ttft_ms": 20_000}}


def asking(server: Server, failures: list[Exception], *, stream: bool) -> threading.Thread:
    """Somebody who waits for a long answer in a thread."""

    def ask() -> None:
        with openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
            try:
                client.chat.completions.create(
                    model="sim-small",
                    messages=[{"role": "user", "content": "hi"}],
                    stream=stream,
                    extra_body=LONG,
                )
            except openai.APIError as error:
                failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: server.json("/healthz")["flights"]["callers"], "the call is on its way")
    return thread


@pytest.mark.parametrize("stream", [False, True])
def test_callers_who_outlast_the_drain_are_told(tmp_path: Path, provider: Server, *, stream: bool) -> None:
    """After `drain_timeout`, those who still wait get a 503 that says so; the log has nothing that looks like a bug."""
    config = CONFIG.format(upstream=provider.base_url, more="limits: {drain_timeout: 1s}\n")
    failures: list[Exception] = []
    with gateway(tmp_path, config) as server:
        thread = asking(server, failures, stream=stream)
        assert server.stop() == 0
        thread.join()
        log = server.log.read_text()
    assert [getattr(failure, "code", None) for failure in failures] == ["shutting_down"]
    assert "Traceback" not in log


def test_told_twice_it_ends_at_once(tmp_path: Path, provider: Server) -> None:
    """A second Ctrl-C doesn't wait for anybody, and isn't a bug either."""
    failures: list[Exception] = []
    with gateway(tmp_path, CONFIG.format(upstream=provider.base_url, more="")) as server:
        thread = asking(server, failures, stream=True)
        server.process.send_signal(signal.SIGINT)
        until(lambda: refuses(server), "the first one is heard")
        assert server.stop(signal.SIGINT) == 0
        thread.join()
        log = server.log.read_text()
    assert len(failures) == 1
    assert "Traceback" not in log


def refuses(server: Server) -> bool:
    """Whether the process takes no more connections."""
    try:
        server.get("/readyz")
    except OSError:
        return True
    return False


@pytest.mark.parametrize("content", [None, "no JSON"])
def test_what_cannot_start_says_why(tmp_path: Path, content: str | None) -> None:
    """A file that the configuration names and that isn't there, or isn't what it should be: a line, no traceback."""
    answers = tmp_path / "answers.jsonl"
    if content is not None:
        answers.write_text(content)
    file = tmp_path / "askonce.yaml"
    file.write_text(f"listen: 127.0.0.1:0\nupstreams: [{{type: simulated, answers: {answers}}}]\n")
    done = subprocess.run(
        [sys.executable, "-m", "askonce", "serve", "-c", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Can't start: " in done.stderr
    assert "Traceback" not in done.stderr
