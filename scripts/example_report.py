"""Makes the books that docs/report.md shows: a real gateway before a simulated upstream, its clock moved on through two weeks.

    .venv/bin/python scripts/example_report.py FOLDER

Three features ask questions of the packaged sample: `support` is answered semantically, `handbook` runs in shadow mode,
`drafts` asks for variety with a high temperature and partly for a model without a price. All of it takes a minute or two;
afterwards FOLDER has askonce.yaml, askonce.db and askonce.ledger.db.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from askonce.cli.sample import load_sample, traffic, write_answers
from askonce.config import load
from askonce.http.app import App
from askonce.observe.clock import SystemClock
from askonce.observe.log import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from askonce.cli.sample import PlannedRequest

_DAYS = 15
_HOUR_S = 3_600
_DAY_S = 24 * _HOUR_S
_HOURS = (2, 8, 10, 13, 16, 20)
_CONFIG = """\
store: sqlite://{folder}/askonce.db
upstreams: [{{type: simulated, name: simulated, ttft_ms: 30, tokens_per_second: 2000, answers: "{folder}/answers.jsonl"}}]
features:
  support: {{semantic: "on", error_budget: 2%, retain_text: full}}
  handbook: {{semantic: shadow}}
  drafts: {{semantic: shadow}}
prices: {{sim-large: {{input: 2.5, output: 15}}}}
log: {{level: error}}
"""


def main() -> None:
    """Plays the traffic into the folder that is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    sample = load_sample()
    plans = {day: list(_of_day(day)) for day in range(_DAYS)}
    write_answers(sample, [one for plan in plans.values() for _, one in plan], folder / "answers.jsonl")
    config = folder / "askonce.yaml"
    config.write_text(_CONFIG.format(folder=folder))
    configure_logging("error", "console")
    asyncio.run(_play(config, plans))


def _of_day(day: int) -> Iterator[tuple[str, PlannedRequest]]:
    """A day's requests with their features: fewer at the weekend."""
    dice = random.Random(day)  # noqa: S311 - the same traffic every time
    weekend = day % 7 in {5, 6}
    for feature, requests in (("support", 420), ("handbook", 170), ("drafts", 60)):
        plan = traffic(
            load_sample(), seed=100 * day + len(feature), requests=requests // (3 if weekend else 1)
        )
        for planned in plan:
            if dice.random() < 0.9:
                yield feature, planned


async def _play(config: Path, plans: dict[int, list[tuple[str, PlannedRequest]]]) -> None:
    app, end = App(load(config, {})), time.time() // _DAY_S * _DAY_S
    with mock.patch.object(SystemClock, "now", side_effect=lambda: _Now.at_s):
        _Now.at_s = end - _DAYS * _DAY_S
        told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        started = asyncio.Event()

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "lifespan.startup.failed":
                sys.exit(message["message"])
            if message["type"] == "lifespan.startup.complete":
                started.set()

        life = asyncio.create_task(app({"type": "lifespan"}, told.get, send))  # noqa: TID251 - ended below
        told.put_nowait({"type": "lifespan.startup"})
        await started.wait()
        await asyncio.sleep(5)  # the embedder gets ready
        for day, plan in plans.items():
            for place, hour in enumerate(_HOURS):
                _Now.at_s = end - (_DAYS - day) * _DAY_S + hour * _HOUR_S
                await asyncio.gather(*(_ask(app, *one) for one in plan[place :: len(_HOURS)]))
                await asyncio.sleep(0.5)  # audits and background look-ups belong to this hour
        await asyncio.sleep(2)
        told.put_nowait({"type": "lifespan.shutdown"})
        await life


class _Now:
    at_s = 0.0


async def _ask(app: App, feature: str, planned: PlannedRequest) -> None:
    """One request, at its moment of the hour's burst."""
    await asyncio.sleep(planned.at_s / 12)
    body: dict[str, Any] = {"model": "sim-large", "messages": [{"role": "user", "content": planned.question}]}
    if feature == "drafts":
        body["temperature"] = 1.4
        body["model"] = "lab-1" if len(planned.question) % 3 == 0 else "sim-large"
    raw = json.dumps(body).encode()
    headers = [(b"authorization", b"Bearer example"), (b"x-askonce-feature", feature.encode())]
    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    received.put_nowait({"type": "http.request", "body": raw})
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": headers,
        "query_string": b"",
    }

    async def send(_message: MutableMapping[str, Any]) -> None:
        await asyncio.sleep(0)

    await app(scope, received.get, send)


if __name__ == "__main__":
    main()
