"""`askonce demo --once`: the main job, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_demo_saves_most_calls_and_gets_nothing_wrong() -> None:
    """A burst through the official client: every request answered, every kind of sharing seen, no wrong hit."""
    command = [sys.executable, "-m", "askonce", "demo", "--once", "--json", "--requests", "400"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["requests"] == 400
    assert set(told["outcomes"]) == {"fresh", "joined", "exact", "semantic", "semantic-joined"}
    assert told["upstream_calls"] == told["outcomes"]["fresh"] < 200
    assert told["wrong_hits"] == 0
    assert told["usd"]["saved"] > told["usd"]["spent"] > 0
    assert set(told["latency_ms"]["exact"]) == {"p50", "p95", "p99"}
    assert "How the requests were answered" in done.stderr
