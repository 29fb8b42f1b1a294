"""The estimate beside what a real gateway saves on the same log."""

from __future__ import annotations

import hashlib
import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from askonce.cli import cli
from servers import CallCounter, gateway, simulator, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SPEED = 5.0
TTFT_S, TOKENS_PER_S = 0.5, 100.0
TOPICS = (
    "password",
    "parcel",
    "invoice",
    "address",
    "contract",
    "delivery",
    "refund",
    "account",
    "order",
    "ticket",
)
WAYS = (
    "How do I change my {0}?",
    "how do i change my {0}",
    "Where can I see my {0}?",
    "What does my {0} cost?",
    "Cancel my {0}",
)
REQUESTS = 600
POLICIES = """\
tenants:
  - {{name: acme, keys: ["sha256:{acme}"]}}
  - {{name: other, keys: ["sha256:{other}"]}}
defaults: {{semantic: "on", error_budget: 5%, ttl: {ttl}s}}
"""


def answer(text: str) -> str:
    """Questions that are the same but for letters and marks have one answer."""
    return "It is " + hashlib.sha256(text.casefold().rstrip("?").encode()).hexdigest() + "."


def write_log(file: Path, usage: dict[str, Any]) -> None:
    """Two minutes of two tenants' questions, some asked far more often than others, in bursts."""
    generator = random.Random(7)  # noqa: S311 - traffic, not a secret
    texts = [way.format(topic) for topic in TOPICS for way in WAYS]
    weights = [1 / (rank + 1) for rank in range(len(texts))]
    generator.shuffle(texts)
    at = 1_700_000_000.0
    rows = []
    for _ in range(REQUESTS):
        at += generator.expovariate(20) if generator.random() < 0.7 else generator.expovariate(1.5)
        (text,) = generator.choices(texts, weights)
        body = {"model": "sim-small", "messages": [{"role": "user", "content": text}]}
        duration_s = TTFT_S + (usage["completion_tokens"] - 1) / TOKENS_PER_S
        rows.append(
            {
                "at": at,
                "tenant": generator.choice(["acme", "acme", "other"]),
                "body": body,
                "usage": usage,
                "duration_s": duration_s,
                "answer": answer(text),
            }
        )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def policies(ttl_s: float) -> str:
    digests = {name: hashlib.sha256(f"key-{name}".encode()).hexdigest() for name in ("acme", "other")}
    return POLICIES.format(ttl=ttl_s, **digests)


def replay(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(cli, ["replay", "-q", "--json", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.timeout(300)
def test_the_estimate_is_within_a_tenth_of_the_truth(tmp_path: Path) -> None:
    """Calls avoided and dollars saved, as estimated from the log and as a gateway does on it, differ by less than 10 %.

    All that has to do with time is made faster by one factor: arrivals, the provider's latency, the TTL.
    """
    answers, log, config = tmp_path / "answers.jsonl", tmp_path / "log.jsonl", tmp_path / "estimate.yaml"
    texts = [way.format(topic) for topic in TOPICS for way in WAYS]
    answers.write_text(
        "".join(json.dumps({"question": text, "answer": answer(text)}) + "\n" for text in texts)
    )
    timing = ("--ttft", str(1e3 * TTFT_S / SPEED), "--tps", str(TOKENS_PER_S * SPEED))
    with simulator(tmp_path, *timing, "--answers", str(answers)) as provider:
        body = {"model": "sim-small", "messages": [{"role": "user", "content": texts[0]}]}
        _, _, content = provider.post("/v1/chat/completions", body, {"Authorization": "Bearer x"})
        write_log(log, json.loads(content)["usage"])
        config.write_text(
            f"upstreams: [{{name: u, base_url: '{provider.base_url}', api_key: x}}]\n{policies(60)}"
        )
        estimate = replay(log, "-c", config)["total"]
        upstream = f"upstreams: [{{name: u, base_url: '{provider.base_url}', api_key: x}}]\n"
        with gateway(tmp_path, upstream + policies(60 / SPEED)) as front:
            until(lambda: front.json("/healthz")["semantic"]["state"] == "ready", "the embedder is ready")
            time.sleep(0.1)
            calls = CallCounter(provider)
            keys = [part for name in ("acme", "other") for part in ("--key", f"{name}=key-{name}")]
            live = replay(log, "--live", front.base_url, "--speed", SPEED, *keys)
            made = calls.new
    assert not live["errors"]
    assert estimate["calls_avoided"] == pytest.approx(live["calls_avoided"], rel=0.1)
    assert estimate["saved_usd"] == pytest.approx(live["saved_usd"], rel=0.1)
    assert made >= REQUESTS - live["calls_avoided"]
    for name in ("exact", "joined"):
        measured = live["outcomes"].get(name, {"requests": 0})["requests"]
        assert estimate["outcomes"][name] == pytest.approx(measured, rel=0.15, abs=5), name
