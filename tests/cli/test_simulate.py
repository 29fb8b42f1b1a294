"""`askonce simulate` as a command: one line that says where, answers, and bad options told at once."""

from __future__ import annotations

import json
import subprocess
import sys
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from askonce.cli.simulate import simulate

if TYPE_CHECKING:
    from pathlib import Path


def test_the_command_serves_on_a_free_port(tmp_path: Path) -> None:
    """`simulate` says its base_url in one line, answers from the file, and ends when it is told to."""
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"questions": ["Capital of France?"], "answer": "Paris."}\n')
    code = "from askonce.cli.simulate import simulate; simulate()"
    options = ["--port", "0", "--answers", str(answers), "--no-api-key-check"]
    options += ["--requests-per-second", "50", "--limit-kind", "fixed-window", "--outage", "600:1:refuse"]
    process = subprocess.Popen([sys.executable, "-c", code, *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1].split("/")[0])
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        messages = [{"role": "user", "content": "capital of france?"}]
        connection.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": messages}))
        response = connection.getresponse()
        assert response.headers["x-ratelimit-limit-requests"] == "50"
        answer = json.loads(response.read())
        assert answer["choices"][0]["message"]["content"] == "Paris."
        connection.close()
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--error-rate", "0.8", "--garbage-rate", "0.8"], "sum"),
        (["--tps", "0"], "--tps"),
        (["--answers", "{bad}"], "line 1"),
        (["--outage", "1:2:fire"], "AT:SECONDS:KIND"),
        (["--outage", "20"], "AT:SECONDS:KIND"),
        (["--requests-per-second", "0"], "--requests-per-second"),
    ],
)
def test_bad_options_are_told(tmp_path: Path, options: list[str], said: str) -> None:
    """What makes no sense ends the command with a sentence, before anything listens."""
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{\n")
    result = CliRunner().invoke(simulate, [option.replace("{bad}", str(bad)) for option in options])
    assert result.exit_code == 2
    assert said in result.output
