"""Measures `askonce replay`: how long a million requests take it, and how near its estimate comes to a real gateway.

    python bench/replay.py size [--requests N] [--questions N] [--workers N] [--json FILE]
    python bench/replay.py truth [--trace conv|code] [--requests N] [--speed N] [--ttl S] [--budget SHARE] [--json FILE]

Both build a log of recorded arrival times (Azure's traces: conversations, or code, which comes in bursts) and real questions (the evaluation
data's, asked with Zipf's frequencies, several tenants), below a temporary folder.

`size` has no answers: the command is run as a process of its own, its time and peak memory are taken.

`truth` first asks a simulated provider each different request once, for what a log of the time before would have: token counts
and answers. Then the log is estimated, and sent to a gateway before that provider, both as processes of their own. Everything
that has to do with time is made faster by the same factor: arrivals, the provider's latency, the TTL. The provider
answers questions of one intent alike, so that audits find what the gateway got right.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from processes import gateway, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DATA = Path(os.environ.get("ASKONCE_DATA", Path(__file__).parents[2] / "shared" / "data"))
TENANTS = ("north", "south", "east", "west", "shop", "bank", "lab", "press")
MODELS = ("gpt-4o-mini", "gpt-4.1", "gpt-4o")
SYSTEM = "You are the assistant of a large company. Answer briefly and truthfully."
TTFT_S, TOKENS_PER_S = 0.8, 60.0
ZIPF = 1.05


class Question(NamedTuple):
    """A text, and what its right answer depends on."""

    text: str
    intent: str


class Arrivals(NamedTuple):
    """When requests came, in seconds from the first one, and how many tokens each had."""

    at: NDArray[np.float64]
    prompt: NDArray[np.int64]
    completion: NDArray[np.int64]


def arrivals(trace: str, count: int) -> Arrivals:
    """The trace's first requests, again and again after itself until there are enough."""
    with (DATA / "arrivals" / f"azure_{trace}_2023.csv").open() as file:
        rows = list(csv.DictReader(file))
    times = np.array([datetime.fromisoformat(row["TIMESTAMP"]).timestamp() for row in rows])
    times -= times[0]
    rounds = -(-count // len(times))
    at = np.concatenate([times + number * (times[-1] + 1) for number in range(rounds)])[:count]
    prompt = np.tile([int(row["ContextTokens"]) for row in rows], rounds)[:count]
    completion = np.tile([int(row["GeneratedTokens"]) for row in rows], rounds)[:count]
    return Arrivals(at, prompt, completion)


def intents() -> list[Question]:
    """The labelled questions."""
    found = []
    for name in ("banking77_train", "banking77_test", "clinc150_train", "clinc150_test"):
        with (DATA / "intents" / f"{name}.jsonl").open() as file:
            found += [Question(row["t"], f"{name[:4]} {row['c']}") for row in map(json.loads, file)]
    return found


def questions() -> list[Question]:
    """All questions that there are."""
    found = intents()
    with (DATA / "pairs" / "qqp_40k.jsonl").open() as file:
        for row in map(json.loads, file):
            found += [Question(row["a"], ""), Question(row["b"], "")]
    return list({question.text: question for question in found}.values())


def asked(pool: list[Question], count: int, seed: int) -> Iterator[tuple[str, str, Question]]:
    """Tenant, model and question of each request: every tenant has its own order of what is asked most."""
    random = np.random.default_rng(seed)
    frequency = 1.0 / np.arange(1, len(pool) + 1) ** ZIPF
    frequency /= frequency.sum()
    orders = [random.permutation(len(pool)) for _ in TENANTS]
    tenants = random.choice(len(TENANTS), count, p=np.arange(len(TENANTS), 0, -1) / 36)
    ranks = random.choice(len(pool), count, p=frequency)
    for tenant, rank in zip(tenants.tolist(), ranks.tolist(), strict=True):
        yield TENANTS[tenant], MODELS[tenant % len(MODELS)], pool[orders[tenant][rank]]


def body_of(model: str, question: Question) -> dict[str, Any]:
    """A request."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question.text}]
    return {"model": model, "messages": messages}


def write_large(file: Path, count: int) -> None:
    """A log without answers."""
    times = arrivals("conv", count)
    columns = zip(
        asked(questions(), count, 1),
        times.at.tolist(),
        times.prompt.tolist(),
        times.completion.tolist(),
        strict=True,
    )
    with file.open("w") as out:
        for (tenant, model, question), at, prompt, completion in columns:
            row = {
                "at": 1_700_000_000 + at,
                "tenant": tenant,
                "body": body_of(model, question),
                "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
                "duration_s": TTFT_S + completion / TOKENS_PER_S,
            }
            out.write(json.dumps(row) + "\n")


def size(options: argparse.Namespace) -> dict[str, Any]:
    """Time and memory of one run."""
    with tempfile.TemporaryDirectory(prefix="askonce-replay-") as folder:
        log = Path(folder) / "traffic.jsonl"
        began = time.perf_counter()
        write_large(log, options.requests)
        written_s = time.perf_counter() - began
        size_bytes = log.stat().st_size
        print(f"{options.requests:,} requests, {size_bytes / 2**20:.0f} MiB, written in {written_s:.0f} s")
        command = [
            sys.executable,
            "-m",
            "askonce",
            "replay",
            str(log),
            "--json",
            "--html",
            f"{folder}/page.html",
        ]
        command += ["--questions", str(options.questions), "--workers", str(options.workers)]
        began = time.perf_counter()
        with (Path(folder) / "found.json").open("w+") as out:
            subprocess.run(command, stdout=out, check=True)
            seconds = time.perf_counter() - began
            out.seek(0)
            found = json.load(out)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "requests": options.requests,
        "log_bytes": size_bytes,
        "seconds": round(seconds, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_resident_mib": round(usage.ru_maxrss / 1024, 1),
        "scenarios": len(found["sensitivity"]),
        "semantic": found["semantic"],
        "calls_avoided_share": round(found["total"]["calls_avoided_share"], 4),
        "layers": {name: layer["requests"] for name, layer in found["total"]["layers"].items()},
    }


def answer_of(intent: str) -> str:
    """What the provider says to all questions of an intent: some dozens of words that no other intent has."""
    words = hashlib.shake_256(intent.encode()).hexdigest(4 * (20 + len(intent)))
    spoken = " ".join(words[place : place + 8] for place in range(0, len(words), 8))
    return f"About {intent.partition(' ')[2].replace('_', ' ')}: {spoken}."


def write_answers(file: Path, pool: list[Question]) -> None:
    """What the provider answers from."""
    ordered = sorted(pool, key=lambda question: question.intent)
    with file.open("w") as out:
        for intent, group in itertools.groupby(ordered, key=lambda question: question.intent):
            row = {"questions": [question.text for question in group], "answer": answer_of(intent)}
            out.write(json.dumps(row) + "\n")


def recorded(root: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the provider says to a request."""
    request = urllib.request.Request(
        f"{root}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer x"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def write_log(file: Path, trace: str, count: int, answers: Path) -> float:
    """A log as it would have been recorded without a gateway; returns its span in seconds."""
    times = arrivals(trace, count)
    known: dict[str, dict[str, Any]] = {}
    with simulator("--answers", str(answers)) as provider, file.open("w") as out:
        for (tenant, model, question), at in zip(asked(intents(), count, 2), times.at.tolist(), strict=True):
            body = body_of(model, question)
            named = json.dumps(body)
            answer = known.get(named) or known.setdefault(named, recorded(provider.root, body))
            tokens = answer["usage"]["completion_tokens"]
            row = {
                "at": 1_700_000_000 + at,
                "tenant": tenant,
                "body": body,
                "usage": answer["usage"],
                "duration_s": TTFT_S + (tokens - 1) / TOKENS_PER_S,
                "answer": answer["choices"][0]["message"]["content"],
            }
            out.write(json.dumps(row) + "\n")
    return float(times.at[-1])


def policies(ttl_s: float, budget: float) -> str:
    """The part of the configuration that both sides have: tenants and policies."""
    tenants = "\n".join(
        f"  - {{name: {tenant}, keys: ['sha256:{hashlib.sha256(f'key-{tenant}'.encode()).hexdigest()}']}}"
        for tenant in TENANTS
    )
    return f'tenants:\n{tenants}\ndefaults: {{semantic: "on", error_budget: {budget}, ttl: {ttl_s}s}}\n'


def run(*arguments: str) -> dict[str, Any]:
    """`askonce replay ARGUMENTS --json`."""
    command = [sys.executable, "-m", "askonce", "replay", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def served(options: argparse.Namespace, answers: Path) -> Iterator[tuple[str, str]]:
    """A provider and a gateway before it, both so many times as fast; yields their addresses."""
    fast = ("--ttft", str(1e3 * TTFT_S / options.speed), "--tps", str(TOKENS_PER_S * options.speed))
    with (
        simulator(*fast, "--answers", str(answers)) as provider,
        gateway(
            provider.base_url, policies(options.ttl / options.speed, options.budget), settings=", api_key: x"
        ) as front,
    ):
        deadline = time.monotonic() + 60
        while (
            _get(front.root + "/healthz").get("semantic", {}).get("state") != "ready"
            and time.monotonic() < deadline
        ):
            time.sleep(0.1)
        yield provider.root, front.base_url


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as response:
        found: dict[str, Any] = json.load(response)
        return found


def truth(options: argparse.Namespace) -> dict[str, Any]:
    """Estimate and gateway side by side."""
    with tempfile.TemporaryDirectory(prefix="askonce-replay-") as name:
        folder = Path(name)
        log, answers, config = folder / "traffic.jsonl", folder / "answers.jsonl", folder / "askonce.yaml"
        write_answers(answers, intents())
        span_s = write_log(log, options.trace, options.requests, answers)
        upstream = "upstreams: [{name: simulated, base_url: 'http://127.0.0.1:1/v1', api_key: x}]\n"
        config.write_text(upstream + policies(options.ttl, options.budget))
        estimate = run(str(log), "-c", str(config))
        keys = [part for tenant in TENANTS for part in ("--key", f"{tenant}=key-{tenant}")]
        print(f"sending {options.requests:,} requests of {span_s:.0f} s in {span_s / options.speed:.0f} s")
        with served(options, answers) as (provider, front):
            live = run(str(log), "--live", front, "--speed", str(options.speed), *keys)
            calls = _get(provider + "/stats")["calls"]
    return {"estimate": estimate, "live": live, "calls": calls}


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """What the two say of the same things, and by how much the estimate is off."""
    total, live = found["estimate"]["total"], found["live"]
    outcomes = {name: group["requests"] for name, group in live["outcomes"].items()}
    measured = {
        "exact": outcomes.get("exact", 0),
        "inflight": outcomes.get("joined", 0),
        "semantic": outcomes.get("semantic", 0) + outcomes.get("semantic-joined", 0),
        "calls_avoided": live["calls_avoided"],
        "saved_usd": live["saved_usd"],
    }
    estimated = {
        **{name: layer["requests"] for name, layer in total["layers"].items()},
        "calls_avoided": total["calls_avoided"],
        "saved_usd": total["saved_usd"],
    }
    audits = found["estimate"]["audits"]["calls"]
    estimated["calls_made"] = total["requests"] - total["calls_avoided"] + audits
    measured["calls_made"] = found["calls"]
    off = {name: estimated[name] / measured[name] - 1 if measured[name] else None for name in measured}
    return {
        "estimated": estimated,
        "measured": measured,
        "off": off,
        "errors": live["errors"],
        "reasons": live["reasons"],
        "schedule": live["schedule"],
    }


def main() -> None:
    """Runs one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    large = commands.add_parser("size")
    large.add_argument("--requests", type=int, default=1_000_000)
    large.add_argument("--questions", type=int, default=50_000)
    large.add_argument("--workers", type=int, default=2)
    large.set_defaults(measure=size)
    real = commands.add_parser("truth")
    real.add_argument("--trace", choices=["conv", "code"], default="conv")
    real.add_argument("--requests", type=int, default=5_000)
    real.add_argument("--speed", type=float, default=10.0)
    real.add_argument("--ttl", type=float, default=600.0)
    real.add_argument("--budget", type=float, default=0.05)
    real.set_defaults(measure=lambda options: compared(truth(options)))
    for command in (large, real):
        command.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = options.measure(options)
    print(json.dumps(found, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
